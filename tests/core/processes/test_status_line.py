"""A line that is rewritten, the same in a terminal and in a notebook."""

from __future__ import annotations

import io
import time

import pytest

from mlcvbench.processes.status_line import StatusLine, counted, fitted, span_text


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "21")


def test_a_line_is_rewritten_in_place_and_wiped_before_one_that_stays():
    stream = io.StringIO()

    line = StatusLine(stream=stream, live=True)
    line.show(lambda width: f"half of {width}")
    line.draw()
    line.show(lambda _: "all")
    line.draw()
    line.write("done")

    assert stream.getvalue() == "\rhalf of 20\rall       \r   \rdone\n"


def test_a_line_never_wraps():
    stream = io.StringIO()

    line = StatusLine(stream=stream, live=True)
    line.show(lambda _: "x" * 50)
    line.draw()

    assert stream.getvalue() == "\r" + "x" * 20


def test_time_passes_on_the_line_though_nobody_says_anything():
    stream = io.StringIO()

    with StatusLine(stream=stream, live=True) as line:
        line.show(lambda _: "working")
        deadline = time.monotonic() + 10
        while stream.getvalue().count("working") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)

    assert stream.getvalue().endswith("\rworking\r       \r")


@pytest.mark.parametrize("how", [{"quiet": True, "live": True}, {}])
def test_nothing_is_drawn_where_nobody_looks(how: dict[str, bool]):
    stream = io.StringIO()

    with StatusLine(stream=stream, **how) as line:
        line.show(lambda _: "working")
        line.draw()

    assert stream.getvalue() == ""


def test_a_stream_that_has_gone_does_not_stop_the_work():
    stream = io.StringIO()
    line = StatusLine(stream=stream, live=True)
    line.show(lambda _: "working")
    stream.close()

    line.draw()
    line.write("done")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.6, "60 s"), (89.4, "89 s"), (91, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_a_time_is_said_in_the_unit_that_suits_it(seconds: float, said: str):
    assert span_text(seconds) == said


@pytest.mark.parametrize(
    ("head", "width", "whole"),
    [
        ("[1/2] knn: ", 30, "[1/2] knn: fit, 3 s"),
        ("[1/2] knn k=5: ", 20, "[1/2] knn… fit, 3 s"),
        ("[1/2] knn k=5: ", 9, "fit, 3 s"),
    ],
)
def test_the_end_of_a_line_is_kept_when_its_beginning_must_go(head: str, width: int, whole: str):
    assert fitted(head, "fit, 3 s", width) == whole


def test_images_of_a_stage_are_counted():
    stream = io.StringIO()
    line = StatusLine(stream=stream, live=True)

    for done, total in ((0, 1), (1200, 5000)):
        counted(line)("score", done, total)
        line.draw()

    assert stream.getvalue() == "\rscore\rscore 1,200 of 5,000"
