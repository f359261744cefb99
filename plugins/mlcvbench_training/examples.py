"""Training data: images and labels as tensors, in memory, or read from disk batch by batch where they do not fit.

Either way a batch holds the same numbers, so the weights are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import ahead

if TYPE_CHECKING:
    import torch

    Chosen = torch.Tensor | slice


@dataclass(frozen=True, slots=True)
class Examples:
    """Training data on the device: `images` uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, chosen: Sequence[Chosen]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images and labels at each choice of indices, in order."""
        for choice in chosen:
            yield self.images[choice], self.labels[choice]


@dataclass(frozen=True, slots=True)
class StreamedExamples:
    """Training data that stay on disk: batches are read ahead of the training and brought to the device one by one."""

    split: Split
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, chosen: Sequence[Chosen]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images and labels at each choice of indices, in order."""
        places = [choice if isinstance(choice, slice) else choice.cpu().numpy() for choice in chosen]
        for choice, images in zip(chosen, ahead(self._read, places, lambda read: read.nbytes), strict=True):
            yield _channels_first(images).to(self.labels.device), self.labels[choice]

    def _read(self, places: Array | slice) -> Array:
        return _images_of(self.split, self.split.read(places)[0])


def examples_of(split: Split, device: torch.device) -> Examples:
    """Return a classification split as tensors. DataError when it is empty or its images differ in size."""
    import torch

    _refuse_empty(split)
    inputs, targets = split.arrays()
    return Examples(
        _channels_first(inputs["image"]).to(device), torch.from_numpy(targets["label"].astype(np.int64)).to(device)
    )


def streamed_or_held(split: Split, device: torch.device, memory: int | None) -> Examples | StreamedExamples:
    """Return a classification split as tensors, on disk where its images take more than `memory` bytes (None: any).

    DataError when it is empty or its images differ in size.
    """
    import torch

    _refuse_empty(split)
    if memory is None or not split.threaded:
        return examples_of(split, device)
    first: Batch = split.read([0])[0]
    one = np.asarray(first.inputs["image"][0])
    if one.nbytes * len(split) <= memory:
        return examples_of(split, device)
    _images_of(split, first)
    targets: Targets = split.targets()
    labels = torch.from_numpy(np.asarray(targets["label"]).astype(np.int64))
    return StreamedExamples(split, labels.to(device))


def _refuse_empty(split: Split) -> None:
    if len(split) == 0:
        raise DataError(f"split {split.name!r} has no samples, wanted at least 1 to train on.")


def _images_of(split: Split, batch: Batch) -> Array:
    column = batch.inputs["image"]
    if split.ragged or isinstance(column, list):
        raise split.no_arrays("image")
    return column


def _channels_first(images: Array) -> torch.Tensor:
    """Return images (B, H, W[, C]) as a tensor (B, C, H, W)."""
    import torch

    tensor = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # torch warns of read-only memory
    return (tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)).contiguous()
