"""Parts of GoogLeNet: the inception module and the auxiliary classifiers that help its lower layers to train."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from mlcvbench_cnn.initialisation import he_initialised


class Plan(NamedTuple):
    """Channels of a module: 1x1; 1x1 before the 3x3, 3x3; 1x1 before the 5x5, 5x5; 1x1 after the pool."""

    one: int
    three_reduced: int
    three: int
    five_reduced: int
    five: int
    pooled: int

    @property
    def out(self) -> int:
        """Channels of the joined output."""
        return self.one + self.three + self.five + self.pooled


class Inception(nn.Module):
    """Four branches side by side, their outputs joined along the channels."""

    def __init__(self, channels: int, plan: Plan, batch_norm: bool = False) -> None:
        super().__init__()
        self.plan = plan
        one, three_reduced, three, five_reduced, five, pooled = plan
        self.one = convolution(channels, one, 1, batch_norm=batch_norm)
        self.three = nn.Sequential(
            convolution(channels, three_reduced, 1, batch_norm=batch_norm),
            convolution(three_reduced, three, 3, batch_norm=batch_norm),
        )
        self.five = nn.Sequential(
            convolution(channels, five_reduced, 1, batch_norm=batch_norm),
            convolution(five_reduced, five, 5, batch_norm=batch_norm),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), convolution(channels, pooled, 1, batch_norm=batch_norm)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, plan.out, H, W)."""
        return torch.cat([self.one(images), self.three(images), self.five(images), self.pooled(images)], dim=1)


class Auxiliary(nn.Module):
    """A classifier on the maps of a lower layer (paper, section 5): pool 5x5/3, 1x1 to 128, 1,024, classes.

    Maps that have no room for the pool, because the images are small, are taken whole.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        pooled = min(size) >= 5
        self.pool = nn.AvgPool2d(5, 3) if pooled else nn.Identity()
        self.reduce = convolution(channels, 128, 1)
        height, width = ((side - 5) // 3 + 1 if pooled else side for side in size)
        self.hidden = nn.Linear(128 * height * width, 1024)
        self.dropout = nn.Dropout(0.7)
        self.classify = nn.Linear(1024, classes)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *size) to logits (B, classes)."""
        hidden = torch.relu(self.hidden(self.reduce(self.pool(maps)).flatten(1)))
        return self.classify(self.dropout(hidden))  # type: ignore[no-any-return]


class WithAuxiliaries(nn.Module):
    """A network in training with classifiers on the maps of some of its layers: returns (logits, *auxiliary logits).

    In eval mode it returns the logits alone. `maps`: where the taps leave what they see.
    """

    def __init__(self, network: nn.Module, heads: Mapping[str, Auxiliary], maps: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.network, self.heads, self._maps = network, nn.ModuleDict(heads), maps

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return logits (B, classes), in training those of the auxiliary classifiers too."""
        logits: torch.Tensor = self.network(images)
        if not self.training:
            return logits
        return (logits, *(head(self._maps[name]) for name, head in self.heads.items()))


@contextmanager
def tapped(network: nn.Module, names: Sequence[str], image: torch.Tensor, classes: int) -> Iterator[WithAuxiliaries]:
    """Yield `network` with an auxiliary classifier on each layer of `names` (last parts of module paths).

    The taps are taken out at the end; `image` (1, C, H, W) shows them the size of their maps.
    """
    layers = {path.rpartition(".")[2]: layer for path, layer in network.named_modules()}
    maps: dict[str, torch.Tensor] = {}
    handles = [layers[name].register_forward_hook(_keep(maps, name)) for name in names]
    try:
        network.eval()
        with torch.no_grad():
            network(image)
        heads = {name: Auxiliary(maps[name].shape[1], (*maps[name].shape[2:],), classes) for name in names}
        for head in heads.values():
            he_initialised(head)
        yield WithAuxiliaries(network, heads, maps).to(image.device)
    finally:
        for handle in handles:
            handle.remove()


def _keep(maps: dict[str, torch.Tensor], name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
    def hook(_layer: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        maps[name] = output

    return hook


def convolution(inside: int, outside: int, kernel: int, stride: int = 1, batch_norm: bool = False) -> nn.Sequential:
    """Return a convolution with 'same' padding, batch norm if wanted, and ReLU."""
    layers: list[tuple[str, nn.Module]] = [("conv", nn.Conv2d(inside, outside, kernel, stride, kernel // 2))]
    if batch_norm:
        layers.append(("norm", nn.BatchNorm2d(outside)))
    return nn.Sequential(OrderedDict([*layers, ("relu", nn.ReLU(inplace=True))]))
