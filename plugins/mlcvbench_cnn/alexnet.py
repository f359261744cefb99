"""AlexNet (Krizhevsky et al. 2012) in the three forms that go by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.fully_connected import HIDDEN, with_head
from mlcvbench_cnn.limits import ALEXNET_SIDES
from mlcvbench_cnn.settings import PLAIN_FIT
from mlcvbench_cnn.widths import scaled_width
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class Variant(NamedTuple):
    """Channels of the five convolutions, groups of the 2nd, 4th and 5th, and whether responses are normalised."""

    channels: tuple[int, int, int, int, int]
    groups: int = 1
    local_response: bool = False


VARIANTS = {
    "notes": Variant((96, 256, 384, 384, 256)),
    "2012": Variant((96, 256, 384, 384, 256), groups=2, local_response=True),
    "owt": Variant((64, 192, 384, 256, 256)),
}


class AlexNet(ConvolutionalClassifier):
    """Five convolutions and three fully connected layers.

    `variant`: `notes`, one tower, 96-256-384-384-256 (62,378,344 parameters at 224 pixels and 1,000 classes); `2012`,
    the paper's two towers as groups = 2, with local response normalisation (60,965,224); `owt`, torchvision's "one
    weird trick" net (61,100,840). 224 pixels with 2 of padding give the maps of the paper's 227 without.
    `stem`: `imagenet` (11x11, stride 4) or `small` (5x5, stride 1, for images of about 28 to 64 pixels).
    """

    FIT: ClassVar[Settings] = PLAIN_FIT

    def __init__(
        self,
        problem: Problem,
        variant: str = "notes",
        size: int = 224,
        width: float = 1.0,
        stem: str = "imagenet",
        dropout: float = 0.5,
    ) -> None:
        super().__init__(problem, size=size, variant=variant, width=width, stem=stem, dropout=dropout)
        self.variant, self.width, self.stem, self.dropout = VARIANTS[variant], width, stem, dropout

    @property
    def smallest(self) -> int:
        return ALEXNET_SIDES[self.stem]

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        c1, c2, c3, c4, c5 = (scaled_width(c, self.width) for c in self.variant.channels)
        first = nn.Conv2d(channels, c1, 11, 4, 2) if self.stem == "imagenet" else nn.Conv2d(channels, c1, 5, 1, 2)
        groups = self.variant.groups
        features = nn.Sequential(
            *_activated(first, self.variant.local_response),
            nn.MaxPool2d(3, 2),
            *_activated(nn.Conv2d(c1, c2, 5, padding=2, groups=groups), self.variant.local_response),
            nn.MaxPool2d(3, 2),
            *_activated(nn.Conv2d(c2, c3, 3, padding=1)),
            *_activated(nn.Conv2d(c3, c4, 3, padding=1, groups=groups)),
            *_activated(nn.Conv2d(c4, c5, 3, padding=1, groups=groups)),
            nn.MaxPool2d(3, 2),
        )
        hidden = scaled_width(HIDDEN, self.width)
        return with_head(features, (channels, *self.input_size), classes, hidden, self.dropout)


def _activated(convolution: nn.Conv2d, local_response: bool = False) -> list[nn.Module]:
    """Return a convolution, ReLU and, where the paper has it, local response normalisation (its 3.3)."""
    from torch import nn

    normalise = [nn.LocalResponseNorm(5, alpha=1e-4 * 5, beta=0.75, k=2.0)] if local_response else []
    return [convolution, nn.ReLU(inplace=True), *normalise]
