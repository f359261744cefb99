"""Which anchor, point or cell learns which object: by overlap, by centre, by a heat map. One image at a time.

Objects are boxes float (M, 4) in pixels, M may be 0. `ignored` bool (M,) marks regions that are not to be learned,
neither as objects nor as background: crowds and difficult objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torchvision.ops import box_area, box_iou

from mlcvbench_networks.detection.box_coding import cells_of, encode_sides

if TYPE_CHECKING:
    from mlcvbench_training.sample_batch import Objects

BACKGROUND = -1
"""In place of an object's number: learns that there is none."""
LEFT_OUT = -2
"""In place of an object's number: learns nothing."""
COVERED = 0.5
"""The share of an anchor in an ignored region from which on the anchor is no background."""


def by_overlap(
    anchors: torch.Tensor, boxes: torch.Tensor, ignored: torch.Tensor, *, low: float, high: float, nearest: bool
) -> torch.Tensor:
    """Return the object that each anchor (N, 4) learns, int64 (N,): its number, BACKGROUND or LEFT_OUT.

    The object of the largest IoU where that is at least `high`; background below `low`; nothing in between. `nearest`:
    the anchors that overlap an object most, however little, learn their best object too, all of them where several
    are equal (Ren et al. 2015, 3.1.2, with 0.3 and 0.7; RetinaNet has 0.4 and 0.5). Nothing overlaps an object by 0.
    """
    chosen = torch.full((len(anchors),), BACKGROUND, dtype=torch.int64, device=anchors.device)
    wanted = torch.nonzero(~ignored).squeeze(1)
    if len(wanted) and len(anchors):
        overlaps = box_iou(boxes[wanted], anchors)  # (M, N)
        most, best = overlaps.max(dim=0)
        learns = most >= high
        if nearest:
            learns |= ((overlaps == overlaps.amax(dim=1, keepdim=True)) & (overlaps > 0)).any(dim=0)
        chosen[most >= low] = LEFT_OUT
        chosen[learns] = wanted[best[learns]]
    chosen[(chosen == BACKGROUND) & _covered(anchors, boxes[ignored])] = LEFT_OUT
    return chosen


def by_centre(
    points: torch.Tensor,
    strides: torch.Tensor,
    reach: torch.Tensor,
    boxes: torch.Tensor,
    ignored: torch.Tensor,
    radius: float | None = 1.5,
) -> torch.Tensor:
    """Return the object that each point (N, 2) learns, int64 (N,): its number, BACKGROUND or LEFT_OUT.

    A point learns the smallest of the objects that it is inside of, not more than `radius` strides from the centre in
    x and in y (None: anywhere inside), and whose farthest side is as far as `reach` (N, 2) allows, in pixels with both
    ends included (Tian et al. 2019, section 3.2; the radius is of their later version). `strides` (N,) in pixels.
    Points in ignored regions learn no background.
    """
    chosen = torch.full((len(points),), BACKGROUND, dtype=torch.int64, device=points.device)
    if len(boxes):
        sides = encode_sides(boxes, points[:, None])  # (N, M, 4)
        inside, farthest = sides.amin(dim=2) > 0, sides.amax(dim=2)
        fits = inside & ~ignored & (farthest >= reach[:, :1]) & (farthest <= reach[:, 1:])
        if radius is not None:
            away = (points[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(dim=2)
            fits &= away <= radius * strides[:, None]
        area, smallest = torch.where(fits, box_area(boxes), math.inf).min(dim=1)
        chosen[(inside & ignored).any(dim=1)] = LEFT_OUT
        chosen[area < math.inf] = smallest[area < math.inf]
    return chosen


def level_reach(bounds: Sequence[float], counts: Sequence[int]) -> torch.Tensor:
    """Return the `reach` (N, 2) of points, `counts[level]` of each level: from the last bound to its own.

    FCOS has the bounds 64, 128, 256 and 512 pixels between its five levels; the first begins at 0, the last has no end.
    """
    ends = torch.tensor([0.0, *bounds, math.inf])
    return torch.stack((ends[:-1], ends[1:]), dim=1).repeat_interleave(torch.tensor(counts), dim=0)


def classes_of(chosen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the class int64 (N,) that each anchor learns from the labels (M,) of objects; else what it has instead."""
    classes = chosen.clone()
    classes[chosen >= 0] = labels[chosen[chosen >= 0]]
    return classes


def sampled(chosen: torch.Tensor, count: int, share: float, generator: torch.Generator) -> torch.Tensor:
    """Return `chosen` (N,) with all but `count` LEFT_OUT, at most that `share` of them objects, the rest background.

    A region proposal network learns 256 anchors an image, up to half of them objects (Ren et al. 2015, 3.1.3); Fast
    R-CNN 64 regions, up to a quarter (Girshick 2015, 2.3).
    """
    objects = _drawn(chosen >= 0, int(count * share), generator)
    background = _drawn(chosen == BACKGROUND, count - len(objects), generator)
    kept = torch.cat((objects, background)).to(chosen.device)
    return torch.full_like(chosen, LEFT_OUT).index_copy(0, kept, chosen[kept])


class HeatMap(NamedTuple):
    """Targets of a heat map: values float32 (K, H, W) in [0, 1], 1 at an object's cell; counted bool (K, H, W)."""

    values: torch.Tensor
    counted: torch.Tensor


def heat_map(
    boxes: torch.Tensor,
    labels: torch.Tensor,
    ignored: torch.Tensor,
    classes: int,
    grid: tuple[int, int],
    stride: float,
    overlap: float = 0.3,
) -> HeatMap:
    """Return a Gaussian around the cell of each object, on its class's map; where several meet, the largest counts.

    exp(-d^2 / 2 sigma^2) with sigma = (2 r + 1) / 6, up to r cells away in x and in y, r being `gaussian_radius` in
    cells rounded down (Zhou et al. 2019, section 3). `labels` int64 (M,). Cells in the ignored regions of a class are
    not counted for it, except those of its objects.
    """
    values = _highest(_gaussians(boxes[~ignored], grid, stride, overlap), labels[~ignored], classes)
    hidden = _highest(_cells_in(boxes[ignored], grid, stride).float(), labels[ignored], classes)
    return HeatMap(values, (values == 1) | (hidden == 0))


def heat_maps(
    objects: Sequence[Objects], classes: int, grid: tuple[int, int], stride: float, overlap: float = 0.3
) -> HeatMap:
    """Return the `heat_map` of each image of a batch, (B, K, H, W), worked out together."""
    boxes, ignored = torch.cat([own.boxes for own in objects]), torch.cat([own.ignored for own in objects])
    maps = torch.cat([own.labels + place * classes for place, own in enumerate(objects)])
    values, counted = heat_map(boxes, maps, ignored, len(objects) * classes, grid, stride, overlap)
    return HeatMap(*(part.reshape(len(objects), classes, *grid) for part in (values, counted)))


def cells_near(
    boxes: torch.Tensor, grid: tuple[int, int], stride: float, reach: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cells up to `reach` from that of each box's centre, int64 (P, 2) as x, y, and whose they are, (P,).

    Where the cells beside a peak learn the box too, it takes far fewer steps (Liu et al., TTFNet, 2020, section 3).
    """
    steps = torch.arange(-reach, reach + 1, device=boxes.device)
    cells = cells_of(boxes, grid, stride)[:, None] + torch.cartesian_prod(steps, steps)
    on_map = ((cells >= 0) & (cells < cells.new_tensor(grid[::-1]))).all(dim=2)
    return cells[on_map], torch.nonzero(on_map)[:, 0]


def gaussian_radius(sizes: torch.Tensor, overlap: float = 0.3) -> torch.Tensor:
    """Return how far both corners of boxes of these (width, height) may move so that the IoU is still `overlap`.

    The least of three cases: both move the same way, both inwards, both outwards (Law and Deng 2018, section 3.2).
    Each is a root of a quadratic equation. The code published for CornerNet and CenterNet takes wrong roots: at 0.7 it
    has 2.7 for a box of 10x10, where the corners may move by 0.8, and by 2.3 at 0.3.
    """
    total, area = sizes.sum(dim=-1), sizes.prod(dim=-1)
    shifted = (total - torch.sqrt(total**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    inwards = (total - torch.sqrt(total**2 - 4 * area * (1 - overlap))) / 4
    outwards = (torch.sqrt(total**2 + 4 * area * (1 - overlap) / overlap) - total) / 4
    return torch.minimum(shifted, torch.minimum(inwards, outwards))


def _drawn(which: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the places of up to `most` that are true, in random order, on the generator's device."""
    places = torch.nonzero(which).squeeze(1).to(generator.device)
    return places[torch.randperm(len(places), generator=generator, device=generator.device)[:most]]


def _highest(values: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the largest of the values (M, H, W) of each class in each cell, (K, H, W); 0 where it has none."""
    flat = values.flatten(1)
    largest = flat.new_zeros((classes, flat.shape[1])).scatter_reduce(0, labels[:, None].expand_as(flat), flat, "amax")
    return largest.reshape(classes, *values.shape[1:])


def _gaussians(boxes: torch.Tensor, grid: tuple[int, int], stride: float, overlap: float) -> torch.Tensor:
    """Return the Gaussian of each box (M, 4), (M, H, W)."""
    radius = gaussian_radius((boxes[:, 2:] - boxes[:, :2]) / stride, overlap).floor()
    cells = cells_of(boxes, grid, stride)
    down, across = (
        _gaussian(torch.arange(side, device=boxes.device) - cells[:, axis, None], radius[:, None])
        for side, axis in zip(grid, (1, 0), strict=True)
    )
    return down[:, :, None] * across[:, None, :]


def _gaussian(distance: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    value = torch.exp(-(distance**2) / (2 * ((2 * radius + 1) / 6) ** 2))
    return torch.where(distance.abs() <= radius, value, 0.0)


def _cells_in(boxes: torch.Tensor, grid: tuple[int, int], stride: float) -> torch.Tensor:
    """Tell which cells have their middle in each of the boxes, bool (M, H, W)."""
    y, x = ((torch.arange(side, device=boxes.device) + 0.5) * stride for side in grid)
    x0, y0, x1, y1 = boxes[:, :, None].unbind(dim=1)  # each (M, 1)
    return ((y >= y0) & (y < y1))[:, :, None] & ((x >= x0) & (x < x1))[:, None, :]


def _covered(anchors: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
    """Tell which anchors lie in one of the regions by COVERED or more, bool (N,)."""
    low = torch.maximum(anchors[:, None, :2], regions[:, :2])
    high = torch.minimum(anchors[:, None, 2:], regions[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)  # (N, R)
    return (shared >= COVERED * (anchors[:, 2:] - anchors[:, :2]).prod(dim=1, keepdim=True)).any(dim=1)
