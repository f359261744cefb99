"""What cannot be made of other models is refused before anything starts, in one line with exit code 2."""

from __future__ import annotations

import shlex

import pytest

from mlcvbench.errors import MlcvbenchError
from mlcvbench.plan.planning import plan

NO_NETWORK = "model 'knn' is not a network of class scores, so no method can be built from it."
TAUGHT = "is not trained by the shared loop{}, so it cannot learn from a teacher."
LBFGS, CLOSED_FORM = TAUGHT.format(" with fit.optimizer=lbfgs"), TAUGHT.format("")
CYCLES = (
    "snapshot_ensemble: 2 cycles in {} epochs give no 5 members; set fewer model.members, or more fit.cycles and "
    "fit.epochs."
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("model=ensemble model.base=knn", NO_NETWORK),
        ("model=ensemble model.base=[ensemble,base=knn]", NO_NETWORK),
        ("model=ensemble model.base=[bovw,words=8]", NO_NETWORK.replace("knn", "bovw")),
        ("model=mc_dropout model.base=knn", NO_NETWORK),
        ("model=mc_dropout model.base=[ensemble,base=knn]", NO_NETWORK),
        ("model=distill model.student=knn", NO_NETWORK),
        ("model=distill model.teacher=knn", NO_NETWORK),
        (
            "model=distill model.student=linear_softmax",
            f"model 'linear_softmax' {LBFGS}",
        ),
        ("model=distill model.student=linear_least_squares", f"model 'linear_least_squares' {CLOSED_FORM}"),
        (
            "model=distill model.student=[ensemble,base=linear_least_squares]",
            f"model 'linear_least_squares' {CLOSED_FORM}",
        ),
        ("model=snapshot_ensemble model.base=knn", NO_NETWORK),
        (
            "model=snapshot_ensemble model.base=linear_least_squares",
            "model 'linear_least_squares' is not trained by the shared loop, so it leaves no snapshots.",
        ),
        (
            "model=snapshot_ensemble model.base=[ensemble,base=mlp]",
            "model 'ensemble' is built from others, so its training has no cycles to stop at.",
        ),
        ("model=snapshot_ensemble fit.cycles=2 fit.epochs=20", CYCLES.format(20)),
        ("model=snapshot_ensemble fit.epochs=2", CYCLES.format(2)),
        ("model=timm:", "model=timm:: wanted a network's name after the colon, as `mlcvbench info timm:` shows."),
        (
            "model=ensemble model.base=torchvision:",
            "model=torchvision:: wanted a network's name after the colon, as `mlcvbench info torchvision:` shows.",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(words: str, message: str):
    with pytest.raises(MlcvbenchError) as caught:
        plan(["task=digits", *shlex.split(words)])

    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        "model=ensemble model.base=[ensemble,base=[mlp,hidden=[8]]]",
        "model=ensemble model.base=linear_least_squares",
        "model=distill model.student=[ensemble,base=mlp] model.teacher=linear_softmax",
        "model=distill model.student=linear_softmax fit.optimizer=adam",
        "model=snapshot_ensemble model.base=mlp fit.cycles=5 fit.epochs=5",
        "model=ensemble model.base=small_cnn,mlp model.members=2,3 select=grid",
    ],
)
def test_what_can_be_made_is_planned(words: str):
    assert plan(["task=digits", *shlex.split(words)]).configs
