"""What learned from more than the definition gives is named so, says how much, and is ranked on a board of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.records import make_record

from mlcvbench.leaderboard.standing.boards import Board, boards_of
from mlcvbench.leaderboard.tables.columns import columns_of
from mlcvbench.leaderboard.tables.export import to_json
from mlcvbench.records.schema import FitInfo, ModelInfo, Record, WeightsInfo


def learned(model: str, value: float, count: int, val: int | None = None, **data: Any) -> Record:
    """Return the record of a model fitted on so many samples, with these `data.*` settings given."""
    config = {
        "model": model,
        "data_params": {"train": 240, "root": None, **data},
        "definition": {"dataset": "digits", "data": {}},
        "given": [f"data.{name}" for name in data],
    }
    fit = FitInfo(seconds=1.0, train_samples=count, val_samples=val)
    weights = WeightsInfo(source="fitted", trained_on=("digits/train",))
    named = ModelInfo(name=model, plugin="p", plugin_version="1", weights=weights)
    made = make_record(model, value, params={"samples": count, **data}, config=config, fit=fit)
    return made.model_copy(update={"model": named})


def boards(*records: Record) -> list[Board]:
    return boards_of([(record, Path(record.run_id)) for record in records])


PLAIN, APART = learned("unet", 0.7, 240, 60), learned("unet", 0.9, 2000, 60, train=2000)


def test_more_training_data_make_a_board_of_their_own_beside_the_definitions():
    usual, extra = boards(PLAIN, APART, learned("fcn", 0.6, 300))

    assert (usual.slug, usual.title) == ("digits", "Digits, 8 x 8")
    assert (extra.slug, extra.title) == ("digits-extra-training-data", "Digits, 8 x 8, extra training data")
    assert sorted(row.model for row in usual.rows) == ["fcn", "unet"]
    assert [row.name for row in extra.rows] == ["unet data.train=2000"]


def test_how_many_samples_a_row_learned_from_is_a_column():
    usual, extra = boards(PLAIN, APART)

    assert usual.rows[0].costs["train_samples"].value == 300
    assert to_json(extra)["rows"][0]["values"]["train_samples"]["value"] == 2060


def test_that_column_is_out_of_the_way_where_all_rows_learned_from_as_many():
    (same,) = boards(PLAIN, learned("fcn", 0.6, 240, 60))
    (other,) = boards(PLAIN, learned("fcn", 0.6, 100, 60, train=100))

    assert level_of("train_samples", same) == "all"
    assert level_of("train_samples", other) == level_of("fit_s", same) == "cost"


def level_of(key: str, board: Board) -> str:
    """Return from which choice of columns on the page shows one."""
    (level,) = [column.level for column in columns_of(board) if column.key == key]
    return level


def test_fewer_or_other_data_of_the_definitions_number_stay_and_are_named():
    (board,) = boards(PLAIN, learned("unet", 0.5, 100, 60, train=100))

    assert sorted(row.config for row in board.rows) == ["", "data.train=100"]


def test_a_setting_of_the_data_that_all_share_tells_no_row_from_another():
    (board,) = boards(learned("unet", 0.7, 240, level="hard"), learned("fcn", 0.6, 240, level="hard"))

    assert [row.config for row in board.rows] == ["", ""]


def given_weights_of(record: Record, trained_on: str, **changes: Any) -> Record:
    """Return the record of a run that was given the weights of another, on the definition's own data."""
    model = record.model.model_copy(update={"weights": WeightsInfo(source="run", trained_on=(trained_on,))})
    config = {**PLAIN.config, "weights": f"{record.run_id}@{'0' * 64}"}
    return record.model_copy(update={"run_id": "digits-unet-s0-1", "model": model, "config": config, **changes})


def test_weights_of_a_run_count_what_that_run_learned_from():
    more = given_weights_of(APART, "digits/train")
    elsewhere = given_weights_of(APART, "photos/train", fit=FitInfo())

    for record in (more, elsewhere):
        assert [board.slug for board in boards(PLAIN, record)] == ["digits", "digits-extra-training-data"]
