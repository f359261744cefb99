"""Training data of every task kind as tensors: in memory, or read from disk batch by batch where they do not fit.

Either way a batch holds the same bits, so the weights are the same. The splits of a task kind say which columns
it has; `image`, `left`, `right` and `frames` become float32 in [0, 1], `depth` stays metres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import torch

from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import ahead
from mlcvbench_training.loop import SCALED_BYTES, scaled
from mlcvbench_training.padding import SMALLEST, Size, frame_of, gathered, grown
from mlcvbench_training.sample_batch import UNKNOWN, Objects, SampleBatch, unknown_value

if TYPE_CHECKING:
    from mlcvbench_training.objective import Chosen

__all__ = ["DenseSamples", "Objects", "SampleBatch"]

Item = TypeVar("Item")
Values: TypeAlias = torch.Tensor | list[torch.Tensor]
"""A column: a tensor (N, ...) where all samples are of one shape, otherwise a list of N tensors."""
READ_AT_ONCE = 64
PROBES = 8
"""Samples from which the bytes of all are estimated; images of unequal size vary."""
BOXES = ("xywh", "labels")
SPARED = ("crowd", "difficult", "ignore")
"""Annotations that need not be found: data sets have one of these columns or none."""
UNKNOWN_WIDE = 65535
"""The label of an unknown pixel in label maps of more than 8 bits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which columns of a split are read: inputs, target maps, facts of `meta`, a target of one label an image."""

    inputs: tuple[str, ...]
    maps: tuple[str, ...]
    facts: tuple[str, ...]
    labels: str | None
    objects: bool
    masks: bool

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that are needed."""
        boxes = BOXES if self.objects or self.masks else ()
        return (*self.maps, *boxes, *(("masks",) if self.masks else ()), *((self.labels,) if self.labels else ()))


class DenseSamples:
    """A split to learn from, on a device or on disk: `len`, `labels` int64 (N,) or None, and batches in any order."""

    def __init__(self, split: Split, device: torch.device, wanted: Wanted, multiple: int, held: _Stored | None) -> None:
        self.split, self.device, self.wanted, self.multiple, self._held = split, device, wanted, multiple, held
        self.labels: torch.Tensor | None = None
        if wanted.labels is not None:
            column = split.targets()[wanted.labels] if held is None else None
            self.labels = held.labels if held else torch.from_numpy(np.asarray(column).astype(np.int64)).to(device)

    @classmethod
    def of(  # noqa: PLR0913 - keyword-only names of what is wanted, which differs from kind to kind
        cls,
        split: Split,
        device: torch.device,
        *,
        inputs: Sequence[str] = ("image",),
        maps: Sequence[str] = (),
        facts: Sequence[str] = (),
        labels: str | None = None,
        objects: bool = False,
        masks: bool = False,
        memory: int | None = None,
        multiple: int = 1,
    ) -> DenseSamples:
        """Return a split's samples, on disk where they take more than `memory` bytes (None: any) and can be read there.

        `facts`: names in `meta`. `labels`: the target `label` or `identity`. `masks`: those of the objects, which come
        along. Frames are as large as the largest image of a batch, sides rounded up to a multiple of `multiple`.
        DataError when the split is empty or lacks one of the columns.
        """
        wanted = Wanted(tuple(inputs), tuple(maps), tuple(facts), labels, objects, masks)
        if len(split) == 0:
            raise DataError(f"split {split.name!r} has no samples, wanted at least 1 to train on.")
        _refuse_missing(split, wanted)
        stays = memory is not None and split.threaded and _bytes_estimated(split, wanted) > memory
        return cls(split, device, wanted, multiple, None if stays else _held(split, wanted, device))

    def __len__(self) -> int:
        return len(self.split)

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        """Yield the batch of each choice of indices, in order; from disk they are read ahead of the training."""
        if self._held is not None:
            for choice in chosen:
                yield self._held.batch(choice, self.multiple, self.device)
            return
        places = [choice if isinstance(choice, slice) else choice.cpu().numpy() for choice in chosen]
        for stored in ahead(self._read, places, _Stored.nbytes):
            yield stored.batch(slice(None), self.multiple, self.device)

    def _read(self, places: Array | slice) -> _Stored:
        return _Stored.of(*self.split.read(places), self.wanted)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Samples as they are kept: inputs uint8 or float32 (N, C, H, W), maps (N, H, W) of any type."""

    inputs: dict[str, Values]
    maps: dict[str, Values]
    objects: list[Objects]
    labels: torch.Tensor | None
    facts: dict[str, torch.Tensor]

    @staticmethod
    def of(batch: Batch, targets: Targets, wanted: Wanted) -> _Stored:
        """Return the wanted columns of what a split gave."""
        inputs = {name: _converted(batch.inputs[name], _channels_first) for name in wanted.inputs}
        maps = {name: _converted(targets[name], _plain) for name in wanted.maps}
        objects: list[Objects] = []
        if wanted.objects or wanted.masks:
            sizes = _sizes(inputs[wanted.inputs[0]])
            objects = _objects_of(targets, sizes, masks=wanted.masks)
        labels = torch.from_numpy(np.asarray(targets[wanted.labels]).astype(np.int64)) if wanted.labels else None
        facts = {name: torch.from_numpy(np.asarray(batch.meta[name], dtype=np.float32)) for name in wanted.facts}
        return _Stored(inputs, maps, objects, labels, facts)

    @staticmethod
    def join(parts: Sequence[_Stored]) -> _Stored:
        """Return the samples of all parts in order."""
        first = parts[0]
        return _Stored(
            {name: _joined([part.inputs[name] for part in parts]) for name in first.inputs},
            {name: _joined([part.maps[name] for part in parts]) for name in first.maps},
            [own for part in parts for own in part.objects],
            None if first.labels is None else torch.cat([part.labels for part in parts if part.labels is not None]),
            {name: torch.cat([part.facts[name] for part in parts]) for name in first.facts},
        )

    def to(self, device: torch.device) -> _Stored:
        """Return the samples on a device."""
        inputs, maps = (
            {name: _each(values, lambda value: value.to(device)) for name, values in column.items()}
            for column in (self.inputs, self.maps)
        )
        labels = None if self.labels is None else self.labels.to(device)
        facts = {name: values.to(device) for name, values in self.facts.items()}
        return _Stored(inputs, maps, [own.to(device) for own in self.objects], labels, facts)

    def scaled(self) -> _Stored:
        """Return the samples with inputs as floats, in [0, 1] where they were bytes."""
        return replace(self, inputs={name: _each(values, _scaled) for name, values in self.inputs.items()})

    def nbytes(self) -> int:
        """Return the bytes of inputs, maps and masks."""
        columns = [*self.inputs.values(), *self.maps.values()]
        masks = [own.masks for own in self.objects if own.masks is not None]
        return sum(values.nbytes for column in (*columns, masks) for values in _listed(column))

    def batch(self, choice: Chosen, multiple: int, device: torch.device) -> SampleBatch:
        """Return the samples at `choice` on a device."""
        inputs, maps = (
            {name: _chosen(values, choice) for name, values in column.items()} for column in (self.inputs, self.maps)
        )
        sizes = _sizes(next(iter(inputs.values())))
        frame = frame_of(sizes, multiple)
        unknown = _unknown_label(self.maps.get("label_map"))
        objects = [
            own if own.masks is None else replace(own, masks=grown(own.masks, frame, 0))
            for own in (_places(self.objects, choice) if self.objects else [])
        ]
        return SampleBatch(
            {name: _scaled(_framed(values, frame, 0).to(device)) for name, values in inputs.items()},
            {name: _as_map(values, frame, unknown).to(device) for name, values in maps.items()},
            [own.to(device) for own in objects],
            None if self.labels is None else self.labels[choice].to(device),
            {name: values[choice].to(device) for name, values in self.facts.items()},
            None if set(sizes) <= {frame} else torch.tensor(sizes, dtype=torch.int64),
            unknown,
        )


def _held(split: Split, wanted: Wanted, device: torch.device) -> _Stored:
    """Return a whole split on the device."""
    if split.threaded:
        parts = [_Stored.of(*read, wanted).to(device) for read in split.batches(READ_AT_ONCE)]
    else:
        parts = [_Stored.of(*split.read(slice(0, len(split))), wanted).to(device)]
    stored = _Stored.join(parts)
    floats = 4 * sum(values.numel() for column in stored.inputs.values() for values in _listed(column))
    return stored.scaled() if floats <= SCALED_BYTES else stored


def _bytes_estimated(split: Split, wanted: Wanted) -> float:
    """Return about how many bytes the samples of a split take, by a few of them from first to last."""
    count = len(split)
    probes = np.unique(np.linspace(0, count - 1, min(count, PROBES)).astype(np.int64))
    return _Stored.of(*split.read(probes), wanted).nbytes() * count / len(probes)


def _refuse_missing(split: Split, wanted: Wanted) -> None:
    batch, targets = split.read([0])
    for what, names, given in (
        ("input", wanted.inputs, batch.inputs),
        ("target", wanted.targets, targets),
        ("fact", wanted.facts, batch.meta),
    ):
        missing = next((name for name in names if name not in given), None)
        if missing is not None:
            got = ", ".join(sorted(given)) or "none"
            raise DataError(f"split {split.name!r}: wanted the {what} {missing!r} to train on, got {got}.")


def _objects_of(targets: Targets, sizes: Sequence[Size], *, masks: bool) -> list[Objects]:
    """Return the objects of each image; their tensors are views into common ones."""
    count = len(sizes)
    parts = [np.asarray(targets["xywh"][place], dtype=np.float64).reshape(-1, 4) for place in range(count)]
    counts = [len(part) for part in parts]
    xywh = np.concatenate([np.zeros((0, 4)), *parts])
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
    ignored = (xywh[:, 2:] < SMALLEST).any(axis=1)
    for name in SPARED:
        if name in targets:
            ignored |= _flat(targets[name], count, np.bool_)
    columns = (boxes, _flat(targets["labels"], count, np.int64), ignored)
    split = zip(*(torch.split(torch.from_numpy(column), counts) for column in columns), strict=True)
    found = [Objects(*own) for own in split]
    if not masks:
        return found
    return [
        replace(own, masks=_dense(targets["masks"][place], size))
        for place, (own, size) in enumerate(zip(found, sizes, strict=True))
    ]


def _flat(column: Any, count: int, dtype: type[np.generic]) -> Array:
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(column[place], dtype=dtype) for place in range(count))])


def _dense(masks: Any, size: Size) -> torch.Tensor:
    """Return bool (K, height, width) of the run-length masks of one image."""
    out = np.zeros((len(masks), *size), dtype=np.bool_)
    for place in range(len(masks)):
        out[place] = masks.dense(place)
    return torch.from_numpy(out)


def _converted(column: Any, convert: Callable[[Array], torch.Tensor]) -> Values:
    """Return a column as tensors; `convert` is given values with the axis of samples."""
    if isinstance(column, np.ndarray):
        return convert(column)
    return [convert(np.asarray(value)[None])[0] for value in column]


def _channels_first(images: Array) -> torch.Tensor:
    """Return (B, H, W), (B, H, W, 3) or (B, T, H, W, 3) as (B, C, H, W) or (B, T, C, H, W)."""
    tensor = _plain(images)
    return (tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.movedim(-1, -3)).contiguous()


def _plain(values: Array) -> torch.Tensor:
    """Return values as a tensor of the type in which they are kept; torch can do little with 16-bit integers."""
    dtype = {"uint16": np.int32, "float64": np.float32}.get(values.dtype.name, values.dtype)
    return torch.from_numpy(np.require(values, dtype, ["C", "W"]))  # torch warns of read-only memory


def _scaled(images: torch.Tensor) -> torch.Tensor:
    """Return bytes as float32 in [0, 1], numbers as they are."""
    return scaled(images) if images.dtype == torch.uint8 else images


def _as_map(values: Values, frame: Size, unknown: int) -> torch.Tensor:
    """Return maps (B, H, W) of the frame; whole numbers as int64."""
    maps = _framed(values, frame, unknown_value(_listed(values)[0], unknown))
    return maps if maps.dtype.is_floating_point or maps.dtype == torch.bool else maps.to(torch.int64)


def _unknown_label(maps: Values | None) -> int:
    return UNKNOWN if maps is None or _listed(maps)[0].dtype == torch.uint8 else UNKNOWN_WIDE


def _sizes(values: Values) -> list[Size]:
    """Return height and width of each image."""
    if isinstance(values, torch.Tensor):  # without a view of each
        return [(values.shape[-2], values.shape[-1])] * len(values)
    return [(image.shape[-2], image.shape[-1]) for image in values]


def _listed(values: Values) -> list[torch.Tensor]:
    return [values] if isinstance(values, torch.Tensor) else values


def _each(values: Values, change: Callable[[torch.Tensor], torch.Tensor]) -> Values:
    return change(values) if isinstance(values, torch.Tensor) else [change(value) for value in values]


def _chosen(values: Values, choice: Chosen) -> Values:
    return values[choice] if isinstance(values, torch.Tensor) else _places(values, choice)


def _places(values: list[Item], choice: Chosen) -> list[Item]:
    return values[choice] if isinstance(choice, slice) else [values[place] for place in choice.tolist()]


def _framed(values: Values, frame: Size, fill: float) -> torch.Tensor:
    return grown(values, frame, fill) if isinstance(values, torch.Tensor) else gathered(values, frame, fill)


def _joined(columns: Sequence[Values]) -> Values:
    """Return columns one after the other: one tensor where all values are of one shape."""
    tensors = [column for column in columns if isinstance(column, torch.Tensor)]
    if len(tensors) == len(columns) and len({tensor.shape[1:] for tensor in tensors}) == 1:
        return torch.cat(tensors)
    values = [value for column in columns for value in column]
    return torch.stack(values) if len({value.shape for value in values}) == 1 else values
