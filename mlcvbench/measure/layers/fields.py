"""Follow what each unit of each map sees of the image: its receptive field, r = 1 + sum (k - 1) d prod S, and jump.

`field_rules` has one rule per operator, so shortcuts, branches and functions are followed as well as layers. Along an
axis, unit i of a map depends on the pixels low + i jump to high + i jump; where branches meet, on the union. An
operator without a rule (attention, sorting, a resize in the middle) makes everything after it unknown: no number is
better than a wrong one. Padding counts as image, as in the formula, so a field may be larger than the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IMAGE_DIMS = (-2, -1)


@dataclass(frozen=True, slots=True)
class Extent:
    """Pixels low + i jump to high + i jump along one axis; `jump` is None where all units see the same."""

    low: int = 0
    high: int = 0
    jump: int | None = 1

    @property
    def field(self) -> int:
        """The number of pixels that one unit sees."""
        return self.high - self.low + 1

    def windows(self, kernel: int, stride: int, padding: int, dilation: int) -> Extent:
        """Return the extent of the outputs of a window."""
        if self.jump is None:
            return self
        low = self.low - padding * self.jump
        return Extent(low, self.high + ((kernel - 1) * dilation - padding) * self.jump, self.jump * stride)

    def joined(self, size: int) -> Extent:
        """Return the extent that all `size` units see together."""
        if self.jump is None:
            return self
        return Extent(self.low, self.high + (size - 1) * self.jump, None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the units of a tensor see: extents in y and x; `dims`: its axes y and x, None when it has none."""

    extents: tuple[Extent, Extent]
    dims: tuple[int, int] | None = IMAGE_DIMS

    @property
    def field(self) -> tuple[int, int]:
        """Receptive field in y and x, in pixels of the image."""
        return self.extents[0].field, self.extents[1].field

    @property
    def jump(self) -> tuple[int, ...]:
        """Pixels between neighbouring units in y and x, empty where all units see the same."""
        steps = tuple(extent.jump for extent in self.extents if extent.jump is not None)
        return steps if len(steps) == 2 and self.dims is not None else ()

    def collapsed(self, tensor: Any, dims: tuple[int, int] | None = None) -> Seen:
        """Return what all units of `tensor` see together."""
        if self.dims is None:
            return self
        sizes = [int(tensor.shape[dim]) for dim in self.dims]
        first, second = (extent.joined(size) for extent, size in zip(self.extents, sizes, strict=True))
        return Seen((first, second), dims)

    def windows(self, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Seen | None:
        """Return what the outputs of 2-D windows see; None for a tensor whose last axes are not y and x."""
        if self.dims != IMAGE_DIMS:
            return None
        settings = zip(*(_pair(value) for value in (kernel, stride, padding, dilation)), strict=True)
        y, x = (extent.windows(*each) for extent, each in zip(self.extents, settings, strict=True))
        return Seen((y, x))


class Fields:
    """What the tensors of one forward pass see, by identity."""

    def __init__(self) -> None:
        from torch.utils.weak import WeakTensorKeyDictionary

        self._seen: Any = WeakTensorKeyDictionary()

    def start(self, image: Any) -> None:
        """Measure fields on `image`, (B, C, H, W)."""
        if image is not None and image.ndim == 4:
            self._seen[image] = Seen((Extent(), Extent()))

    def of(self, tensor: Any) -> Seen | None:
        """Return what a tensor's units see; None when unknown or nothing."""
        return self._seen.get(tensor) if tensor is not None else None

    def follows(self, values: Any) -> list[Any]:
        """Return the tensors among nested values that depend on the image."""
        import torch

        leaves = torch.utils._pytree.tree_leaves(values)
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf in self._seen]

    def note(self, results: Any, seen: Seen | None) -> None:
        """Store what the tensors among `results` see."""
        import torch

        for leaf in torch.utils._pytree.tree_leaves(results):
            if isinstance(leaf, torch.Tensor):
                self._seen[leaf] = seen


def _pair(value: Any) -> tuple[int, int]:
    """Return a window setting in y and x, from one number or the last two of a list."""
    if isinstance(value, int):
        return value, value
    values = [int(v) for v in value]
    return (values[-2], values[-1]) if len(values) > 1 else (values[0], values[0])
