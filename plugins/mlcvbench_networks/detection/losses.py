"""Losses of detectors, as a sum over what counts divided by a number of objects, at least 1.

All are 0 with gradients of 0 where nothing counts, and are taken in float32 where outputs are in half precision.
"""

from __future__ import annotations

import torch
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from mlcvbench_networks.detection.assignment import LEFT_OUT, HeatMap
from mlcvbench_networks.detection.box_coding import in_float32


def focal(logits: torch.Tensor, classes: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0) -> torch.Tensor:
    """Return the sum of -alpha_t (1 - p_t)^gamma ln p_t over anchors and classes, by the number that learn an object.

    `logits` (N, K); `classes` int64 (N,): a class, BACKGROUND (0 for every class) or LEFT_OUT, which does not count.
    alpha_t is alpha at the class and 1 - alpha elsewhere (Lin et al. 2017, equation 5).
    """
    learns = classes >= 0
    targets = torch.zeros_like(logits, dtype=in_float32(logits).dtype)
    targets[learns, classes[learns]] = 1.0
    counted = classes != LEFT_OUT
    total: torch.Tensor = sigmoid_focal_loss(
        in_float32(logits)[counted], targets[counted], alpha, gamma, reduction="sum"
    )
    return total / learns.sum().clamp(min=1)


def heat_map_focal(logits: torch.Tensor, target: HeatMap, alpha: float = 2.0, beta: float = 4.0) -> torch.Tensor:
    """Return -1/N of the sum of (1 - p)^alpha ln p at peaks and (1 - y)^beta p^alpha ln(1 - p) elsewhere.

    `logits` as `target.values` y, (K, H, W) or (B, K, H, W); N is the number of peaks y = 1 (Law and Deng 2018,
    equation 1). Cells that are not counted do not count.
    """
    logits = in_float32(logits)
    probability = torch.sigmoid(logits)
    peak = target.values == 1
    at_peaks = (1 - probability) ** alpha * functional.logsigmoid(logits)
    elsewhere = (1 - target.values) ** beta * probability**alpha * functional.logsigmoid(-logits)
    cells = torch.where(peak, at_peaks, elsewhere)
    return -torch.where(target.counted, cells, 0.0).sum() / peak.sum().clamp(min=1)


def smooth_l1(values: torch.Tensor, targets: torch.Tensor, count: int, beta: float = 1.0) -> torch.Tensor:
    """Return the sum of d^2 / (2 beta) where |d| < beta and |d| - beta / 2 elsewhere, by `count`; beta 0 is |d|.

    `values` and `targets` (P, n), those of what learns an object (Girshick 2015, equation 3, whose beta is 1).
    """
    total = functional.smooth_l1_loss(in_float32(values), in_float32(targets), reduction="sum", beta=beta)
    return total / max(count, 1)


def giou(boxes: torch.Tensor, targets: torch.Tensor, count: int) -> torch.Tensor:
    """Return the sum of 1 - IoU + (enclosing area - union) / enclosing area of boxes (P, 4), by `count`.

    In 0 to 2 a box, with a gradient also where two do not meet (Rezatofighi et al. 2019).
    """
    total: torch.Tensor = generalized_box_iou_loss(in_float32(boxes), in_float32(targets), reduction="sum")
    return total / max(count, 1)
