"""Masks of objects between a grid over their box and pixels: formulas pixel by pixel, torchvision, and the way back."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from mlcvbench_networks.detection.masks import cut_masks, paste_masks

SIZE = (30, 40)


def plain_paste(mask: torch.Tensor, box: list[float], size: tuple[int, int], least: float) -> torch.Tensor:
    """Return bool (H, W): the bilinear mean at the middle of each pixel, one after the other."""
    out, cells = torch.zeros(size, dtype=torch.bool), len(mask)
    x0, y0, x1, y1 = box
    for i in range(size[0]):
        for j in range(size[1]):
            if not (x0 <= j + 0.5 < x1 and y0 <= i + 0.5 < y1):
                continue
            row = min(max((i + 0.5 - y0) / (y1 - y0) * cells - 0.5, 0), cells - 1)
            column = min(max((j + 0.5 - x0) / (x1 - x0) * cells - 0.5, 0), cells - 1)
            top, left = math.floor(row), math.floor(column)
            value = 0.0
            for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                weight = max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c))
                if weight:
                    value += weight * float(mask[r, c])
            out[i, j] = value >= least
    return out


@pytest.mark.parametrize("cells", [1, 2, 7])
@pytest.mark.parametrize(
    "box",
    [
        (3.0, 4.0, 17.0, 18.0),
        (3.3, 4.6, 9.1, 29.2),
        (-6.5, -3.2, 8.0, 11.0),
        (30.0, 20.0, 55.0, 44.0),
        (-9.0, -9.0, 70.0, 50.0),
        (5.6, 5.6, 6.4, 6.4),
        (50.0, 5.0, 60.0, 9.0),
    ],
)
def test_a_pixel_is_what_its_middle_is_on_the_grid(box: tuple[float, ...], cells: int):
    mask = torch.rand((cells, cells), generator=torch.Generator().manual_seed(cells))

    found = paste_masks(mask[None, None], torch.tensor([box]), SIZE, 0.45)

    assert torch.equal(found[0], plain_paste(mask, list(box), SIZE, 0.45))


def test_each_object_has_a_mask_of_the_image_and_no_object_has_none():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 10.0, 30.0, 20.0]])

    found = paste_masks(torch.ones((2, 1, 28, 28)), boxes, SIZE)

    assert found.flatten(1).sum(1).tolist() == [100, 100]
    assert found[1, 10:20, 20:30].all()
    assert paste_masks(torch.zeros((0, 1, 28, 28)), torch.zeros((0, 4)), SIZE).shape == (0, *SIZE)


def test_masks_of_large_objects_are_those_of_torchvision_but_for_their_borders():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    disc = torch.sigmoid(10 * (0.8 - (x**2 + y**2).sqrt()))[None, None]
    boxes = torch.tensor([[20.0, 30.0, 180.0, 170.0]])

    ours, theirs = paste_masks(disc, boxes, (200, 200))[0], paste_masks_in_image(disc, boxes, (200, 200))[0, 0] >= 0.5

    assert float((ours & theirs).sum() / (ours | theirs).sum()) > 0.98


def test_what_is_cut_from_a_mask_is_pasted_to_it_again():
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    disc = ((x - 40.3) / 25) ** 2 + ((y - 30.1) / 21) ** 2 <= 1
    box = torch.tensor([[15.3, 9.1, 65.3, 51.1]])

    cut = cut_masks(disc[None], box, 28)
    found = paste_masks(cut, box, (60, 80))[0]

    assert cut.shape == (1, 1, 28, 28)
    assert float((found & disc).sum() / (found | disc).sum()) > 0.97


def test_a_mask_that_fills_its_box_is_ones_on_the_grid_and_zeros_on_boxes_beside_it():
    mask = torch.zeros((1, 20, 20), dtype=torch.bool)
    mask[:, 4:8, 6:12] = True
    both = mask.expand(2, -1, -1)

    cut = cut_masks(both, torch.tensor([[6.0, 4.0, 12.0, 8.0], [0.0, 10.0, 6.0, 20.0]]), 4)

    assert cut[1].abs().max() == 0
    assert float(cut[0, 0, 1:-1, 1:-1].min()) == 1
    assert cut_masks(mask[:0], torch.zeros((0, 4)), 4).shape == (0, 1, 4, 4)
