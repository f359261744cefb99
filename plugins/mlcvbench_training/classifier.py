"""What image classifiers trained by the loop share: fitting, the resize in front, and the check of input size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from mlcvbench.contract import FitContext, FitReport, Notice, Problem, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench_training.examples import streamed_or_held
from mlcvbench_training.layout import runs_channels_last, to_channels_last
from mlcvbench_training.loop import train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import nn


class NetworkClassifier(TorchModel):
    """Classify images with the network that `network` returns, trained by the shared loop.

    `size`: images are resized to size x size pixels (bilinear, antialiased) inside the network, so that the resize is
    trained through and timed; 0 takes them as they come. `SMALLEST`: the least side that the network can reduce;
    `FIT`: how it is trained by default. `CHANNELS_LAST`: whether its weights are brought into that memory order, which
    trains a quarter faster on CPUs; False for a network that views its maps as vectors, None to find out.
    """

    SMALLEST: ClassVar[int] = 1
    CHANNELS_LAST: ClassVar[bool | None] = True
    FIT: ClassVar[Settings] = Settings()

    def __init__(self, problem: Problem, *, size: int = 0, **params: Any) -> None:
        super().__init__(problem, size=size, **params)
        self.size = size

    @abstractmethod
    def network(self, channels: int, classes: int) -> nn.Module:
        """Return the network for images of `channels` channels, freshly initialised; its output is logits (B, C)."""

    @property
    def smallest(self) -> int:
        """Pixels of the least side that the network can reduce, with its settings."""
        return self.SMALLEST

    @property
    def side(self) -> int:
        """Pixels of the shorter side that reaches the network."""
        return min(self.input_size)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that reach the network. DataError when images differ in them and `size` is not set."""
        return (self.size, self.size) if self.size else self.native_size

    @property
    def native_size(self) -> tuple[int, int]:
        """Height and width of the images as they come. DataError when images differ in them."""
        height, width = self.problem.inputs["image"].shape[:2]  # (H, W[, 3])
        if height is None or width is None:
            raise DataError(f"{self._name}: images differ in size; set model.size to have them resized.")
        return height, width

    @property
    def channels(self) -> int:
        """Channels of the images: 1 or 3."""
        shape = self.problem.inputs["image"].shape
        return 1 if len(shape) == 2 else int(shape[2] or 3)

    @property
    def _name(self) -> str:
        return type(self).__name__.lower()

    def check_size(self) -> None:
        """Refuse images that the network cannot reduce: DataError."""
        if self.side < self.smallest:
            raise too_small(self._name, self.smallest, self.side)

    def build(self) -> nn.Module:
        from torch import nn

        self.check_size()
        module = self.network(self.channels, len(self.problem.classes))
        # where the size is not known, the images of a split may have any
        if self.size and self.problem.inputs["image"].shape[:2] != (self.size, self.size):
            module = nn.Sequential(_resize(self.size), module)
        if self.CHANNELS_LAST or (
            self.CHANNELS_LAST is None and runs_channels_last(module, (self.channels, *self.input_size))
        ):
            to_channels_last(module)
        return module

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        examples = streamed_or_held(train, self.torch_device, ctx.memory)
        held_out = None if val is None else streamed_or_held(val, self.torch_device, ctx.memory)
        with seeded(ctx.seed, self.torch_device):
            self.module = self.build().to(self.torch_device)
        notices = self.begin(self.module)
        with seeded(ctx.seed + 1, self.torch_device), self.training_form(self.module) as module:
            report = train_network(module, examples, Settings.of(ctx.settings, self.FIT), ctx, held_out)
        return replace(report, notices=(*report.notices, *notices))

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        """Give the network the weights that it starts from; the default leaves the fresh ones. Return what to say."""
        return ()

    @contextmanager
    def training_form(self, module: nn.Module) -> Iterator[nn.Module]:
        """Yield what is trained: the network, or the network with parts that only training needs."""
        yield module


def too_small(name: str, wanted: int, got: int) -> DataError:
    """Return the error for images that a network cannot reduce."""
    return DataError(
        f"{name}: wanted images of at least {wanted} pixels per side, got {got}; set model.size={wanted} or more to "
        "have them enlarged."
    )


def _resize(side: int) -> nn.Module:
    from torch import nn
    from torch.nn import functional

    class Resize(nn.Module):
        """Bring images to one size, bilinear and antialiased."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)

    return Resize()
