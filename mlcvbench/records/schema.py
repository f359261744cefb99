"""The record of a run, schema version 1. SI units (seconds, bytes), fractions 0-1; not measured = null with a reason.

A record is public data: it never holds a host name, user name or absolute path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mlcvbench.errors import short
from mlcvbench.limits import MAX_LAYER_ROWS
from mlcvbench.specs.declared import NAME_PATTERN

SCHEMA_VERSION = 1
NAME = f"^{NAME_PATTERN.pattern}$"
SHA256 = r"^[0-9a-f]{64}$"

Status = Literal["ok", "error", "timeout", "oom", "killed"]
Trust = Literal["reported", "recomputed", "rerun"]


def inside(name: str) -> bool:
    r"""Return whether `name` is a relative POSIX path that stays inside its folder.

    >>> [inside(n) for n in ("plots/a.png", "../a", "/a", "a/../../b", "", "a\\b")]
    [True, False, False, False, False, False]
    """
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name and "\0" not in name


_inside = lru_cache(maxsize=4096)(inside)  # cached: ten thousand records name the same few files
_digest = re.compile(SHA256).fullmatch


def _checked_artifacts(artifacts: dict[str, str]) -> dict[str, str]:
    for name, digest in artifacts.items():
        if not _inside(name) or not _digest(digest):
            raise ValueError(f"wanted a path inside the run's folder and its sha256, got {short(name)}")
    return artifacts


class Part(BaseModel):
    """Base of every part of a record: unknown fields are refused, numbers are finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, ser_json_inf_nan="null")


class TaskInfo(Part):
    kind: str = Field(pattern=NAME)
    definition: str = Field(pattern=NAME)
    protocol_id: str
    title: str = ""


class DatasetInfo(Part):
    name: str = Field(pattern=NAME)
    version: str
    split: str
    fingerprint: str = Field(pattern=SHA256)
    n: int = Field(ge=0)
    params: dict[str, Any] = {}
    licence: str = ""


class WeightsInfo(Part):
    """`source`: `fitted`, `file`, `run`, whose weights were given to this one, or `none`; `sha256`: of the saved state.

    `trained_on` names data sets and splits.
    """

    source: str
    sha256: str | None = None
    trained_on: tuple[str, ...] = ()
    licence: str | None = None


PREDICTIONS = "(predictions)"
"""Stands for the plugin of a model of which only predictions are known."""


class ModelInfo(Part):
    """`title`: the user's text for it where that is not a valid name; `name` is derived from it then."""

    name: str = Field(pattern=NAME)
    title: str = ""
    plugin: str
    plugin_version: str
    source_hash: str | None = None
    family: str = ""
    params: dict[str, Any] = {}
    weights: WeightsInfo = WeightsInfo(source="none")
    summary: str = ""
    reference: str = ""
    year: int | None = None

    @property
    def called(self) -> str:
        """The displayed name: the title, or the name."""
        return self.title or self.name


class Metric(Part):
    """`low`, `high`: the 95 % interval, made as the record's `intervals` say; null when off or undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = "fraction"
    higher_is_better: bool = True
    provenance: str = "reference-identical"
    reason: str | None = None


class OperationsInfo(Part):
    """Operations of one sample; 1 MAC = 2 FLOPs. `method`: traced, analytic or null with `reason`.

    `uncounted`: calls of operators that compute but are not products, such as activations. `coverage`: the counted
    FLOPs as a share of those and of an estimate of what the uncounted operators took (`docs/costs.md`); null where one
    of them has no estimate, and of a formula. Records whose `tool` is torch's counter alone hold an older estimate.
    """

    macs: int | None = None
    flops: int | None = None
    other_ops: dict[str, int] = {}
    method: Literal["traced", "analytic"] | None = None
    tool: str | None = None
    coverage: float | None = None
    uncounted: dict[str, int] = {}
    spread: float | None = None
    samples: int | None = None
    reason: str | None = None


class ParametersInfo(Part):
    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    bytes: int = 0


class LayersInfo(Part):
    """The layers of a torch network for one image, in the order in which they finish: a column per field, equally long.

    `kernel`, `stride`: sides, equal ones once. `output`: the shape of one image's output, empty for a part of it.
    `parts`: how many layers a row covers, empty where each covers one; a network of more layers than
    `limits.MAX_LAYER_ROWS` is grouped by module. `params` and `macs` sum to the record's. `reason`: why there are none.
    """

    name: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    stride: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    params: tuple[int, ...] = ()
    macs: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    reason: str | None = None

    @model_validator(mode="after")
    def _columns_agree(self) -> LayersInfo:
        columns = (self.type, self.kernel, self.stride, self.output, self.params, self.macs, self.parts or self.name)
        if len(self.name) > MAX_LAYER_ROWS or any(len(column) != len(self.name) for column in columns):
            raise ValueError(f"wanted columns of one length, at most {MAX_LAYER_ROWS}")
        return self


class MemoryInfo(Part):
    """Bytes. `host_peak`: resident peak of predicting over a baseline taken after import and load."""

    host_baseline: int | None = None
    host_peak: int | None = None
    host_high_water: int | None = None
    device_peak_allocated: int | None = None
    device_peak_reserved: int | None = None
    device_process: int | None = None
    sampled_every: float | None = None
    reason: str | None = None


class LatencyInfo(Part):
    """Seconds of one stage at one batch size. A percentile is null when the sample count does not support it.

    `low`, `high` with `interval` = `prediction-95` (between processes) or `within-process`. `converged`: the requested
    count and time were reached, and the interval is narrow enough to be useful (`doubts.is_wide`).
    """

    batch: int = 1
    n: int
    processes: int = 1
    median: float | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    min: float | None = None
    process_medians: tuple[float, ...] = ()
    clock: str = "perf_counter_ns"
    host_bound: bool | None = None
    dropped: int = 0
    converged: bool = True
    reason: str | None = None


class ThroughputInfo(Part):
    """`curve`: images per second at each batch size tried; `batch` and `images_per_s` are the best."""

    batch: int | None = None
    images_per_s: float | None = None
    curve: dict[str, float] = {}
    reason: str | None = None


class FitInfo(Part):
    """The cost of fitting. `cached`: the weights came from the cache and the figures are those of the original fit.

    `cut_short`: the definition's budget ended it before its settings did; a faster machine gives another model.
    `history`: null where a number was not there or not finite; `history_reason`: why there is none at all.
    """

    seconds: float | None = None
    epochs: int | None = None
    cached: bool = False
    cut_short: bool = False
    peak_memory: int | None = None
    train_samples: int | None = None
    val_samples: int | None = None
    history: dict[str, list[float | None]] = {}
    history_reason: str | None = None


class YardstickInfo(Part):
    """A fixed matmul and convolution job before and after the timing, in seconds. `noisy`: see `doubts.is_noisy`."""

    before: float | None = None
    after: float | None = None
    deviation: float | None = None
    noisy: bool | None = None
    reason: str | None = None


class NoticeInfo(Part):
    """What a reader of the numbers must know: a guess, a replacement, or what is valid but probably not intended.

    `code` names its kind, `text` states it in a sentence, `count` is how many things it concerns.
    """

    code: str = Field(pattern=NAME)
    text: str
    count: int | None = None


class CheckInfo(Part):
    """An honesty check: `passed` is null when it could not be made, with the reason in `detail`."""

    passed: bool | None
    detail: str = ""


class EnvironmentInfo(Part):
    """The machine and the software, without names of hosts or people."""

    cpu: str | None = None
    cores: int | None = None
    gpu: str | None = None
    gpu_driver: str | None = None
    memory_bytes: int | None = None
    os: str | None = None
    python: str | None = None
    threads: int | None = None
    device: str = "cpu"
    precision: str = "float32"
    packages: dict[str, str] = {}
    extra: dict[str, Any] = {}


class PlotInfo(Part):
    file: str
    title: str
    alt: str


class BreakdownColumn(Part):
    """A number per line, null where undefined; `unit` as of a metric, `1` for a count, `s` for a time."""

    name: str
    unit: str = "fraction"
    values: tuple[float | None, ...]


class BreakdownInfo(Part):
    """Numbers behind the metrics, a line per class, size or kind of error; `of`: what a line stands for.

    `note`: how they were counted, and where a threshold among them came from. `names`: of the lines.
    """

    title: str
    note: str = ""
    of: str
    names: tuple[str, ...]
    columns: tuple[BreakdownColumn, ...]

    @model_validator(mode="after")
    def _columns_agree(self) -> BreakdownInfo:
        if any(len(column.values) != len(self.names) for column in self.columns):
            raise ValueError("wanted columns of one length")
        return self


class ErrorInfo(Part):
    """Why a run has no result: the stage, one sentence, and the traceback where there is one."""

    stage: str
    type: str
    message: str
    traceback: str | None = None
    signal: str | None = None
    limit: str | None = None
    peak_memory: int | None = None


class TrialInfo(Part):
    """One candidate of a search. `value`: the selection's metric; `seconds`: of its fit; `message`: what failed."""

    settings: dict[str, Any]
    value: float | None = None
    seconds: float | None = None
    status: Status = "ok"
    message: str = ""


class SelectionInfo(Part):
    """How a run chose settings among `trials`; `winner` is the index of the best, the first of equal ones.

    `split`: what decided, in words, with its size `n` and fingerprint; `train_samples`: what the winning trial learned
    from. `fit`: the winner's complete `fit.*` settings, as `model.params` holds the others. `refit`: it was fitted
    again as a run without a search fits it. `note`: how to read its value.
    """

    method: Literal["grid", "random"]
    metric: str
    unit: str = "fraction"
    higher_is_better: bool = True
    split: str
    n: int = Field(ge=0)
    fingerprint: str = Field(pattern=SHA256)
    train_samples: int | None = None
    trials: tuple[TrialInfo, ...]
    winner: int = Field(ge=0)
    fit: dict[str, Any] = {}
    refit: bool = True
    seconds: float | None = None
    note: str = ""


class Retraction(Part):
    date: str
    reason: str


class Record(Part):
    """One run. `store` describes the life cycle of its folder."""

    schema_version: int = SCHEMA_VERSION
    mlcvbench_version: str
    run_id: str = Field(pattern=NAME)
    run_key: str = Field(pattern=SHA256)
    group_key: str = Field(pattern=SHA256)
    nonce: str
    created_utc: str
    status: Status
    partial: bool = False
    isolated: bool = True
    contaminated: str | None = None
    task: TaskInfo
    dataset: DatasetInfo | None = None
    model: ModelInfo
    config: dict[str, Any]
    command: str
    seed: int = 0
    metrics: dict[str, Metric] = {}
    primary_metric: str | None = None
    intervals: dict[str, Any] = {}
    predictions: str = ""
    notices: tuple[NoticeInfo, ...] = ()
    operations: OperationsInfo = OperationsInfo()
    parameters: ParametersInfo | None = None
    layers: LayersInfo | None = None
    memory: MemoryInfo = MemoryInfo()
    latency: dict[str, LatencyInfo] = {}
    throughput: ThroughputInfo = ThroughputInfo()
    fit: FitInfo = FitInfo()
    selection: SelectionInfo | None = None
    yardstick: YardstickInfo = YardstickInfo()
    checks: dict[str, CheckInfo] = {}
    environment: EnvironmentInfo = EnvironmentInfo()
    env_class: str = ""
    stage_seconds: dict[str, float] = {}
    waited_seconds: float | None = None
    trust: Trust = "reported"
    breakdowns: tuple[BreakdownInfo, ...] = ()
    plots: tuple[PlotInfo, ...] = ()
    artifacts: Annotated[dict[str, str], AfterValidator(_checked_artifacts)] = {}
    predictions_sha256: str | None = None
    retraction: Retraction | None = None
    error: ErrorInfo | None = None

    def __repr__(self) -> str:
        """Return a summary on one screen; `model_dump()` has everything."""
        from mlcvbench.records.summary import to_summary

        return to_summary(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Show the record in a notebook."""
        from mlcvbench.records.display import to_html

        return to_html(self)
