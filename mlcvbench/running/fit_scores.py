"""Scoring inside a fit (`ctx.score`): by the run's protocol, of what the accuracy pass would predict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from mlcvbench.contract import LoadedData, MetricSpec, Model, Split, TorchModel
from mlcvbench.loading.holdout import scorable_as_test
from mlcvbench.loading.resolved import Resolved
from mlcvbench.running.predicting import predict
from mlcvbench.running.scoring import score

BATCH_SIZE = 64
"""The run's own is not part of the key of a fit, so it must not decide what is fitted."""


class FitScores:
    """Scores models on splits of the data that they are fitted on, as test is scored."""

    def __init__(self, resolved: Resolved, data: LoadedData) -> None:
        self._resolved, self._data = resolved, data
        self._scorer = resolved.task.scorer(resolved.config.definition.protocol, data.problem)
        self._scorable: dict[int, tuple[Split, Split]] = {}

    @property
    def metrics(self) -> dict[str, MetricSpec]:
        """The metrics of the protocol by name, the primary one first."""
        return {metric.name: metric for metric in self._scorer.metrics}

    def __call__(self, model: Model, split: Split) -> dict[str, float]:
        """Return the metrics that are defined, for what a model predicts for a split now; DataError when the split
        lacks targets that test has.
        """
        wanted = self._with_targets(split)
        size = wanted.batch_size(BATCH_SIZE, takes_lists=self._resolved.spec.ragged)
        with _modes_restored(model):
            predictions = predict(model, wanted, self._resolved.task, self._data.problem, size)
        values = score(self._scorer, predictions, wanted, with_rows=False).values
        return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}

    def _with_targets(self, split: Split) -> Split:
        """Return a split with all that the protocol compares with, such as pairs, which are drawn once."""
        if id(split) not in self._scorable:
            self._scorable[id(split)] = (split, scorable_as_test(self._data, self._resolved, split)[0])
        return self._scorable[id(split)][1]


@contextmanager
def _modes_restored(model: Model) -> Iterator[None]:
    """Leave each module of a network in training or evaluation as it was; predicting puts all into evaluation."""
    modules = list(model.module.modules()) if isinstance(model, TorchModel) else []
    modes = [module.training for module in modules]
    try:
        yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
