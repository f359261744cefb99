"""Histograms on a grid of blocks: what a window sees does not depend on where it lies, and boxes map back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.feature import hog

from mlcvbench_hog.bank import Bank
from mlcvbench_hog.features import CHANNELS, as_color, block_grid, level_grid, level_sizes, pad, pyramid
from mlcvbench_hog.learning import crop
from mlcvbench_hog.templates import Template, choose_templates, nearest_template, pyramid_scales


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_grid_has_a_block_every_cell_row_by_row():
    image = np.zeros((40, 56, 3), np.uint8)
    image[8:24, 32:48] = 255  # edges only around rows 2 to 6, columns 8 to 12 of 4 x 4 cells

    grid = block_grid(image, 4)

    assert grid.shape == (9, 13, CHANNELS)
    rows, columns = np.nonzero(grid.any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 6, 6, 12)


def test_a_part_of_an_image_has_the_blocks_of_the_whole_but_for_its_border():
    image = noise(40, 56)

    part = block_grid(np.ascontiguousarray(image[8:32, 12:44]), 4)

    np.testing.assert_allclose(part[1:-1, 1:-1], block_grid(image, 4)[3:6, 4:9], atol=1e-6)


def test_blocks_are_those_of_scikit_image_as_far_as_the_two_agree():
    """They share out the votes of a pixel otherwise; cells of a block by columns, orientations as they come."""
    grey = cv2.GaussianBlur(noise(64, 64)[:, :, 0], (0, 0), 3)
    grey = cv2.normalize(grey, None, 0, 255, cv2.NORM_MINMAX)

    ours = block_grid(np.repeat(grey[:, :, None], 3, axis=2), 8).ravel()
    theirs = hog(np.sqrt(grey.astype(float)), 9, (8, 8), (2, 2), block_norm="L2-Hys", feature_vector=False)

    assert np.corrcoef(ours, theirs.transpose(0, 1, 3, 2, 4).ravel())[0, 1] > 0.65
    assert np.corrcoef(ours, theirs.ravel())[0, 1] < 0.5
    assert np.corrcoef(ours, np.roll(theirs.transpose(0, 1, 3, 2, 4), 1, axis=4).ravel())[0, 1] < 0.5


def test_levels_are_padded_by_a_cell_and_leave_out_what_is_too_small():
    levels = list(pyramid(noise(30, 50), np.array([2.0, 1.0, 0.2]), 4))

    assert level_sizes(50, 30, np.array([2.0, 1.0, 0.2]), 4) == [(100, 60), (50, 30)]
    assert [level.blocks.shape[:2] for level in levels] == [level_grid(100, 60, 4), level_grid(50, 30, 4)]
    assert pad(noise(30, 50), 4).shape == (8 + 32, 8 + 52, 3)
    assert levels[0].scale == (2.0, 2.0)


def test_a_grey_image_is_three_equal_channels():
    assert as_color(np.full((2, 3), 7, np.uint8)).tolist() == np.full((2, 3, 3), 7).tolist()


def test_a_window_of_the_pyramid_is_the_crop_of_its_object_and_its_box_maps_back():
    image = noise(64, 80)
    template = Template(0, rows=4, columns=6)
    (level,) = pyramid(image, np.array([1.0]), 4)

    box = template.boxes(np.array([5]), np.array([8]), level.scale, 4)[0]

    assert box.tolist() == [32, 20, 56, 36]
    np.testing.assert_allclose(template.window(level, 5, 8), crop(image, box, template, 4), atol=1e-6)


@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_boxes_are_in_pixels_of_the_image_whatever_the_level(scale):
    template = Template(0, rows=2, columns=4)
    (level,) = pyramid(noise(64, 80), np.array([scale]), 4)

    boxes = template.boxes(np.array([1, 3]), np.array([2, 0]), level.scale, 4)

    assert (boxes * scale).tolist() == [[8, 4, 24, 12], [0, 12, 16, 20]]


def test_the_bank_scores_each_window_with_its_own_weights():
    rng = np.random.default_rng(1)
    templates = [Template(0, 3, 3), Template(1, 4, 2), Template(1, 30, 30)]
    weights = [rng.normal(size=one.features).astype(np.float32) for one in templates]
    bank = Bank(templates, weights, np.array([0.5, -0.5, 0.0], np.float32), 4)
    (level,) = pyramid(noise(40, 48), np.array([1.0]), 4)

    maps = bank.maps(level)
    found = bank.search([level], threshold=0.0)

    for template, weight, bias, scores in zip(templates[:2], weights, (0.5, -0.5), maps, strict=False):
        wanted = [
            [template.window(level, row, column) @ weight + bias for column in range(scores.shape[1])]
            for row in range(scores.shape[0])
        ]
        np.testing.assert_allclose(scores, wanted, atol=1e-4)
    assert maps[2].size == 0  # larger than the level
    assert len(found.scores) == sum(int((scores > 0).sum()) for scores in maps)
    assert (np.diff(found.scores) <= 0).all()
    for place in (0, -1):
        index, row, column = found.template[place], found.row[place], found.column[place]
        assert maps[index][row, column] == found.scores[place]


def test_templates_follow_the_shapes_of_each_class():
    tall, square, none = np.full(20, 4.0), np.concatenate([np.full(10, 1.0), np.full(10, 0.25)]), np.zeros(0)

    templates = choose_templates([tall, square, none], window=6, count=2, seed=0)

    assert templates == (Template(0, 12, 3), Template(1, 3, 12), Template(1, 6, 6))
    assert nearest_template(templates, 1, 0.8) == 2
    assert nearest_template(templates, 1, 0.3) == 1
    assert nearest_template(templates, 0, 0.3) == 0


def test_scales_reach_the_smallest_and_the_largest_object():
    sides = np.linspace(10, 80, 1000)

    scales = pyramid_scales(sides, window=5, cell=4, octave=2)
    low, high = np.percentile(sides, [1, 99])

    assert scales[0] == pytest.approx(20 / low)
    assert scales[-1] <= 20 / high
    np.testing.assert_allclose(scales[1:] / scales[:-1], 0.5**0.5)
    assert pyramid_scales(np.array([1.0]), 5, 4, 2).tolist() == [4.0]
