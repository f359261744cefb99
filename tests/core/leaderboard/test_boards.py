"""From records to boards: what shares a board, what merges into a row, what is never ranked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.records import failed_record, make_record, sha, write_run

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.standing.boards import boards_of
from mlcvbench.leaderboard.tables.wording import answer
from mlcvbench.records.schema import (
    DatasetInfo,
    ErrorInfo,
    FitInfo,
    Metric,
    Retraction,
    SelectionInfo,
    TaskInfo,
    TrialInfo,
)
from mlcvbench.registry import get_registry

NOWHERE = Path("nowhere")


def board_of(*records):
    """Return the one board of some records without artifacts."""
    (board,) = boards_of([(record, NOWHERE) for record in records])
    return board


def stored(tmp_path, *records, **how):
    for record in records:
        write_run(tmp_path, record, **how)
    (board,), problems = read_boards(tmp_path)
    assert problems == []
    return board


def test_a_definition_a_protocol_and_a_fingerprint_make_a_board():
    other_protocol = TaskInfo(kind="classification", definition="digits", protocol_id="top1/ten-crop@1")
    other_data = DatasetInfo(name="digits", version="2", split="test", fingerprint=sha("other"), n=1000)

    boards = boards_of(
        [
            (make_record("knn"), NOWHERE),
            (make_record("linear"), NOWHERE),
            (make_record("crops", task=other_protocol), NOWHERE),
            (make_record("later", dataset=other_data), NOWHERE),
            (make_record("knn", definition="mnist5k"), NOWHERE),
        ]
    )

    assert [len(board.rows) for board in boards] == [1, 1, 2, 1]
    assert [board.slug for board in boards][-1] == "mnist5k"
    assert len({board.slug for board in boards}) == 4
    assert all(board.slug.startswith(board.definition) for board in boards)


def test_a_board_on_other_data_than_its_definitions_says_so_in_its_name():
    config = {"given": ["data.classes"], "data_seed": 0}

    board = board_of(make_record("knn", config=config))

    assert board.slug.startswith("digits-digits-")


PATHS = sorted(
    (task.spec.name, entry.spec.name, param.name)
    for task in get_registry().tasks()
    for entry in get_registry().datasets(task.spec.name)
    for param in entry.spec.params
    if param.type == "path"
)


def record_of(kind, dataset, given, params):
    """Return a record of a definition `mine` on `dataset`, as a run with `data.*` settings leaves it."""
    return make_record(
        "knn",
        task=TaskInfo(kind=kind, definition="mine", protocol_id="any@1"),
        dataset=DatasetInfo(name=dataset, version="1", split="test", fingerprint=sha("data"), n=1000),
        config={"given": given, "data_seed": 0, "data_params": params, "definition": {"dataset": dataset}},
    )


@pytest.mark.parametrize(("kind", "dataset", "name"), PATHS)
def test_saying_where_the_data_lie_does_not_change_the_boards_name(kind, dataset, name):
    record = record_of(kind, dataset, [f"data.{name}", "fit.epochs"], {name: None})

    assert board_of(record).slug == "mine"


def test_the_content_of_a_path_may_stand_in_its_place():
    record = record_of("depth", "depth-folder", ["data.root"], {"root": "photos (sha256 0123456789ab)"})

    assert board_of(record).slug == "mine"


def test_of_a_data_set_that_is_not_installed_the_value_says_what_is_a_path():
    places = record_of("depth", "gone", ["data.elsewhere"], {"elsewhere": None})
    choices = record_of("depth", "gone", ["data.level"], {"level": "hard"})

    assert board_of(places).slug == "mine"
    assert board_of(choices).slug.startswith("mine-gone-")


def test_a_setting_that_is_no_path_and_was_given_as_none_makes_other_data():
    record = record_of("classification", "image-folder", ["data.size"], {"size": None})

    assert board_of(record).slug.startswith("mine-image-folder-")


def test_a_fit_that_its_budget_cut_short_is_flagged():
    record = make_record("knn")

    row = board_of(record.model_copy(update={"fit": FitInfo(seconds=9.0, epochs=4, cut_short=True)})).rows[0]

    assert "fit cut short by its budget" in row.flags
    assert "fit cut short by its budget" not in board_of(record).rows[0].flags


def test_seeds_of_one_configuration_are_one_row_with_their_mean():
    board = board_of(*[make_record("cnn", 0.9 + 0.01 * seed, seed=seed, p50=0.001 * (1 + seed)) for seed in (2, 0, 1)])

    (row,) = board.rows
    assert row.seeds == (0, 1, 2)
    assert row.metrics["top1"].value == pytest.approx(0.91)
    assert row.costs["p50"].value == pytest.approx(0.002)


def test_the_interval_of_merged_seeds_covers_seeds_and_units(tmp_path):
    records = [make_record("cnn", 0.9 + 0.02 * seed, seed=seed) for seed in range(3)]

    (row,) = stored(tmp_path, *records, noise=0.001).rows

    cell = row.metrics["top1"]
    assert cell.low < 0.91
    assert cell.high > 0.93
    assert (row.rank_low, row.rank_high) == (1, 1)


def test_configurations_and_hardware_make_rows_of_their_own():
    board = board_of(
        make_record("knn", params={"k": 1}),
        make_record("knn", params={"k": 5}),
        make_record("knn", params={"k": 5}, hardware="Other CPU"),
    )

    assert sorted((row.name, row.hardware) for row in board.rows) == [
        ("knn k=1", "Test CPU 9000, 1 thread"),
        ("knn k=5", "Other CPU, 1 thread"),
        ("knn k=5", "Test CPU 9000, 1 thread"),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"partial": True}, "partial: only the first samples were scored (limit=)"),
        ({"isolated": False}, "not isolated: evaluated inside another process"),
        ({"contaminated": "weights saw digits/test"}, "contaminated: weights saw digits/test"),
        ({"value": None}, "no finite value of the primary metric"),
        ({"n": 999}, "scored on 999 samples where the board has 1000"),
        (
            {"primary_metric": "nll"},
            "its primary metric is nll, the board's is top1",
        ),
        ({"retraction": Retraction(date="2026-11-21", reason="wrong labels")}, "retracted on 2026-11-21: wrong labels"),
    ],
)
def test_what_cannot_be_compared_is_shown_below_and_never_ranked(changes, reason):
    board = board_of(make_record("knn"), make_record("linear"), make_record("odd", **changes))

    assert {row.model for row in board.rows} == {"knn", "linear"}
    assert [(row.entry.record.model.name, row.reason) for row in board.unranked] == [("odd", reason)]


@pytest.mark.parametrize("status", ["error", "timeout", "oom", "killed"])
def test_a_failed_run_is_shown_below_with_its_stage_and_reason(status):
    board = board_of(make_record("knn"), failed_record("hangs", status=status))

    (row,) = board.unranked
    assert row.reason == f"{status} in fit: ran past 60 s"
    assert row.state == status


def test_a_failed_attempt_is_forgotten_once_the_run_succeeded():
    again = make_record("knn")
    failed = failed_record("knn", run_id=f"{again.run_id}.e1")

    board = board_of(again, failed)

    assert len(board.rows) == 1
    assert board.unranked == ()


def test_a_run_that_failed_before_its_data_were_read_is_on_no_board_of_others():
    board = board_of(make_record("knn"), failed_record("broken", dataset=None))

    assert board.unranked == ()


def test_a_failure_on_data_that_no_other_run_has_is_on_no_board_of_others():
    gone = DatasetInfo(name="digits", version="0", split="test", fingerprint=sha("gone"), n=900)

    board = board_of(make_record("knn"), failed_record("broken", dataset=gone))

    assert board.unranked == ()


def test_a_run_that_was_cut_short_is_shown_on_its_definitions_board():
    first = DatasetInfo(name="digits", version="1", split="test", fingerprint=sha("first 50"), n=50)

    board = board_of(make_record("knn"), make_record("short", dataset=first, partial=True))

    assert [row.entry.record.model.name for row in board.unranked] == ["short"]


@pytest.mark.parametrize("kind", ["RequestError", "OverrideError", "MissingExtraError", "DataError", "PluginError"])
def test_a_request_that_could_not_work_is_on_no_board(kind):
    error = ErrorInfo(stage="fit", type=kind, message="device=cuda: there is no GPU.")
    refused = failed_record("knn", status="error").model_copy(update={"error": error})

    assert board_of(make_record("cnn"), refused).unranked == ()


@pytest.mark.parametrize("kind", ["PredictionError", "ValueError", "TimeoutError"])
def test_a_method_that_failed_stays_on_its_board(kind):
    error = ErrorInfo(stage="fit", type=kind, message="it broke.")
    failed = failed_record("knn", status="error").model_copy(update={"error": error})

    assert [row.reason for row in board_of(make_record("cnn"), failed).unranked] == ["error in fit: it broke."]


def test_where_nothing_else_is_known_a_refused_request_is_shown():
    error = ErrorInfo(stage="resolve", type="DataError", message="no file 'train.gz'.")
    refused = failed_record("knn", status="error", dataset=None).model_copy(update={"error": error})

    assert [row.reason for row in board_of(refused).unranked] == ["error in resolve: no file 'train.gz'."]


def test_a_definition_whose_runs_all_failed_still_has_a_board():
    board = board_of(failed_record("a", dataset=None), failed_record("b", dataset=None))

    assert (len(board.rows), len(board.unranked)) == (0, 2)


def test_a_refuted_run_is_never_ranked_and_a_recomputed_one_says_so():
    good, bad = make_record("knn"), make_record("linear")

    (board,) = boards_of(
        [(good, NOWHERE), (bad, NOWHERE)], recomputed={good.run_id}, refuted={bad.run_id: "metrics top1"}
    )

    assert [(row.model, row.trust) for row in board.rows] == [("knn", "recomputed")]
    assert board.unranked[0].reason == "verification failed: metrics top1"


def test_a_row_is_as_trusted_as_its_least_trusted_seed():
    board = board_of(make_record("cnn", seed=0, trust="rerun"), make_record("cnn", seed=1))

    assert board.rows[0].trust == "reported"


def test_rows_in_one_tie_band_are_ordered_by_speed(tmp_path):
    board = stored(
        tmp_path,
        make_record("slow", 0.903, p50=9e-3),
        make_record("fast", 0.901, p50=1e-3),
        make_record("poor", 0.5, p50=1e-4),
        make_record("untimed", 0.902, p50=None),
    )

    assert [(row.model, row.band) for row in board.rows] == [("fast", 0), ("slow", 0), ("untimed", 0), ("poor", 1)]
    assert [(row.rank_low, row.rank_high) for row in board.rows] == [(1, 3), (1, 3), (1, 3), (4, 4)]


def test_rows_of_about_one_speed_are_ordered_by_score_in_their_band(tmp_path):
    board = stored(
        tmp_path,
        make_record("quick", 0.900, p50=1.10e-3),
        make_record("quickest", 0.897, p50=1.00e-3),
        make_record("slow", 0.904, p50=1.30e-3),
        noise=0.05,
    )

    assert [row.model for row in board.rows] == ["quick", "quickest", "slow"]
    assert {row.band for row in board.rows} == {0}
    assert "Of the 2 fastest of them, all about as fast, quick scores best: top1 90.00" in answer(board)


def test_leaders_of_one_speed_are_said_to_be_so(tmp_path):
    board = stored(tmp_path, make_record("one", 0.90, p50=1.1e-3), make_record("two", 0.89, p50=1e-3), noise=0.05)

    assert "They are about as fast as each other; one scores best: top1 90.00" in answer(board)


def test_a_row_without_replicates_stands_by_its_score_and_has_no_rank(tmp_path):
    write_run(tmp_path, make_record("best", 0.95))
    write_run(tmp_path, make_record("poor", 0.5))
    write_run(tmp_path, make_record("bare", 0.7), replicates=0)

    (board,), _ = read_boards(tmp_path)

    assert [(row.model, row.rank_low, row.rank_high, row.band) for row in board.rows] == [
        ("best", 1, 2, 0),
        ("bare", None, None, None),
        ("poor", 2, 3, 1),
    ]


OLDER = {"method": "percentile bootstrap", "level": 0.95, "replicates": 1000}


def test_an_interval_of_another_method_is_not_shown_beside_ours(tmp_path):
    board = stored(tmp_path, make_record("new", 0.9), make_record("old", 0.8, intervals=OLDER))

    cells = {row.model: row.metrics["top1"] for row in board.rows}
    assert (cells["new"].low, cells["new"].high) == pytest.approx((0.89, 0.91))
    assert (cells["old"].value, cells["old"].low, cells["old"].high) == (0.8, None, None)
    assert {row.model: row.rank_low for row in board.rows} == {"new": 1, "old": 2}  # the resamples are the same


def test_merged_seeds_of_another_method_have_no_interval(tmp_path):
    board = stored(tmp_path, *[make_record("cnn", 0.9, seed=seed, intervals=OLDER) for seed in range(3)])

    assert (board.rows[0].metrics["top1"].low, board.rows[0].metrics["top1"].high) == (None, None)


def test_damaged_replicates_count_as_absent(tmp_path):
    folder = write_run(tmp_path, make_record("knn"))
    (folder / "replicates.npz").write_bytes(b"PK not a zip file at all, but long enough to look like one")

    (board,), _ = read_boards(tmp_path)

    assert board.rows[0].rank_low is None


def test_replicates_of_another_number_are_not_compared(tmp_path):
    write_run(tmp_path, make_record("a", 0.9))
    write_run(tmp_path, make_record("b", 0.8))
    write_run(tmp_path, make_record("c", 0.7), replicates=200)

    (board,), _ = read_boards(tmp_path)

    assert {row.model: row.rank_low for row in board.rows} == {"a": 1, "b": 2, "c": None}


def test_replicates_that_were_drawn_in_bundles_are_compared_with_their_like_only(tmp_path):
    single = make_record("single", 0.7)
    for record in (make_record("a", 0.9), make_record("b", 0.8)):
        write_run(tmp_path, record.model_copy(update={"intervals": {**record.intervals, "bundles": 64}}))
    write_run(tmp_path, single)

    (board,), _ = read_boards(tmp_path)

    assert {row.model: row.rank_low for row in board.rows} == {"a": 1, "b": 2, "single": None}


def test_the_pareto_front_is_taken_machine_by_machine():
    board = board_of(
        make_record("fast", 0.90, p50=1e-3),
        make_record("good", 0.95, p50=2e-3),
        make_record("beaten", 0.80, p50=3e-3),
        make_record("close", 0.945, p50=3e-3, half=0.01),
        make_record("elsewhere", 0.70, p50=5e-3, hardware="Other CPU"),
        make_record("untimed", 0.99, p50=None),
    )

    assert {row.model for row in board.rows if row.front} == {"fast", "good", "elsewhere"}
    assert {row.model for row in board.rows if row.near_front} == {"close"}


def test_where_lower_is_better_the_front_goes_down():
    def record(name, value, p50):
        metric = Metric(value=value, low=value - 0.01, high=value + 0.01, unit="px", higher_is_better=False)
        return make_record(name, metrics={"epe": metric}, primary_metric="epe", p50=p50)

    board = board_of(record("fast", 0.9, 1e-3), record("good", 0.5, 2e-3), record("bad", 0.8, 3e-3))

    assert {row.model for row in board.rows if row.front} == {"fast", "good"}


def test_the_order_of_the_records_does_not_matter(tmp_path):
    records = [make_record(f"m{i}", 0.9 - 0.01 * (i % 3), p50=1e-3 * (1 + i % 4)) for i in range(9)]
    pairs = [(record, write_run(tmp_path, record)) for record in records]

    assert boards_of(pairs) == boards_of(pairs[::-1])


def test_rows_of_a_single_sample_stand_by_their_score_without_ranks(tmp_path):
    records = [make_record("floor", 0.1, p50=1e-6), make_record("good", 0.9, p50=1e-3)]
    records = [record.model_copy(update={"artifacts": {"replicates.npz": "0" * 64}}) for record in records]
    for record in records:
        (tmp_path / record.run_id).mkdir()
        np.savez(tmp_path / record.run_id / "replicates.npz", top1=np.full(1000, np.nan))

    (board,) = boards_of((record, tmp_path / record.run_id) for record in records)

    assert [row.model for row in board.rows] == ["good", "floor"]
    assert [row.rank_low for row in board.rows] == [None, None]


@pytest.mark.parametrize(("refit", "seconds"), [(True, 2.0 + 3.0 + 4.0), (False, 2.0 + 3.0)])
def test_the_fit_of_a_row_that_was_searched_for_costs_every_candidate(refit, seconds):
    trials = (
        TrialInfo(settings={"model.k": 1}, value=0.9, seconds=2.0),
        TrialInfo(settings={"model.k": 3}, value=0.8, seconds=3.0),
        TrialInfo(settings={"model.k": 5}, status="timeout", message="it took longer than its share of 3 s."),
    )
    found = SelectionInfo(
        method="grid", metric="top1", split="val", n=200, fingerprint=sha("val"), trials=trials, winner=0, refit=refit
    )

    board = board_of(make_record("knn", selection=found, fit=FitInfo(seconds=4.0 if refit else 2.0)))

    assert board.rows[0].costs["fit_s"].value == seconds
