"""What both libraries need around their networks: three channels, the normalisation they were trained with, a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from mlcvbench.contract import FitContext, FitReport, Notice, Problem, Split
from mlcvbench.errors import DataError, MlcvbenchError, RecordError, RequestError
from mlcvbench_hub import HUB_FIT
from mlcvbench_networks.backbone_params import STAGES
from mlcvbench_networks.transfer import answering, freeze_stages, maps_inside, take_weights
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.settings import Settings


class Prepared(nn.Module):
    """Grey images become three equal channels; then (x - mean) / std by channel, then the network.

    `heads`: the names of the network's classifiers.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], heads: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.network, self.heads = network, tuple(heads)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @property
    def backbone(self) -> nn.ParameterList:
        """The parameters of all but the classifiers."""
        below = tuple(f"{head}." for head in self.heads)
        return nn.ParameterList([own for name, own in self.network.named_parameters() if not name.startswith(below)])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 1 or 3, H, W) in [0, 1] to logits (B, classes)."""
        return self.network((images.expand(-1, self.mean.shape[1], -1, -1) - self.mean) / self.std)  # type: ignore[no-any-return]


class HubClassifier(NetworkClassifier):
    """A network of a library by its `name`.

    `pretrained`: its published weights are fetched (the library keeps them in its own cache). With as many classes as
    they were trained for nothing is trained here; with others the last layer is new and all is fine-tuned by `fit.*`.
    `weights=FILE` takes a checkpoint of the library instead, safetensors or .pth, and needs no network.
    `backbone_weights`: such a checkpoint to fine-tune, whose classifier is left out where it is of other classes.
    `freeze`: stages that do not learn, see `transfer_params`.
    """

    FIT: ClassVar[Settings] = HUB_FIT
    CHANNELS_LAST: ClassVar[bool | None] = None
    LIBRARY: ClassVar[str]

    def __init__(
        self,
        problem: Problem,
        name: str,
        pretrained: bool = False,
        size: int | None = None,
        backbone_weights: str | None = None,
        freeze: int = 0,
    ) -> None:
        self.hub_name, self.pretrained = name, pretrained  # what the usual size depends on
        size = self.usual_size() if size is None else size
        super().__init__(problem, size=size, pretrained=pretrained, backbone_weights=backbone_weights, freeze=freeze)
        self.backbone_weights, self.freeze = backbone_weights, freeze

    @property
    def _name(self) -> str:
        """The name as a request says it."""
        return f"{self.LIBRARY}:{self.hub_name}"

    @abstractmethod
    def usual_size(self) -> int:
        """Return the pixels per side that the network was made for."""

    @abstractmethod
    def usual_classes(self) -> int:
        """Return how many classes its published weights know."""

    @abstractmethod
    def bare(self, classes: int) -> nn.Module:
        """Return the library's network with that many outputs; DataError when its weights cannot be fetched."""

    @abstractmethod
    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return mean and standard deviation by channel that the network expects."""

    @abstractmethod
    def heads(self, network: nn.Module) -> list[str]:
        """Return the names of a network's classifiers, those of training alone included."""

    def network(self, channels: int, classes: int) -> nn.Module:
        network = self._tried(channels, classes)
        if self.freeze:
            self._freeze(network, torch.zeros(1, channels, *self.input_size))
        return network

    def _freeze(self, network: Prepared, images: torch.Tensor) -> None:
        try:
            freeze_stages(network.backbone.parameters(), self.freeze, lambda: maps_inside(network, images))
        except ValueError as error:
            raise RequestError(
                f"{self._name}: model.freeze={self.freeze}: it has {error} for images of {self.side} pixels per side; "
                f"model.freeze={STAGES} freezes all but its classifier."
            ) from error

    def _tried(self, channels: int, classes: int) -> Prepared:
        """Return the network, having seen that it takes images of this size."""
        if self.side == self.usual_size():  # needs no trial
            return self._prepared(classes)
        try:
            network = self._prepared(classes)
            _try_once(network, torch.zeros(1, channels, *self.input_size))
        except (MlcvbenchError, MemoryError):
            raise
        except Exception as error:  # the libraries raise many kinds
            raise DataError(
                f"{self._name}: the network does not take images of {self.side} pixels per side ({_said(error)}); set "
                f"another model.size, or leave it out for the usual {self.usual_size()}."
            ) from error
        return network

    def _prepared(self, classes: int) -> Prepared:
        bare = self.bare(classes)
        return Prepared(bare, *self.normalisation(), self.heads(bare))

    def stored_module(self) -> nn.Module:
        """Return the library's network, so that its own checkpoints fit."""
        return inner(self.module)

    def read_state(self, path: Path) -> dict[str, torch.Tensor]:
        """Return a checkpoint's tensors; batch norms of files older than torch 0.4.1 have counted no batches."""
        state = super().read_state(path)
        counters = (name for name in self.stored_module().state_dict() if name.endswith(".num_batches_tracked"))
        return {**{name: torch.tensor(0) for name in counters}, **state}

    def load(self, folder: Path) -> None:
        try:
            super().load(folder)
        except RecordError as error:
            if folder.is_file() and self._is_of_other_classes(folder):
                raise RecordError(
                    f"{str(error).rstrip('.')}, so it is of other classes; to fit a new classifier on it, set "
                    f"model.backbone_weights={folder.name} instead of weights."
                ) from error
            raise

    def _is_of_other_classes(self, path: Path) -> bool:
        own, state = self.stored_module().state_dict(), self.read_state(path)
        others = [name for name in own if name not in state or state[name].shape != own[name].shape]
        below = tuple(f"{head}." for head in prepared(self.module).heads)
        return all(name.startswith(below) and name in state for name in others)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        if self.pretrained and len(self.problem.classes) == self.usual_classes():
            self.module = self.build().to(self.torch_device)
            return FitReport()
        return super().fit(train, val, ctx)

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        if self.backbone_weights is None:
            return ()
        path, own = Path(self.backbone_weights), prepared(module)
        return take_weights(own.network, self.read_state(path), path.name, own.heads)


def _try_once(network: nn.Module, images: torch.Tensor) -> None:
    """Answer images (B, C, H, W) and forget the answer; the network is left in the mode that it was in."""
    with torch.no_grad(), answering(network):
        network(images)


def prepared(module: nn.Module) -> Prepared:
    """Return the part of a HubClassifier's module that the library's network is in."""
    return next(part for part in module.modules() if isinstance(part, Prepared))


def inner(module: nn.Module) -> nn.Module:
    """Return the library's network inside a module of a HubClassifier."""
    return prepared(module).network


def no_weights(full_name: str, error: Exception) -> DataError:
    """Return the error for weights that are not published or cannot be fetched."""
    return DataError(
        f"{full_name}: its weights are not available ({_said(error)}); leave model.pretrained out or use weights=FILE."
    )


def _said(error: Exception) -> str:
    """Return a library's message, in one line of bounded length."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
