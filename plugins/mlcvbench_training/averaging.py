"""Means of the weights on the way of a training: a moving one (EMA) and that of its cycle ends (SWA)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlcvbench_training.frozen import frozen_norms

if TYPE_CHECKING:
    from torch import nn


class Average:
    """A mean of a network's parameters; its buffers are not averaged.

    `move` makes it theta_a = rho theta_a + (1 - rho) theta, with rho at most (1 + n) / (10 + n) at the n-th call, for
    the first weights are no good. `add` makes it theta_a = (n theta_a + theta) / (n + 1), whatever theta is worth
    (Izmailov et al. 2018).
    """

    def __init__(self, module: nn.Module) -> None:
        self.parameters = list(module.parameters())
        self.weights = [parameter.detach().clone() for parameter in self.parameters]
        self.count = 0

    def move(self, decay: float) -> None:
        """Take the weights of one step into the moving mean."""
        self._take(1 - min(decay, (1 + self.count) / (10 + self.count)))

    def add(self) -> None:
        """Take the weights of one cycle's end into the plain mean."""
        self._take(1 / (self.count + 1))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Put the mean into the network for the time of a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def put_in(self) -> None:
        """Leave the mean in the network."""
        if self.count:
            self._swap()

    def _take(self, share: float) -> None:
        import torch

        with torch.no_grad():
            for mean, parameter in zip(self.weights, self.parameters, strict=True):
                mean.lerp_(parameter, share)
        self.count += 1

    def _swap(self) -> None:
        for index, parameter in enumerate(self.parameters):
            parameter.data, self.weights[index] = self.weights[index], parameter.data


def estimate_norms(module: nn.Module, show: Callable[[nn.Module, Any], None], batches: Iterable[Any]) -> None:
    """Take the statistics of batch norms anew, as `show` lets the module see `batches`: they were of other weights.

    Those of frozen norms stay.
    """
    import torch

    frozen = frozen_norms(module)

    class Shown(torch.nn.Module):
        """The module as something that is called with a batch; its frozen norms are not among its modules."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, batch: Any) -> None:
            show(self.module, batch)

        def modules(self, remove_duplicate: bool = True) -> Iterator[torch.nn.Module]:
            return (part for part in super().modules(remove_duplicate) if part not in frozen)

        def train(self, mode: bool = True) -> Shown:
            super().train(mode)
            for norm in frozen:
                norm.eval()
            return self

    torch.optim.swa_utils.update_bn(([batch] for batch in batches), Shown())  # of a list it passes on the first
