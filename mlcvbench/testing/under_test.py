"""A model under test: built, fitted on small data and made to predict, as in a run."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Batch,
    Device,
    FitContext,
    FitReport,
    LoadedData,
    Model,
    Predictions,
    Problem,
    Split,
    Task,
    fingerprint_columns,
)
from mlcvbench.contract.history import stored_history
from mlcvbench.errors import CheckFailedError
from mlcvbench.loading.data import fit_data
from mlcvbench.loading.models import told
from mlcvbench.registry import Registry
from mlcvbench.specs import ModelSpec, load_target
from mlcvbench.specs.values import complete
from mlcvbench.testing.toy import installed_data, toy_data


@dataclass(frozen=True, slots=True)
class Given:
    """The caller's choices: `model.*` and `fit.*` settings, and data instead of the kit's own."""

    params: dict[str, Any]
    fit: dict[str, Any]
    data: LoadedData | None


class UnderTest:
    """One model under test, with its data and, once a check has fitted it, the model itself.

    `toys`: further data by name, on each of which it has to work or to say why not.
    """

    def __init__(self, spec: ModelSpec, kind: str, given: Given, registry: Registry) -> None:
        self.spec, self.kind, self.registry = spec, kind, registry
        self.params, self.fit_settings = given.params, given.fit
        toys = {} if given.data is not None else toy_data(kind, spec.needs, registry=registry)
        plain = next(iter(toys), None)
        self.toys = {name: data for name, data in toys.items() if name != plain}
        self.data = given.data or toys.get(plain or "") or installed_data(kind, spec.needs, registry)
        self.model: Model | None = None
        self.contract_broken = False

    @property
    def test(self) -> Split:
        """The split that it predicts."""
        assert self.data is not None
        return self.data.splits["test"]

    @property
    def task(self) -> Task:
        """The task that checks its predictions."""
        task: Task = load_target(self.registry.task(self.kind).spec.target)()
        return task

    @property
    def fitted(self) -> Model:
        """The model that a check fitted."""
        assert self.model is not None
        return self.model

    def build(self, problem: Problem) -> Model:
        """Return the model for a problem, on the CPU; CheckFailedError when its target returns something else."""
        settings = complete(self.spec.params, self.params)
        made: object = load_target(self.spec.target)(problem, **told(self.spec), **settings)
        if not isinstance(made, Model):
            raise CheckFailedError(f"{self.spec.target} must return an mlcvbench.Model, got {type(made).__name__}.")
        made.to(Device())
        return made

    def fit(self, data: LoadedData) -> Model:
        """Return the model fitted on `data` with seed 0, for two epochs at most unless they were given."""
        model = self.build(data.problem)
        settings = complete(self.spec.fit, self.fit_settings)
        parts = fit_data(data, self.spec, settings)
        if type(model).fit is Model.fit:
            return model
        if parts.train is None:
            raise CheckFailedError(f"data set {data.name!r} has no training split to fit on.")
        if "epochs" not in self.fit_settings and isinstance(settings.get("epochs"), int):
            settings["epochs"] = min(settings["epochs"], 2)
        report: object = model.fit(parts.train, parts.val, FitContext(seed=0, device=Device(), settings=settings))
        if report is not None and not isinstance(report, FitReport):
            raise CheckFailedError(f"fit() must return a FitReport or None, got {type(report).__name__}.")
        if report is not None and (why := stored_history(report.history)[1]):
            raise CheckFailedError(f"the history of the fit cannot be kept: {why}.")
        return model

    def batch(self, *, reverse: bool = False) -> Batch:
        """Return all test samples as one batch."""
        index = np.arange(len(self.test))
        batch, _ = self.test.read(index[::-1] if reverse else index)
        return batch

    def predict_all(self, model: Model) -> Predictions:
        """Return checked predictions for all test samples at once."""
        batch = self.batch()
        return self.task.check(model.predict(batch), batch.ids, model.problem)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, if it is loaded, compute with one thread: on toy data several would mostly wait for one another."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def digest(split: Split | None) -> str:
    """Return the fingerprint of a split's current content, bypassing any cached one."""
    if split is None:
        return ""
    batch, targets = split.read(np.arange(len(split)))
    return fingerprint_columns(batch.ids, batch.inputs, targets)


def disturb_global_randomness(seed: int) -> None:
    """Seed the global generators differently, so that a fit that draws from them is detected."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is under test
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
