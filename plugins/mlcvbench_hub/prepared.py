"""What both libraries need around their networks: three channels, the normalisation they were trained with, a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from mlcvbench.contract import FitContext, FitReport, Problem, Split
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_hub import HUB_FIT
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.settings import Settings


class Prepared(nn.Module):
    """Grey images become three equal channels; then (x - mean) / std by channel, then the network."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 1 or 3, H, W) in [0, 1] to logits (B, classes)."""
        return self.network((images.expand(-1, self.mean.shape[1], -1, -1) - self.mean) / self.std)  # type: ignore[no-any-return]


class HubClassifier(NetworkClassifier):
    """A network of a library by its `name`.

    `pretrained`: its published weights are fetched (the library keeps them in its own cache). With as many classes as
    they were trained for nothing is trained here; with others the last layer is new and all is fine-tuned by `fit.*`.
    `weights=FILE` takes a checkpoint of the library instead, safetensors or .pth, and needs no network.
    """

    FIT: ClassVar[Settings] = HUB_FIT
    CHANNELS_LAST: ClassVar[bool | None] = None
    LIBRARY: ClassVar[str]

    def __init__(self, problem: Problem, name: str, pretrained: bool = False, size: int | None = None) -> None:
        self.hub_name, self.pretrained = name, pretrained  # what the usual size depends on
        super().__init__(problem, size=self.usual_size() if size is None else size, pretrained=pretrained)

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

    def network(self, channels: int, classes: int) -> nn.Module:
        if self.side == self.usual_size():  # needs no trial
            return Prepared(self.bare(classes), *self.normalisation())
        try:
            network = Prepared(self.bare(classes), *self.normalisation())
            _try_once(network, torch.zeros(1, channels, *self.input_size))
        except (MlcvbenchError, MemoryError):
            raise
        except Exception as error:  # the libraries raise many kinds
            raise DataError(
                f"{self._name}: the network does not take images of {self.side} pixels per side ({_said(error)}); set "
                f"another model.size, or leave it out for the usual {self.usual_size()}."
            ) from error
        return network

    def stored_module(self) -> nn.Module:
        """Return the library's network, so that its own checkpoints fit."""
        return inner(self.module)

    def read_state(self, path: Path) -> dict[str, torch.Tensor]:
        """Return a checkpoint's tensors; batch norms of files older than torch 0.4.1 have counted no batches."""
        state = super().read_state(path)
        counters = (name for name in self.stored_module().state_dict() if name.endswith(".num_batches_tracked"))
        return {**{name: torch.tensor(0) for name in counters}, **state}

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        if self.pretrained and len(self.problem.classes) == self.usual_classes():
            self.module = self.build().to(self.torch_device)
            return FitReport()
        return super().fit(train, val, ctx)


def _try_once(network: nn.Module, images: torch.Tensor) -> None:
    """Answer images (B, C, H, W) and forget the answer; the network is left in the mode that it was in."""
    was_training = network.training
    with torch.no_grad():
        network.eval()(images)
    network.train(was_training)


def inner(module: nn.Module) -> nn.Module:
    """Return the library's network inside a module of a HubClassifier."""
    return next(part.network for part in module.modules() if isinstance(part, Prepared))


def no_weights(full_name: str, error: Exception) -> DataError:
    """Return the error for weights that are not published or cannot be fetched."""
    return DataError(
        f"{full_name}: its weights are not available ({_said(error)}); leave model.pretrained out or use weights=FILE."
    )


def _said(error: Exception) -> str:
    """Return a library's message, in one line of bounded length."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
