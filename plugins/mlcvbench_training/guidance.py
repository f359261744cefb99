"""What a method that trains another one asks of the loop beyond the settings: a teacher, or an early halt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Teacher:
    """Gives logits (B, C) for inputs float32 (B, C, H, W) in [0, 1]. `asked` counts the batches it was asked about."""

    logits: Callable[[torch.Tensor], torch.Tensor]
    temperature: float
    weight: float
    asked: int = 0

    def loss(self, inputs: torch.Tensor, logits: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
        """Return weight T^2 KL(teacher at T || student at T) + (1 - weight) `hard`.

        The T^2 keeps the gradients of both terms comparable, since those of the soft one shrink with 1/T^2
        (Hinton, Vinyals and Dean, 2015).
        """
        from torch.nn import functional

        self.asked += 1
        soft = functional.kl_div(
            functional.log_softmax(logits / self.temperature, 1),
            functional.log_softmax(self.logits(inputs) / self.temperature, 1),
            reduction="batchmean",
            log_target=True,
        )
        return self.weight * self.temperature**2 * soft + (1 - self.weight) * hard


@dataclass(frozen=True, slots=True)
class GuidedContext(FitContext):
    """A fit context with a `teacher`, or one that halts after epoch `until` to be taken up again from a checkpoint."""

    teacher: Teacher | None = field(default=None)
    until: int | None = None
