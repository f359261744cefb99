"""Each filter answers to what it is named after."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_pixel_forest.color_texture import (
    COLORS,
    PER_SCALE,
    PER_WAVE,
    SCALES,
    WAVES,
    feature_count,
    feature_planes,
    multiply_adds,
)

BANK = COLORS + PER_SCALE * len(SCALES)


def planes(image, position=False):
    return feature_planes(np.asarray(image, np.uint8), position=position)


def scale(found, number):
    names = ("l", "a", "b", "deviation", "gradient", "laplacian", "larger", "smaller")
    start = COLORS + PER_SCALE * number
    return dict(zip(names, found[start : start + PER_SCALE], strict=True))


def stripes(wave, turned=False, side=64):
    image = np.tile(np.round(127.5 + 100 * np.cos(2 * np.pi * np.arange(side) / wave)), (side, 1))
    return image.T if turned else image


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1, 3), (1, 7), (3, 2, 3)])
@pytest.mark.parametrize("position", [False, True])
def test_every_image_has_its_planes_in_float32_and_finite(shape, position):
    image = np.random.default_rng(0).integers(0, 256, shape)

    found = planes(image, position)

    assert found.shape == (feature_count(position=position), *shape[:2])
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_the_first_planes_are_the_colours_themselves():
    image = np.random.default_rng(1).integers(0, 256, (5, 6, 3))

    found = planes(image)

    np.testing.assert_allclose(found[:3], np.moveaxis(image, 2, 0) / 255, atol=1e-6)


def test_lab_of_red_is_the_published_one_and_grey_has_no_colour():
    red, grey = planes(np.full((4, 4, 3), (255, 0, 0))), planes(np.full((4, 4), 119))

    np.testing.assert_allclose(red[3:6, 0, 0] * 100, [53.24, 80.09, 67.20], atol=0.3)
    np.testing.assert_allclose(grey[3:6, 0, 0] * 100, [50.03, 0, 0], atol=0.3)


def test_a_plain_image_has_no_texture():
    found = planes(np.full((40, 40, 3), (90, 140, 60)))

    for number in range(len(SCALES)):
        for name in ("deviation", "gradient", "laplacian", "larger", "smaller"):
            np.testing.assert_allclose(scale(found, number)[name], 0, atol=2e-3)
    np.testing.assert_allclose(found[BANK:], 0, atol=1e-5)


def test_an_edge_has_a_gradient_where_it_is():
    image = np.zeros((32, 32))
    image[:, 16:] = 255

    gradient = scale(planes(image), 1)["gradient"]

    assert set(gradient.argmax(axis=1).tolist()) <= {15, 16}
    assert gradient[:, :4].max() < 0.05 * gradient.max()


@pytest.mark.parametrize("turned", [False, True])
def test_a_bright_line_has_one_negative_eigenvalue_whatever_its_direction(turned):
    image = np.zeros((32, 32))
    image[:, 16] = 255
    middle = scale(planes(image.T if turned else image), 1)

    assert middle["smaller"][16, 16] < -0.005
    assert abs(middle["larger"][16, 16]) < 0.1 * abs(middle["smaller"][16, 16])
    assert middle["laplacian"][16, 16] == pytest.approx(middle["larger"][16, 16] + middle["smaller"][16, 16], abs=1e-6)


def test_the_deviation_is_that_of_the_lightness_around_the_pixel():
    image = np.random.default_rng(2).integers(0, 256, (64, 64))
    found = planes(image)

    deviation = scale(found, 2)["deviation"]

    assert deviation[24:40, 24:40].mean() == pytest.approx(found[3].std(), rel=0.1)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("number", range(len(WAVES)))
def test_stripes_have_energy_at_their_own_wavelength_in_one_direction(number, turned):
    found = planes(stripes(WAVES[number], turned))[BANK:, 24:40, 24:40].reshape(len(WAVES), PER_WAVE, -1).mean(axis=2)

    assert found[:, 0].argmax() == number
    assert found[number, 1] < 0.2 * found[number, 0]


def test_position_is_the_place_of_the_pixels_centre():
    found = planes(np.zeros((4, 8)), position=True)

    assert found[-2, :, 0].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert found[-1, 0].tolist() == [(column + 0.5) / 8 for column in range(8)]


def test_multiply_adds_are_those_of_the_kernels_written_out():
    blurs = sum(2 * (2 * reach + 1) * 4 for reach in (3, 6, 12))
    gabors = sum(4 * 2 * (2 * reach + 1) ** 2 for reach in (6, 12))

    assert multiply_adds(10) == 10 * (blurs + 3 * 30 + gabors)
