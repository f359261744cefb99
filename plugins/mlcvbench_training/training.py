"""The engine: how anything learns by gradient. Settings as data, randomness from one seed, no word of any task.

An objective picks the samples of a step and gives their loss; the engine descends it. Between epochs the whole state
goes to the context's checkpoint folder, from which an interrupted training goes on: after each epoch, or after several
where they are so short that writing would take a hundredth of the time. The last epoch is no exception: who trains
stores the weights next, and so short a time is sooner trained again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlcvbench.contract import FitContext, FitReport
from mlcvbench.errors import RequestError
from mlcvbench_training.averaging import Average, estimate_norms
from mlcvbench_training.checkpoint import read_checkpoint, write_checkpoint
from mlcvbench_training.frozen import backbone_of, frozen_norms
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.optimization import Rule
from mlcvbench_training.precision import about_auto, chosen_precision, in_precision
from mlcvbench_training.refusals import check_training, diverged
from mlcvbench_training.schedules import Schedule
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import OPTIMIZERS
from mlcvbench_training.stopping import Stopper

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.objective import Objective
    from mlcvbench_training.settings import Settings

SAVING_SHARE = 0.01
"""Most of a training's time that goes into checkpoints, for an epoch may take milliseconds."""
FIRST_SAVING = 0.003
SAVING_A_BYTE = 6e-9
"""Seconds that the first checkpoint is taken to cost, and for each byte of the weights, which may have two moments."""
SHORTEST = 1e-9
"""Seconds that an epoch is taken to last at least; a coarse clock may say none."""
PLANNED_AFTER = 2
"""Epochs after which a budget decides how many there will be: the first one holds what happens only once."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at on validation data: `numbers` of the network, after every so many epochs and after the last.

    `score` names the one of them that early stopping and the schedule `plateau` go by.
    """

    numbers: Callable[[nn.Module], Mapping[str, float]]
    score: str
    higher_is_better: bool = True
    every: int = 1


def train(
    module: nn.Module, objective: Objective, settings: Settings, ctx: FitContext, *, watch: Watch | None = None
) -> FitReport:
    """Train `module` in place and leave it in eval mode.

    The report's history has one entry an epoch: the loss and the objective's other numbers (means over the epoch's
    samples, on the way), lr (at the epoch's end) and the watched numbers, with gaps where they were not looked at.
    Where `ctx.budget` seconds are too few for all epochs, the second one tells how many there is time for, and the
    schedule ends with the last of those; the training stops earlier still when another epoch would exceed the budget.
    Equal seed, data, threads and machine give equal weights, interrupted or not, unless a budget cut them.

    DivergedError when the loss or the weights are not finite; RequestError when the settings cannot be carried out on
    this network.
    """
    return Training(module, objective, settings, ctx, watch).run()


class Training:
    """A training between two epochs: everything that the next one depends on.

    `RULES`: the values of `settings.optimizer` whose epochs `one_pass` makes.
    """

    RULES: ClassVar[tuple[str, ...]] = OPTIMIZERS

    def __init__(
        self, module: nn.Module, objective: Objective, settings: Settings, ctx: FitContext, watch: Watch | None = None
    ) -> None:
        import torch
        from torch import nn

        self.module, self.objective, self.settings, self.ctx, self.watch = module, objective, settings, ctx, watch
        if settings.optimizer not in self.RULES:
            raise RequestError(f"fit.optimizer={settings.optimizer}: wanted one of {', '.join(self.RULES)}.")
        check_training(module, settings, validated=watch is not None)
        extra = objective.extra()
        self.trained = module if extra is None else nn.ModuleList([module, extra])
        self.frozen = frozen_norms(self.trained)
        self.precision = chosen_precision(settings.precision, objective.device)
        self.network = in_precision(module, self.precision, objective.device)
        self.generator = torch.Generator().manual_seed(ctx.seed)
        self.full_batch = settings.optimizer == "gd"
        self.size = 1 if settings.optimizer == "online_gd" else settings.batch
        backbone = backbone_of(module)
        if settings.backbone_lr != 1 and (backbone is None or not _learns(backbone)):
            why = "this network has no backbone" if backbone is None else "all of the backbone is frozen"
            raise RequestError(f"fit.backbone_lr={settings.backbone_lr:g}: {why}.")
        self.rule = Rule(self.trained, settings, backbone)
        self.schedule = Schedule(settings, 1 if self.full_batch else objective.steps(self.size))
        self.average = None if settings.average == "none" else Average(module)
        self.stopper = Stopper(settings) if settings.early_stopping else None
        until = ctx.until if isinstance(ctx, GuidedContext) else None
        self.asked, self.halts = settings, until is not None
        self.last = settings.epochs if until is None else until
        self.epochs, self.step, self.rate, self.ended, self.out_of_time = 0, 0, 0.0, False, False
        self.history: dict[str, list[float | None]] = {}
        self.earlier, self.started = 0.0, time.monotonic()
        weight = sum(tensor.nbytes for tensor in self.trained.state_dict().values())
        self.saved, self.saving = self.started, FIRST_SAVING + SAVING_A_BYTE * weight

    def run(self) -> FitReport:
        """Go on from the context's checkpoint, if there is one, to the end; leave the wanted weights in the network."""
        with seeded(self.ctx.seed, self.objective.device):
            if self.ctx.checkpoints is not None:
                found = read_checkpoint(self.ctx.checkpoints)
                if found is not None and found[1].get("identity") == self._identity():
                    self.restore(*found)
            while not self._is_over():
                self.next_epoch()
                self.ctx.progress(self.epochs, self.last)
                self.ctx.report(self.epochs, **{name: column[-1] for name, column in self.history.items()})
            self.finish()
        self.module.eval()
        notices = (about_auto(self.precision),) if self.asked.precision == "auto" else ()
        return FitReport(self.epochs, self.history, self.earlier, self.cut_short, notices)

    def next_epoch(self) -> None:
        """Train for one epoch, look at the validation data and leave a checkpoint."""
        settings, began = self.settings, time.monotonic()
        seen = self.one_pass()
        if not np.isfinite(seen["loss"]):
            raise diverged(f"the loss is {seen['loss']} in epoch {self.epochs + 1} of {settings.epochs}", settings)
        self.epochs += 1
        seen["lr"] = self.rate
        if self.average is not None and settings.average == "swa" and self._is_cycle_end():
            self.average.add()
        looks = self.watch is not None and (self.epochs % self.watch.every == 0 or self.epochs == self.last)
        if self.watch is not None and looks:
            seen |= self._look(self.watch)
        spent = self.earlier + time.monotonic() - self.started
        if self.ctx.budget is not None:
            if self.epochs == PLANNED_AFTER and not self.halts:
                each = max(time.monotonic() - began, SHORTEST)
                self.plan_for(int((self.ctx.budget - spent) / each) + self.epochs)
            self.out_of_time = spent * (1 + 1 / self.epochs) > self.ctx.budget
        if self.watch is not None and not looks and self._is_over():  # the budget made this epoch the last
            seen |= self._look(self.watch)
        self._note(seen)
        if self.ctx.checkpoints is not None and self._is_time_to_save():
            begin = time.monotonic()
            write_checkpoint(self.ctx.checkpoints, *self.state())
            self.saved = time.monotonic()
            self.saving = self.saved - begin

    def one_pass(self) -> dict[str, float]:
        """Make one pass in a fresh order; return the means of what the objective told on the way."""
        import torch

        chosen = self.objective.batches(self.size, self.generator)
        total = sum(len(indices) for indices in chosen)
        told: dict[str, list[torch.Tensor]] = {}  # added up at the end: nothing waits for them, a step calls less
        self.trained.train()
        for norm in self.frozen:
            norm.eval()
        for indices, batch in zip(chosen, self.objective.read(chosen), strict=True):
            parts = self.objective.loss(self.network, batch, self.generator)
            self.rate = self.settings.lr * self.schedule.factor(self.step)
            scale = self.rule.scale(self.rate)
            if self.full_batch:
                scale *= len(indices) / total  # the mean over all, not the sum (E4)
            loss = parts["loss"]
            loss.backward(None if scale == 1.0 else loss.new_tensor(scale))  # type: ignore[no-untyped-call]
            if not self.full_batch:
                self._update()
            for name, value in parts.items():
                told.setdefault(name, []).append(value.detach())
        if self.full_batch:
            self._update()
        sizes = torch.tensor([len(indices) for indices in chosen], dtype=torch.float64)
        return {name: _mean(values, sizes, total) for name, values in told.items()}

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

    def finish(self) -> None:
        """Leave in the network the weights that were asked for: the last, the best, or a mean. They must be finite."""
        import torch

        if self.stopper is not None:
            self.stopper.put_back(self.module)
        elif self.average is not None:
            self.average.put_in()
            if self.settings.average == "swa":
                # in a fresh order: as stored, a batch may be of one class and vary less than all samples do
                chosen = self.objective.batches(self.size, self.generator)
                estimate_norms(self.module, self.objective.show, self.objective.read(chosen))
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.trained.parameters()):
            raise diverged(
                f"the weights are not finite after epoch {self.epochs} of {self.settings.epochs}", self.settings
            )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return everything that the next epoch depends on, as tensors by name and as plain facts."""
        import torch

        device = self.objective.device
        tensors = {
            **{f"trained/{name}": value for name, value in self.trained.state_dict().items()},
            **{f"rule/{name}": value for name, value in self.rule.state().items()},
            "random/order": self.generator.get_state(),
            "random/cpu": torch.get_rng_state(),
        }
        if device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(device)
        if self.average is not None:
            tensors |= {f"average/{index}": weight for index, weight in enumerate(self.average.weights)}
        if self.stopper is not None:
            tensors |= {f"best/{name}": value for name, value in self.stopper.best.items()}
        return tensors, {
            "identity": self._identity(),
            "epochs": self.epochs,
            "last": self.last,
            "step": self.step,
            "ended": self.ended,
            "out_of_time": self.out_of_time,
            "seconds": self.earlier + time.monotonic() - self.started,
            "history": self.history,
            "schedule": self.schedule.state(),
            "averaged": self.average.count if self.average is not None else 0,
            "stopper": self.stopper.state() if self.stopper is not None else None,
        }

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        import torch

        parts: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = tensor
        self.trained.load_state_dict(parts["trained"])
        self.rule.restore(parts.get("rule", {}))
        self.generator.set_state(parts["random"]["order"])
        torch.set_rng_state(parts["random"]["cpu"])
        if "cuda" in parts["random"]:
            torch.cuda.set_rng_state(parts["random"]["cuda"], self.objective.device)
        if self.average is not None:
            for index, weight in enumerate(self.average.weights):
                weight.copy_(parts["average"][str(index)])
            self.average.count = facts["averaged"]
        if self.stopper is not None:
            self.stopper.restore(facts["stopper"], parts.get("best", {}))
        self.epochs, self.step = facts["epochs"], facts["step"]
        if not self.halts:
            self.plan_for(facts["last"])
        self.schedule.restore(facts["schedule"])
        self.ended, self.out_of_time = facts["ended"], facts["out_of_time"]
        self.history, self.earlier = facts["history"], facts["seconds"]

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a training to go on from a checkpoint, as JSON gives it back."""
        settings = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.asked).items()}
        return {
            "settings": settings,
            "precision": self.precision,
            "seed": self.ctx.seed,
            "objective": type(self.objective).__name__,
            "samples": len(self.objective),
            "watched": self.watch.score if self.watch is not None else None,
            "shapes": [list(tensor.shape) for tensor in self.trained.state_dict().values()],
        }

    def _update(self) -> None:
        """Make one step with the gradient that has been gathered."""
        self.rule.step(self.rate, self.schedule.momentum(self.step))
        self.step += 1
        if self.average is not None and self.settings.average == "ema":
            self.average.move(self.settings.ema_decay)

    def _look(self, watch: Watch) -> dict[str, float]:
        """Return what is watched, of the moving mean where that will be kept; tell those that go by it."""
        moving = self.average is not None and self.settings.average == "ema"
        with self.average.shown() if self.average is not None and moving else nullcontext():
            numbers = dict(watch.numbers(self.module))
            value = numbers[watch.score]
            score = -math.inf if math.isnan(value) else value if watch.higher_is_better else -value
            if self.stopper is not None:
                self.ended = self.stopper.look(score, self.module)
        self.schedule.end_epoch(score)
        return numbers

    def _note(self, seen: Mapping[str, float]) -> None:
        """Add an epoch to the history; a column that begins late or skips an epoch has a gap there."""
        for name in seen:
            self.history.setdefault(name, [None] * (self.epochs - 1))
        for name, column in self.history.items():
            column.append(seen.get(name))

    def _is_over(self) -> bool:
        return self.epochs >= self.last or self.ended or self.out_of_time

    def _is_time_to_save(self) -> bool:
        """Say whether a checkpoint is due: always at a halt, from which to go on, else where it takes little time."""
        halted = self.halts and self._is_over()
        return halted or time.monotonic() - self.saved >= self.saving / SAVING_SHARE

    def _is_cycle_end(self) -> bool:
        """Say whether SWA takes the weights now: at the ends of `cyclic`'s cycles, else after each epoch."""
        begun = self.epochs > self.settings.swa_start * self.settings.epochs or self.epochs == self.settings.epochs
        return begun and (self.settings.base_schedule != "cyclic" or self.epochs in self.schedule.ends)


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _mean(values: list[torch.Tensor], sizes: torch.Tensor, total: int) -> float:
    """Return the mean over samples of what each batch told: one number, or one number a sample."""
    import torch

    if values[0].ndim:
        return float(torch.cat(values).double().sum()) / total
    return float(torch.stack(values).double().cpu() @ sizes) / total
