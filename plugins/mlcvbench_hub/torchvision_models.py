"""Networks of torchvision."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision import models

from mlcvbench_hub.prepared import HubClassifier, no_weights


def names() -> list[str]:
    """Return every classifier that torchvision knows."""
    return list(models.list_models(module=models))


class TorchvisionClassifier(HubClassifier):
    """A network of torchvision; size and normalisation are those of its default weights."""

    def usual_size(self, name: str) -> int:
        crop = _transforms(name).crop_size
        return int(crop[0] if isinstance(crop, Sequence) else crop)

    def usual_classes(self) -> int:
        return len(_weights(self.hub_name).meta["categories"])

    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        transforms = _transforms(self.hub_name)
        return transforms.mean, transforms.std

    def bare(self, classes: int) -> nn.Module:
        settings: dict[str, Any] = {"weights": None}
        if self.hub_name in {"googlenet", "inception_v3"}:
            settings |= {"init_weights": False, "aux_logits": False}  # their initialisation takes minutes
        if not self.pretrained:
            network: nn.Module = models.get_model(self.hub_name, num_classes=classes, **settings)
            return network
        usual: nn.Module = models.get_model(self.hub_name, **settings)
        try:
            usual.load_state_dict(_weights(self.hub_name).get_state_dict(check_hash=True), strict=False)
        except (OSError, RuntimeError) as error:
            raise no_weights("torchvision", self.hub_name, error) from error
        if classes != self.usual_classes():
            _replace_last(usual, classes)
        return usual


def _weights(name: str) -> Any:
    return models.get_model_weights(name).DEFAULT


def _transforms(name: str) -> Any:
    return inspect.unwrap(_weights(name).transforms)()


def _replace_last(network: nn.Module, classes: int) -> None:
    """Put a fresh linear layer (or the 1x1 convolution of SqueezeNet) in place of the last one."""
    path, last = [(p, m) for p, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    fresh = (
        nn.Linear(last.in_features, classes)
        if isinstance(last, nn.Linear)
        else nn.Conv2d(last.in_channels, classes, last.kernel_size)  # type: ignore[arg-type]
    )
    parent, _, attribute = path.rpartition(".")
    setattr(network.get_submodule(parent), attribute, fresh)
