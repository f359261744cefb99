"""Checkpoints of torchvision's segmenters without a download: its builders are given random weights as published."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import torch
from torchvision import models

from mlcvbench_networks.dense.categories import voc_categories

__all__ = ["random_state", "said_by", "torchvisions_own", "voc_categories"]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def random_state(name: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return weights of a segmenter that says different things of different pixels, in the form of published ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = bare(name).state_dict()
    state = {}
    for key, own in shapes.items():
        if key.endswith(".num_batches_tracked"):
            continue
        drawn = torch.randn(own.shape, generator=generator)
        if own.ndim > 1:
            state[key] = drawn * (2 / own[0].numel()) ** 0.5
        elif key.endswith("running_var"):
            state[key] = drawn.abs() + 0.5
        elif key.endswith("weight"):
            state[key] = torch.full_like(drawn, 0.2 if key.endswith("bn3.weight") else 1.0)
        else:
            state[key] = drawn * 0.1
    return state


def bare(name: str) -> Any:
    """Return a segmenter with the second classifier, if it has one, that its published weights have."""
    second = {} if name.startswith("lraspp") else {"aux_loss": True}
    return models.get_model(name, weights=None, weights_backbone=None, **second)


def torchvisions_own(name: str, state: dict[str, torch.Tensor]) -> Any:
    """Return what torchvision builds for its default published weights, if `state` were these."""
    weights = models.get_model_weights(name).DEFAULT
    with torch.device("meta"):
        own = bare(name).state_dict()
    counters = {key: torch.tensor(0) for key in own if key.endswith(".num_batches_tracked")}
    with patch.object(type(weights), "get_state_dict", lambda *_, **__: {**counters, **state}):
        return models.get_model(name, weights=weights).eval()


def said_by(network: Any, images: torch.Tensor) -> torch.Tensor:
    """Return the logits (B, 21, H, W) of images in [0, 1], normalised as torchvision does."""
    with torch.inference_mode():
        logits: torch.Tensor = network((images - MEAN) / STD)["out"]
    return logits
