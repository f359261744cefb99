"""What must be known of a row is said wherever the row is shown."""

from __future__ import annotations

import csv
import io

import pytest
from support.records import SCORES_ONLY, make_record, write_runs

from mlcvbench.leaderboard.build import build_boards, read_boards
from mlcvbench.leaderboard.tables import export
from mlcvbench.leaderboard.tables.notes import notes_of
from mlcvbench.leaderboard.tables.terminal import render_terminal
from mlcvbench.records.schema import CheckInfo, NoticeInfo, YardstickInfo

REPLAYED = {"no_replay_cache": CheckInfo(passed=False, detail="replayed samples run at 3.00 x the speed of new ones")}
DECIDED = {"batch_invariant": CheckInfo(passed=False, detail="largest difference 1.2e-01, 81.0 % of decisions equal")}
NOISY = YardstickInfo(before=6e-4, after=6.1e-4, deviation=0.46, noisy=False)
CORNERS = NoticeInfo(code="boxes-as-corners", text="67 % of the boxes reach beyond their image.", count=67)


def board_of(tmp_path, *records):
    (board,), _ = read_boards(write_runs(tmp_path, records))
    return board


def page_of(tmp_path, *records):
    """Return the text of the board's page and of each run's page."""
    runs = write_runs(tmp_path / "runs", records)
    build_boards(runs, tmp_path / "board")
    site = tmp_path / "board" / "site"
    return (site / "digits.html").read_text(), [
        (site / "runs" / f"{record.run_id}.html").read_text() for record in records
    ]


def test_a_failed_check_is_said_in_every_table(tmp_path):
    board = board_of(tmp_path, make_record("cached", 0.99, checks=REPLAYED), make_record("knn", 0.9))

    terminal, markdown, latex = render_terminal(board), export.to_markdown(board), export.to_latex(board)
    first, second = csv.DictReader(io.StringIO(export.to_csv(board)))

    assert "\n   1 cached !1 " in terminal
    assert "\n!1 check failed: no_replay_cache\n" in terminal
    assert "| 1 | cached ◆ ⚑1 |" in markdown
    assert "\n- ⚑1 check failed: no\\_replay\\_cache\n".replace("\\_", "_") in markdown
    assert "1 & cached$^{1}$ &" in latex
    assert "\n$^{1}$check failed: no\\_replay\\_cache.\n" in latex
    assert (first["flags"], second["flags"]) == ("check failed: no_replay_cache", "")
    assert export.to_json(board)["rows"][0]["flags"] == ["check failed: no_replay_cache"]


def test_notices_are_said_in_every_table(tmp_path):
    board = board_of(tmp_path, make_record("net", 0.99, notices=(CORNERS,)), make_record("knn", 0.9))

    first, second = csv.DictReader(io.StringIO(export.to_csv(board)))

    assert "\n!1 67 % of the boxes reach beyond their image.\n" in render_terminal(board)
    assert "\n- ⚑1 67 % of the boxes reach beyond their image.\n" in export.to_markdown(board)
    assert "\n$^{1}$67 \\% of the boxes reach beyond their image.\n" in export.to_latex(board)
    assert first["notices"] == "boxes-as-corners: 67 % of the boxes reach beyond their image."
    assert second["notices"] == ""
    assert export.to_json(board)["rows"][0]["notices"] == [CORNERS.model_dump()]


def test_the_page_says_it_below_the_table_and_the_runs_own_page_with_its_numbers(tmp_path):
    record = make_record("net", 0.99, checks=REPLAYED, notices=(CORNERS,), yardstick=NOISY)

    page, (run, _) = page_of(tmp_path, record, make_record("knn", 0.9))

    assert '⚑<span class="mark">1,2,3</span>' in page
    assert "</span></span> check failed: no_replay_cache</li>" in page
    assert "</span></span> 67 % of the boxes reach beyond their image.</li>" in page
    assert "67 % of the boxes reach beyond their image.</li>" in run
    assert "check failed: no_replay_cache: replayed samples run at 3.00 x the speed of new ones</li>" in run
    assert "a fixed job took 600 us before and 610 us after it, give or take 46 %</li>" in run


@pytest.mark.parametrize("name", ["batch_invariant", "deterministic", "timed_equals_scored"])
def test_a_row_whose_score_and_time_are_not_of_one_model_is_shown_and_not_ranked(tmp_path, name):
    failed = {name: CheckInfo(passed=False, detail="they differ on 12 of 64")}

    board = board_of(tmp_path, make_record("best", 0.99, checks=failed), make_record("knn", 0.9))

    said = f"honesty check failed: {name}: they differ on 12 of 64"
    assert [row.model for row in board.rows] == ["knn"]
    assert f"  best seed 0, top1 99.00 %: honesty check failed: {name}:" in render_terminal(board)
    assert f"| best | 0 | 99.00 | {said} |" in export.to_markdown(board)
    (item,) = export.to_json(board)["unranked"]
    assert (item["model"], item["value"], item["reason"], item["state"]) == ("best", 0.99, said, "not ranked")


def test_the_page_of_a_board_shows_the_score_of_what_it_does_not_rank(tmp_path):
    page, (run, _) = page_of(tmp_path, make_record("best", 0.99, checks=DECIDED), make_record("knn", 0.9))

    assert '<td class="num">99.00</td><td><span class="state">not ranked</span></td>' in page
    assert "Not ranked.</strong> honesty check failed: batch_invariant: largest difference" in run


def test_what_holds_for_all_rows_is_said_once_and_marks_none(tmp_path):
    board = board_of(tmp_path, *[make_record(name, yardstick=NOISY) for name in ("knn", "cnn")])

    notes = notes_of(board.rows)

    assert (notes.shared, notes.numbered) == (("noisy machine while timing",), ())
    assert "\nAll rows: noisy machine while timing\n" in render_terminal(board)
    assert "\n- All rows: noisy machine while timing\n" in export.to_markdown(board)
    assert "\nAll rows: noisy machine while timing.\n" in export.to_latex(board)
    assert "!1" not in render_terminal(board)


def test_the_only_row_is_marked_itself(tmp_path):
    board = board_of(tmp_path, make_record("knn", yardstick=NOISY))

    assert notes_of(board.rows).numbered == ("noisy machine while timing",)


def test_seeds_that_say_the_same_say_it_once(tmp_path):
    board = board_of(tmp_path, *[make_record("cnn", seed=seed, notices=(CORNERS,)) for seed in range(3)])

    assert board.rows[0].notices == (CORNERS,)


def test_many_notes_are_counted_in_the_terminal(tmp_path):
    notices = [NoticeInfo(code="odd", text=f"thing {index} is odd.") for index in range(14)]
    board = board_of(tmp_path, make_record("net", 0.99, notices=tuple(notices)), make_record("knn"))

    assert render_terminal(board).endswith("\n!12 thing 11 is odd.\nand 2 more notes, on the page\n")


def test_a_strangers_notice_does_not_drive_the_terminal(tmp_path):
    evil = NoticeInfo(code="odd", text="\x1b[2J\x07gone\u202e")

    text = render_terminal(board_of(tmp_path, make_record("net", notices=(evil,))))

    assert all(c.isprintable() or c == "\n" for c in text)


def test_a_board_of_scores_only_has_no_empty_columns(tmp_path):
    board = board_of(tmp_path, make_record("a", 0.9, **SCORES_ONLY), make_record("b", 0.5, **SCORES_ONLY))

    assert render_terminal(board).splitlines()[2].split() == ["rank", "model", "top1", "%"]
    assert "| rank | model | top1 % | trust |" in export.to_markdown(board)
    assert "Pareto" not in export.to_markdown(board)
    assert r"rank & model & top1 \% \\" in export.to_latex(board)
    assert "measured" not in render_terminal(board)


def test_the_page_of_a_board_of_scores_only_has_no_empty_chart(tmp_path):
    page, _ = page_of(tmp_path, make_record("a", 0.9, **SCORES_ONLY), make_record("b", 0.5, **SCORES_ONLY))

    assert 'id="scatter"' not in page
    assert 'data-key="p50"' not in page
    for word in ("against cost", "Pareto front", "Most p50", "Most params", "p50"):
        assert word not in page


def test_a_cost_that_one_row_has_keeps_its_column(tmp_path):
    board = board_of(tmp_path, make_record("timed", 0.9), make_record("scored", 0.5, **SCORES_ONLY))

    assert "| 2 | scored | 50.00 ±1.00 | - | - | - | - | - | reported |" in export.to_markdown(board)


def test_a_row_that_ran_nowhere_has_no_hardware_and_makes_no_second_kind(tmp_path):
    board = board_of(tmp_path, make_record("timed", 0.9), make_record("scored", 0.5, **SCORES_ONLY))
    scores = board_of(tmp_path / "scores", make_record("a", 0.9, **SCORES_ONLY))

    assert [row.hardware for row in board.rows] == ["Test CPU 9000, 1 thread", ""]
    assert board.hardware == [(board.rows[0].env_class, "Test CPU 9000, 1 thread")]
    assert "hardware" not in export.to_markdown(scores)
    assert scores.timed == []
