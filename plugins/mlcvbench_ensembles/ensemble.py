"""Ensembles: M networks of one kind from M seeds, p = mean of softmax(s_m). Everything costs M times as much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.registry.inner import inner_fit

if TYPE_CHECKING:
    from torch import nn


class Ensemble(TorchModel):
    """The first member is the network of the run's seed; the others' seeds are derived from it."""

    def __init__(self, problem: Problem, base: str = "small_cnn", members: int = 5) -> None:
        super().__init__(problem, base=base, members=members)
        self.base, self.members = base, members

    def build(self) -> nn.Module:
        from mlcvbench_ensembles.committee import Committee, network_model

        return Committee(network_model(self.base, self.problem, self.device).build() for _ in range(self.members))

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        from mlcvbench_ensembles.committee import Committee, network_model

        settings = inner_fit(self.base, self.problem.kind, ctx.settings)
        networks, reports = [], []
        for number in range(self.members):
            model = network_model(self.base, self.problem, self.device)
            own = replace(ctx, seed=member_seed(ctx.seed, number), settings=settings)
            report = model.fit(train, val, part_of(own, number, self.members)) or FitReport()
            networks.append(model.module)
            reports.append(report)
        self.module = Committee(networks).eval()
        return FitReport(
            epochs=sum(report.epochs or 0 for report in reports),
            history=mean_history(reports),
            earlier_seconds=sum(report.earlier_seconds for report in reports),
            cut_short=any(report.cut_short for report in reports),
            notices=tuple(dict.fromkeys(notice for report in reports for notice in report.notices)),
        )


def member_seed(seed: int, number: int) -> int:
    """Return the seed of a member: the run's own for the first, unlike any neighbouring run's for the others.

    >>> member_seed(7, 0), member_seed(7, 1) == member_seed(8, 1)
    (7, False)
    """
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def part_of(ctx: FitContext, number: int, count: int) -> FitContext:
    """Return the context of fit `number` of `count`: its share of the budget and of the progress, its own folder."""

    def progress(done: int, total: int) -> None:
        ctx.progress(number * total + done, count * total)

    folder = None
    if ctx.checkpoints is not None:
        folder = ctx.checkpoints / f"part-{number}"
        folder.mkdir(exist_ok=True)
    budget = None if ctx.budget is None else ctx.budget / count
    return replace(ctx, progress=progress, checkpoints=folder, budget=budget)


def mean_history(reports: list[FitReport]) -> dict[str, list[float]]:
    """Return the columns that all members have, averaged over them, as long as the shortest."""
    shared = [name for name in reports[0].history if all(name in report.history for report in reports)]
    columns = {name: zip(*(report.history[name] for report in reports), strict=False) for name in shared}
    return {name: [sum(values) / len(values) for values in rows] for name, rows in columns.items()}
