"""Snapshot ensembles: one training with warm restarts; the outputs of its weights at the last m cycle ends are
averaged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.contract.torch_model import WEIGHTS_FILE
from mlcvbench.errors import RequestError
from mlcvbench.registry.inner import inner_fit, parse_inner
from mlcvbench.specs import Chosen
from mlcvbench_ensembles.bases import check_network
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.schedules import cycle_ends

if TYPE_CHECKING:
    from torch import nn


class SnapshotEnsemble(TorchModel):
    """The base is fitted up to a cycle's end, saved, and resumed from the loop's checkpoint."""

    def __init__(self, problem: Problem, base: str = "small_cnn", members: int = 5) -> None:
        super().__init__(problem, base=base, members=members)
        self.base, self.members = base, members

    def build(self) -> nn.Module:
        from mlcvbench_ensembles.committee import Committee, network_model

        return Committee(network_model(self.base, self.problem, self.device).build() for _ in range(self.members))

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        settings = inner_fit(self.base, self.problem.kind, ctx.settings)
        ends = _ends(settings, self.members)
        if ctx.checkpoints is not None:
            return self._fit(train, val, ctx, settings, ends, ctx.checkpoints)
        with tempfile.TemporaryDirectory(prefix="mlcvbench-") as folder:
            return self._fit(train, val, ctx, settings, ends, Path(folder))

    def _fit(
        self,
        train: Split,
        val: Split | None,
        ctx: FitContext,
        settings: dict[str, Any],
        ends: list[int],
        folder: Path,
    ) -> FitReport:
        from mlcvbench_ensembles.committee import Committee, network_model

        networks: list[nn.Module] = []
        first = last = FitReport()
        begun = 0
        for end in ends:
            model = network_model(self.base, self.problem, self.device)
            stored = folder / f"cycle-{end}"
            if stored.is_dir():
                model.load(stored)
                networks.append(model.module)
                begun = end
                continue
            given = {field.name: getattr(ctx, field.name) for field in fields(FitContext)}
            given |= {"settings": settings, "checkpoints": folder}
            last = model.fit(train, val, GuidedContext(**given, until=end)) or FitReport()
            first = last if first.epochs is None else first
            if last.epochs != end and not last.cut_short:
                name = self.base.partition(",")[0]
                raise RequestError(f"model {name!r} is not trained by the shared loop, so it leaves no snapshots.")
            if last.epochs != begun:
                networks.append(model.module)
            if last.cut_short:
                break
            begun = end
            if end != ends[-1]:
                _keep(model, stored)
        self.module = Committee(networks).eval()
        return FitReport(last.epochs, last.history, first.earlier_seconds, last.cut_short, last.notices)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote: a training that was cut short has left fewer snapshots than `members`."""
        from mlcvbench_ensembles.committee import Committee, network_model

        names = self.read_state(folder / WEIGHTS_FILE if folder.is_dir() else folder)
        count = len({name.split(".")[1] for name in names if name.startswith("members.")})
        model = network_model(self.base, self.problem, self.device)
        self.module = Committee(model.build() for _ in range(count or self.members))
        super().load(folder)


def check_snapshots(chosen: Chosen) -> None:
    """Refuse a base that the shared loop does not train, and fewer cycles than members: RequestError."""
    text, kind = chosen.params["base"], chosen.kind
    base = parse_inner(text, kind)
    check_network(text, kind)
    if any(param.type == "model" for param in base.spec.params):
        raise RequestError(f"model {base.spec.name!r} is built from others, so its training has no cycles to stop at.")
    if "schedule" not in {param.name for param in base.spec.fit}:
        raise RequestError(f"model {base.spec.name!r} is not trained by the shared loop, so it leaves no snapshots.")
    _ends(inner_fit(text, kind, chosen.fit), chosen.params["members"])


def _keep(model: TorchModel, stored: Path) -> None:
    """Save a snapshot atomically."""
    pending = stored.with_name("pending")
    pending.mkdir(exist_ok=True)
    model.save(pending)
    pending.rename(stored)


def _ends(settings: Mapping[str, Any], members: int) -> list[int]:
    """Return after how many epochs each of the last `members` cycles ends; RequestError when there are too few."""
    ends = cycle_ends(settings["epochs"], settings["cycles"])
    if len(ends) < members:
        raise RequestError(
            f"snapshot_ensemble: {len(ends)} cycles in {settings['epochs']} epochs give no {members} members; "
            "set fewer model.members, or more fit.cycles and fit.epochs."
        )
    return ends[-members:]
