"""What the stages of a run find out, a frozen result each, and all of it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Notice
from mlcvbench.measure import TimingResult
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import Entries
from mlcvbench.records.schema import (
    PREDICTIONS,
    CheckInfo,
    DatasetInfo,
    EnvironmentInfo,
    ErrorInfo,
    FitInfo,
    LayersInfo,
    MemoryInfo,
    Metric,
    ModelInfo,
    OperationsInfo,
    ParametersInfo,
    PlotInfo,
    Status,
    WeightsInfo,
)

if TYPE_CHECKING:
    from mlcvbench.running.selection import Selected

UNKNOWN_FINGERPRINT = "0" * 64


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose record it is. `isolated`: whether it runs in a process of its own, which has a log.

    `model` describes one that no plugin provides: a live one, or one of which only predictions are known. `command`:
    how that was asked for, where it was not by `mlcvbench run`.
    """

    config: RunConfig
    entries: Entries
    isolated: bool = True
    model: ModelInfo | None = None
    command: str = ""

    @property
    def shown(self) -> bool:
        """Whether a model is here that sees the test split; else only its predictions are known."""
        return self.model is None or self.model.plugin != PREDICTIONS


@dataclass(frozen=True, slots=True)
class Begun:
    """What the first stage found: the data, the metric that ranks, the machine, and what files held by then."""

    dataset: DatasetInfo
    primary_metric: str
    environment: EnvironmentInfo
    env_class: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What was fitted, at what cost, and how large it is."""

    info: FitInfo
    weights: WeightsInfo
    parameters: ParametersInfo


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics, and how their intervals were made once replicates are drawn."""

    metrics: Mapping[str, Metric]
    intervals: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """What the cost passes found so far; what they could not measure is null with the reason."""

    operations: OperationsInfo = field(default_factory=OperationsInfo)
    layers: LayersInfo | None = None
    memory: MemoryInfo = field(default_factory=MemoryInfo)
    timing: TimingResult | None = None
    checks: Mapping[str, CheckInfo] = field(default_factory=dict)


@dataclass(slots=True)
class Results:
    """What is known of a run by now, a field per stage; those that it has not come to are empty."""

    status: Status = "ok"
    begun: Begun | None = None
    fingerprint: str = UNKNOWN_FINGERPRINT
    selected: Selected | None = None
    fit: FitResult | None = None
    predictions: str = ""
    scores: Scores | None = None
    costs: Costs = field(default_factory=Costs)
    plots: tuple[PlotInfo, ...] = ()
    error: ErrorInfo | None = None
    notices: dict[Notice, None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
