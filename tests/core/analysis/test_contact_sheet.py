"""Contact sheets: legible whatever the size of the pictures, with samples kept together and captions whole."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.analysis import contact_sheet
from mlcvbench.analysis.contact_sheet import draw_sheet, fitted, wrapped
from mlcvbench.contract import Panel
from mlcvbench.figures import TEXT, text_width


def picture(height: int, width: int, color: tuple[int, int, int] = (200, 30, 30)) -> np.ndarray:
    return np.full((height, width, 3), color, dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((8, 8), (192, 192)),
        ((28, 28), (196, 196)),
        ((128, 128), (256, 256)),
        ((240, 320), (240, 320)),
        ((500, 741), (360, 534)),
        ((1, 2000), (1, 720)),
        ((8, 300), (16, 600)),
        ((4000, 2), (360, 1)),
    ],
)
def test_pictures_get_a_size_to_look_at(size: tuple[int, int], shown: tuple[int, int]):
    found = fitted(picture(*size))

    assert found.shape == (*shown, 3)


def test_tiny_pictures_grow_without_smoothing():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    np.testing.assert_array_equal(fitted(image)[::24, ::24], image)
    assert len(np.unique(fitted(image).reshape(-1, 3), axis=0)) == 64


def test_every_panel_stands_on_the_sheet_unchanged_and_inside_it():
    panels = [Panel(picture(8, 8, (10 * n, 255 - 10 * n, 90)), f"sample {n}") for n in range(9)]

    sheet = draw_sheet(panels, 1, "digits", ["split test"]).pixels

    for panel in panels:
        assert (sheet == panel.image[0, 0]).all(axis=2).sum() == 192 * 192


@pytest.mark.parametrize("group", [2, 3, 4])
def test_panels_of_a_sample_stand_side_by_side(group: int):
    panels = [Panel(picture(100, 100, (20 * n, 10, 90)), "") for n in range(2 * group)]

    sheet = draw_sheet(panels, group, "pairs", []).pixels

    for sample in range(2):
        tops = {
            np.flatnonzero((sheet == panel.image[0, 0]).all(axis=2).any(axis=1))[0]
            for panel in panels[sample * group : (sample + 1) * group]
        }
        assert len(tops) == 1


def test_a_sample_wider_than_the_sheet_goes_on_below():
    panels = [Panel(picture(500, 741, (60 * n, 10, 90)), "") for n in range(4)]

    sheet = draw_sheet(panels, 4, "motorcycle", []).pixels

    assert sheet.shape[1] <= contact_sheet.SHEET + 2 * contact_sheet.MARGIN
    assert all((sheet == panel.image[0, 0]).all(axis=2).sum() == 360 * 534 for panel in panels)


def test_captions_break_at_spaces_and_end_in_an_ellipsis():
    assert wrapped("a cone", TEXT, 200, 3) == ["a cone"]
    assert wrapped("left image right image", TEXT, 80) == ["left image", "right image"]
    assert wrapped("", TEXT, 80, 3) == [""]
    long = wrapped("drive/0001/image/" * 30, TEXT, 128, 3)
    assert len(long) == 3
    assert long[-1].endswith("…")
    assert max(text_width(line, TEXT) for line in long) <= 128
    assert wrapped("two\nlines\x1b[0m", TEXT, 400) == ["two lines [0m"]


def test_equal_panels_give_equal_bytes():
    panels = [Panel(picture(20, 30), "a sphere · test-00001")]

    sheets = [draw_sheet(panels, 1, "scenes", ["split test"]).pixels.tobytes() for _ in range(2)]

    assert sheets[0] == sheets[1]
