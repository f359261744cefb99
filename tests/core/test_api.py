"""The Python interface: evaluate what is in hand, run by name."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.runs import stored_run
from torch import nn

import mlcvbench
from mlcvbench.errors import PredictionError, RequestError, UnknownNameError
from mlcvbench.running import live
from mlcvbench.running.sweep import SweepResult

PUBLIC = {
    "ArraySplit", "Batch", "DatasetSpec", "FitContext", "FitReport", "InputSpec", "LoadedData", "MlcvbenchError",
    "Model", "ModelSpec", "Operations", "Param", "ParameterCounts", "Problem", "Record", "Scorer", "Split", "Table",
    "Task", "TaskSpec", "TorchModel", "evaluate", "hookimpl", "load_records", "run", "to_frame",
}  # fmt: skip


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5))


def test_the_public_names_are_pinned_and_importable() -> None:
    assert set(mlcvbench.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(mlcvbench, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mlcvbench' has no attribute 'evaluat'"):
        _ = mlcvbench.evaluat  # type: ignore[attr-defined]


def test_a_module_is_scored_and_stays_in_training_mode() -> None:
    net = network()

    record = mlcvbench.evaluate(net, "digits", time="off")

    assert net.training
    assert record.status == "ok"
    assert record.model.name == "Sequential"
    assert not record.isolated
    assert record.operations.macs == 640
    assert record.memory.reason is None or "live" in record.memory.reason


def test_a_module_is_timed_in_this_process() -> None:
    record = mlcvbench.evaluate(network().eval(), "digits", limit=64, intervals=False)

    assert record.latency["end_to_end"].median is not None
    assert record.checks["batch_invariant"].passed


def test_a_function_from_images_to_scores_is_scored() -> None:
    def brightest(images: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(images), 10), np.float32)
        scores[:, 3] = 1
        return scores

    record = mlcvbench.evaluate(brightest, "digits", time="off")

    assert record.model.name == "brightest"
    assert record.metrics["top1"].value == pytest.approx(0.1, abs=0.03)


def test_a_preprocessing_function_feeds_the_model() -> None:
    seen = []

    def prepare(images: np.ndarray) -> torch.Tensor:
        seen.append(images.dtype)
        return torch.from_numpy(images).float().unsqueeze(1)

    mlcvbench.evaluate(network(), "digits", preprocess=prepare, time="off", limit=5)

    assert seen
    assert set(seen) == {np.dtype(np.uint8)}


def test_what_the_model_raises_reaches_the_caller() -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        mlcvbench.evaluate(broken, "digits", time="off")


def test_a_wrong_shape_is_a_prediction_error() -> None:
    with pytest.raises(PredictionError) as error:
        mlcvbench.evaluate(lambda images: np.zeros((len(images), 3)), "digits", name="short", time="off")

    assert str(error.value) == "field 'scores': wanted float32 (B, 10), got shape (64, 3)."


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(RequestError) as error:
        mlcvbench.evaluate("resnet18", "digits")

    assert str(error.value) == (
        "model: wanted an nn.Module, a function or an mlcvbench Model, got str; "
        "to run a method by name use mlcvbench.run(model=NAME)."
    )


def test_a_name_that_no_record_may_have_is_refused() -> None:
    with pytest.raises(
        RequestError, match=r"^name='a\\nb': wanted a line of printable text, at most 200 characters\.$"
    ):
        mlcvbench.evaluate(network(), "digits", name="a\nb")


def test_any_line_of_text_names_a_live_model_and_is_kept_as_its_title() -> None:
    record = mlcvbench.evaluate(network(), "digits", name="Linear (ours)", time="off", intervals=False)

    assert record.model.title == record.model.called == "Linear (ours)"
    assert re.fullmatch(r"Linear-ours-[0-9a-f]{6}", record.model.name)
    assert "name='Linear (ours)'" in record.command


def test_an_evaluation_can_be_kept_and_read_back(tmp_path: Path) -> None:
    record = mlcvbench.evaluate(network(), "digits", name="mine", time="off", limit=20, out=tmp_path)

    (kept,) = mlcvbench.load_records(tmp_path)

    assert kept.model.name == "mine"
    assert kept.metrics == record.metrics
    assert "predictions.npz" in kept.artifacts


def constant(answer: int):
    """Return a function that gives every image the same class."""

    def answering(images: np.ndarray) -> np.ndarray:
        return np.eye(10, dtype=np.float32)[np.full(len(images), answer)]

    return answering


def seeded(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize(
    "models",
    [
        lambda: (seeded(0), seeded(1)),
        lambda: (constant(3), constant(4)),
        lambda: (seeded(0).forward, seeded(1).forward),
    ],
    ids=["networks", "functions", "methods"],
)
def test_two_models_of_one_name_are_two_records(tmp_path: Path, models) -> None:
    kept = [mlcvbench.evaluate(m, "digits", name="mine", preprocess=floats, time="off", limit=300, out=tmp_path)
            for m in models()]  # fmt: skip
    alone = [mlcvbench.evaluate(m, "digits", name="mine", preprocess=floats, time="off", limit=300) for m in models()]

    assert [r.metrics["top1"].value for r in kept] == [r.metrics["top1"].value for r in alone]
    assert kept[0].metrics["top1"].value != kept[1].metrics["top1"].value
    assert len(mlcvbench.load_records(tmp_path)) == 2


def floats(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float()


@pytest.mark.parametrize("changed", [{"preprocess": lambda images: floats(images) / 2}, {"limit": 299}])
def test_what_else_decides_the_score_of_a_network_is_part_of_its_key(tmp_path: Path, changed) -> None:
    settings = {"preprocess": floats, "time": "off", "limit": 300, "out": tmp_path}

    for words in (settings, settings | changed):
        mlcvbench.evaluate(seeded(0), "digits", **words)

    assert len(mlcvbench.load_records(tmp_path)) == 2


def test_a_network_evaluated_twice_untimed_is_one_record(tmp_path: Path) -> None:
    first, second = (mlcvbench.evaluate(seeded(0), "digits", time="off", limit=50, out=tmp_path) for _ in range(2))

    assert first == second
    assert first.model.weights.sha256 == first.config["content"]["weights"]


def test_a_faster_function_that_predicts_the_same_is_not_given_the_slower_ones_times(tmp_path: Path) -> None:
    slow, fast = (mlcvbench.evaluate(constant(3), "digits", name="mine", limit=20, out=tmp_path) for _ in range(2))

    assert slow.run_key != fast.run_key
    assert slow.latency != fast.latency


def test_a_model_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        mlcvbench.evaluate(lambda images: 1 / 0, "digits", name="broken", time="off", out=tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[1].weight.data.mul_(1.5),
        lambda net: net.insert(1, nn.Identity()),
        lambda net: net.double(),
        lambda net: net.append(nn.BatchNorm1d(10)),
    ],
)
def test_the_weights_of_a_network_are_known_by_content_and_structure(change) -> None:
    plain, changed = seeded(0), seeded(0)

    change(changed)

    assert live.weights_digest(plain) == live.weights_digest(seeded(0)) != live.weights_digest(changed)


def test_run_carries_out_a_request_in_child_processes(tmp_path: Path) -> None:
    records = mlcvbench.run(
        "task=digits", model=["majority", "knn"], time="off", intervals=False, out=tmp_path, **{"knn.k": 3}
    )

    assert [record.model.name for record in records] == ["majority", "knn"]
    assert records[1].model.params["k"] == 3
    assert all(record.isolated for record in records)
    assert len(mlcvbench.load_records(tmp_path)) == 2


@pytest.fixture
def request_of_one(tmp_path: Path) -> list[str]:
    """Words that ask for one quick run."""
    return ["task=digits", "model=majority", "limit=50", "time=off", "threads=1", f"out={tmp_path / 'runs'}"]


def test_a_script_shows_no_progress(request_of_one: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    mlcvbench.run(*request_of_one)

    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_notebook_shows_progress_where_its_results_are(
    request_of_one: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)

    mlcvbench.run(*request_of_one)

    captured = capsys.readouterr()
    assert captured.err == ""
    said = re.sub(r"\d+ s", "N s", captured.out).replace("\r", "\n").split("\n")
    assert "[1/1] majority seed 0: ok in N s" in said
    assert "[1/1] majority seed 0: reading data, N s" in said


def test_progress_can_be_turned_off_and_on(
    request_of_one: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlcvbench.run(*request_of_one, quiet=False)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    mlcvbench.run(*request_of_one, quiet=True)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\[1/1\] majority seed 0: ok in \d+ s\n", captured.err)


def test_an_interrupted_request_says_so(request_of_one: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(configs: list[object], store: object, on_event: object) -> SweepResult:
        return SweepResult((), (), (), 2, len(configs))

    monkeypatch.setattr("mlcvbench.api.run_sweep", interrupted)

    with pytest.raises(KeyboardInterrupt, match=r"^0 finished, 1 left; the same command resumes$"):
        mlcvbench.run(*request_of_one)


def test_an_unknown_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown classification model 'knnn'\. Did you mean 'knn'"):
        mlcvbench.run("task=digits", model="knnn", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_records_become_a_table_with_metrics_costs_and_settings(tmp_path: Path) -> None:
    record, _ = stored_run(tmp_path, "model=knn", "model.k=3")

    frame = mlcvbench.to_frame([record])

    row = frame.iloc[0]
    assert row["model"] == "knn"
    assert row["model.k"] == 3
    assert row["top1_low"] < row["top1"] < row["top1_high"]
    assert row["macs"] == 64_000
    assert frame["latency_p50"].isna().all()
    assert row["notices"] == ""
