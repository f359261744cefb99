"""A small convolutional network: ([conv 3x3, norm, ReLU] x 2, pool 2x2) a stage, global average, linear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench_cnn.initialisation import he_initialised
from mlcvbench_cnn.settings import SMALL_CNN_FIT
from mlcvbench_training.loop import examples_of, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class SmallCNN(TorchModel):
    """Classify images of at least 2^stages pixels a side; stage s (0-based) has width * 2^s channels.

    `norm`: `batch`, `layer` (over all features of an image), `channels` (over the channels of each place) or `none`,
    with which the first weights are He's. `pool`: `max` or `average`.
    """

    def __init__(
        self,
        problem: Problem,
        width: int = 16,
        stages: int = 3,
        dropout: float = 0.0,
        norm: str = "batch",
        pool: str = "max",
    ) -> None:
        super().__init__(problem, width=width, stages=stages, dropout=dropout, norm=norm, pool=pool)
        self.width, self.stages, self.dropout, self.norm, self.pool = width, stages, dropout, norm, pool

    def build(self) -> nn.Module:
        import torch
        from torch import nn

        shape = self.problem.inputs["image"].shape  # (H, W[, 3])
        smallest = min((side for side in shape[:2] if side is not None), default=2**self.stages)
        if smallest < 2**self.stages:
            raise DataError(
                f"small_cnn: {self.stages} stages need images of at least {2**self.stages} pixels a side, "
                f"got {shape[0]}x{shape[1]}; set a smaller model.stages."
            )
        channels = 1 if len(shape) == 2 else int(shape[2] or 3)
        layers: list[nn.Module] = []
        for stage in range(self.stages):
            width = self.width * 2**stage
            pool = nn.MaxPool2d(2) if self.pool == "max" else nn.AvgPool2d(2)
            layers += [*_convolution(channels, width, self.norm), *_convolution(width, width, self.norm), pool]
            channels = width
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.dropout)]
        network = nn.Sequential(*layers, *head, nn.Linear(channels, len(self.problem.classes)))
        if self.norm == "none":
            he_initialised(network)  # with torch's own weights the signal fades, and nothing is learned
        return network.to(memory_format=torch.channels_last)  # trains a quarter faster on CPUs

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        examples = examples_of(train, self.torch_device)
        with seeded(ctx.seed, self.torch_device):
            self.module = self.build().to(self.torch_device)
        held_out = None if val is None else examples_of(val, self.torch_device)
        return train_network(self.module, examples, Settings.of(ctx.settings, SMALL_CNN_FIT), ctx, held_out)


def _convolution(channels: int, width: int, norm: str) -> list[nn.Module]:
    """Return a 3x3 convolution, the norm and ReLU; a norm has a bias, so that the convolution needs none."""
    from torch import nn

    convolution = nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none")
    return [convolution, *_norm(norm, width), nn.ReLU(inplace=True)]


def _norm(norm: str, width: int) -> list[nn.Module]:
    """Return the norm for maps (B, width, H, W), with a scale and a bias a channel; none is an empty list."""
    from torch import nn

    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(width)]
    if norm == "layer":
        return [nn.GroupNorm(1, width)]  # one group: mean and variance over (C, H, W) of each image
    from timm.layers.norm import LayerNorm2d

    return [LayerNorm2d(width)]
