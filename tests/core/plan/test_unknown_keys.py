"""A key that nobody understands: what it lacks, where it belongs, or what it is nearest to."""

from __future__ import annotations

import pytest

from mlcvbench.errors import OverrideError
from mlcvbench.plan.planning import plan


def refusal(words: str, **how: bool | str) -> str:
    with pytest.raises(OverrideError) as caught:
        plan(words.split(), **how)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "offer"),
    [
        ("task=digits model=knn k=3", "'k'. Did you mean 'model.k'?"),
        ("task=digits model=small_cnn lr=0.1", "'lr'. Did you mean 'fit.lr'?"),
        ("task=digits model=knn,mlp epochs=2", "'epochs'. Did you mean 'fit.epochs'?"),
        ("task=fashion-mnist model=knn root=data", "'root'. Did you mean 'data.root'?"),
        ("task=digits model=mlp epoch=2", "'epoch'. Did you mean 'fit.epochs' or 'fit.eps'?"),
    ],
)
def test_a_setting_without_its_place_is_offered_with_it(words: str, offer: str):
    assert refusal(words) == f"unknown key {offer}"


def test_a_key_of_score_is_named_as_one():
    for word in ("predictions=p.csv", "as=net", "values=logits"):
        key = word.partition("=")[0]

        assert refusal(f"task=digits model=knn {word}") == (
            f"unknown key {key!r}: it belongs to `mlcvbench score`, which reads predictions."
        )


def test_a_misspelt_setting_of_reading_is_offered_by_score():
    assert refusal("task=digits vale=logits", outside="net", reads=True) == (
        "unknown key 'vale'. Did you mean 'value' or 'values'?"
    )


@pytest.mark.parametrize(("how", "command"), [({}, "run"), ({"outside": "net", "reads": True}, "score")])
def test_a_key_like_no_other_says_where_all_are_listed(how: dict[str, bool | str], command: str):
    model = "" if how else " model=knn"

    assert refusal(f"task=digits{model} zzzzz=1", **how).endswith(f", ... `mlcvbench {command} --help` lists them.")
