"""Checkpoints of torchvision's detectors without a download: its own builders are given random weights as published."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from support.fitting import images_batch
from torchvision import models

from mlcvbench.contract import InputSpec, Problem
from mlcvbench_networks.detection.categories import NO_CLASS, coco_categories

SIZES = {"min_size": 64, "max_size": 96}
"""Small images, for tests."""
COCO = [name for name in coco_categories() if name not in NO_CLASS]


def sizes_of(name: str) -> dict[str, int]:
    return {} if name.startswith("ssd") else SIZES


def problem(classes: Any, *, masks: bool = False, channels: int = 3) -> Problem:
    shape = (None, None) if channels == 1 else (None, None, channels)
    extra = {"category_ids": tuple(range(1, len(classes) + 1)), "masks": masks}
    return Problem("detection", tuple(classes), {"image": InputSpec(shape)}, extra)


def random_state(name: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return weights of a network of torchvision that sees something in any image, in the form of published ones."""
    weights = models.get_model_weights(name).DEFAULT
    torch.manual_seed(seed)
    network = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=len(weights.meta["categories"]), **sizes_of(name)
    )
    state = network.state_dict()
    nothing = torch.tensor([category in NO_CLASS for category in weights.meta["categories"]])
    for key, values in state.items():
        if key.endswith("running_var"):
            values.copy_(torch.rand_like(values) + 0.5)
        elif key.endswith("running_mean"):
            values.copy_(torch.randn_like(values) * 0.1)
        elif key.endswith("bn3.weight"):
            values.fill_(0.2)
        elif key.endswith(("cls_score.weight", "cls_logits.weight")):
            values.copy_(torch.randn_like(values) * 0.01)
        elif key.endswith(("cls_score.bias", "cls_logits.bias")):
            values.copy_(torch.randn_like(values) * 1.5)
            if not key.startswith("rpn."):
                values.view(-1, len(nothing))[:, nothing] = -5.0
    return {key: values for key, values in state.items() if not key.endswith(".num_batches_tracked")}


def torchvisions_own(name: str, state: dict[str, torch.Tensor]) -> Any:
    """Return what torchvision builds for its default published weights, if `state` were these."""
    weights = models.get_model_weights(name).DEFAULT
    with torch.device("meta"):
        bare = models.get_model(name, weights=None, weights_backbone=None)
    counters = {key: torch.tensor(0) for key in bare.state_dict() if key.endswith(".num_batches_tracked")}
    with patch.object(type(weights), "get_state_dict", lambda *_, **__: {**counters, **state}):
        network = models.get_model(name, weights=weights, **sizes_of(name))
    return network.eval()


def stored(state: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def pictures(*shapes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def said_by(network: Any, images: list[np.ndarray]) -> list[dict[str, torch.Tensor]]:
    """Return what a network of torchvision says of each image alone."""
    tensors = [torch.from_numpy(image).permute(2, 0, 1).contiguous().float().div(255) for image in images]
    with torch.inference_mode():
        return [network([tensor])[0] for tensor in tensors]


def predicted(model: Any, images: Any) -> dict[str, Any]:
    predictions: dict[str, Any] = model.predict(images_batch(images))
    return predictions
