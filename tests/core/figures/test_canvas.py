"""The canvas of all pictures: equal drawings give equal bytes, edges lie on pixels, and letters keep to their room."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from mlcvbench.figures import BLUE, DASHED, INK, Box, Canvas, fitting, short_name, text_width
from mlcvbench.figures.canvas import strokes


def pixels(canvas: Canvas, color: str) -> np.ndarray:
    """Return where a canvas has exactly this colour, bool (H, W)."""
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return (canvas.pixels == wanted).all(axis=2)


def test_equal_drawings_give_equal_bytes_without_dates_or_versions():
    files = []
    for _ in range(2):
        canvas, file = Canvas(60, 40), io.BytesIO()
        canvas.curve(np.array([[0, 0], [60, 40]]), BLUE, canvas.box, dash=DASHED)
        canvas.text(5, 20, "a name")
        canvas.save(file)
        files.append(file.getvalue())

    assert files[0] == files[1]
    assert files[0].startswith(b"\x89PNG")
    assert b"tEXt" not in files[0]


def test_a_filled_part_covers_its_pixels_and_no_others():
    canvas = Canvas(10, 8)

    canvas.fill(Box(2, 3, 5, 7), BLUE)

    assert pixels(canvas, BLUE)[3:7, 2:5].all()
    assert pixels(canvas, BLUE).sum() == 12


def test_what_lies_outside_the_paper_or_is_empty_is_not_drawn():
    canvas = Canvas(4, 4)

    canvas.fill(Box(-3, -3, 1, 1), BLUE)
    canvas.fill(Box(-3, 2, 1, 4), BLUE, 0.5)
    canvas.fill(Box(3, 3, 3, 9), BLUE)

    assert pixels(canvas, BLUE).sum() == 1
    assert (canvas.pixels != 255).any(axis=2).sum() == 3


def test_a_frame_lies_inside_its_part():
    canvas = Canvas(9, 9)

    canvas.frame(Box(1, 1, 8, 8), INK)

    assert pixels(canvas, INK).sum() == 4 * 7 - 4
    assert not pixels(canvas, INK)[2:7, 2:7].any()


@pytest.mark.parametrize("dash", [(), DASHED])
def test_a_level_line_is_one_pixel_thick_and_ends_where_it_should(dash):
    canvas = Canvas(50, 5)

    canvas.level(2.5, 10, 40, INK, dash=dash)

    rows, columns = np.nonzero(pixels(canvas, INK))
    assert set(rows.tolist()) == {2}
    assert (columns.min(), columns.max() < 40) == (10, True)
    assert (len(columns) == 30) == (not dash)


def test_dashes_end_with_their_line():
    assert strokes(0, 13, (5, 3)) == [(0, 5), (8, 13)]
    assert strokes(3, 9, ()) == [(3, 9)]


def test_an_oblique_line_is_smooth_and_seen_only_within_its_part():
    canvas = Canvas(40, 40)

    canvas.curve(np.array([[0, 0], [40, 40]]), "#000000", Box(10, 10, 30, 30))

    shades = canvas.pixels[..., 0]
    assert (shades[:10] == 255).all()
    assert (shades[:, 30:] == 255).all()
    assert len(np.unique(shades)) - 2 > 0
    assert shades[20, 20] < 40


@pytest.mark.parametrize("width", [1.0, 2.0, 2.6])
def test_joints_do_not_stand_out(width):
    plain, jointed = Canvas(60, 12), Canvas(60, 12)

    plain.curve(np.array([[5.0, 6.0], [55.0, 6.0]]), INK, plain.box, width)
    jointed.curve(np.stack([np.linspace(5, 55, 40), np.full(40, 6.0)], axis=1), INK, jointed.box, width)

    assert (plain.pixels == jointed.pixels).all()


def test_a_line_of_a_single_point_is_a_dot():
    canvas = Canvas(20, 20)

    canvas.curve(np.array([[10, 10]]), "#000000", canvas.box, width=6)

    assert 20 < (canvas.pixels[..., 0] < 128).sum() < 40


def test_upward_letters_take_their_length_from_below():
    canvas = Canvas(20, 100)

    canvas.text_upwards(10, 95 - text_width("label", 12), "label", 12, end=True)

    rows = np.flatnonzero((canvas.pixels != 255).any(axis=(1, 2)))
    assert 95 - text_width("label", 12) <= rows[0]
    assert rows[-1] <= 97


def test_a_canvas_over_an_image_shows_it():
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)

    assert (Canvas.over(image).pixels == image).all()


def test_names_are_cut_by_letters_and_words_by_pixels():
    assert short_name("n" * 30) == "n" * 17 + "…"
    assert short_name("a $x$ b") == "a $x$ b"
    assert fitting("short", 100, 12) == "short"
    cut = fitting("w" * 40, 100, 12)
    assert cut.endswith("…")
    assert text_width(cut, 12) <= 100


def test_letters_that_do_not_print_are_spaces():
    canvas, plain = Canvas(80, 20), Canvas(80, 20)

    canvas.text(2, 10, "a\nb\x00c")
    plain.text(2, 10, "a b c")

    assert (canvas.pixels == plain.pixels).all()


def test_the_package_loads_no_drawing_program():
    code = "import sys, mlcvbench.figures; print([m for m in ('matplotlib', 'numpy', 'PIL') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_drawing_loads_no_drawing_program_either():
    code = (
        "import io, sys, numpy as np; from mlcvbench.figures import bars; "
        "bars(np.array([0.5]), ['a'], 'F1', most=1.0).save(io.BytesIO()); print('matplotlib' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


@pytest.mark.parametrize(("color", "brighter"), [("#101010", True), ("#f0e040", False)])
def test_a_cross_has_a_border_that_shows_on_a_ground_of_its_own_brightness(color, brighter):
    canvas, ground = Canvas(21, 21), Canvas(21, 21)
    for one in (canvas, ground):
        one.fill(one.box, color)

    canvas.cross(10, 10, color, canvas.box)

    assert canvas.pixels[10, 10].tolist() == ground.pixels[10, 10].tolist()
    assert canvas.pixels[0, 0].tolist() == ground.pixels[0, 0].tolist()
    change = canvas.pixels.astype(int).sum(axis=2) - ground.pixels.astype(int).sum(axis=2)
    assert (change.max() > 300, change.min() < -300) == (brighter, not brighter)
