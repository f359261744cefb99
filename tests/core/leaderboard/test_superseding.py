"""A newer run of the same request replaces the older one on a board; other requests and other machines do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.records import make_record, sha

from mlcvbench.leaderboard.standing.boards import Board, boards_of
from mlcvbench.records.schema import PREDICTIONS, ErrorInfo, Record, Retraction

OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"


def version(of: Record, name: str, created: str, **changes: Any) -> Record:
    """Return the same request carried out with other code at another time."""
    key = sha(of.run_key, name)
    run_id = f"{of.run_id[:-12]}{key[:12]}"
    return of.model_copy(
        update={
            "run_key": key,
            "group_key": sha(of.group_key, name),
            "run_id": run_id,
            "created_utc": created,
            **changes,
        }
    )


def board_of(*records: Record) -> Board:
    (board,) = boards_of((record, Path(record.run_id)) for record in records)
    return board


def test_the_newer_run_of_one_request_is_ranked_and_the_older_says_why_not() -> None:
    base = make_record(value=0.9)
    old, new = version(base, "old", OLD), version(base, "new", NEW)

    board = board_of(old, new)

    assert [row.record.run_id for row in board.rows] == [new.run_id]
    (below,) = board.unranked
    assert below.entry.record.run_id == old.run_id
    assert below.state == "replaced"
    assert below.reason == f"replaced by {new.run_id}: its code, data or libraries are newer"


def test_other_settings_seeds_and_machines_replace_nothing() -> None:
    base = version(make_record(), "a", OLD)
    other_setting = version(make_record(params={"k": 1}), "b", NEW, config={**base.config, "model_params": {"k": 1}})
    other_seed = version(make_record(seed=1), "c", NEW, config={**base.config, "seed": 1})
    other_machine = version(make_record(hardware="Other CPU"), "d", NEW, config=base.config)

    board = board_of(base, other_setting, other_seed, other_machine)

    assert board.unranked == ()


@pytest.mark.parametrize("setting", [{"load_threads": 3}, {"recheck": True}, {"fit_memory_mb": 100}, {"strict": True}])
def test_how_files_were_read_makes_no_other_request(setting: dict[str, Any]) -> None:
    base = make_record()
    old = version(base, "old", OLD, config={**base.config, **setting})
    new = version(base, "new", NEW)

    board = board_of(old, new)

    assert [row.record.run_id for row in board.rows] == [new.run_id]
    assert [one.state for one in board.unranked] == ["replaced"]


def test_a_failed_attempt_disappears_once_the_request_succeeded() -> None:
    base = make_record()
    error = ErrorInfo(stage="fit", type="ValueError", message="no")
    failed = version(base, "failed", OLD, status="error", error=error)

    assert board_of(failed, version(base, "fixed", NEW)).unranked == ()


def test_a_failure_after_a_success_stays_visible() -> None:
    base = make_record()
    error = ErrorInfo(stage="fit", type="ValueError", message="no")
    failed = version(base, "failed", NEW, status="error", error=error)

    board = board_of(version(base, "worked", OLD), failed)

    assert [item.entry.record.run_id for item in board.unranked] == [failed.run_id]
    assert len(board.rows) == 1


def test_the_timing_profile_tells_rows_apart() -> None:
    base = make_record()
    quick = version(base, "quick", OLD, config={**base.config, "time": "quick"})
    publish = version(base, "publish", NEW, config={**base.config, "time": "publish"})

    board = board_of(quick, publish)

    assert sorted(row.config for row in board.rows) == ["time=publish", "time=quick"]


def test_a_retracted_run_replaces_none() -> None:
    base = make_record(value=0.9)
    taken_back = Retraction(date="2026-11-21", reason="wrong labels")
    old, new = version(base, "old", OLD), version(base, "new", NEW, retraction=taken_back)

    board = board_of(old, new)

    assert [row.record.run_id for row in board.rows] == [old.run_id]
    assert [item.reason for item in board.unranked] == ["retracted on 2026-11-21: wrong labels"]


def handed_in(of: Record, name: str, created: str, **config: Any) -> Record:
    """Return predictions that were handed in under the name of another record's model."""
    model = of.model.model_copy(update={"plugin": PREDICTIONS})
    content = {"predictions": sha("predictions", name)}
    return version(of, name, created, model=model, env_class="", config={**of.config, "content": content, **config})


def test_the_newest_hand_in_of_a_name_stands_however_it_was_read_and_wherever_it_was_scored() -> None:
    base = make_record()
    old = handed_in(base, "old", OLD, reading={"value": "similarity"}, threads=2)
    new = handed_in(base, "new", NEW, reading={"value": "distance"}, threads=64)

    board = board_of(old, new)

    assert [row.record.run_id for row in board.rows] == [new.run_id]
    assert [item.reason for item in board.unranked] == [f"replaced by {new.run_id}: it was submitted later"]


def test_a_run_that_was_taken_back_replaces_none() -> None:
    base = make_record()
    taken_back = handed_in(base, "new", NEW).model_copy(update={"retraction": Retraction(date=NEW[:10], reason="no")})
    old = handed_in(base, "old", OLD)

    board = board_of(old, taken_back)

    assert [row.record.run_id for row in board.rows] == [old.run_id]
    assert [item.state for item in board.unranked] == ["retracted"]


def test_a_model_evaluated_in_another_process_replaces_none() -> None:
    base = make_record()
    run, live = version(base, "run", OLD), version(base, "live", NEW, isolated=False)

    assert [row.record.run_id for row in board_of(run, live).rows] == [run.run_id]
