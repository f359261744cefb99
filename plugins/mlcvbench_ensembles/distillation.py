"""Distillation: L = w T^2 KL(softmax(t/T) || softmax(s/T)) + (1 - w) CE(s, y), with the fitted teacher's logits t."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.errors import RequestError
from mlcvbench.registry.inner import inner_fit
from mlcvbench.specs import Chosen
from mlcvbench_ensembles.bases import check_loop, check_network
from mlcvbench_ensembles.ensemble import member_seed, part_of
from mlcvbench_training.guidance import GuidedContext, Teacher

if TYPE_CHECKING:
    import torch
    from torch import nn


class Distill(TorchModel):
    """Fits the teacher with its own defaults, then the student; the student alone is kept, and its costs are measured.

    The teacher sees the same images as the student, with the same augmentation. Label smoothing makes worse teachers
    (Mueller, Kornblith and Hinton, 2019); theirs is off by default.
    """

    def __init__(
        self,
        problem: Problem,
        student: str = "small_cnn",
        teacher: str = "small_cnn,width=32",
        temperature: float = 4.0,
        weight: float = 0.9,
    ) -> None:
        super().__init__(problem, student=student, teacher=teacher, temperature=temperature, weight=weight)
        self.student, self.teacher = student, teacher
        self.temperature, self.weight = temperature, weight

    def build(self) -> nn.Module:
        from mlcvbench_ensembles.committee import network_model

        return network_model(self.student, self.problem, self.device).build()

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        from mlcvbench_ensembles.committee import network_model

        settings = inner_fit(self.student, self.problem.kind, ctx.settings)
        master = network_model(self.teacher, self.problem, self.device)
        own = replace(ctx, seed=member_seed(ctx.seed, 1), settings=inner_fit(self.teacher, self.problem.kind, {}))
        taught = master.fit(train, val, part_of(own, 0, 2)) or FitReport()
        teacher = Teacher(_silent(master.module.eval()), self.temperature, self.weight)
        pupil = network_model(self.student, self.problem, self.device)
        part = part_of(replace(ctx, settings=settings), 1, 2)
        given = {field.name: getattr(part, field.name) for field in fields(FitContext)}
        report = pupil.fit(train, val, GuidedContext(**given, teacher=teacher)) or FitReport()
        if not teacher.asked and report.earlier_seconds == 0:
            name = self.student.partition(",")[0]
            raise RequestError(f"model {name!r} is not trained by the shared loop, so it cannot learn from a teacher.")
        self.module = pupil.module
        return replace(
            report,
            earlier_seconds=report.earlier_seconds + taught.earlier_seconds,
            cut_short=report.cut_short or taught.cut_short,
            notices=tuple(dict.fromkeys((*taught.notices, *report.notices))),
        )


def check_distillation(chosen: Chosen) -> None:
    """Refuse a student or a teacher that is not a network, and a student that the shared loop does not train."""
    student, kind = chosen.params["student"], chosen.kind
    check_network(student, kind)
    check_network(chosen.params["teacher"], kind)
    check_loop(student, kind, chosen.fit, "cannot learn from a teacher")


def _silent(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the network as a function with gradients off in all it does."""
    import torch

    return torch.no_grad()(module)
