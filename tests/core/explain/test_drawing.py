"""How explanations look: signs and sizes are to be read off the colours."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.explain.drawing import FALLS, PALE, RISES, STRONGEST, heat, projection, shown


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


def test_grey_images_get_three_channels_and_colour_ones_stay() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)

    assert (shown(grey) == grey[:, :, None]).all()
    assert shown(shown(grey)).shape == (2, 3, 3)
