"""Regions as squares of one size: reference values, and the level that a region looks at."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign, roi_align, roi_pool

from mlcvbench_rcnn.pooling import RegionPooling, levels_of

GRID = torch.arange(16.0).reshape(1, 1, 4, 4)
BOX = [torch.tensor([[0.6, 0.6, 2.6, 2.6]])]


def boxes_of(count, seed=0, largest=200.0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 100
    return torch.cat((corners, corners + 4 + torch.rand(count, 2, generator=generator) * largest), dim=1)


def test_roi_pool_rounds_to_cells_and_takes_the_largest():
    cut = RegionPooling("pool", 2, 0, 0)([GRID], BOX)

    assert cut.flatten().tolist() == [10, 11, 14, 15]


def test_roi_align_takes_bilinear_means_with_middles_at_half_integers():
    """The catalogue's 3, 4, 7, 8; without the half pixel they would be 5.5, 6.5, 9.5, 10.5."""
    cut = RegionPooling("align", 2, 0, 0)([GRID], BOX)
    shifted = roi_align(GRID, BOX, 2, 1.0, 2, False)

    assert cut.flatten() == pytest.approx(torch.tensor([3.0, 4, 7, 8]) + 0.0, abs=1e-5)
    assert shifted.flatten() == pytest.approx(torch.tensor([5.5, 6.5, 9.5, 10.5]), abs=1e-5)


@pytest.mark.parametrize(
    ("side", "level"), [(224, 4), (223, 3), (112, 3), (111, 2), (448, 5), (447, 4), (16, 2), (2000, 5)]
)
def test_a_region_looks_at_the_level_of_its_size(side, level):
    """floor(4 + log2(sqrt(w h) / 224)), from 2 to 5."""
    boxes = torch.tensor([[0.0, 0.0, side, side], [3.0, 5.0, 3 + side / 2, 5 + 2 * side]])

    assert levels_of(boxes, 2, 5).tolist() == [level, level]


def test_regions_of_all_levels_and_images_come_back_in_their_order():
    maps = [torch.rand(2, 3, 512 // 2**level, 512 // 2**level) for level in range(2, 6)]
    regions = [boxes_of(9, 0, 400.0), boxes_of(6, 1, 400.0)]

    cut = RegionPooling("align", 7, 2, 5)(maps, regions)

    assert len(levels_of(torch.cat(regions), 2, 5).unique()) > 1
    for row, (image, box) in enumerate([(0, box) for box in regions[0]] + [(1, box) for box in regions[1]]):
        level = int(levels_of(box[None], 2, 5))
        alone = roi_align(maps[level - 2][image : image + 1], [box[None]], 7, 1 / 2**level, 2, True)
        assert torch.equal(cut[row], alone[0])


def test_levels_are_those_of_torchvision():
    boxes = boxes_of(200, 3, 600.0)
    maps = {str(level): torch.full((1, 1, 1024 // 2**level, 1024 // 2**level), float(level)) for level in range(2, 6)}

    theirs = MultiScaleRoIAlign(list(maps), 1, 2)(maps, [boxes], [(1024, 1024)]).flatten()

    assert torch.equal(levels_of(boxes, 2, 5), theirs.round().long())


def test_one_map_is_torchvisions_roi_pool():
    maps, regions = torch.rand(2, 5, 25, 30), [boxes_of(7), boxes_of(4, 1)]

    cut = RegionPooling("pool", 7, 3, 3)([maps], regions)

    assert torch.equal(cut, roi_pool(maps, regions, 7, 1 / 8))


def test_no_regions_are_cut_to_nothing():
    nothing = [torch.zeros(0, 4), torch.zeros(0, 4)]

    assert RegionPooling("align", 7, 2, 3)([torch.rand(2, 5, 8, 8), torch.rand(2, 5, 4, 4)], nothing).shape == (
        0,
        5,
        7,
        7,
    )


def test_maps_of_half_precision_are_cut_in_float32():
    assert RegionPooling("pool", 2, 0, 0)([GRID.bfloat16()], BOX).dtype == torch.float32
