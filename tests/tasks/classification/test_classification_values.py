"""Logits or probabilities: one rule for every door, and what could be either is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.classification import problem_of, split_of
from support.runs import config_for

import mlcvbench
from mlcvbench.cli.score import score as score_command
from mlcvbench.contract import External, Notice
from mlcvbench.errors import OverrideError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.records.schema import Record
from mlcvbench_classification.task import ClassificationTask
from mlcvbench_classification.values import checked_probabilities, likeness, sum_slack

TASK = ClassificationTask()
RNG = np.random.default_rng(7)
MANY = RNG.dirichlet([2, 2, 2], 60)
SPLIT, PROBLEM = split_of([f"s{k:02d}" for k in range(60)]), problem_of(["a", "b", "c"])


def read_csv(folder: Path, table: np.ndarray, form: str, **settings: str) -> External:
    lines = [",".join([name, *(form % v for v in row)]) for name, row in zip(SPLIT.ids, table, strict=True)]
    (folder / "p.csv").write_text("\n".join(["id,a,b,c", *lines]))
    return TASK.read_external(folder / "p.csv", SPLIT, PROBLEM, settings)


def metrics_of(external: External) -> dict[str, float | None]:
    labels = np.repeat(np.arange(3), 20)
    scorer = TASK.scorer("top1/single-crop@2", PROBLEM)
    return scorer.summarise(scorer.rows(external.predictions, {"label": labels}, np.arange(60)))


def test_probabilities_of_four_decimals_are_read_as_such_without_a_word(tmp_path):
    external = read_csv(tmp_path, MANY, "%.4f")

    assert list(external.predictions) == ["probabilities"]
    assert external.notices == ()
    assert external.source.startswith("p.csv: scores read as probabilities, ")


def test_probabilities_of_two_decimals_are_read_as_such_and_the_guess_is_said(tmp_path):
    external = read_csv(tmp_path, MANY, "%.2f")

    printed = np.round(MANY, 2)
    off = int((np.abs(printed.sum(axis=1) - 1) > 0.005).sum())
    wanted = printed / printed.sum(axis=1, keepdims=True)
    labels = np.repeat(np.arange(3), 20)
    assert metrics_of(external)["nll"] == pytest.approx(-np.log(wanted[np.arange(60), labels]).mean(), abs=1e-6)
    assert external.notices == (
        Notice(
            "probabilities-assumed",
            f"the scores of p.csv were read as probabilities that were rounded for printing: {off} of 60 rows sum to "
            "other than 1 (from 0.99 to 1.01); each row was scaled to sum to 1. Say values=probabilities, or "
            "values=logits.",
            off,
        ),
    )


@pytest.mark.parametrize("said", ["logits", "probabilities"])
def test_what_is_said_is_not_guessed(tmp_path, said):
    external = read_csv(tmp_path, MANY, "%.2f", values=said)

    assert list(external.predictions) == ["scores" if said == "logits" else "probabilities"]
    assert external.notices == ()
    assert f"scores read as {said}" in external.source


def test_scores_in_0_and_1_that_do_not_sum_to_1_are_logits_and_that_is_said(tmp_path):
    values = RNG.random((60, 3))
    sums = values.round(4).sum(axis=1)

    external = read_csv(tmp_path, values, "%.4f")

    assert list(external.predictions) == ["scores"]
    off = int((np.abs(sums - 1) > 0.005).sum())
    text = (
        f"the scores of p.csv were read as logits, though all lie in [0, 1]: {off} of 60 rows sum to other than 1 ("
        f"from {sums.min():.4g} to {sums.max():.4g}). Say values=logits, or give probabilities that sum to 1."
    )
    assert external.notices == (Notice("logits-assumed", text, off),)


def test_logits_are_logits_without_a_word(tmp_path):
    external = read_csv(tmp_path, RNG.normal(size=(60, 3)), "%.4f")

    assert (list(external.predictions), external.notices) == (["scores"], ())
    assert external.source == "p.csv: scores read as logits"


def test_an_npz_may_call_them_probabilities(tmp_path):
    np.savez(tmp_path / "p.npz", probabilities=MANY, ids=SPLIT.ids)

    external = TASK.read_external(tmp_path / "p.npz", SPLIT, problem_of(3), {})

    assert np.array_equal(external.predictions["probabilities"], MANY.astype(np.float32))
    assert (external.source, external.notices) == ("p.npz: probabilities read as probabilities", ())


def test_the_last_bits_of_probabilities_are_kept_and_one_below_0_is_cut():
    values = np.array([[0.6, 0.2, 0.2], [-1e-8, 0.5, 0.5]])

    checked = checked_probabilities(values, np.array(["a", "b"]))

    assert checked.tolist() == np.array([[0.6, 0.2, 0.2], [0, 0.5, 0.5]], np.float32).tolist()


def test_scaling_twice_is_scaling_once():
    values = np.round(RNG.dirichlet(np.ones(50), 200), 2)
    ids = np.arange(200).astype(str)

    once = checked_probabilities(values, ids)

    assert np.abs(once.sum(axis=1, dtype=np.float64) - 1).max() < 1e-6
    assert checked_probabilities(once, ids).tobytes() == once.tobytes()


@pytest.mark.parametrize(
    ("values", "slack"),
    [
        (np.full((2, 3), 0.3), 0.15),
        (np.full((2, 3), 0.33), 0.015),
        (np.full((2, 3), 0.333), 0.005),
        (np.full((2, 1000), 0.001), 0.5),
        (np.full((2, 1000), 0.01), 0.5),
        (np.full((2, 4000), 0.0002), 0.2),
        (np.full((2, 3), 1 / 3), 0.005),
        (np.zeros((0, 3)), 0.15),
    ],
)
def test_sums_may_be_off_by_what_printing_makes(values, slack):
    assert sum_slack(values.astype(np.float32)) == pytest.approx(slack, abs=2e-6)


def test_an_almost_empty_row_is_no_probability():
    values = np.array([[0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]], np.float32)

    assert not likeness(values).probable


def test_blocks_do_not_change_the_answer(monkeypatch):
    values = np.round(RNG.dirichlet(np.ones(7), 40), 2).astype(np.float32)
    whole = likeness(values)
    monkeypatch.setattr("mlcvbench_classification.rearranging.BLOCK", 20)

    assert likeness(values) == whole
    assert whole.probable


def test_the_scores_of_a_model_that_look_like_probabilities_are_pointed_at():
    (notice,) = TASK.misreadings({"scores": MANY.astype(np.float32)}, {})

    assert notice == Notice(
        "scores-look-like-probabilities",
        "all 60 rows of scores lie in [0, 1] and sum to 1, as probabilities do, but scores are read as logits: nll and "
        "ece take their softmax. Say values=probabilities, or return 'probabilities' instead.",
        60,
    )


@pytest.mark.parametrize(
    ("predictions", "settings"),
    [
        ({"scores": MANY.astype(np.float32)}, {"values": "logits"}),
        ({"probabilities": MANY.astype(np.float32)}, {}),
        ({"scores": RNG.normal(size=(60, 3)).astype(np.float32)}, {}),
        ({"scores": np.tile(np.array([0.9, 0.8, 0.1], np.float32), (60, 1))}, {}),
        ({"labels": np.zeros(60, np.int64)}, {}),
    ],
    ids=["said", "probabilities", "logits", "similarities", "labels"],
)
def test_nothing_is_pointed_at_without_a_doubt(predictions, settings):
    assert TASK.misreadings(predictions, settings) == []


def test_what_a_live_model_gives_is_interpreted_as_it_is_said():
    def read(predictions: object, **settings: str) -> object:
        return TASK.interpret(predictions, settings, PROBLEM)

    assert list(read({"scores": MANY}, values="probabilities")) == ["probabilities"]
    assert list(read({"scores": MANY}, values="logits")) == ["scores"]
    assert list(read({"probabilities": MANY}, values="probabilities")) == ["probabilities"]
    assert read("rubbish", values="probabilities") == "rubbish"  # refused when it is checked
    turned = read({"scores": MANY}, values="probabilities", classes="c,a,b")
    assert np.array_equal(turned["probabilities"], MANY[:, [1, 2, 0]])
    assert read({"labels": np.array([0, 1, 9])}, classes="c,a,b")["labels"].tolist() == [2, 0, 9]
    with pytest.raises(OverrideError) as caught:
        read({"labels": np.array([0])}, values="logits")
    assert str(caught.value) == "values=logits has no effect: the model gives labels, not scores."


def shares(images: np.ndarray) -> np.ndarray:
    """Return made-up probabilities of digits: the light of ten pixels."""
    light = images.reshape(len(images), -1)[:, 20:30].astype(np.float64) + 1
    return light / light.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("settings", [{}, {"values": "probabilities"}], ids=["guessed", "said"])
@pytest.mark.parametrize("out", ["file", "function"])
def test_probabilities_without_a_name_are_read_alike_from_a_file_and_from_a_function(tmp_path, settings, out):
    test = load_data(resolve(config_for())).splits["test"]
    images, targets = test.arrays()
    if out == "function":
        record = mlcvbench.evaluate(shares, "digits", time="off", intervals=False, **settings)
    else:
        np.savez(tmp_path / "p.npz", scores=shares(images["image"]), ids=test.ids)
        words = ["task=digits", f"predictions={tmp_path / 'p.npz'}", "as=m", "intervals=off", f"out={tmp_path}"]
        outcome = CliRunner().invoke(score_command, [*words, *(f"{k}={v}" for k, v in settings.items()), "--json"])
        record = Record.model_validate_json(outcome.output)

    wanted = -np.log(shares(images["image"])[np.arange(797), targets["label"]]).mean()
    assert record.metrics["nll"].value == pytest.approx(wanted, abs=1e-6)
    assert record.predictions.endswith("probabilities")
    assert record.notices == ()


@pytest.mark.slow
def test_a_timed_function_of_probabilities_keeps_its_checks():
    record = mlcvbench.evaluate(shares, "digits", intervals=False, limit=64)

    assert record.predictions == "probabilities"
    assert {name: check.passed for name, check in record.checks.items()} == dict.fromkeys(record.checks, True)


@pytest.mark.parametrize(
    ("values", "code", "read_as"),
    [
        (lambda images: np.round(shares(images), 2), "probabilities-assumed", "probabilities"),
        (lambda images: np.sqrt(shares(images)), "logits-assumed", "scores read as logits"),
        (lambda images: {"scores": shares(images)}, "scores-look-like-probabilities", "scores read as logits"),
    ],
    ids=["printed", "sigmoids", "named"],
)
def test_what_a_function_gives_and_could_be_either_is_said(values, code, read_as):
    record = mlcvbench.evaluate(values, "digits", time="off", intervals=False, name="f")

    assert [notice.code for notice in record.notices] == [code]
    assert record.predictions == read_as


@pytest.mark.parametrize(
    ("field", "said"),
    [("scores", "scores read as logits"), ("probabilities", "probabilities"), ("labels", "labels without scores")],
)
def test_a_record_says_what_predictions_are(field, said):
    assert TASK.contents({field: MANY}) == said
