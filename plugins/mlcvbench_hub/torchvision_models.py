"""Networks of torchvision."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models.googlenet import InceptionAux as GoogLeNetHead
from torchvision.models.inception import InceptionAux as InceptionV3Head

from mlcvbench.contract import Problem
from mlcvbench_hub.auxiliary import HEADS, check_auxiliary
from mlcvbench_hub.prepared import HubClassifier, inner, no_weights

OLD_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
"""Names of densenet's layers in its published checkpoints: `norm.1.weight` for `norm1.weight`."""


def names() -> list[str]:
    """Return every classifier that torchvision knows."""
    return list(models.list_models(module=models))


class TorchvisionClassifier(HubClassifier):
    """A network of torchvision; size and normalisation are those of its default weights.

    `auxiliary`: googlenet and inception_v3 are trained with their auxiliary classifiers, whose losses weigh 0.3 each;
    these are new, whatever the weights, and dropped after the fit. RequestError for another network.
    """

    LIBRARY = "torchvision"

    def __init__(
        self,
        problem: Problem,
        name: str,
        pretrained: bool = False,
        size: int | None = None,
        auxiliary: bool = False,
        **transfer: Any,
    ) -> None:
        super().__init__(problem, name, pretrained, size, **transfer)
        if auxiliary:
            check_auxiliary(name, self.size)
        self.auxiliary = auxiliary

    def usual_size(self) -> int:
        crop = _transforms(self.hub_name).crop_size
        return int(crop[0] if isinstance(crop, Sequence) else crop)

    def usual_classes(self) -> int:
        return len(_weights(self.hub_name).meta["categories"])

    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        if self.hub_name in HEADS:  # built with weights, they turn the usual normalisation into this one themselves
            return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
        transforms = _transforms(self.hub_name)
        return transforms.mean, transforms.std

    def bare(self, classes: int) -> nn.Module:
        name = self.hub_name
        if not self.pretrained:
            # their own initialisation takes a quarter of a minute
            settings: dict[str, Any] = {"init_weights": False, "aux_logits": False} if name in HEADS else {}
            if name.startswith("vit_"):  # built for one image size; that of its weights is not always the builder's
                settings["image_size"] = self.side
            network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **settings)
            return network
        settings = {"transform_input": False} if name in HEADS else {}
        try:
            usual: nn.Module = models.get_model(name, weights=_weights(name), progress=False, **settings)
        except (OSError, RuntimeError) as error:
            raise no_weights(self._name, error) from error
        _drop_heads(name, usual)
        if classes != self.usual_classes():
            _replace_last(usual, classes)
        return usual

    def heads(self, network: nn.Module) -> list[str]:
        return [_last(network)[0], *HEADS.get(self.hub_name, ())]

    def read_state(self, path: Path) -> dict[str, torch.Tensor]:
        """Return a checkpoint's tensors without those of auxiliary classifiers, by the names of today."""
        state = super().read_state(path)
        unused = tuple(f"{head}." for head in HEADS.get(self.hub_name, ()))
        return {OLD_DENSE.sub(r"\1\2", name): tensor for name, tensor in state.items() if not name.startswith(unused)}

    @contextmanager
    def training_form(self, module: nn.Module) -> Iterator[nn.Module]:
        if not self.auxiliary:
            yield module
            return
        network, classes = inner(module), len(self.problem.classes)
        if self.hub_name == "googlenet":
            heads: list[nn.Module] = [GoogLeNetHead(512, classes), GoogLeNetHead(528, classes)]
        else:
            heads = [InceptionV3Head(768, classes)]
        try:
            for name, head in zip(HEADS[self.hub_name], heads, strict=True):
                setattr(network, name, head.to(next(network.parameters()).device))
            network.aux_logits = True  # type: ignore[assignment]
            yield module
        finally:
            _drop_heads(self.hub_name, network)


def _drop_heads(name: str, network: nn.Module) -> None:
    """Take the auxiliary classifiers off a network."""
    for head in HEADS.get(name, ()):
        setattr(network, head, None)
        network.aux_logits = False  # type: ignore[assignment]


def _weights(name: str) -> Any:
    return models.get_model_weights(name).DEFAULT


def _transforms(name: str) -> Any:
    return inspect.unwrap(_weights(name).transforms)()


def _last(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return the classifying layer of a network and its name."""
    return [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]


def _replace_last(network: nn.Module, classes: int) -> None:
    """Put a fresh linear layer (or the 1x1 convolution of SqueezeNet) in place of the last one."""
    path, last = _last(network)
    fresh = (
        nn.Linear(last.in_features, classes)
        if isinstance(last, nn.Linear)
        else nn.Conv2d(last.in_channels, classes, last.kernel_size)  # type: ignore[arg-type]
    )
    parent, _, attribute = path.rpartition(".")
    setattr(network.get_submodule(parent), attribute, fresh)
