"""Boxes as the numbers that networks learn, and back: by anchors, cells, points and centres.

Boxes are float (..., 4) as x0, y0, x1, y1 in pixels, with sides above 0. What `encode_*` gives, `decode_*` turns into
the same boxes again. Half-precision outputs are decoded in float32, which alone can tell pixels of large images apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

Weights = tuple[float, float, float, float]

EVEN: Weights = (1.0, 1.0, 1.0, 1.0)
"""How a region proposal network and RetinaNet weigh x, y, width and height."""
REGIONS: Weights = (10.0, 10.0, 5.0, 5.0)
"""How Fast R-CNN's head weighs them: about one over the spread that the numbers have."""
LARGEST = math.log(1000 / 16)
"""The largest logarithm of a side over its anchor's that is believed; exp of a wild one would overflow."""


def encode_deltas(boxes: torch.Tensor, anchors: torch.Tensor, weights: Weights = EVEN) -> torch.Tensor:
    """Return (x - xa) / wa, (y - ya) / ha, ln(w / wa), ln(h / ha), each times its weight, as (..., 4).

    x, y are centres, else a change of the size would move the box (Girshick et al. 2014, appendix C, equations 6-9;
    E37 and E38 of the course notes). `anchors` have the shape of `boxes` or one that broadcasts to it.
    """
    x, y, width, height = _centred(boxes)
    at_x, at_y, wide, high = _centred(anchors)
    deltas = ((x - at_x) / wide, (y - at_y) / high, torch.log(width / wide), torch.log(height / high))
    return torch.stack(deltas, dim=-1) * boxes.new_tensor(weights)


def decode_deltas(deltas: torch.Tensor, anchors: torch.Tensor, weights: Weights = EVEN) -> torch.Tensor:
    """Return the boxes (..., 4) of what `encode_deltas` gives; one delta a class is (N, K, 4) on (N, 1, 4).

    Logarithms above ln(1000 / 16) count as that (Detectron).
    """
    deltas = in_float32(deltas)
    dx, dy, dw, dh = (deltas / deltas.new_tensor(weights)).unbind(dim=-1)
    at_x, at_y, wide, high = _centred(anchors)
    width, height = _grown(wide, dw), _grown(high, dh)
    return _cornered(at_x + dx * wide, at_y + dy * high, width, height)


def encode_cells(
    boxes: torch.Tensor, cells: torch.Tensor, priors: torch.Tensor, stride: float | torch.Tensor
) -> torch.Tensor:
    """Return what sigmoid(t_x), sigmoid(t_y), t_w and t_h of YOLOv3 should be for boxes (N, 4), as (N, 4).

    The first two are the place of the centre in its cell, in [0, 1): a target for the logistic of the outputs, which
    are infinite on a cell's border (Redmon and Farhadi 2018, section 2.1). `cells` int64 (N, 2) as x, y, those of
    `cells_of`; `priors` (N, 2) are widths and heights in pixels. `stride`: a number, or a tensor (N, 1) of one a box.
    """
    x, y, width, height = _centred(boxes)
    place = torch.stack((x, y), dim=-1) / stride - cells
    return torch.cat((place, torch.log(torch.stack((width, height), dim=-1) / priors)), dim=-1)


def decode_cells(
    outputs: torch.Tensor, cells: torch.Tensor, priors: torch.Tensor, stride: float | torch.Tensor
) -> torch.Tensor:
    """Return the boxes (..., 4) of outputs t: centre (sigmoid(t) + cell) stride, sides prior e^t (clamped as above)."""
    outputs = in_float32(outputs)
    centre = (torch.sigmoid(outputs[..., :2]) + cells) * stride
    sides = _grown(priors, outputs[..., 2:])
    return torch.cat((centre - sides / 2, centre + sides / 2), dim=-1)


def encode_sides(boxes: torch.Tensor, points: torch.Tensor, stride: float | torch.Tensor = 1.0) -> torch.Tensor:
    """Return how far left, top, right and bottom are from points (..., 2), in strides, as (..., 4).

    All are above 0 where the point is inside its box (Tian et al. 2019, equation 1). `stride`: a number, or a tensor
    (..., 1) of one a point.
    """
    return torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), dim=-1) / stride


def decode_sides(sides: torch.Tensor, points: torch.Tensor, stride: float | torch.Tensor = 1.0) -> torch.Tensor:
    """Return the boxes (..., 4) whose sides are that far from points (..., 2)."""
    pixels = in_float32(sides) * stride
    return torch.cat((points - pixels[..., :2], points + pixels[..., 2:]), dim=-1)


def centreness(sides: torch.Tensor) -> torch.Tensor:
    """Return sqrt(min(l, r) / max(l, r) x min(t, b) / max(t, b)) of sides (..., 4) above 0, in (0, 1] (equation 3)."""
    left, top, right, bottom = sides.unbind(dim=-1)
    across = torch.minimum(left, right) / torch.maximum(left, right)
    along = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return torch.sqrt(across * along)


class Centres(NamedTuple):
    """Where boxes are on a map of one stride: cell int64 (N, 2) as x, y; offset (N, 2); size (N, 2) in cells."""

    cells: torch.Tensor
    offsets: torch.Tensor
    sizes: torch.Tensor


def encode_centres(boxes: torch.Tensor, grid: tuple[int, int], stride: float) -> Centres:
    """Return cell, offset in [0, 1) and size of boxes (N, 4) on a map of (H, W) cells (Zhou et al. 2019, section 3)."""
    x, y, width, height = _centred(boxes)
    cells = cells_of(boxes, grid, stride)
    return Centres(cells, torch.stack((x, y), dim=-1) / stride - cells, torch.stack((width, height), dim=-1) / stride)


def decode_centres(centres: Centres, stride: float) -> torch.Tensor:
    """Return the boxes (N, 4) in pixels: all three are in cells, and so times the stride (E43 of the course notes)."""
    centre = (centres.cells + in_float32(centres.offsets)) * stride
    half = in_float32(centres.sizes) * stride / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def cells_of(boxes: torch.Tensor, grid: tuple[int, int], stride: float) -> torch.Tensor:
    """Return the cell that the centre of each box (N, 4) is in, int64 (N, 2) as x, y, on a map of (H, W) cells.

    A centre beyond the map is in the cell nearest to it: a map that was rounded down ends before its image.
    """
    height, width = grid
    cells = torch.floor((boxes[..., :2] + boxes[..., 2:]) / (2 * stride)).to(torch.int64)
    return torch.stack((cells[..., 0].clamp(0, width - 1), cells[..., 1].clamp(0, height - 1)), dim=-1)


def in_float32(values: torch.Tensor) -> torch.Tensor:
    """Return values of half precision in float32, others as they are."""
    return values.float() if values.dtype in {torch.bfloat16, torch.float16} else values


def _grown(side: torch.Tensor, logarithm: torch.Tensor) -> torch.Tensor:
    return side * torch.exp(logarithm.clamp(max=LARGEST))


def _centred(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return centre x, centre y, width and height, each (...)."""
    x0, y0, x1, y1 = boxes.unbind(dim=-1)
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def _cornered(x: torch.Tensor, y: torch.Tensor, width: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
    return torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), dim=-1)
