"""What measuring fails at costs a run that measurement and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench import measure
from mlcvbench.records.display import to_text
from mlcvbench.records.schema import Record
from mlcvbench.running import stages
from mlcvbench.running.costs import ended_early

REASON = "it could not be measured: the sensor is not there"
PASSES = {
    "count": "operations",
    "measure_memory": "memory",
    "measure_time": "latency",
    "check_honesty": "checks",
}


def broken_run(monkeypatch: pytest.MonkeyPatch, folder: Path, function: str, error: BaseException) -> Record:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(measure, function, fail)
    return stages.execute(config_for("model=knn", "time=quick", "limit=20"), folder)


def reasons(record: Record) -> dict[str, set[str | None]]:
    return {
        "operations": {record.operations.reason},
        "memory": {record.memory.reason},
        "latency": {stage.reason for stage in record.latency.values()} | {record.throughput.reason},
        "checks": {check.detail for check in record.checks.values() if check.passed is None},
    }


@pytest.mark.parametrize("function", PASSES)
def test_a_cost_that_cannot_be_had_is_null_with_its_reason(monkeypatch, tmp_path: Path, function: str) -> None:
    record = broken_run(monkeypatch, tmp_path, function, OSError("the sensor is not there.\nCall somebody."))

    found = reasons(record)
    assert record.status == "ok"
    assert record.metrics["top1"].value is not None
    assert found.pop(PASSES[function]) == {REASON}
    assert all(REASON not in said for said in found.values())
    assert list(record.stage_seconds)[-5:] == ["memory", "latency", "checks", "breakdowns", "plots"]


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), AssertionError()])
def test_whatever_a_method_raises_while_it_is_measured_the_score_is_kept(monkeypatch, tmp_path: Path, error) -> None:
    record = broken_run(monkeypatch, tmp_path, "measure_time", error)

    said = str(error) or type(error).__name__
    assert record.status == "ok"
    assert record.latency["end_to_end"].reason == f"it could not be measured: {said}"
    assert record.latency["end_to_end"].median is None
    assert record.yardstick.reason == f"it could not be measured: {said}"
    assert not (tmp_path / "latency.npz").exists()


def test_an_interrupt_while_measuring_ends_the_run(monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        broken_run(monkeypatch, tmp_path, "measure_memory", KeyboardInterrupt())


def test_the_reason_holds_no_path_of_the_machine_and_is_shown(monkeypatch, tmp_path: Path) -> None:
    error = RuntimeError(f"cannot read {Path.home() / 'secret' / 'sensor'}")

    record = broken_run(monkeypatch, tmp_path, "count", error)

    assert record.operations.reason == "it could not be measured: cannot read ~/secret/sensor"
    assert "MACs / FLOPs" in to_text(record)
    assert "cannot read ~/secret/sensor" in " ".join(to_text(record).split())


@pytest.mark.parametrize("stage", ["operations", "memory", "latency", "checks"])
def test_what_was_measured_before_a_process_ended_is_kept(tmp_path: Path, stage: str) -> None:
    kept: list[Record] = []
    whole = stages.execute(config_for("model=knn", "time=quick", "limit=20"), tmp_path, keep=kept.append)
    place = ["operations", "memory", "latency", "checks"].index(stage)

    record = ended_early(kept[place], stage, "the process crashed with SIGSEGV.")

    why = "it could not be measured: the process crashed with SIGSEGV"
    found = reasons(record)
    assert len(kept) == 5
    assert record.status == "ok"
    assert record.metrics == whole.metrics
    assert {name: why in said for name, said in found.items()} == {
        "operations": place == 0,
        "memory": place <= 1,
        "latency": place <= 2,
        "checks": True,
    }
    assert [notice.text for notice in record.notices] == [
        f"The run ended while it measured ({stage}): the process crashed with SIGSEGV. Its score stands; what was not "
        "measured is null."
    ]


def test_what_was_not_asked_for_has_no_such_reason(tmp_path: Path) -> None:
    kept: list[Record] = []
    stages.execute(config_for("time=off"), tmp_path, keep=kept.append)

    record = ended_early(kept[0], "operations", "the process crashed with SIGSEGV.")

    assert record.operations.reason == "it could not be measured: the process crashed with SIGSEGV"
    assert (record.memory.reason, record.latency, record.checks) == (None, {}, {})
