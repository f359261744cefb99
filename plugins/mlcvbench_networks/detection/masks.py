"""Masks of objects: what a network tells on a small grid over each box becomes pixels of the image, and back."""

from __future__ import annotations

import torch
from torch.nn import functional
from torchvision.ops import roi_align


def paste_masks(masks: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], least: float = 0.5) -> torch.Tensor:
    """Return which pixels of an image (H, W) belong to each object, bool (K, H, W): probabilities of `least` and more.

    `masks` (K, 1, M, M) are probabilities at the middles of the cells of a grid over each of the boxes (K, 4), which
    may reach beyond the image. A pixel whose middle is in the box has the bilinear mean of the four around it; beyond
    the outermost middles they stay as they are. (torchvision's `paste_masks_in_image` rounds boxes to whole pixels and
    adds one, which moves the borders of small objects.)
    """
    height, width = size
    inside = torch.zeros((len(masks), height, width), dtype=torch.bool, device=masks.device)
    ends = boxes.new_tensor([width, height, width, height])
    windows = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil()), dim=1).clamp(min=0).minimum(ends)
    for out, mask, box, window in zip(inside, masks.float(), boxes.float(), windows.long().tolist(), strict=True):
        left, top, right, bottom = window
        if right <= left or bottom <= top:
            continue
        x, y = (torch.arange(a, b, device=box.device) + 0.5 for a, b in ((left, right), (top, bottom)))
        x, y = (x - box[0]) / (box[2] - box[0]), (y - box[1]) / (box[3] - box[1])  # in the box from 0 to 1
        grid = torch.stack((x.expand(len(y), -1), y[:, None].expand(-1, len(x))), dim=2) * 2 - 1
        values = functional.grid_sample(mask[None], grid[None], padding_mode="border", align_corners=False)[0, 0]
        own = ((x >= 0) & (x < 1)) & ((y >= 0) & (y < 1))[:, None]
        out[top:bottom, left:right] = own & (values >= least)
    return inside


def cut_masks(masks: torch.Tensor, boxes: torch.Tensor, side: int) -> torch.Tensor:
    """Return what a network is to tell on a grid of `side` cells over each box: float32 (K, 1, side, side) in [0, 1].

    `masks` bool (K, H, W) are the objects of the image; a cell has the mean of four samples in it (He et al. 2017,
    section 3: RoIAlign of the mask).
    """
    own = torch.arange(len(masks), device=masks.device)
    regions = torch.cat((own[:, None].to(boxes), boxes), dim=1)
    cut: torch.Tensor = roi_align(masks[:, None].float(), regions, side, 1.0, 2, True)
    return cut
