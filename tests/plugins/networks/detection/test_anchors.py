"""Anchors against torchvision's, and their order against that of a head's outputs."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from mlcvbench_networks.detection.anchors import AnchorLayout, by_anchor, inside, octave_sizes, points, shaped

RATIOS = (0.5, 1.0, 2.0)
STRIDES = (4, 8, 16)
SIZES = [octave_sizes(size) for size in (32, 64, 128)]


def test_anchors_are_those_of_torchvision_but_for_its_rounding() -> None:
    height, width = 64, 96
    grids = [(height // stride, width // stride) for stride in STRIDES]
    maps = [torch.zeros(1, 1, *grid) for grid in grids]
    theirs = AnchorGenerator(tuple(map(tuple, SIZES)), (RATIOS,) * 3)(
        ImageList(torch.zeros(1, 3, height, width), [(height, width)]), maps
    )

    ours = torch.cat(AnchorLayout([shaped(sizes, RATIOS) for sizes in SIZES], STRIDES, offset=0).on(grids))

    torch.testing.assert_close(ours.round(), theirs[0])


def test_an_anchor_has_the_area_of_its_size_and_the_ratio_of_height_to_width() -> None:
    anchors = torch.tensor(shaped([32, 50], RATIOS), dtype=torch.float64)

    assert anchors.prod(1).tolist() == pytest.approx([32**2, 50**2] * 3)
    assert (anchors[:, 1] / anchors[:, 0]).tolist() == pytest.approx([0.5, 0.5, 1, 1, 2, 2])


def test_points_are_the_middles_of_cells_row_by_row() -> None:
    assert points((2, 3), 8).tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]


def test_a_layout_says_how_many_anchors_a_cell_has_and_takes_levels_that_differ() -> None:
    layout = AnchorLayout([[(10.0, 13.0), (16.0, 30.0)], [(30.0, 61.0)]], (8, 16))

    first, second = layout.on([(3, 5), (2, 3)])

    assert layout.per_cell == [2, 1]
    assert (len(first), len(second)) == (3 * 5 * 2, 2 * 3)
    assert first[:2].tolist() == [[4 - 5, 4 - 6.5, 4 + 5, 4 + 6.5], [4 - 8, 4 - 15, 4 + 8, 4 + 15]]


def test_the_outputs_of_a_head_are_brought_into_the_order_of_the_anchors() -> None:
    anchors, width, grid = 3, 4, (2, 5)
    maps = torch.arange(2 * anchors * width * 10).reshape(2, anchors * width, *grid)

    ordered = by_anchor(maps, width)

    for row in range(grid[0]):
        for column in range(grid[1]):
            for anchor in range(anchors):
                place = (row * grid[1] + column) * anchors + anchor
                expected = maps[:, anchor * width : (anchor + 1) * width, row, column]
                assert torch.equal(ordered[:, place], expected)


def test_anchors_over_the_border_are_told_from_those_inside() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 10], [-1, 0, 20, 10], [0, 0, 20.5, 10], [0, 0, 20, 11]])

    assert inside(boxes, (10, 20)).tolist() == [True, False, False, False]
    assert inside(boxes[:0], (10, 20)).tolist() == []
