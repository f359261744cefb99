"""The training loop of every plugin that learns by gradient: one function, settings as data, randomness from one seed.

The images stay one uint8 tensor on the device; a step slices it, scales to [0, 1] and augments. There is no loader.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import FitContext, FitReport, Split
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_training.augmentation import shift
from mlcvbench_training.optimization import build_optimizer, rate_factor
from mlcvbench_training.seeding import seeded

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.settings import Settings

EVALUATION_BATCH = 256
AUXILIARY_WEIGHT = 0.3
"""Of the loss of each further output that a network has in training (Szegedy et al. 2015, section 5)."""


class DivergedError(MlcvbenchError):
    """The loss of a training became infinite or not a number."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Examples:
    """Training data on the device: `images` uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def examples_of(split: Split, device: torch.device) -> Examples:
    """Return a classification split as tensors. DataError when it is empty or its images differ in size."""
    import torch

    if len(split) == 0:
        raise DataError(f"split {split.name!r} has no samples, wanted at least 1 to train on.")
    inputs, targets = split.arrays()
    images = torch.from_numpy(np.require(inputs["image"], requirements=["C", "W"]))  # torch warns of read-only memory
    channels_first = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    labels = torch.from_numpy(targets["label"].astype(np.int64))
    return Examples(channels_first.contiguous().to(device), labels.to(device))


def train_network(
    module: nn.Module, examples: Examples, settings: Settings, ctx: FitContext, val: Examples | None = None
) -> FitReport:
    """Train `module` in place by cross-entropy and leave it in eval mode.

    The report's history has one entry an epoch: loss and train_accuracy (running, on augmented images), lr (at the
    epoch's end) and, with `val`, val_accuracy. The loop stops early when another epoch would exceed `ctx.budget`
    seconds. DivergedError when the loss is not finite. Equal seed, data, threads and machine give equal weights.
    """
    import torch

    generator = torch.Generator().manual_seed(ctx.seed)
    run = _Training(module, examples, settings, generator)
    history: dict[str, list[float]] = {"loss": [], "train_accuracy": [], "lr": []}
    if val is not None:
        history["val_accuracy"] = []
    started = time.monotonic()
    with seeded(ctx.seed, examples.labels.device):
        for epoch in range(settings.epochs):
            loss, correct = run.epoch()
            if not np.isfinite(loss):
                raise DivergedError(
                    f"training diverged: the loss is {loss} in epoch {epoch + 1} of {settings.epochs} with "
                    f"optimizer {settings.optimizer}, lr {settings.lr:g}; set a smaller fit.lr."
                )
            history["loss"].append(loss)
            history["train_accuracy"].append(correct)
            history["lr"].append(run.rate)
            if val is not None:
                history["val_accuracy"].append(accuracy(module, val))
            ctx.progress(epoch + 1, settings.epochs)
            spent = time.monotonic() - started
            if ctx.budget is not None and spent * (epoch + 2) / (epoch + 1) > ctx.budget:
                break
    module.eval()
    return FitReport(epochs=len(history["loss"]), history=history)


def accuracy(module: nn.Module, examples: Examples) -> float:
    """Return the fraction of examples whose largest logit is their label's."""
    import torch

    hits = 0
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(examples), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            hits += int((module(scaled(examples.images[part])).argmax(1) == examples.labels[part]).sum())
    return hits / len(examples)


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 images as float32 in [0, 1], exactly as `TorchModel.preprocess` does."""
    import torch

    return images.to(torch.float32) / 255.0


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


class _Training:
    """The state that steps share: optimizer, place in the schedule, generator."""

    def __init__(self, module: nn.Module, examples: Examples, settings: Settings, generator: torch.Generator) -> None:
        self.module, self.examples, self.settings, self.generator = module, examples, settings, generator
        self.optimizer = build_optimizer(module, settings)
        self.blocks = list(blocks(len(examples), settings.batch))
        self.step, self.rate = 0, 0.0

    def epoch(self) -> tuple[float, float]:
        """Make one pass in a fresh order; return the mean loss and the accuracy on the way."""
        import torch

        device = self.examples.labels.device
        order = torch.randperm(len(self.examples), generator=self.generator).to(device)
        total, hits = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        self.module.train()
        for block in self.blocks:
            chosen = order[block]
            labels = self.examples.labels[chosen]
            logits, loss = self._step(self.examples.images[chosen], labels)
            total += loss * len(labels)
            hits += (logits.argmax(1) == labels).sum()
        return float(total) / len(order), int(hits) / len(order)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        from torch.nn import functional

        settings = self.settings
        self.rate = settings.lr * rate_factor(settings.schedule, self.step, settings.epochs * len(self.blocks))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.step += 1
        inputs = scaled(images)
        if settings.augmentation == "shift":
            inputs = shift(inputs, self.generator)
        outputs = self.module(inputs)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = functional.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * functional.cross_entropy(other, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return logits.detach(), loss.detach()
