"""What one step of a training sees: images, maps, objects and labels of a few samples, in frames of one size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from mlcvbench_training.padding import Size

UNKNOWN = 255
"""The label of a pixel that nobody knows."""
INTRINSICS = "intrinsics"


@dataclass(frozen=True, slots=True)
class Objects:
    """The annotated objects of one image, K of them, maybe none.

    `boxes` float32 (K, 4) x1 y1 x2 y2 in pixels, pixel i covering [i, i + 1). `labels` int64 (K,). `ignored` bool (K,):
    crowds, difficult objects and specks, to be learned neither as objects nor as background. `masks` bool (K, H, W) of
    the frame, if wanted.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    ignored: torch.Tensor
    masks: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Objects:
        """Return the objects on a device."""
        masks = None if self.masks is None else self.masks.to(device)
        return Objects(self.boxes.to(device), self.labels.to(device), self.ignored.to(device), masks)


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Samples to learn from, in frames of one size.

    `inputs`: name -> float32 (B, C, H, W), `frames` (B, T, C, H, W). `maps`: target -> (B, H, W): `label_map` int64,
    `unknown` where nobody knows, `disparity` and `depth` float32, 0 = unknown, `occluded` bool. `objects`: one entry an
    image, or []. `labels`: int64 (B,), the class or person of each image. `facts`: float32 (B, ...) of the samples'
    `meta`. `sizes`: int64 (B, 2) on the CPU, height and width of each image inside the frame; None: all fill it.
    """

    inputs: dict[str, torch.Tensor]
    maps: dict[str, torch.Tensor] = field(default_factory=dict)
    objects: list[Objects] = field(default_factory=list)
    labels: torch.Tensor | None = None
    facts: dict[str, torch.Tensor] = field(default_factory=dict)
    sizes: torch.Tensor | None = None
    unknown: int = UNKNOWN

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def frame(self) -> Size:
        """Height and width of all inputs and maps."""
        height, width = next(iter(self.inputs.values())).shape[-2:]
        return height, width

    def own_sizes(self) -> torch.Tensor:
        """Return the height and width of each image, int64 (B, 2), on the CPU."""
        if self.sizes is not None:
            return self.sizes
        return torch.tensor(self.frame, dtype=torch.int64).expand(len(self), 2)

    def unknown_of(self, values: torch.Tensor) -> float:
        """Return what means unknown in a map: a truth value says that the other camera does not see the pixel."""
        return unknown_value(values, self.unknown)

    def moved_facts(self, matrices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the facts of images whose points moved by float64 (B, 3, 3): intrinsics K become M K.

        Intrinsics give pixel centres whole coordinates; `matrices` have them at half-integers, as boxes do.
        """
        if INTRINSICS not in self.facts:
            return self.facts
        cameras, half = self.facts[INTRINSICS], torch.eye(3, dtype=torch.float64)
        half[:2, 2] = 0.5
        own = torch.linalg.inv(half) @ matrices.cpu() @ half @ cameras.cpu().double()
        return {**self.facts, INTRINSICS: own.to(cameras)}

    def to(self, device: torch.device) -> SampleBatch:
        """Return the batch on a device."""
        inputs, maps, facts = (
            {name: values.to(device) for name, values in column.items()}
            for column in (self.inputs, self.maps, self.facts)
        )
        labels = None if self.labels is None else self.labels.to(device)
        objects = [own.to(device) for own in self.objects]
        return replace(self, inputs=inputs, maps=maps, objects=objects, labels=labels, facts=facts)


def unknown_value(values: torch.Tensor, label: int) -> float:
    """Return what means unknown in a map, `label` where it holds labels."""
    if values.dtype == torch.bool:
        return True
    return 0.0 if values.dtype.is_floating_point else label
