"""How image classifiers learn: the objective of labelled images, and the one function that trains a network by it.

A step picks images, scaled to [0, 1], and augments them. They are one tensor on the device; only those that do not fit
into memory are read from disk, ahead of the step that wants them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport
from mlcvbench_training.augmentation import augment, changes_images
from mlcvbench_training.examples import Examples, StreamedExamples, examples_of
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.losses import loss_of
from mlcvbench_training.objective import Objective
from mlcvbench_training.training import Training, Watch

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.guidance import Teacher
    from mlcvbench_training.losses import Loss
    from mlcvbench_training.objective import Chosen, Network
    from mlcvbench_training.settings import Settings

__all__ = ["ClassificationObjective", "Examples", "evaluate", "examples_of", "scaled", "train_network"]

Data = Examples | StreamedExamples
EVALUATION_BATCH = 256
SCALED_BYTES = 256 * 2**20
"""Images that take no more than this as floats are scaled once, not in each step."""
AUXILIARY_WEIGHT = 0.3
"""Of the loss of each further output that a network has in training (Szegedy et al. 2015, section 5)."""


def train_network(
    module: nn.Module,
    examples: Data,
    settings: Settings,
    ctx: FitContext,
    val: Data | None = None,
    way: type[Training] = Training,
) -> FitReport:
    """Train `module`, which answers images with logits, in place by `settings.loss` and leave it in eval mode.

    The report's history has loss and train_accuracy (running, on augmented images), lr and, with `val`, val_loss and
    val_accuracy, which early stopping and `plateau` go by. `way` is how an epoch is made; further see `train`.
    """
    objective = ClassificationObjective(examples, settings, ctx.teacher if isinstance(ctx, GuidedContext) else None)
    watch = None if val is None else Watch(_Validation(val, settings), "val_accuracy")
    return way(module, objective, settings, ctx, watch).run()


class ClassificationObjective(Objective):
    """The loss of labelled images. A network with several outputs has auxiliary ones behind the first."""

    def __init__(self, examples: Data, settings: Settings, teacher: Teacher | None = None) -> None:
        self.examples, self.settings, self.teacher = examples, settings, teacher
        self.device = examples.labels.device
        held = examples.images if isinstance(examples, Examples) else None
        self.inputs = scaled(held) if held is not None and 4 * held.numel() <= SCALED_BYTES else None
        self.changes = changes_images(settings)
        self.smoothed, self.plain = loss_of(settings), loss_of(replace(settings, label_smoothing=0.0))

    def __len__(self) -> int:
        return len(self.examples)

    def read(self, chosen: Sequence[Chosen]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images, float32 in [0, 1], and labels at each choice of indices."""
        if self.inputs is not None:
            yield from ((self.inputs[choice], self.examples.labels[choice]) for choice in chosen)
        else:
            yield from ((scaled(images), labels) for images, labels in self.examples.batches(chosen))

    def loss(
        self, network: Network, batch: tuple[torch.Tensor, torch.Tensor], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        inputs, labels = batch
        if self.changes:
            inputs = augment(inputs, self.settings, generator)
        outputs = network(inputs)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = self.smoothed(logits, labels)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * self.plain(other, labels)
        if self.teacher is not None:
            loss = self.teacher.loss(inputs, logits, loss)
        return {"loss": loss, "train_accuracy": logits.detach().argmax(1) == labels}

    def show(self, network: Network, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        network(batch[0])


class _Validation:
    """The loss and accuracy of a network on held-out images."""

    def __init__(self, examples: Data, settings: Settings) -> None:
        self.examples, self.total = examples, loss_of(replace(settings, label_smoothing=0.0), "sum")

    def __call__(self, module: nn.Module) -> dict[str, float]:
        loss, accuracy = evaluate(module, self.examples, self.total)
        return {"val_loss": loss, "val_accuracy": accuracy}


def evaluate(module: nn.Module, examples: Data, total: Loss) -> tuple[float, float]:
    """Return the mean loss, `total` of a batch being its sum, and the share whose largest logit is their label's."""
    import torch

    loss, hits = 0.0, 0
    module.eval()
    with torch.inference_mode():
        parts = [slice(start, start + EVALUATION_BATCH) for start in range(0, len(examples), EVALUATION_BATCH)]
        for images, labels in examples.batches(parts):
            logits = module(scaled(images))
            loss += float(total(logits, labels))
            hits += int((logits.argmax(1) == labels).sum())
    return loss / len(examples), hits / len(examples)


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 images as float32 in [0, 1], exactly as `TorchModel.preprocess` does."""
    import torch

    return images.to(torch.float32).div_(255.0)
