"""What a training minimises: which samples a step takes, and the loss that they give. The engine knows nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    Chosen = torch.Tensor | slice
    Network = Callable[..., Any]


class Objective(ABC):
    """A loss over training samples. What it holds of them lies on `device`.

    All randomness must come from the generator that a method is given; it lives on the CPU, so that what is drawn does
    not depend on the device.
    """

    device: torch.device

    @abstractmethod
    def __len__(self) -> int:
        """Return how many samples there are."""

    @abstractmethod
    def loss(self, network: Network, batch: Any, generator: torch.Generator) -> Mapping[str, torch.Tensor]:
        """Return the loss of a batch as `loss`, a scalar, and whatever else the history shall tell by its name.

        `network` is what is trained, as a function: its outputs are float32 whatever the precision of its passes.
        `batch` comes from `read`. A further entry is a scalar, which stands for each sample of the batch, or holds one
        number a sample (B,); the history has the mean over an epoch's samples.
        """

    def batches(self, size: int, generator: torch.Generator) -> Sequence[torch.Tensor]:
        """Return the indices that each step of an epoch takes: blocks of about `size` of a fresh permutation."""
        import torch

        order = torch.randperm(len(self), generator=generator).to(self.device)
        return [order[block] for block in blocks(len(self), size)]

    def steps(self, size: int) -> int:
        """Return how many batches `batches` gives."""
        return sum(1 for _ in blocks(len(self), size))

    def read(self, chosen: Sequence[Chosen]) -> Iterator[Any]:
        """Yield what `loss` needs of the samples at each choice of indices, in order; by default these themselves.

        All choices of an epoch are known here, so what lies on disk can be read ahead.
        """
        yield from chosen

    def show(self, network: Network, batch: Any) -> None:
        """Let the network see a batch unchanged, for the statistics of its norms."""
        import torch

        self.loss(network, batch, torch.Generator())

    def extra(self) -> nn.Module | None:
        """Return what is learned beside the network and is no part of it, such as the class weights of ArcFace."""
        return None


def blocks(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive blocks; a last block of one joins its neighbour, since batch norm needs two samples.

    >>> [(block.start, block.stop) for block in blocks(9, 4)]
    [(0, 4), (4, 9)]
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1 and size > 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        yield slice(start, stop)
