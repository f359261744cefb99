"""What is left of objects when their images were moved or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from mlcvbench_training.padding import SMALLEST
from mlcvbench_training.sample_batch import Objects

LEAST_VISIBLE = 0.25
"""The share of a box that must be left to learn from it."""


class Visible(NamedTuple):
    """Of all objects of a batch, one after the other: clipped boxes float32 (N, 4), and two bools (N,)."""

    boxes: torch.Tensor
    seen: torch.Tensor
    too_little: torch.Tensor


def look_at(whole: torch.Tensor, sizes: torch.Tensor, least: float) -> Visible:
    """Return what is left of boxes `whole` float64 (N, 4) in images of `sizes` (N, 2)."""
    ends = sizes.flip(1).repeat(1, 2).to(whole)
    boxes = whole.clamp(min=0).minimum(ends)
    sides = boxes[:, 2:] - boxes[:, :2]
    seen = (sides > 0).all(1)
    share = sides.prod(1) / (whole[:, 2:] - whole[:, :2]).prod(1).clamp(min=torch.finfo(whole.dtype).tiny)
    return Visible(boxes.float(), seen, (share < least) | (sides < SMALLEST).any(1))


def remaining(objects: Sequence[Objects], visible: Visible, masks: Sequence[torch.Tensor | None]) -> list[Objects]:
    """Return the objects of each image of which something is left."""
    seen = visible.seen
    if any(own is not None for own in masks):  # a box may overlap an image that its object has left
        seen = seen & torch.cat([_is_any(own) for own in masks if own is not None])
    seen = seen.cpu()  # waits for the device once, not for each image
    of_image = torch.split(seen, [len(own) for own in objects])
    kept = torch.nonzero(seen).squeeze(1).to(visible.boxes.device)
    labels = torch.cat([own.labels for own in objects])
    ignored = torch.cat([own.ignored for own in objects]) | visible.too_little
    counts = [int(own.sum()) for own in of_image]
    columns = zip(*(torch.split(column[kept], counts) for column in (visible.boxes, labels, ignored)), strict=True)
    out = [Objects(*column) for column in columns]
    return [
        own if mask is None else replace(own, masks=mask[torch.nonzero(which).squeeze(1).to(mask.device)])
        for own, which, mask in zip(out, of_image, masks, strict=True)
    ]


def owners_of(objects: Sequence[Objects]) -> torch.Tensor:
    """Return the image of each object, int64 (N,), on the CPU."""
    return torch.repeat_interleave(torch.tensor([len(own) for own in objects], dtype=torch.int64))


def _is_any(masks: torch.Tensor) -> torch.Tensor:
    """Return which masks (K, H, W) have a pixel, bool (K,); as bytes, since `any` is 20 times slower."""
    return masks.contiguous().view(torch.uint8).flatten(1).amax(1) > 0
