"""Files of weights of darknet, such as `yolov3.weights`: a header, then float32 layer by layer in the order of its cfg.

Of each convolution: with a norm its biases, weights, means and variances, without one its biases; then the weights of
the convolution itself. Darknet's GPU code adds 1e-5 to variances, as torch does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from mlcvbench.errors import RecordError
from mlcvbench_networks.detection.categories import outputs_of_classes

if TYPE_CHECKING:
    from mlcvbench.contract import Array
    from mlcvbench_onestage.yolov3 import YOLONetwork

SUFFIX = ".weights"
LONG_HEADER = 2
"""The version (ten times major, plus minor) from which on the number of images seen has 64 bits."""
BOX = 5
"""Outputs of a prior before its classes: four of the box, and whether there is an object."""


class Layer(NamedTuple):
    """A convolution of the network by its name there, and the norm after it; the last one of a scale has none."""

    name: str
    convolution: nn.Conv2d
    norm_name: str = ""
    norm: nn.BatchNorm2d | None = None

    @property
    def numbers(self) -> int:
        """How many numbers a file has of it."""
        return self.convolution.weight.numel() + self.convolution.out_channels * (4 if self.norm else 1)


def classes_in(path: Path, network: YOLONetwork, classes: int, usual: int) -> int:
    """Return how many classes a file is for, `usual` or `classes`, which the network is built for, by its size.

    RecordError when it has neither size.
    """
    layers = list(layers_of(network))
    own = sum(layer.numbers for layer in layers)
    each = sum(len(network.priors) // 3 * (layer.convolution.in_channels + 1) for layer in layers if not layer.norm)
    header, size = _header_bytes(path), path.stat().st_size
    wanted = {count: header + 4 * (own + (count - classes) * each) for count in (usual, classes)}
    for count, length in wanted.items():
        if size == length:
            return count
    sizes = " or ".join(f"{length:,} for {count} classes" for count, length in wanted.items())
    raise RecordError(f"{path.name}: wanted a file of darknet for YOLOv3 of {sizes} in bytes, got {size:,}.")


def read_darknet(path: Path, network: YOLONetwork, places: Sequence[int], classes: int) -> dict[str, torch.Tensor]:
    """Return a file's tensors by their names in the network, of `classes` those at `places`. Its size is right."""
    numbers = np.fromfile(path, dtype="<f4", offset=_header_bytes(path))
    state: dict[str, torch.Tensor] = {}
    start = 0
    priors = len(network.priors) // 3

    def take(count: int) -> torch.Tensor:
        nonlocal start
        start += count
        return torch.from_numpy(numbers[start - count : start].astype(np.float32))

    for name, convolution, norm_name, norm in layers_of(network):
        inside, kernel = convolution.in_channels, convolution.kernel_size
        if norm is not None:
            for part in ("bias", "weight", "running_mean", "running_var"):
                state[f"{norm_name}.{part}"] = take(norm.num_features)
            state[f"{norm_name}.num_batches_tracked"] = torch.tensor(0)
            state[f"{name}.weight"] = take(convolution.weight.numel()).reshape(-1, inside, *kernel)
            continue
        outputs = priors * (BOX + classes)
        for part, count in (("bias", outputs), ("weight", outputs * inside)):
            values = take(count)
            values = values.reshape(outputs, inside, *kernel) if part == "weight" else values
            state[f"{name}.{part}"] = outputs_of_classes(values, places, priors, BOX)
    return {**state, "priors": network.priors}


def layers_of(network: YOLONetwork) -> Iterator[Layer]:
    """Yield the convolutions in darknet's order: the backbone, then each scale from the coarsest, its head first."""
    names = {part: name for name, part in network.named_modules()}
    scales = len(network.heads)
    parts: list[nn.Module] = [network.backbone]
    for scale in reversed(range(scales)):
        parts += [network.pyramid.levels[scale], network.heads[scale]]
        if scale:
            parts.append(network.pyramid.passes[scale - 1])
    for part in parts:
        inside = [own for own in part.modules() if isinstance(own, nn.Conv2d | nn.BatchNorm2d)]
        for place, own in enumerate(inside):
            if not isinstance(own, nn.Conv2d):
                continue
            after = inside[place + 1] if place + 1 < len(inside) else None
            if isinstance(after, nn.BatchNorm2d):
                yield Layer(names[own], own, names[after], after)
            else:
                yield Layer(names[own], own)


def _header_bytes(path: Path) -> int:
    """Return the length of a file's header: three numbers of a version, and how many images were seen."""
    with path.open("rb") as file:
        head = file.read(12)
    if len(head) < 12:
        raise RecordError(f"{path.name}: wanted a header of darknet, got {path.stat().st_size} bytes.")
    version: Array = np.frombuffer(head, dtype="<i4")
    major, minor = int(version[0]), int(version[1])
    return 12 + (8 if 10 * major + minor >= LONG_HEADER and major < 1000 and minor < 1000 else 4)
