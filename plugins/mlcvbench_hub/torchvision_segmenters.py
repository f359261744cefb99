"""Segmenters of torchvision: a class for every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional
from torchvision import models

from mlcvbench.contract import Notice, Problem
from mlcvbench.errors import RecordError
from mlcvbench_hub.detector_checkpoints import COUNTER
from mlcvbench_hub.detector_settings import SEGMENTER_FIT
from mlcvbench_hub.segmenter_limits import WITHOUT_SECOND, check_auxiliary
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_networks.dense.categories import classes_of_voc, voc_categories
from mlcvbench_networks.library_backbones import IMAGENET
from mlcvbench_networks.transfer import answering, freeze_stages, take_weights
from mlcvbench_training.layout import to_channels_last
from mlcvbench_training.padding import fitted
from mlcvbench_training.settings import NetworkSettings

SIDE = 520
"""Pixels of the shorter side that torchvision resizes images to."""
SECOND = "aux_classifier"
HEADS = ("classifier", SECOND)


def names() -> list[str]:
    """Return every segmenter that torchvision knows."""
    return list(models.list_models(module=models.segmentation))


class TorchvisionSemantic(Segmenter):
    """A network of torchvision by its `name`. It is never fetched.

    `weights=FILE` is a published checkpoint, whose 21 classes are mapped to those of the data set by name, or one of
    the data set's own classes. Without it the network is trained here, from scratch or from `backbone_weights`, such a
    checkpoint or one of the backbone alone. `size`: pixels of the shorter side that images are resized to, by default
    torchvision's 520; what is said of the resized image is brought back bilinearly. `auxiliary`: torchvision's second
    classifier is trained beside.
    """

    FIT: ClassVar[NetworkSettings] = SEGMENTER_FIT
    MULTIPLE = 1

    def __init__(
        self,
        problem: Problem,
        name: str,
        size: int | None = None,
        auxiliary: bool = False,
        backbone_weights: str | None = None,
        freeze: int = 0,
    ) -> None:
        check_auxiliary(name, asked=auxiliary)
        super().__init__(problem, size=size, auxiliary=auxiliary, backbone_weights=backbone_weights, freeze=freeze)
        self.hub_name, self.size, self.auxiliary = name, SIDE if size is None else size, auxiliary

    def network(self) -> nn.Module:
        second = {} if self.hub_name.startswith(WITHOUT_SECOND) else {"aux_loss": self.auxiliary}
        network = models.get_model(
            self.hub_name, weights=None, weights_backbone=None, num_classes=len(self.problem.classes), **second
        )
        return Resized(network, self.size)

    def build(self) -> nn.Module:
        module = self.network()
        if self.freeze:
            body: Any = module.network.backbone  # type: ignore[union-attr]
            freeze_stages(body.parameters(), self.freeze, lambda: list(_stages(body)))
        to_channels_last(module)
        return module

    def stored_module(self) -> nn.Module:
        """Return torchvision's network, so that its own checkpoints fit."""
        return self.module.network  # type: ignore[return-value]

    def load(self, folder: Path) -> Sequence[Notice] | None:
        if folder.is_dir():  # what a fit of this model stored
            return super().load(folder)
        given = self.read_state(folder)
        notices: tuple[Notice, ...] = ()
        try:
            if f"{self._last[0]}.bias" in given:
                given, notices = classes_of_voc(given, self._last, self.problem.classes, folder.name)
            counters = (name for name in self.stored_module().state_dict() if name.endswith(COUNTER))
            state = {name: torch.tensor(0) for name in counters} | {
                name: tensor for name, tensor in given.items() if self.auxiliary or not name.startswith(f"{SECOND}.")
            }
            self.put_in(state, folder.name)
        except RecordError as error:
            raise RecordError(
                f"{str(error).rstrip('.')}; wanted a checkpoint of torchvision:{self.hub_name}, of the "
                f"{len(voc_categories())} classes that torchvision publishes or of these {len(self.problem.classes)}."
            ) from error
        return notices

    @property
    def _last(self) -> tuple[str, ...]:
        """The layers that give logits."""
        if self.hub_name.startswith(WITHOUT_SECOND):
            return "classifier.low_classifier", "classifier.high_classifier"
        return "classifier.4", f"{SECOND}.4"

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        if self.backbone_weights is None:
            return ()
        path = Path(self.backbone_weights)
        network: Any = module.network
        return take_weights(network, self.read_state(path), path.name, HEADS)


class Resized(nn.Module):
    """Normalises and resizes images as torchvision does, and gives its network's logits."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__()
        mean, std = IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.network, self.side = network, side

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Map images (B, 1 or 3, H, W) in [0, 1] to logits (B, classes, h, w); two of them in training with a second.

        The shorter of h and w is `side`.
        """
        size = fitted((images.shape[2], images.shape[3]), self.side, None)
        if size != images.shape[2:]:
            images = functional.interpolate(images, size, mode="bilinear", antialias=True)
        answers = self.network((images.expand(-1, 3, -1, -1) - self.mean) / self.std)
        return (answers["out"], answers["aux"]) if self.training and "aux" in answers else answers["out"]


def _stages(body: nn.Module) -> Iterator[torch.Tensor]:
    """Yield C2 to C5 of a body of torchvision, whose last ones may have the resolution of an earlier one."""
    layers = dict(body.named_children())
    ends = {"layer1", "layer2", "layer3", "layer4"}
    if not ends <= layers.keys():  # MobileNetV3 marks the blocks that begin a stage, the first one at stride 4
        places = list(layers)
        starts = [place for place, part in enumerate(layers.values()) if getattr(part, "_is_cn", False)]
        ends = {places[start - 1] for start in starts[1:]} | {places[-1]}
    maps = torch.zeros(1, 3, 64, 64)
    with answering(body):
        for name, part in layers.items():
            maps = part(maps)
            if name in ends:
                yield maps
