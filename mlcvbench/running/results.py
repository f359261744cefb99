"""The results of the stages of a run, one frozen class each, and all of them together."""

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
    BreakdownInfo,
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
    """The subject of a record. `isolated`: whether it runs in its own process, with a log.

    `model` describes one that no plugin provides: a live one, or one of which only predictions are known. `command`:
    the command or call, where it was not `mlcvbench run`.
    """

    config: RunConfig
    entries: Entries
    isolated: bool = True
    model: ModelInfo | None = None
    command: str = ""

    @property
    def shown(self) -> bool:
        """Whether there is a model that sees the test split; else only its predictions are known."""
        return self.model is None or self.model.plugin != PREDICTIONS


@dataclass(frozen=True, slots=True)
class Begun:
    """The result of the first stage: the data, the ranking metric, the machine, and the digests of files."""

    dataset: DatasetInfo
    primary_metric: str
    environment: EnvironmentInfo
    env_class: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FitResult:
    """The fitted model's origin, cost and size."""

    info: FitInfo
    weights: WeightsInfo
    parameters: ParametersInfo


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics, and the method of their intervals once replicates are drawn."""

    metrics: Mapping[str, Metric]
    intervals: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """The results of the cost passes so far; what they could not measure is null with the reason."""

    operations: OperationsInfo = field(default_factory=OperationsInfo)
    layers: LayersInfo | None = None
    memory: MemoryInfo = field(default_factory=MemoryInfo)
    timing: TimingResult | None = None
    checks: Mapping[str, CheckInfo] = field(default_factory=dict)


@dataclass(slots=True)
class Results:
    """The results of a run so far, one field per stage; those of later stages are empty."""

    status: Status = "ok"
    begun: Begun | None = None
    fingerprint: str = UNKNOWN_FINGERPRINT
    selected: Selected | None = None
    fit: FitResult | None = None
    predictions: str = ""
    scores: Scores | None = None
    costs: Costs = field(default_factory=Costs)
    breakdowns: tuple[BreakdownInfo, ...] = ()
    plots: tuple[PlotInfo, ...] = ()
    error: ErrorInfo | None = None
    notices: dict[Notice, None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
