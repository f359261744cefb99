"""Networks of timm and torchvision as backbones: those that give a map at each of the strides 4, 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_networks.backbone_base import STRIDES, Backbone

TRIAL = (64, 96)
"""Height and width in pixels of the image on which the strides of a network are measured."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation by channel that torchvision's networks expect."""


def library_backbone(library: str, name: str, images: int = 1) -> LibraryBackbone:
    """Return the network of a library without weights: UnknownNameError, or RequestError where it lacks a map.

    Grey images become three equal channels. `images`: how many colour images it sees at once, as 3 channels each.
    """
    import timm
    import torchvision

    known = timm.list_models() if library == "timm" else torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UnknownNameError(f"network of {library}", name, known)
    try:
        maps, (mean, std) = _of_timm(name) if library == "timm" else _of_torchvision(name)
        return LibraryBackbone(_widened(maps, images), tuple(mean) * images, tuple(std) * images)
    except Exception as error:  # the libraries raise many kinds
        raise RequestError(
            f"{library}:{name} is no backbone: wanted maps at strides 4, 8, 16 and 32 of an image of any size, got "
            f"{' '.join(str(error).split())[:200] or type(error).__name__}; take another, such as {library}:resnet18."
        ) from error


class LibraryBackbone(Backbone):
    """(x - mean) / std by channel, then the network `maps`, of whose outputs the last of each stride are given."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, maps: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.maps = maps
        self.places, self.channels, self._half = _measured(maps, len(mean))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        outputs = self.maps((images.expand(-1, self.mean.shape[1], -1, -1) - self.mean) / self.std)
        return [outputs[place] for place in self.places]

    def add_half(self) -> None:
        if self._half is None:
            super().add_half()
        else:
            place, width = self._half
            self.places, self.channels = [place, *self.places], (width, *self.channels)

    def cut(self, level: int) -> None:
        if isinstance(self.maps, _Chain):  # a network of timm keeps its layers
            self.places = self.places[: level - 1]
            for name in list(self.maps)[self.places[-1] + 1 :]:
                del self.maps[name]


class _Chain(nn.ModuleDict):
    """Layers one after the other under the names that they have in their library; the output of each is given."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        outputs, maps = [], images
        for layer in self.values():
            maps = layer(maps)
            outputs.append(maps)
        return outputs


def _of_timm(name: str) -> tuple[nn.Module, tuple[Sequence[float], Sequence[float]]]:
    import timm

    network = timm.create_model(name, features_only=True, pretrained=False)
    settings = timm.get_pretrained_cfg(name)
    return network, IMAGENET if settings is None else (settings.mean, settings.std)


def _of_torchvision(name: str) -> tuple[nn.Module, tuple[Sequence[float], Sequence[float]]]:
    """Return a chain of the layers that a network has before it pools over the whole map."""
    from torchvision import models

    slow = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}  # else a quarter of a minute
    network = models.get_model(name, weights=None, **slow)
    layers = dict(network.named_children())
    if isinstance(network, models.ResNet):
        chain = {key: layer for key, layer in layers.items() if key not in {"avgpool", "fc"}}
    elif isinstance(network, models.RegNet):
        chain = {"stem": layers["stem"], **dict(layers["trunk_output"].named_children())}
    elif isinstance(layers.get("features"), nn.Sequential):
        chain = dict(layers["features"].named_children())
    else:
        raise TypeError("a network whose layers are no chain")
    return _Chain(chain), IMAGENET


def _widened(maps: nn.Module, images: int) -> nn.Module:
    """Return a network whose first convolution sees the channels of so many images."""
    if images == 1:
        return maps
    path, first = next((path, part) for path, part in maps.named_modules() if isinstance(part, nn.Conv2d))
    parent, _, name = path.rpartition(".")
    wide = nn.Conv2d(
        images * first.in_channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    with torch.no_grad():
        wide.weight.copy_(first.weight.repeat(1, images, 1, 1) / images)  # the mean of what it would see in each
        if first.bias is not None and wide.bias is not None:
            wide.bias.copy_(first.bias)
    maps.get_submodule(parent).add_module(name, wide)
    return maps


def _measured(maps: nn.Module, channels: int) -> tuple[list[int], tuple[int, ...], tuple[int, int] | None]:
    """Return which outputs are the last at each of the strides, and their channels: ValueError where one is missing.

    The third is place and channels of the last output at stride 2, None where there is none.
    """
    training = maps.training
    with torch.no_grad():
        outputs = maps.eval()(torch.zeros(1, channels, *TRIAL))
    maps.train(training)
    found = {tuple(output.shape[2:]): place for place, output in enumerate(outputs)}
    sizes = [tuple(side // stride for side in TRIAL) for stride in STRIDES]
    if missing := [stride for stride, size in zip(STRIDES, sizes, strict=True) if size not in found]:
        raise ValueError(f"none at {', '.join(map(str, missing))}")
    places = [found[size] for size in sizes]
    half = found.get((TRIAL[0] // 2, TRIAL[1] // 2))
    widths = tuple(outputs[place].shape[1] for place in places)
    return places, widths, None if half is None else (half, outputs[half].shape[1])
