"""Warped regions: exact where nothing is interpolated, with the given colour where there is no image."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_rcnn.warping import shown, warp

FILL = np.array([10.0, 20.0, 30.0])


def picture(height: int = 40, width: int = 50, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def one(image: np.ndarray, box: list[float], side: int, context: int = 0, fill: np.ndarray = FILL) -> np.ndarray:
    return warp(image, np.array([box]), side, context, fill)[0]


def test_a_box_as_large_as_the_square_is_cut_out():
    image = picture()

    assert np.array_equal(one(image, [7, 9, 27, 29], 20), image[9:29, 7:27])


def test_the_published_context_is_16_pixels_of_227():
    assert shown(np.array([[0.0, 0, 195, 390]]), 227, 16).tolist() == [[-16, -32, 227, 454]]


def test_around_the_box_is_what_is_around_it_in_the_image():
    image = picture()

    assert np.array_equal(one(image, [10, 8, 30, 28], 32, 6), image[2:34, 4:36])


@pytest.mark.parametrize(
    ("box", "inside", "of_image"),
    [
        ([0, 0, 20, 20], np.s_[6:, 6:], np.s_[:26, :26]),
        ([30, 20, 50, 40], np.s_[:26, :26], np.s_[14:, 24:]),
    ],
)
def test_beyond_the_border_the_context_is_filled(box, inside, of_image):
    image = picture()

    warped = one(image, box, 32, 6)

    assert np.array_equal(warped[inside], image[of_image])
    beyond = np.ones((32, 32), dtype=bool)
    beyond[inside] = False
    assert (warped[beyond] == FILL).all()


def test_beyond_the_image_all_is_filled():
    assert (one(picture(), [-300, -300, -200, -200], 16, 2) == FILL).all()


def test_both_sides_are_stretched_to_the_square():
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[10:30, 5:10] = 200

    warped = one(image, [5, 10, 10, 30], 48, 12, fill=np.zeros(3))

    assert (warped[13:35, 15:33] == 200).all()
    assert (warped[:10] == 0).all()
    assert (warped[:, :8] == 0).all()


def test_enlarging_by_a_whole_factor_keeps_a_gradient():
    image = np.tile(np.arange(0, 200, 4, dtype=np.uint8)[:, None], (40, 1, 3))

    warped = one(image, [10, 10, 20, 20], 40)

    assert warped[20, :, 0] == pytest.approx(38 + np.arange(0.5, 40), abs=1)


def test_what_shrinks_is_averaged_before():
    noise = picture(400, 400)

    warped = one(noise, [0, 0, 400, 400], 20)

    assert warped.std() < noise.std() / 6
    assert warped.mean() == pytest.approx(noise.mean(), abs=3)


def test_the_mirror_image_of_a_region_is_the_region_of_the_mirror_image():
    image = picture()

    warped = one(image, [6, 9, 21, 36], 24, 3)
    mirrored = one(np.ascontiguousarray(image[:, ::-1]), [50 - 21, 9, 50 - 6, 36], 24, 3)

    assert np.abs(warped[:, ::-1].astype(int) - mirrored).max() <= 4  # OpenCV takes 32nds of a pixel


def test_grey_images_and_no_box_at_all():
    grey = picture(channels=1)

    assert np.array_equal(one(grey, [0, 0, 16, 16], 16, fill=FILL[:1]), grey[:16, :16])
    assert warp(grey, np.zeros((0, 4)), 16, 2, FILL[:1]).shape == (0, 16, 16, 1)
