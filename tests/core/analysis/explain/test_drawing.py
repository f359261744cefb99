"""How explanations look: signs and sizes are to be read off the colours."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.analysis.contact_sheet import TALL, fitted
from mlcvbench.analysis.explain.drawing import (
    BAR,
    FALLS,
    NARROWEST,
    PALE,
    RISES,
    SPACE,
    STRONGEST,
    heat,
    projection,
    with_scale,
)


def test_a_projection_is_mid_grey_where_it_is_zero_and_white_or_black_where_it_is_largest() -> None:
    signal = np.zeros((1, 2, 3), np.float32)
    signal[0, 0, 0], signal[0, 1, 2] = -4.0, 2.0

    picture = projection(signal)

    assert picture.shape == (2, 3, 3)
    assert picture[:, :, 0].tolist() == [[0, 128, 128], [128, 128, 191]]
    assert (picture == picture[:, :, :1]).all()


def test_a_projection_of_a_colour_image_has_its_colours_on_one_scale() -> None:
    signal = np.zeros((3, 1, 1), np.float32)
    signal[:, 0, 0] = 1.0, -0.5, 0.0

    assert projection(signal)[0, 0].tolist() == [255, 64, 128]


def test_nothing_to_project_is_plain_grey() -> None:
    assert (projection(np.zeros((3, 4, 4), np.float32)) == 128).all()


@pytest.mark.parametrize("image", [np.zeros((1, 3), np.uint8), np.zeros((1, 3, 3), np.uint8)])
def test_falls_are_red_rises_blue_and_the_largest_of_both_the_strongest(image: np.ndarray) -> None:
    picture = heat(image, np.array([[0.8, 0.0, -0.4]]))

    for place, color, share in ((0, FALLS, STRONGEST), (1, FALLS, 0.0), (2, RISES, STRONGEST / 2)):
        wanted = [round(PALE[0] * (1 - share) + part * share) for part in color]
        assert picture[0, place].tolist() == wanted


def test_an_image_that_nothing_changes_stays_pale_grey() -> None:
    image = np.array([[0, 255]], np.uint8)

    assert heat(image, np.zeros((1, 2)))[0, :, 0].tolist() == list(PALE)


def test_a_map_stands_above_the_scale_of_its_colours() -> None:
    drops = np.zeros((8, 8))
    drops[0, 0] = 0.4

    picture = with_scale(np.zeros((8, 8), np.uint8), drops)

    height, width = 192, 192  # tiny maps are enlarged by a whole factor
    assert picture[height // 16, width // 16].tolist() == heat(np.zeros((1, 1)), np.ones((1, 1)))[0, 0].tolist()
    assert (picture[height : height + SPACE] == 255).all()
    bar = picture[height + SPACE : height + SPACE + BAR].astype(int)
    red, blue = bar[0, 0], bar[0, -1]
    assert red.argmax() == 0  # a fall of 0.4, the largest change
    assert blue.argmax() == 2  # a rise as large
    assert np.ptp(bar[0, width // 2]) <= 2  # none
    assert (picture[height + SPACE + BAR :] < 100).any()  # the numbers


def test_a_map_without_a_change_has_a_grey_scale_with_a_zero_alone() -> None:
    picture = with_scale(np.zeros((8, 8), np.uint8), np.zeros((8, 8)))

    numbers = picture[192 + SPACE + BAR :].min(axis=(0, 2)) < 100
    assert (np.ptp(picture, axis=2) == 0).all()
    assert numbers[80:112].any()
    assert not numbers[:80].any()
    assert not numbers[112:].any()


@pytest.mark.parametrize(("height", "width"), [(400, 100), (20, 5), (60, 400)])
def test_a_map_with_its_scale_is_as_large_as_a_sheet_shows_it(height: int, width: int) -> None:
    picture = with_scale(np.zeros((height, width, 3), np.uint8), np.ones((height, width)))

    assert picture.shape[0] <= TALL
    assert picture.shape[1] >= NARROWEST  # or the numbers would run into one another
    assert fitted(picture).shape == picture.shape
