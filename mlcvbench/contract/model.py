"""Models: three stages from a batch to predictions, and a fit before them. Framework-neutral."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlcvbench.contract.batch import Batch, Predictions
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.problem import Problem
from mlcvbench.contract.scoring import MetricSpec
from mlcvbench.contract.split import Split
from mlcvbench.errors import names_fields


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model computes: `type` is `cpu` or `cuda`, `precision` `float32`, `float16` or `bfloat16` (autocast)."""

    type: str = "cpu"
    index: int = 0
    threads: int = 1
    precision: str = "float32"


def _no_progress(done: int, total: int) -> None:
    """Ignore progress; the default of a context outside a run."""


def _no_report(epoch: int, **numbers: float | None) -> None:
    """Ignore numbers of an epoch; the default of a context outside a run."""


def _no_score(*_: Model | Split) -> dict[str, float]:
    """Return no metric; the default of a context outside a run, which has no protocol."""
    return {}


@dataclass(frozen=True, slots=True)
class FitContext:
    """What fit gets besides data. All randomness must come from `seed`; nothing is written outside `checkpoints`.

    `settings`: the `fit.*` values, typed and completed with the spec's defaults. `budget`: seconds, None = no limit.
    `checkpoints`: a folder for this fit alone, from which an interrupted fit may resume; it is removed once fit
    returns. `memory`: bytes that the images of a split may take in memory, None = any; larger splits can be read batch
    by batch.

    `report(epoch, **numbers)`: what is known after an epoch, numbered from 1, such as `loss=0.3`. It is shown while the
    fit runs and is the history of the record unless the `FitReport` has one, also where the fit is ended or crashes. A
    gap is None or not finite; an epoch reported anew takes the place of itself and of all later ones.

    `score(model, split)`: every metric of the run's protocol that is defined for what `model`, fitted so far, predicts
    for a split with targets. `metrics` has what they are called, the primary one first, with their directions.
    """

    seed: int
    device: Device
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Path | None = None
    budget: float | None = None
    progress: Callable[[int, int], None] = _no_progress
    memory: int | None = None
    report: Callable[..., None] = _no_report
    score: Callable[[Model, Split], dict[str, float]] = _no_score
    metrics: Mapping[str, MetricSpec] = field(default_factory=dict)


@names_fields
@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit did: epochs run (None when it has none) and a history of columns of equal length, such as loss.

    A missing number of the history, None or not finite, is a gap. `earlier_seconds`: spent by interrupted processes,
    for a fit that resumed from a checkpoint. `cut_short`: `ctx.budget` ended it before its settings did, so that a
    faster machine would have fitted another model. `notices`: what a reader of the record must know of the fit, such as
    weights of a checkpoint that were left out.
    """

    epochs: int | None = None
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    earlier_seconds: float = 0.0
    cut_short: bool = False
    notices: tuple[Notice, ...] = ()


@names_fields
@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Learned numbers by kind, and the fitted size in bytes (weights, stored samples, code books, trees)."""

    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    bytes: int = 0


@names_fields
@dataclass(frozen=True, slots=True)
class Operations:
    """Operations of one sample. `macs` None with a `reason` when the method has none or they cannot be counted.

    `other_ops` counts operations other than multiply-adds, e.g. {"absolute_difference": 1_437_000}. `varies`: whether
    they depend on what the sample shows, as in a cascade; a run then counts those of some more samples.
    """

    macs: int | None
    other_ops: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None
    varies: bool = False


class Model(ABC):
    """A method. Predict runs in three stages, timed separately:

    `preprocess(batch)` ends with the inputs on the device; `forward(inputs)` goes from device to device;
    `postprocess(outputs, batch)` returns numpy predictions in the original image frame, including the copy to the host.
    A model must give the same predictions whatever the batch size, and never change the batch it is given.
    """

    def __init__(self, problem: Problem, **params: Any) -> None:
        self.problem = problem
        self.params = params
        self.device = Device()

    def to(self, device: Device) -> None:
        """Prepare to compute on `device`; called before fit, load and predict."""
        self.device = device

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport | None:
        """Learn from `train` (and choose on `val`); the default learns nothing."""
        return None

    def preprocess(self, batch: Batch) -> Any:
        """Return what `forward` needs, on the device; the default returns the batch's inputs unchanged."""
        return batch.inputs

    @abstractmethod
    def forward(self, inputs: Any) -> Any:
        """Compute outputs from inputs, on the device."""

    @abstractmethod
    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        """Return the task kind's prediction columns as numpy arrays, one entry per sample of `batch`."""

    def predict(self, batch: Batch) -> Predictions:
        """Run the three stages."""
        return self.postprocess(self.forward(self.preprocess(batch)), batch)

    def operations(self, inputs: Any) -> Operations | None:
        """Return analytic counts per sample for preprocessed `inputs`, or None to have `forward` traced."""
        return None

    def parameters(self) -> ParameterCounts:
        """Return the size of what was fitted."""
        return ParameterCounts()

    def save(self, folder: Path) -> None:
        """Write the fitted state into the empty `folder`: safetensors and JSON only."""

    def load(self, folder: Path) -> Sequence[Notice] | None:
        """Read back what `save` wrote; return what a reader must know of weights that were not fitted here."""
