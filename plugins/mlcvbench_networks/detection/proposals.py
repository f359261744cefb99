"""The few of many answers that are looked at further: a region proposal network's boxes, a heat map's peaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes


class Proposals(NamedTuple):
    """Boxes float (N, 4) in pixels and their logits (N,), best first."""

    boxes: torch.Tensor
    logits: torch.Tensor


def choose_proposals(
    boxes: Sequence[torch.Tensor],
    logits: Sequence[torch.Tensor],
    size: tuple[int, int],
    *,
    before: int,
    after: int,
    overlap: float = 0.7,
    smallest: float = 1e-3,
) -> Proposals:
    """Return the best boxes of one image from those of each level, (N_l, 4) with logits (N_l,).

    Of each level the `before` best; cut at the borders of the image (H, W); without those of a side below `smallest`
    pixels; without those that overlap a better one of their level by more than `overlap`; of all levels the `after`
    best (Ren et al. 2015, 3.3; Lin et al. 2017 by level). No gradient goes through the choice or the boxes.
    """
    kept: list[Proposals] = []
    for level_boxes, level_logits in zip(boxes, logits, strict=True):
        best, order = level_logits.detach().float().topk(min(before, len(level_logits)))
        cut = clip_boxes_to_image(level_boxes.detach().float()[order], size)
        large = remove_small_boxes(cut, smallest)
        cut, best = cut[large], best[large]
        alone = nms(cut, best, overlap)
        kept.append(Proposals(cut[alone], best[alone]))
    together = Proposals(*(torch.cat(parts) for parts in zip(*kept, strict=True)))
    order = torch.argsort(together.logits, descending=True, stable=True)[:after]
    return Proposals(together.boxes[order], together.logits[order])


class Peaks(NamedTuple):
    """Where heat maps are highest: scores (N,), labels int64 (N,), cells int64 (N, 2) as x, y; best first."""

    scores: torch.Tensor
    labels: torch.Tensor
    cells: torch.Tensor


def heat_map_peaks(heat: torch.Tensor, count: int = 100) -> Peaks:
    """Return the `count` highest cells of (K, H, W) that none of their eight neighbours exceeds.

    This takes the place of non-maximum suppression (Zhou et al. 2019, section 3). Equal neighbours are all peaks.
    """
    _, height, width = heat.shape
    highest = functional.max_pool2d(heat[None], 3, stride=1, padding=1)[0]
    peaks = torch.nonzero((heat == highest).flatten()).squeeze(1)
    scores, order = heat.flatten()[peaks].topk(min(count, len(peaks)))
    place = peaks[order]
    cell = place % (height * width)
    return Peaks(scores, place // (height * width), torch.stack((cell % width, cell // width), dim=1))
