"""Checkpoints of torchvision's detectors: names of earlier versions, norms as they were trained, how many classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

COUNTER = ".num_batches_tracked"
"""Of a batch norm; frozen ones have none."""
FROZEN = frozenset(
    {
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "fcos_resnet50_fpn",
        "keypointrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn",
    }
)
"""Networks that torchvision builds with frozen norms in the backbone when weights are given, else with batch norms."""
WITHOUT_EPSILON = frozenset(
    {"fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn"}
)
"""Networks of whose published weights torchvision sets the epsilon of frozen norms to 0, as they were trained."""
RENAMED = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(\w+)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(\w+)$"), r"\1.0.0.\2"),
)
"""Names of published checkpoints, and what they are today."""
TOWER_LAYER = re.compile(r"^(head\.(?:classification|regression)_head\.conv)\.(\d+)\.(\w+)$")
"""Likewise of RetinaNet, whose layers were counted with the ReLUs between them."""
MASK_LAYER = re.compile(r"^(roi_heads\.mask_head)\.mask_fcn(\d+)\.(\w+)$")
"""Likewise of Mask R-CNN, whose layers were counted from 1."""


def of_today(state: Mapping[str, torch.Tensor], names: frozenset[str]) -> dict[str, torch.Tensor]:
    """Return a checkpoint's tensors by today's names, which are `names`, with the counters of norms that these have."""
    kept = {_of_today(name, names): tensor for name, tensor in state.items()}
    kept = {name: tensor for name, tensor in kept.items() if name in names or not name.endswith(COUNTER)}
    return {**{name: torch.tensor(0) for name in names if name.endswith(COUNTER)}, **kept}


def has_counters(state: Mapping[str, torch.Tensor]) -> bool:
    """Tell whether a checkpoint was trained with batch norms."""
    return any(name.endswith(COUNTER) for name in state)


def freeze_norms(network: nn.Module) -> None:
    """Put frozen norms in the place of the batch norms of a network, which have the same numbers but for a counter."""
    for parent, name, norm in list(_norms(network)):
        setattr(parent, name, FrozenBatchNorm2d(norm.num_features, eps=norm.eps))


def without_epsilon(network: nn.Module) -> None:
    """Have frozen norms divide by the deviation alone."""
    for part in network.modules():
        if isinstance(part, FrozenBatchNorm2d):
            part.eps = 0.0


def _norms(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.BatchNorm2d]]:
    for parent in network.modules():
        for name, part in parent.named_children():
            if isinstance(part, nn.BatchNorm2d):
                yield parent, name, part


def _of_today(name: str, names: frozenset[str]) -> str:
    if name in names:
        return name
    for old, new in RENAMED:
        name = old.sub(new, name)
    if found := TOWER_LAYER.match(name):
        return f"{found[1]}.{int(found[2]) // 2}.0.{found[3]}"
    if found := MASK_LAYER.match(name):
        return f"{found[1]}.{int(found[2]) - 1}.0.{found[3]}"
    return name
