"""A small convolutional network: ([conv 3x3, batch norm, ReLU] x 2, max pool 2x2) a stage, global average, linear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench_cnn import SMALL_CNN_FIT
from mlcvbench_training.loop import examples_of, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class SmallCNN(TorchModel):
    """Classify images of at least 2^stages pixels a side; stage s (0-based) has width * 2^s channels."""

    def __init__(self, problem: Problem, width: int = 16, stages: int = 3, dropout: float = 0.0) -> None:
        super().__init__(problem, width=width, stages=stages, dropout=dropout)
        self.width, self.stages, self.dropout = width, stages, dropout

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
            layers += [*_convolution(channels, width), *_convolution(width, width), nn.MaxPool2d(2)]
            channels = width
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.dropout)]
        network = nn.Sequential(*layers, *head, nn.Linear(channels, len(self.problem.classes)))
        return network.to(memory_format=torch.channels_last)  # trains a quarter faster on CPUs

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        examples = examples_of(train, self.torch_device)
        with seeded(ctx.seed, self.torch_device):
            self.module = self.build().to(self.torch_device)
        held_out = None if val is None else examples_of(val, self.torch_device)
        return train_network(self.module, examples, Settings.of(ctx.settings, SMALL_CNN_FIT), ctx, held_out)


def _convolution(channels: int, width: int) -> list[nn.Module]:
    """Return a 3x3 convolution without bias (batch norm has one), batch norm and ReLU."""
    from torch import nn

    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
