"""Pictures made of images: at a size to look at, below words that fit, above what their colours mean."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from mlcvbench.figures import (
    BLUE,
    Colors,
    Key,
    Scale,
    Tile,
    averaged,
    colored,
    draw_tiles,
    enlarged,
    fitted,
    palette,
    shaded,
    thinning,
)


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (height, width, 3), dtype=np.uint8)


def test_small_images_are_enlarged_by_a_whole_factor_and_large_ones_averaged():
    small, large = fitted(image(8, 6), 100, 100), fitted(image(300, 900), 100, 100)

    assert small.shape == (96, 72, 3)
    assert (small[::12, ::12] == image(8, 6)).all()
    assert large.shape == (33, 100, 3)
    assert abs(large.mean() - image(300, 900).mean()) < 1


@pytest.mark.parametrize("shape", [(1024, 2048), (375, 1242), (7, 900), (300, 440)])
def test_thinned_maps_and_averaged_images_have_one_size(shape):
    step = thinning(*shape, 300, 440)
    thin = image(*shape)[::step, ::step]

    assert thin.shape == averaged(image(*shape), step).shape
    assert thin.shape[0] <= 300
    assert thin.shape[1] <= 440


def test_grey_images_are_shown_in_colour():
    grey = image(4, 5)[..., 0]

    assert colored(grey).shape == (4, 5, 3)
    assert colored(image(4, 5)) is not None
    assert enlarged(grey, 3).shape == (12, 15)


@pytest.mark.parametrize("name", ["Blues", "turbo", "magma"])
def test_palettes_are_those_that_people_know(name):
    known = mpl.colormaps[name](np.arange(256), bytes=True)[:, :3].astype(int)

    assert np.abs(palette(name).astype(int) - known).max() <= 3
    assert (palette(f"{name}_r") == palette(name)[::-1]).all()


def test_values_beyond_the_ends_have_the_colours_of_the_ends():
    shades = shaded(np.array([-5.0, 0.0, 1.0, 2.0, 9.0]), 0.0, 2.0, "turbo")

    assert (shades[0] == palette("turbo")[0]).all()
    assert (shades[1] == palette("turbo")[0]).all()
    assert (shades[2] == palette("turbo")[128]).all()
    assert (shades[3:] == palette("turbo")[255]).all()


def test_a_picture_of_tiles_is_as_large_as_they_need_and_shows_them_untouched():
    canvas = draw_tiles([[Tile(image(40, 60), ["one"]), Tile(image(40, 60), ["two"])]])

    assert canvas.box.width == 10 + 60 + 14 + 60 + 10
    found = canvas.pixels
    assert any((found[top : top + 40, 10:70] == image(40, 60)).all() for top in range(found.shape[0] - 40))


def test_words_keys_scales_and_a_missing_image_stay_on_the_paper():
    colors = Colors("magma", Scale(0, 4), open_ended=True)
    rows = [
        [
            Tile(image(90, 60), ["words that are far longer than the image"], colors=colors),
            Tile(None, ["gone"]),
        ],
        [Tile(image(30, 120), ["wide", "two lines"])],
    ]

    canvas = draw_tiles(rows, title="a title", keys=[Key(f"class number {n}", BLUE, "patch") for n in range(9)])

    border = canvas.pixels.copy()
    border[2:-2, 2:-2] = 255
    assert (border == 255).all()
