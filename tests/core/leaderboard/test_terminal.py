"""The board at 80 columns, and the wording of numbers."""

from __future__ import annotations

import pytest
from support.records import failed_record, make_record, write_runs

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.tables.terminal import render_terminal
from mlcvbench.leaderboard.tables.wording import cost, rank_text, score

EXPECTED = """\
Digits, 8 x 8 · digits, 1,000 samples · top1/single-crop@1

rank model         top1 %   p50 ms   MACs params peak MB fit s
---- -------- ----------- -------- ------ ------ ------- -----
 1-2 knn k=1  98.50 ±1.00 1.00 ±6% 1.23 M 61.8 k    12.3  1.25
 1-2 knn k=5  98.67 ±1.00 2.00 ±6% 1.23 M 61.8 k    12.3  1.25
······························································
   3 majority 10.12 ±1.00        - 1.23 M 61.8 k    12.3  1.25

2 of 3 rows share first place (their rank intervals reach 1). The fastest of
them is knn k=1: top1 98.50 ±1.00 %, 1.00 ms per image.
±, [ ]: 95 %; rank: all the ranks a row can have; dots separate tie bands, the
faster first inside one. p50: end to end, batch 1, within one process, Test CPU
9000, 1 thread. -: not measured.

not ranked (1):
  hangs seed 0: timeout in fit: ran past 60 s
"""


def board_of(tmp_path, *records):
    (board,), _ = read_boards(write_runs(tmp_path, records))
    return board


def test_the_board_reads_well_in_a_terminal(tmp_path):
    board = board_of(
        tmp_path,
        make_record("knn", 0.985, params={"k": 1}, p50=1e-3),
        make_record("knn", 0.9867, params={"k": 5}, p50=2e-3),
        make_record("majority", 0.1012, p50=None),
        failed_record(),
    )

    assert render_terminal(board) == EXPECTED


def test_a_board_without_times_says_nothing_of_how_they_were_taken(tmp_path):
    text = render_terminal(board_of(tmp_path, make_record("knn", p50=None), make_record("cnn", 0.97, p50=None)))

    assert "p50" not in text
    assert text.endswith("rank: all the ranks a row can have; dots separate tie bands.\n")


@pytest.mark.parametrize("width", [45, 60, 80, 120])
def test_no_line_is_wider_than_asked(tmp_path, width):
    board = board_of(
        tmp_path,
        make_record("a" * 70, 0.98),
        make_record("knn", 0.9867, params={"k": 5, "metric": "minkowski", "weights": "distance"}, p50=2e-3),
        failed_record("b" * 60, message="word " * 300),
    )

    lines = render_terminal(board, width).splitlines()

    assert max(map(len, lines)) <= width


def test_a_narrow_terminal_loses_costs_from_the_right(tmp_path):
    board = board_of(tmp_path, make_record("small_cnn", 0.98))

    header = next(line for line in render_terminal(board, 50).splitlines() if line.startswith("rank"))

    assert header.split() == ["rank", "model", "top1", "%", "p50", "ms", "MACs", "params"]


def test_a_strangers_message_does_not_drive_the_terminal(tmp_path):
    board = board_of(tmp_path, failed_record("evil", message="\x1b[2J\x07gone\u202e"))

    text = render_terminal(board)

    assert "?[2J?gone?" in text
    assert all(c.isprintable() or c == "\n" for c in text)


def test_a_board_without_ranked_rows_says_so(tmp_path):
    assert "No run can be ranked yet." in render_terminal(board_of(tmp_path, failed_record()))


def test_many_failures_are_counted_not_listed(tmp_path):
    board = board_of(tmp_path, *[failed_record(f"bad{i}") for i in range(14)])

    assert render_terminal(board).endswith("  and 4 more\n")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (score(0.98534, "fraction"), "98.53"),
        (score(1.0, "fraction"), "100.00"),
        (score(0.0512345, "nat"), "0.05123"),
        (cost("p50", 0.00123456), "1.23"),
        (cost("p50", 2e-5), "0.0200"),
        (cost("peak_bytes", 12_345_678), "12.3"),
        (cost("year", 1998), "1998"),
    ],
)
def test_numbers_are_worded_for_people(shown, expected):
    assert shown == expected


def test_a_rank_is_one_number_a_span_or_a_dash(tmp_path):
    (row,) = board_of(tmp_path, make_record("knn")).rows

    from dataclasses import replace

    assert rank_text(row) == "1"
    assert rank_text(replace(row, rank_low=2, rank_high=4)) == "2-4"
    assert rank_text(replace(row, rank_low=None, rank_high=None)) == "-"


def settings_board(tmp_path):
    """Return a board of one model with long names, whose rows differ in score and time."""
    fits = [{"optimizer": "momentum", "lr": 0.003}, {"schedule": "warmup+cosine", "milestones": [0.3, 0.6]}, {}]
    records = [
        make_record(
            "linear_softmax",
            0.98 - 0.01 * place,
            params={"k": place},
            config={"given": [f"fit.{name}" for name in fit], "fit": {"l1": 0.0, "flip": 0.0, "crop": 1.0} | fit},
            p50=1e-3 * (1 + place),
        )
        for place, fit in enumerate(fits)
    ]
    return board_of(tmp_path, *records)


def test_a_long_configuration_goes_to_a_line_of_its_own_and_keeps_its_values(tmp_path):
    lines = render_terminal(settings_board(tmp_path), 60).splitlines()

    assert max(map(len, lines)) <= 60
    assert [line.strip() for line in lines if line.startswith("       ")] == [
        "optimizer=momentum, lr=0.003",
        "schedule=warmup+cosine, milestones=[0.3,0.6]",
    ]


def test_costs_that_all_rows_share_give_their_room_to_long_names(tmp_path):
    lines = render_terminal(settings_board(tmp_path)).splitlines()

    assert lines[2] == "All rows: MACs 1.23 M, params 61.8 k, peak MB 12.3, fit s 1.25."
    assert lines[4].split() == ["rank", "model", "top1", "%", "p50", "ms"]
    assert lines[6].split()[:4] == ["1-2", "linear_softmax", "optimizer=momentum,", "lr=0.003"]


def test_the_columns_of_a_definition_stand_beside_the_score(tmp_path):
    config = {"definition": {"columns": ["nll"]}}

    lines = render_terminal(board_of(tmp_path, make_record("knn", config=config))).splitlines()

    assert lines[2].split()[:7] == ["rank", "model", "top1", "%", "nll", "nat", "p50"]
    assert lines[4].split()[:5] == ["1", "knn", "90.00", "±1.00", "0.3100"]
