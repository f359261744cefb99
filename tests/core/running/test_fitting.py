"""What a fit says of itself: kept where it can be, and never worth the fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support.runs import config_for

from mlcvbench.contract import FitReport, Notice
from mlcvbench.limits import MIB
from mlcvbench.records.schema import Record
from mlcvbench.running import stages
from mlcvbench.storage import cache
from mlcvbench_baselines.majority import Majority


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, history: dict[str, Any]) -> Record:
    """Run a model whose fit reports this history, with a cache of its own."""
    fit = Majority.fit

    def reporting(self: Majority, train: Any, val: Any, ctx: Any) -> FitReport:
        fit(self, train, val, ctx)
        return FitReport(epochs=2, history=history)

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Majority, "fit", reporting)
    (tmp_path / "run").mkdir(exist_ok=True)
    return stages.execute(config_for("model=majority"), tmp_path / "run")


def test_a_history_with_gaps_is_kept_with_its_gaps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = run(monkeypatch, tmp_path, {"loss": [math.nan, 0.5], "val_loss": [None, math.inf], "lr": [1, 0.1]})

    assert record.status == "ok"
    assert record.fit.history == {"loss": [None, 0.5], "val_loss": [None, None], "lr": [1.0, 0.1]}
    assert Record.model_validate_json(record.model_dump_json()).fit == record.fit
    assert "it ends with loss 0.5, lr 0.1." in record.plots[-1].alt


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (
            {"loss": [1.0, 0.5], "lr": [0.1]},
            "column 'lr' has 1 entries and 'loss' 2; wanted as many in each",
        ),
        (
            {"loss": ["high", "low"]},
            "column 'loss' is no list of numbers (ValueError: could not convert string to float: 'high')",
        ),
        ({"loss": 0.5}, "column 'loss' is no list of numbers (TypeError: 'float' object is not iterable)"),
    ],
)
def test_a_history_that_is_none_costs_itself_and_not_the_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, history: dict[str, Any], why: str
) -> None:
    for cached in (False, True):
        record = run(monkeypatch, tmp_path, history)

        assert record.status == "ok"
        assert record.fit.cached == cached
        assert record.fit.history == {}
        assert [notice.text for notice in record.notices] == [f"The history of the fit is not kept: {why}."]


@pytest.mark.parametrize(("own", "kept"), [({}, [0.5, None, 0.25]), ({"loss": [3.0]}, [3.0])])
def test_what_a_fit_reports_is_its_history_unless_it_returns_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: dict[str, Any], kept: list[float | None]
) -> None:
    fit = Majority.fit

    def reporting(self: Majority, train: Any, val: Any, ctx: Any) -> FitReport:
        ctx.report(1, loss=0.5)
        ctx.report(3, loss=np.float32(0.25))
        fit(self, train, val, ctx)
        return FitReport(epochs=3, history=own)

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Majority, "fit", reporting)

    record = stages.execute(config_for("model=majority"), tmp_path)

    assert record.fit.history == {"loss": kept}
    assert cache.entries("histories") == []


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ((), psutil.virtual_memory().total // 4),
        (("memory=4000",), 1000 * MIB),
        (("memory=4000", "fit.memory=7"), 7 * MIB),
    ],
)
def test_images_may_take_a_quarter_of_the_memory_unless_asked_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: tuple[str, ...], wanted: int
) -> None:
    given: list[int | None] = []
    fit = Majority.fit

    def noting(self: Majority, train: Any, val: Any, ctx: Any) -> Any:
        given.append(ctx.memory)
        return fit(self, train, val, ctx)

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Majority, "fit", noting)
    stages.execute(config_for("model=majority", *settings), tmp_path)

    assert given == [wanted]


def test_what_a_fit_says_is_in_the_record_and_again_when_its_weights_come_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fit, notice = Majority.fit, Notice("weights-left-out", "2 tensors are left out.", 2)

    def saying(self: Majority, train: Any, val: Any, ctx: Any) -> FitReport:
        fit(self, train, val, ctx)
        return FitReport(notices=(notice,))

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Majority, "fit", saying)
    for number in range(2):
        (tmp_path / f"run-{number}").mkdir()
        record = stages.execute(config_for("model=majority"), tmp_path / f"run-{number}")

        assert record.fit.cached == bool(number)
        assert (record.notices[0].code, record.notices[0].text, record.notices[0].count) == (
            "weights-left-out",
            "2 tensors are left out.",
            2,
        )


def test_what_must_be_said_of_given_weights_is_in_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = Majority.load

    def saying(self: Majority, folder: Path) -> tuple[Notice, ...]:
        load(self, folder)
        return (Notice("weights-of-other-classes", "2 classes are unknown.", 2),)

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("fitted", "given"):
        (tmp_path / name).mkdir()
    stages.execute(config_for("model=majority"), tmp_path / "fitted")
    (state,) = (tmp_path / "cache").glob("fits/*/state")
    monkeypatch.setattr(Majority, "load", saying)

    record = stages.execute(config_for("model=majority", f"weights={state}"), tmp_path / "given")

    assert record.model.weights.source == "file"
    assert [(one.code, one.text, one.count) for one in record.notices][:1] == [
        ("weights-of-other-classes", "2 classes are unknown.", 2)
    ]


def test_a_fit_that_was_stored_before_fits_said_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path, {"loss": [1.0]})
    (stored,) = (tmp_path / "cache").rglob("fit.json")
    facts = json.loads(stored.read_text())
    assert facts.pop("notices") == []
    stored.chmod(0o644)
    stored.write_text(json.dumps(facts))

    record = run(monkeypatch, tmp_path, {})

    assert (record.status, record.fit.cached) == ("ok", True)
    assert record.fit.history == {"loss": [1.0]}
