"""The fits of a study and their scores on the training and the validation samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mlcvbench.analysis.studies.planning import Job
from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.contract.split import SubSplit
from mlcvbench.loading.data import load_data, refuse_ragged
from mlcvbench.loading.holdout import Validation, validation_of
from mlcvbench.loading.resolved import Resolved, resolve
from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.progress import Progress
from mlcvbench.running.fitting import obtain_model
from mlcvbench.running.selection import TrialSetup, reason


@dataclass(frozen=True, slots=True)
class Point:
    """The outcome of one fit: the primary metric on its training samples and on the validation samples, or the failure.

    `low`, `high`: the 95 % interval of `validation`.
    """

    place: int
    train: float | None = None
    validation: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Axis:
    """What is measured: the metric, and a description of the validation samples."""

    metric: str
    unit: str
    higher_is_better: bool
    validation: str
    n: int


class Resampled(SubSplit):
    """Samples drawn with replacement; repeats of a sample get their own ids, since ids are unique."""

    def __init__(self, parent: Split, indices: Array, name: str) -> None:
        super().__init__(parent, indices, name)
        seen: dict[int, int] = {}
        ids = []
        for index, own in zip(indices.tolist(), self.ids.tolist(), strict=True):
            seen[index] = seen.get(index, 0) + 1
            ids.append(f"{own}#{seen[index]}")
        self.ids = np.array(ids)

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        batch, targets = super().read(index)
        return replace(batch, ids=self.ids[index if isinstance(index, slice) else np.asarray(index, np.int64)]), targets


def bootstrap(split: Split, seed: int) -> Split:
    """Return a bootstrap sample of a split: as many groups as it has, drawn with replacement and as a whole."""
    _, groups = np.unique(split.groups, return_inverse=True)
    count = int(groups.max()) + 1
    drawn = np.random.default_rng([seed, count]).integers(0, count, count)
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(count + 1))
    indices = np.concatenate([order[starts[group] : starts[group + 1]] for group in drawn])
    return Resampled(split, indices, f"{split.name}/bootstrap-{seed}")


class Fits:
    """Carries out jobs one after the other; data are loaded once for all jobs that share them."""

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._loaded: dict[str, Validation] = {}

    def axis(self, config: RunConfig) -> Axis:
        """Return what is measured; DataError when the data have nothing to validate on."""
        resolved = resolve(config)
        found = self._validation(resolved)
        metric = resolved.task.scorer(config.definition.protocol, found.data.problem).primary()
        return Axis(metric.name, metric.unit, metric.higher_is_better, found.described, len(found.split))

    def point(self, job: Job, report: Progress) -> Point:
        """Fit and score one job; any failure becomes its message."""
        try:
            return self._measure(job, report)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the study goes on with the other fits
            return Point(job.place, message=reason(error))

    def _measure(self, job: Job, report: Progress) -> Point:
        config, resolved = job.config, resolve(job.config)
        found, task = self._validation(resolved), resolved.task
        refuse_ragged(found.data, resolved)
        data = found.for_fit(config, resolved.spec)
        if job.sample is not None:
            data = replace(data, splits={**data.splits, "train": bootstrap(data.splits["train"], job.sample)})
        scorer = task.scorer(config.definition.protocol, data.problem)
        subject = TrialSetup(resolved, data, scorer, scorer.primary())
        fitted = obtain_model(resolved, data, report, None)
        learned, _ = task.scorable(data.splits["train"], config.definition.protocol, config.data_seed)
        train = subject.value(fitted, learned, report)
        validation, (low, high) = subject.value_and_interval(fitted, found.split, report)
        return Point(job.place, train, validation, low, high, fitted.info.seconds)

    def _validation(self, resolved: Resolved) -> Validation:
        config = resolved.config
        key = json.dumps([config.definition.dataset, config.data_params, config.data_seed], sort_keys=True)
        if key not in self._loaded:
            self._loaded = {key: validation_of(load_data(resolved), resolved, self._share, "share")}
        return self._loaded[key]
