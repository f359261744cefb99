"""What all bases share: a network that the engine trains on samples as tensors, shown images padded to its stride."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from mlcvbench.contract import (
    Array,
    Batch,
    Column,
    FitContext,
    FitReport,
    Notice,
    Predictions,
    Problem,
    Split,
    TorchModel,
)
from mlcvbench.contract.batch import chosen, join, take
from mlcvbench.errors import RequestError
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.transfer import freeze_backbone, load_backbone
from mlcvbench_training.geometry import Changes, augment_batch
from mlcvbench_training.layout import to_channels_last
from mlcvbench_training.objective import Objective
from mlcvbench_training.padding import fitted, frame_of, multi_scale_sizes, pad_batch, resize_batch
from mlcvbench_training.refusals import check_watching
from mlcvbench_training.samples import DenseSamples, SampleBatch
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import NetworkSettings
from mlcvbench_training.training import train
from mlcvbench_training.watching import watch_of

if TYPE_CHECKING:
    from mlcvbench_training.objective import Chosen, Network

Losses = torch.Tensor | Mapping[str, torch.Tensor]


class NetworkModel(TorchModel):
    """A model of any kind whose network is trained by the engine.

    A method writes `network` and `loss`; the base of its kind, which says by `SAMPLES` what is read of the training
    data, turns outputs into predictions. Images of unequal size are padded below and to the right, sides to a multiple
    of `MULTIPLE` pixels. `FIT`: how it is trained by default. `CHANNELS_LAST`: whether weights lie in that memory
    order, which trains faster on CPUs; False for a network that views its maps as vectors.

    `backbone`, `backbone_weights` and `freeze` are the settings of `backbone_params`. They are for a network whose
    attribute `backbone` is a `Backbone`, such as `new_backbone` returns.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("image",)
    SAMPLES: ClassVar[Mapping[str, Any]] = {}
    MULTIPLE: ClassVar[int] = 32
    CHANNELS_LAST: ClassVar[bool] = True
    FIT: ClassVar[NetworkSettings] = NetworkSettings()
    beside: nn.Module | None = None

    def __init__(
        self,
        problem: Problem,
        *,
        backbone: str = "small",
        backbone_weights: str | None = None,
        freeze: int = 0,
        **params: Any,
    ) -> None:
        super().__init__(problem, backbone=backbone, backbone_weights=backbone_weights, freeze=freeze, **params)
        self.backbone_weights, self.freeze, self._backbone = backbone_weights, freeze, backbone

    @abstractmethod
    def network(self) -> nn.Module:
        """Return the network, freshly initialised; torch's generators are seeded by the run."""

    @abstractmethod
    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the loss of a batch, a scalar, or a dict of `loss` and further numbers for the history.

        `network` maps inputs to outputs in float32. Whatever is drawn comes from `generator`, on the CPU.
        """

    def columns_wanted(self) -> Mapping[str, Any]:
        """Return what is read of the training data, as `DenseSamples.of` takes it; a setting may ask for more."""
        return {"inputs": self.INPUTS, **self.SAMPLES}

    def beside_of(self, samples: DenseSamples) -> nn.Module | None:
        """Return what is learned beside the network and not stored; during the fit it is `self.beside`."""
        return None

    @property
    def channels(self) -> int:
        """Channels of the images: 1 or 3."""
        return self.channels_of(self.INPUTS[0])

    def channels_of(self, name: str) -> int:
        """Return how many channels an input has: depth, for one, has 1 beside an image's 3."""
        shape = self.problem.inputs[name].shape
        return 1 if len(shape) == 2 else int(shape[2] or 3)

    def new_backbone(self) -> Backbone:
        """Return the backbone that `model.backbone` names, freshly initialised, for the images of this problem."""
        return backbone(self._backbone, self.channels)

    def build(self) -> nn.Module:
        module = self.network()
        if self.freeze:
            freeze_backbone(_backbone_of(module, "freeze"), self.freeze, self.channels)
        if self.CHANNELS_LAST:
            to_channels_last(module)
        return module

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        settings = NetworkSettings.of(ctx.settings, self.FIT)
        check_watching(settings, self.FIT)
        samples = DenseSamples.of(
            train_split,
            self.torch_device,
            memory=ctx.memory,
            multiple=self.MULTIPLE,
            **self.columns_wanted(),
        )
        with seeded(ctx.seed, self.torch_device):
            self.module = self.build().to(self.torch_device)
            beside = self.beside_of(samples)
            self.beside = None if beside is None else beside.to(self.torch_device)
        notices = self.begin(self.module)
        try:
            objective = self.objective(samples, settings)
            report = train(self.module, objective, settings, ctx, watch=watch_of(self, val, settings, ctx))
            return replace(report, notices=(*report.notices, *notices))
        finally:
            self.beside = None

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        """Put into a fresh network the weights that its fit starts from; return what must be said of them."""
        if self.backbone_weights is None:
            return ()
        return load_backbone(_backbone_of(module, "backbone_weights"), Path(self.backbone_weights))

    def objective(self, samples: DenseSamples, settings: NetworkSettings) -> SampleObjective:
        """Return what the training minimises."""
        return SampleObjective(self, samples, settings)

    def augment(self, batch: SampleBatch, settings: NetworkSettings, generator: torch.Generator) -> SampleBatch:
        """Return a batch as a step sees it: changed at random, as the settings say."""
        batch = augment_batch(batch, changes_of(settings), generator)
        if settings.sizes is None:
            return batch
        sizes = [frame_of([fitted(batch.frame, None, side)], self.MULTIPLE) for side in settings.sizes]
        return resize_batch(batch, multi_scale_sizes(sizes, 1, generator)[0])

    def predict(self, batch: Batch) -> Predictions:
        """Run the three stages on images of one frame together: what is said of one depends on no other."""
        frames = self._frames(batch)
        groups = [[place for place, own in enumerate(frames) if own == frame] for frame in dict.fromkeys(frames)]
        if len(groups) < 2:
            return super().predict(batch)
        parts = [self.predict(chosen(batch, places)) for places in groups]
        back = np.argsort(np.concatenate(groups))
        return {
            name: first if isinstance(first, str) else take(join([part[name] for part in parts]), back)
            for name, first in parts[0].items()  # a text, such as an embedding's `distance`, is said of all images
        }

    def _frames(self, batch: Batch) -> list[tuple[tuple[int, int], ...]]:
        """Return the frame of each image of a batch by itself, of each of its inputs."""
        sizes = zip(*(sizes_of(batch, name) for name in self.INPUTS), strict=True)
        return [tuple(frame_of([size], self.MULTIPLE) for size in own) for own in sizes]

    def preprocess(self, batch: Batch) -> Any:
        """Return float32 (B, C, H, W) in [0, 1], sides padded to the multiple; a tuple where there are several inputs.

        H and W are those of the largest image of the batch.
        """
        shown = [self._shown(batch.inputs[name], self.channels_of(name)) for name in self.INPUTS]
        return shown[0] if len(shown) == 1 else tuple(shown)

    def pass_through(self, module: nn.Module, inputs: Any) -> Any:
        return module(*inputs) if isinstance(inputs, tuple) else module(inputs)

    def _shown(self, column: Column, channels: int) -> torch.Tensor:
        """Return one input of a batch as the network sees it."""
        images: Any
        if isinstance(column, list):
            images = [_channels_first(image[None], channels)[0] for image in column]
        else:
            images = _channels_first(column, channels)
        if len(images) == 0:
            frame = frame_of([column.shape[1:3]] if isinstance(column, np.ndarray) else [(1, 1)], self.MULTIPLE)
            return torch.zeros((0, channels, *frame), device=self.torch_device)
        shown = pad_batch(images, self.MULTIPLE).tensor.to(self.torch_device, non_blocking=True)
        return shown.to(torch.float32).div_(255.0) if shown.dtype == torch.uint8 else shown


class SampleObjective(Objective):
    """The loss of a model's method over samples, each batch changed at random as the settings say."""

    def __init__(self, model: NetworkModel, samples: DenseSamples, settings: NetworkSettings) -> None:
        self.model, self.samples, self.settings = model, samples, settings
        self.device = samples.device

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        return self.samples.read(chosen)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Mapping[str, torch.Tensor]:
        losses = self.model.loss(network, self.model.augment(batch, self.settings, generator), generator)
        return {"loss": losses} if isinstance(losses, torch.Tensor) else losses

    def show(self, network: Network, batch: SampleBatch) -> None:
        network(*(batch.inputs[name] for name in self.model.INPUTS))

    def extra(self) -> nn.Module | None:
        return self.model.beside


def _backbone_of(module: nn.Module, setting: str) -> Backbone:
    """Return what a setting is about; RequestError where the network has no such part."""
    found = getattr(module, "backbone", None)
    if not isinstance(found, Backbone):
        raise RequestError(f"model.{setting}: this network has no backbone.")
    return found


def changes_of(settings: NetworkSettings) -> Changes:
    """Return what the settings say about random changes."""
    least, most = settings.scale
    return Changes(
        scale=(least, most),
        flip=settings.flip,
        upside_down=settings.upside_down,
        stretch=settings.stretch,
        shift=settings.shift,
        rotate=settings.rotate,
        colour=settings.colour,
        hue=settings.hue,
    )


def sizes_of(batch: Batch, name: str = "image") -> list[tuple[int, int]]:
    """Return height and width of each image of a batch."""
    return [(int(image.shape[0]), int(image.shape[1])) for image in batch.inputs[name]]


def _channels_first(images: Array, channels: int) -> torch.Tensor:
    """Return images (B, H, W) or (B, H, W, C) as a tensor (B, C, H, W)."""
    tensor = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # torch warns of read-only memory
    return (tensor.unsqueeze(1) if channels == 1 else tensor.permute(0, 3, 1, 2)).contiguous()
