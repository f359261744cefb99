"""The training loop of every plugin that learns by gradient: one function, settings as data, randomness from one seed.

A step picks images, scaled to [0, 1], and augments them. They are one tensor on the device; only those that do not fit
into memory are read from disk, ahead of the step that wants them.
Between epochs the whole state goes to the context's checkpoint folder, from which an interrupted training goes on:
after each epoch, or after several where they are so short that writing would take a hundredth of the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import FitContext, FitReport
from mlcvbench_training.augmentation import augment, changes_images
from mlcvbench_training.averaging import Average, estimate_norms
from mlcvbench_training.checkpoint import resume_training, save_training
from mlcvbench_training.examples import Examples, StreamedExamples, examples_of
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.losses import loss_of
from mlcvbench_training.newton import newton_step
from mlcvbench_training.optimization import Rule
from mlcvbench_training.refusals import check_training, diverged
from mlcvbench_training.schedules import Schedule
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import NEWTON
from mlcvbench_training.stopping import Stopper

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.losses import Loss
    from mlcvbench_training.settings import Settings

__all__ = ["Examples", "Training", "blocks", "evaluate", "examples_of", "scaled", "train_network"]

Data = Examples | StreamedExamples
EVALUATION_BATCH = 256
SCALED_BYTES = 256 * 2**20
"""Images that take no more than this as floats are scaled once, not in each step."""
SAVING_SHARE = 0.01
"""Most of a training's time that goes into checkpoints but for the last, for an epoch may take milliseconds."""
FIRST_SAVING = 0.003
"""Seconds that the first checkpoint is taken to cost."""
SHORTEST = 1e-9
"""Seconds that an epoch is taken to last at least; a coarse clock may say none."""
PLANNED_AFTER = 2
"""Epochs after which a budget decides how many there will be: the first one holds what happens only once."""
AUXILIARY_WEIGHT = 0.3
"""Of the loss of each further output that a network has in training (Szegedy et al. 2015, section 5)."""


def train_network(
    module: nn.Module, examples: Data, settings: Settings, ctx: FitContext, val: Data | None = None
) -> FitReport:
    """Train `module` in place by `settings.loss` and leave it in eval mode.

    The report's history has one entry an epoch: loss and train_accuracy (running, on augmented images), lr (at the
    epoch's end) and, with `val`, val_loss and val_accuracy. Where `ctx.budget` seconds are too few for all epochs, the
    second one tells how many there is time for, and the schedule ends with the last of those; the loop stops earlier
    still when another epoch would exceed the budget. Equal seed, data, threads and machine give equal weights,
    interrupted or not, unless a budget cut them.

    DivergedError when the loss or the weights are not finite; RequestError when the settings cannot be carried out on
    this network.
    """
    run = Training(module, examples, settings, ctx, val)
    with seeded(ctx.seed, examples.labels.device):
        if ctx.checkpoints is not None:
            resume_training(run, ctx.checkpoints)
        while run.epochs < run.last and not (run.ended or run.out_of_time):
            run.next_epoch()
            ctx.progress(run.epochs, run.last)
        run.finish()
    module.eval()
    return FitReport(run.epochs, run.history, run.earlier, run.cut_short)


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


class Training:
    """A training between two epochs: everything that the next one depends on."""

    def __init__(
        self, module: nn.Module, examples: Data, settings: Settings, ctx: FitContext, val: Data | None
    ) -> None:
        import torch

        self.module, self.examples, self.settings, self.ctx, self.val = module, examples, settings, ctx, val
        check_training(module, settings, validated=val is not None)
        self.generator = torch.Generator().manual_seed(ctx.seed)
        held = examples.images if isinstance(examples, Examples) else None
        self.inputs = scaled(held) if held is not None and 4 * held.numel() <= SCALED_BYTES else None
        self.blocks = list(blocks(len(examples), 1 if settings.optimizer == "online_gd" else settings.batch))
        self.full_batch, self.changes = settings.optimizer == "gd", changes_images(settings)
        self.rule = Rule(module, settings)
        device = examples.labels.device.type
        self.cast = torch.autocast(device, torch.bfloat16) if settings.precision == "bfloat16" else nullcontext()
        self.schedule = Schedule(settings, 1 if self.full_batch else len(self.blocks))
        self.average = None if settings.average == "none" else Average(module)
        self.stopper = Stopper(settings) if settings.early_stopping else None
        plain = replace(settings, label_smoothing=0.0)
        self.loss, self.plain_loss, self.plain_sum = loss_of(settings), loss_of(plain), loss_of(plain, "sum")
        self.teacher = ctx.teacher if isinstance(ctx, GuidedContext) else None
        until = ctx.until if isinstance(ctx, GuidedContext) else None
        self.asked, self.halts = settings, until is not None
        self.last = settings.epochs if until is None else until
        self.epochs, self.step, self.rate, self.ended, self.out_of_time = 0, 0, 0.0, False, False
        self.history: dict[str, list[float]] = {name: [] for name in ("loss", "train_accuracy", "lr")}
        if val is not None:
            self.history |= {"val_loss": [], "val_accuracy": []}
        self.earlier, self.started = 0.0, time.monotonic()
        self.saved, self.saving = self.started, FIRST_SAVING

    def next_epoch(self) -> None:
        """Train for one epoch, look at the validation data and leave a checkpoint."""
        settings, began = self.settings, time.monotonic()
        newton = settings.optimizer == NEWTON
        loss, correct = self._newton() if newton else self._pass()
        if not np.isfinite(loss):
            raise diverged(f"the loss is {loss} in epoch {self.epochs + 1} of {settings.epochs}", settings)
        self.epochs += 1
        seen = {"loss": loss, "train_accuracy": correct, "lr": self.rate}
        if self.average is not None and settings.average == "swa" and self._is_cycle_end():
            self.average.add()
        if self.val is not None:
            moving = self.average is not None and settings.average == "ema"
            with self.average.shown() if self.average is not None and moving else nullcontext():
                seen["val_loss"], seen["val_accuracy"] = evaluate(self.module, self.val, self.plain_sum)
                if self.stopper is not None:
                    self.ended = self.stopper.look(seen["val_accuracy"], self.module)
            self.schedule.end_epoch(seen["val_accuracy"])
        for name, value in seen.items():
            self.history[name].append(value)
        spent = self.earlier + time.monotonic() - self.started
        if self.ctx.budget is not None:
            if self.epochs == PLANNED_AFTER and not self.halts:
                each = max(time.monotonic() - began, SHORTEST)
                self.plan_for(int((self.ctx.budget - spent) / each) + self.epochs)
            self.out_of_time = spent * (1 + 1 / self.epochs) > self.ctx.budget
        if self.ctx.checkpoints is not None and self._is_time_to_save():
            begin = time.monotonic()
            save_training(self, self.ctx.checkpoints)
            self.saved = time.monotonic()
            self.saving = self.saved - begin

    def plan_for(self, epochs: int) -> None:
        """Have the schedule end after so many epochs, where that is fewer than were asked for."""
        if epochs < self.last:
            state = self.schedule.state()
            self.last = max(epochs, self.epochs)
            self.settings = replace(self.settings, epochs=self.last)
            self.schedule = Schedule(self.settings, self.schedule.steps_an_epoch)
            self.schedule.restore(state)

    @property
    def cut_short(self) -> bool:
        """Whether the budget alone ended it."""
        planned = self.last < self.asked.epochs and not self.halts
        return (planned or (self.out_of_time and self.epochs < self.last)) and not self.ended

    def _is_time_to_save(self) -> bool:
        """Say whether a checkpoint is due: always after the last epoch, else when writing takes little of the time."""
        over = self.epochs >= self.last or self.ended or self.out_of_time
        return over or time.monotonic() - self.saved >= self.saving / SAVING_SHARE

    def finish(self) -> None:
        """Leave in the network the weights that were asked for: the last, the best, or a mean. They must be finite."""
        import torch

        if self.stopper is not None:
            self.stopper.put_back(self.module)
        elif self.average is not None:
            self.average.put_in()
            if self.settings.average == "swa":
                order = self._fresh_order()  # as stored, a batch may be of one class and vary less than all images do
                chosen = [order[block] for block in self.blocks]
                estimate_norms(self.module, (scaled(images) for images, _ in self.examples.batches(chosen)))
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.module.parameters()):
            raise diverged(
                f"the weights are not finite after epoch {self.epochs} of {self.settings.epochs}", self.settings
            )

    def _pass(self) -> tuple[float, float]:
        """Make one pass in a fresh order; return the mean loss and the accuracy on the way."""
        import torch

        order = self._fresh_order()
        losses, answers = [], []  # added up at the end: nothing waits for them, and a step makes fewer calls
        self.module.train()
        for inputs, labels in self._batches([order[block] for block in self.blocks]):
            if self.changes:
                inputs = augment(inputs, self.settings, self.generator)  # noqa: PLW2901 - the batch as it is shown
            logits, loss = self._gradient(inputs, labels)
            if not self.full_batch:
                self._update()
            losses.append(loss)
            answers.append(logits.argmax(1))
        if self.full_batch:
            self._update()
        sizes = torch.tensor([block.stop - block.start for block in self.blocks], dtype=torch.float64)
        total = float(torch.stack(losses).double().cpu() @ sizes)
        return total / len(order), int((torch.cat(answers) == self.examples.labels[order]).sum()) / len(order)

    def _batches(self, chosen: Sequence[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images, float32 in [0, 1], and labels at each choice of indices."""
        if self.inputs is not None:
            yield from ((self.inputs[choice], self.examples.labels[choice]) for choice in chosen)
        else:
            yield from ((scaled(images), labels) for images, labels in self.examples.batches(chosen))

    def _fresh_order(self) -> torch.Tensor:
        """Return the indices of all images, shuffled."""
        import torch

        return torch.randperm(len(self.examples), generator=self.generator).to(self.examples.labels.device)

    def _gradient(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a batch's gradient to what the parameters have; return its logits and its loss."""
        settings = self.settings
        with self.cast:
            outputs = self.module(inputs)
        logits, *auxiliary = (one.float() for one in (outputs if isinstance(outputs, tuple) else (outputs,)))
        loss = self.loss(logits, labels)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * self.plain_loss(other, labels)
        if self.teacher is not None:
            loss = self.teacher.loss(inputs, logits, loss)
        self.rate = settings.lr * self.schedule.factor(self.step)
        scale = self.rule.scale(self.rate)
        if self.full_batch:
            scale *= len(labels) / len(self.examples)  # the mean over all, not the sum (E4)
        loss.backward(None if scale == 1.0 else loss.new_tensor(scale))  # type: ignore[no-untyped-call]
        return logits.detach(), loss.detach()

    def _update(self) -> None:
        """Make one step with the gradient that has been gathered."""
        self.rule.step(self.rate, self.schedule.momentum(self.step))
        self.step += 1
        if self.average is not None and self.settings.average == "ema":
            self.average.move(self.settings.ema_decay)

    def _newton(self) -> tuple[float, float]:
        """Make one step on all images; return the mean loss and the accuracy before it."""
        self.module.eval()
        step = newton_step(self.module, self._stored_order, len(self.examples), self.settings)
        self.rate, self.ended = step.rate, step.ended
        return step.loss, step.accuracy

    def _stored_order(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the images in blocks as they are stored, float32 in [0, 1], with their labels."""
        yield from ((scaled(images), labels) for images, labels in self.examples.batches(self.blocks))

    def _is_cycle_end(self) -> bool:
        """Say whether SWA takes the weights now: at the ends of `cyclic`'s cycles, else after each epoch."""
        begun = self.epochs > self.settings.swa_start * self.settings.epochs or self.epochs == self.settings.epochs
        return begun and (self.settings.base_schedule != "cyclic" or self.epochs in self.schedule.ends)
