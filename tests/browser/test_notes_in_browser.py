"""Lopsided intervals, marks and notes, and boards without any cost, in Chromium."""

from __future__ import annotations

import pytest
from support.records import SCORES_ONLY, make_record, write_run

from mlcvbench.leaderboard.build import build_boards
from mlcvbench.records.schema import CheckInfo, Metric, NoticeInfo

NOTICE = NoticeInfo(code="boxes-as-corners", text="67 % of the boxes reach beyond their image; give boxes=corners.")
REPLAYED = {"no_replay_cache": CheckInfo(passed=False, detail="replayed samples run at 3.00 x the speed of new ones")}
NAMES = "[...document.querySelectorAll('#board tbody tr:not([hidden]) a')].map((link) => link.textContent)"


def pixels(value: float) -> dict[str, object]:
    """Return an end point error of `value` pixels, a number that a page may print as it is stored."""
    metric = Metric(value=value, low=value - 0.5, high=value + 2.0, unit="px", higher_is_better=False)
    return {"metrics": {"epe": metric}, "primary_metric": "epe"}


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a site with a board of each sort: `digits`, `scores` and `pixels`."""
    root = tmp_path_factory.mktemp("marked")
    asymmetric = {"top1": Metric(value=1.0, low=0.7151, high=1.0)}
    records = [
        make_record("knn", 1.0, metrics=asymmetric, checks=REPLAYED, p50=1e-3),
        make_record("small_cnn", 0.95, notices=(NOTICE,), p50=2e-3),
        make_record("mlp", 0.90, p50=0.3e-3),
        make_record("scored", 0.85, **SCORES_ONLY),
        make_record("a", 0.9, definition="scores", notices=(NOTICE,), **SCORES_ONLY),
        make_record("b", 0.5, definition="scores", **SCORES_ONLY),
        *(
            make_record(f"net{value:g}", definition="pixels", **pixels(value), **SCORES_ONLY)
            for value in (3.125, 12.25, 101.5)
        ),
    ]
    for record in records:
        write_run(root / "runs", record, noise=0.004)
    build_boards(root / "runs", root / "out")
    return (root / "out" / "site").as_uri()


def test_no_ring_is_drawn_before_a_row_is_pointed_at(watched, marked):
    page = watched.open(f"{marked}/digits.html")

    assert page.locator(".pointed").count() == 1
    assert not page.locator(".pointed").is_visible()


@pytest.mark.parametrize("name", ["digits", "scores"])
@pytest.mark.parametrize("width", [320, 1280])
def test_marked_pages_are_accessible_and_do_not_scroll_sideways(watched, marked, axe, name, width):
    page = watched.open(f"{marked}/{name}.html", width)

    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_board_of_scores_only_shows_all_rows_whatever_the_address_asks_of_costs(watched, marked):
    page = watched.open(f"{marked}/scores.html#p50=1&params=1&front=1&x=p50")

    assert page.locator("#scatter").count() == 0
    assert page.evaluate(NAMES) == ["a", "b"]
    assert page.locator("#shown").text_content() == "2 of 2 rows"


def test_the_notes_stand_below_the_table(watched, marked):
    page = watched.open(f"{marked}/digits.html")

    assert page.locator(".ranking .notes li").all_text_contents() == [
        "⚑1 check failed: no_replay_cache",
        "⚑2 67 % of the boxes reach beyond their image; give boxes=corners.",
    ]


def test_times_and_scores_with_intervals_are_sorted_as_numbers(watched, marked):
    times = watched.open(f"{marked}/digits.html")
    times.click("[data-key=p50]")
    scores = watched.open(f"{marked}/pixels.html")
    scores.click("[data-key=epe]")

    assert times.evaluate(NAMES) == ["mlp", "knn", "small_cnn", "scored"]
    assert scores.evaluate(NAMES) == ["net3.125", "net12.25", "net101.5"]


def test_the_tip_of_a_point_has_the_interval_apart(watched, marked):
    page = watched.open(f"{marked}/digits.html")
    page.locator("#scatter").scroll_into_view_if_needed()

    said = ""
    for point in page.locator("#scatter svg path[transform]").all():
        box = point.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        said += page.locator("#scatter").text_content()

    assert "top1 % 100.00 [71.51, 100.00]" in said
    assert "p50 ms 1.00 ±6%" in said


def test_a_row_that_ran_nowhere_stands_beside_those_of_every_machine(watched, marked):
    page = watched.open(f"{marked}/digits.html")

    assert page.evaluate(NAMES) == ["knn", "small_cnn", "mlp", "scored"]
    assert page.locator("[name=hardware] option").all_text_contents() == ["all", "Test CPU 9000, 1 thread"]
    assert watched.open(f"{marked}/scores.html").locator("[name=hardware]").count() == 0
