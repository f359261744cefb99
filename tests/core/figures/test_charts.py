"""Charts: values stand where their scale says, and all that is written stays on the paper without touching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcvbench.figures import BLUE, DOTTED, INK, RED, Axis, Box, Canvas, Chart, Key, Scale, bars
from mlcvbench.figures.scales import power_of_ten


def texts(scale: Scale, most: int) -> list[str]:
    return [text for _, text in scale.ticks(most)]


def margins(canvas: Canvas) -> tuple[int, int, int, int]:
    """Return the white pixels left, above, right and below of what is drawn."""
    drawn = (canvas.pixels != 255).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return columns[0], rows[0], drawn.shape[1] - 1 - columns[-1], drawn.shape[0] - 1 - rows[-1]


def test_round_numbers_are_named_with_as_many_digits_as_they_need():
    assert texts(Scale(0, 1), 5) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert texts(Scale(-0.1, 2600), 6) == ["0", "500", "1,000", "1,500", "2,000", "2,500"]
    assert texts(Scale(0, 0.003), 3) == ["0.000", "0.001", "0.002", "0.003"]
    assert texts(Scale(0.7, 5.3, whole=True), 10) == ["1", "2", "3", "4", "5"]
    assert texts(Scale(0, 2e7), 2) == ["0", "1e+07", "2e+07"]


def test_decades_are_named_and_few_values_between_them_are_too():
    assert texts(Scale(1e-6, 1, log=True), 10) == ["10⁻⁶", "10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1"]
    assert texts(Scale(1e-6, 1, log=True), 4) == ["10⁻⁶", "10⁻⁴", "0.01", "1"]
    assert texts(Scale(0.9, 40, log=True), 10) == ["1", "2", "5", "10", "20"]
    assert texts(Scale(1.0, 1.3, log=True), 8) == ["1.0", "1.1", "1.2", "1.3"]
    assert power_of_ten(12) == "10¹²"


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 12))
def test_ticks_of_even_scales_lie_on_them_and_differ(low, span, most):
    scale = Scale(low, low + span * max(1, abs(low)))

    ticks = scale.ticks(most)

    shares = scale.share(np.array([value for value, _ in ticks]))
    assert 1 <= len(ticks) <= most + 1
    assert len({text for _, text in ticks}) == len(ticks)
    assert (shares > -1e-3).all()
    assert (shares < 1 + 1e-3).all()


@given(st.floats(1e-9, 1e9), st.floats(1.01, 1e12), st.integers(2, 12))
def test_ticks_of_logarithmic_scales_lie_on_them(low, factor, most):
    scale = Scale(low, low * factor, log=True)

    shares = scale.share(np.array([value for value, _ in scale.ticks(most)]))

    assert len(shares)
    assert (shares > -1e-3).all()
    assert (shares < 1 + 1e-3).all()


def test_a_scale_around_values_has_room_and_looks_past_what_is_no_number():
    assert Scale.around(np.array([0.0, np.nan, 10.0, np.inf])) == Scale(-0.5, 10.5)
    assert Scale.around(np.array([np.nan])) == Scale(0.0, 1.0)
    assert Scale.around(np.array([2.0, 2.0])) == Scale(1.9, 2.1)
    assert Scale.around(np.array([0.0])) == Scale(-0.05, 0.05)
    assert Scale.around(np.array([0.0, 1.0, 100.0]), log=True).low == pytest.approx(10**-0.1)


def test_values_stand_where_the_scale_says():
    canvas = Canvas(300, 200)
    chart = Chart(canvas, canvas.box, Axis(Scale(1, 100, log=True)), Axis(Scale(0, 10)))

    (left, bottom), (middle, half), (right, top) = chart.places(np.array([1, 10, 100]), np.array([0, 5, 10])).tolist()

    assert (left, bottom, right, top) == (
        chart.inside.left,
        chart.inside.bottom,
        chart.inside.right,
        chart.inside.top,
    )
    assert (middle, half) == chart.inside.middle


def test_everything_written_has_room_on_the_paper():
    canvas = Canvas(500, 300)

    Chart(
        canvas,
        canvas.box,
        Axis(Scale(1e-7, 1, log=True), "false accept rate"),
        Axis(Scale(0, 123_456), "samples in all"),
        "a title that is longer than the picture is wide, so that it must end before its last word is written",
        "and what it says below",
        keys=[Key("one of a few", BLUE), Key("another of them", RED, dash=DOTTED), Key("a third", INK, "patch")],
    )

    assert min(margins(canvas)) >= 1


def test_keys_stand_beside_a_short_title_and_below_a_long_one():
    keys = [Key("training", BLUE), Key("validation", RED)]
    heights = []
    for title in ("loss", "a title that leaves no room for two keys"):
        canvas = Canvas(400, 300)
        heights.append(Chart(canvas, canvas.box, Axis(Scale(0, 1)), Axis(Scale(0, 1)), title, keys=keys).inside.top)

    assert heights[0] < heights[1]


def test_a_line_is_broken_where_a_point_is_missing():
    canvas = Canvas(200, 100)
    chart = Chart(canvas, canvas.box, Axis(Scale(0, 4)), Axis(Scale(0, 1)))
    before = canvas.pixels.copy()

    chart.line(np.arange(5), np.array([0.5, 0.5, np.nan, 0.5, 0.5]), BLUE)

    columns = np.flatnonzero((canvas.pixels != before).any(axis=(0, 2)))
    gap = chart.places(np.array([1.2, 2.8]), np.zeros(2))[:, 0]
    assert not ((columns > gap[0]) & (columns < gap[1])).any()
    assert len(columns) > 40


@pytest.mark.parametrize("count", [1, 3, 40])
def test_bars_of_counts_are_labelled_by_whole_numbers_on_paper_of_their_height(count):
    canvas = bars(np.arange(count) + 3, [f"class {n}" for n in range(count)], "samples")

    assert canvas.box.height == 72 + 26 * count
    assert min(margins(canvas)) >= 1


def test_a_bar_is_as_long_as_its_value():
    short, long = (bars(np.array([value]), ["a"], "F1", most=1.0).pixels for value in (0.25, 0.5))

    blue = [(image == [0x21, 0x66, 0xAC]).all(axis=2).any(axis=0).sum() for image in (short, long)]
    assert blue[1] == pytest.approx(2 * blue[0], abs=1)


def test_numbers_beside_one_another_do_not_touch():
    canvas = Canvas(260, 120)
    chart = Chart(canvas, canvas.box, Axis(Scale(0, 100_000)), Axis(Scale(0, 1)))

    row = (canvas.pixels[chart.inside.bottom + 8 :] != 255).any(axis=(0, 2))
    gaps = np.diff(np.flatnonzero(row))
    assert (gaps > 10).sum() >= 1


def test_charts_above_one_another_begin_alike():
    canvas = Canvas(300, 400)
    charts = [
        Chart(canvas, box, Axis(Scale(0, 1)), Axis(Scale(0, most)), gutter=60)
        for box, most in ((Box(0, 0, 300, 200), 1.0), (Box(0, 200, 300, 400), 10_000.0))
    ]

    assert charts[0].inside.left == charts[1].inside.left
