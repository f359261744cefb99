"""ArcFace: a classifier of identities whose true class must win by an angle; its weights are not kept.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition" (2019), equation 3.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from mlcvbench_networks.arithmetic import in_full


class ArcFace(nn.Module):
    """The loss of embeddings (B, D) of `classes` identities; tests compare embeddings and have no use for its weights.

    scale: s, margin: m in radians. The paper's 64 and 0.5 are for ten thousands of identities.
    """

    def __init__(self, dimensions: int, classes: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.weight = nn.Parameter(torch.empty(classes, dimensions))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the logits with the margin, labels int64 (B,); 0 for an empty batch."""
        logits = arcface_logits(embeddings, self.weight, labels, self.scale, self.margin)
        return functional.cross_entropy(logits, labels, reduction="sum") / max(len(labels), 1)


def arcface_logits(
    embeddings: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, scale: float = 64.0, margin: float = 0.5
) -> torch.Tensor:
    """Return s cos(theta), and s cos(theta + m) for the true class, (B, C) in float32 at least.

    theta is the angle between an embedding (B, D) and a row of `weight` (C, D), neither needing length 1. Where theta +
    m would exceed pi, cos(theta + m) rises again; there the logit is s (cos(theta) - m sin(m)), which goes on falling.
    The `easy_margin` of some implementations, which takes cos(theta) as it is beyond 90 degrees, is not offered: at
    89 degrees an embedding would gain by turning away, for there the logit jumps up from -s sin(m) to 0.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        rows = functional.normalize(in_full(weight), dim=1)
        cosine = functional.normalize(in_full(embeddings), dim=1) @ rows.T  # (B, C)
    true = labels[:, None]
    own = cosine.gather(1, true)
    # the root's slope is infinite at 0: an embedding on its class's own direction takes no gradient from the sine
    sine = (1 - own.square()).clamp(min=torch.finfo(own.dtype).eps).sqrt()
    turned = own * math.cos(margin) - sine * math.sin(margin)
    turned = turned.where(own > -math.cos(margin), own - margin * math.sin(margin))
    return scale * cosine.scatter(1, true, turned)
