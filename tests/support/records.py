"""Synthetic records and run folders for the tests of boards: valid by schema, every number made up from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from mlcvbench.records.schema import (
    DatasetInfo,
    EnvironmentInfo,
    ErrorInfo,
    FitInfo,
    LatencyInfo,
    MemoryInfo,
    Metric,
    ModelInfo,
    OperationsInfo,
    ParametersInfo,
    Record,
    TaskInfo,
    ThroughputInfo,
)
from mlcvbench.stats.intervals import METHOD

FINGERPRINT = hashlib.sha256(b"synthetic data").hexdigest()
PROTOCOL = "top1/single-crop@1"


def sha(*words: object) -> str:
    """Return a sha256 made from words."""
    return hashlib.sha256("\n".join(map(str, words)).encode()).hexdigest()


def make_record(
    model: str = "knn",
    value: float | None = 0.9,
    *,
    seed: int = 0,
    p50: float | None = 1.5e-3,
    half: float = 0.01,
    params: dict[str, Any] | None = None,
    definition: str = "digits",
    n: int = 1000,
    hardware: str = "Test CPU 9000",
    **changes: Any,
) -> Record:
    """Return a record of an `ok` run of `model`; `changes` replace whole fields."""
    settings = params if params is not None else {"k": 5}
    group = sha(definition, model, orjson.dumps(settings, option=orjson.OPT_SORT_KEYS), hardware)
    key = sha(group, seed)
    fields: dict[str, Any] = {
        "mlcvbench_version": "0.1.0",
        "run_id": f"{definition}-{model}-s{seed}-{key[:12]}",
        "run_key": key,
        "group_key": group,
        "nonce": key[:16],
        "created_utc": "2026-11-20T10:00:00+00:00",
        "status": "ok",
        "task": TaskInfo(kind="classification", definition=definition, protocol_id=PROTOCOL, title="Digits, 8 x 8"),
        "dataset": DatasetInfo(name=definition, version="1", split="test", fingerprint=FINGERPRINT, n=n),
        "model": ModelInfo(
            name=model,
            plugin=f"mlcvbench_{model}",
            plugin_version="0.1.0",
            source_hash=sha("source", model),
            family="neighbours" if model.startswith("knn") else "networks",
            params=settings,
            summary=f"A made-up {model}.",
            year=1967,
        ),
        "config": {"model": model, "model_params": settings, "fit": {}, "given": [], "data_seed": 0, "threads": 1},
        "command": f"mlcvbench run task={definition} model={model} seed={seed}",
        "seed": seed,
        "metrics": {
            "top1": Metric(value=value, low=_moved(value, -half), high=_moved(value, half)),
            "nll": Metric(value=0.31, low=0.29, high=0.33, unit="nat", higher_is_better=False),
        },
        "primary_metric": "top1",
        "intervals": {"method": METHOD, "level": 0.95, "replicates": 1000, "groups": n},
        "operations": OperationsInfo(macs=1_234_567, flops=2_469_134, method="traced", tool="torch"),
        "parameters": ParametersInfo(trainable=61_800, bytes=247_200),
        "memory": MemoryInfo(host_baseline=100_000_000, host_peak=12_300_000),
        "latency": _latency(p50),
        "throughput": ThroughputInfo(batch=64, images_per_s=5000.0) if p50 else ThroughputInfo(reason="time=off"),
        "fit": FitInfo(seconds=1.25, epochs=3, train_samples=800),
        "environment": EnvironmentInfo(
            cpu=hardware,
            cores=2,
            os="Linux",
            python="3.11.7",
            threads=1,
            packages={"numpy": "2.4.6", "torch": "2.15.0"},
        ),
        "env_class": sha(hardware)[:12],
    }
    return Record(**{**fields, **changes})


SCORES_ONLY: dict[str, Any] = {
    "p50": None,
    "operations": OperationsInfo(),
    "parameters": None,
    "memory": MemoryInfo(),
    "fit": FitInfo(),
    "throughput": ThroughputInfo(),
    "env_class": "",
}
"""Changes that leave a record as `mlcvbench score` makes one: without costs."""


def failed_record(
    model: str = "hangs", *, status: str = "timeout", message: str = "ran past 60 s", **changes: Any
) -> Record:
    """Return the record of a run that ended in its fit stage."""
    error = ErrorInfo(stage="fit", type="TimeoutError", message=message, traceback="Traceback: made up")
    return make_record(model, None, status=status, error=error, metrics={}, p50=None, **changes)


def write_run(
    root: Path,
    record: Record,
    *,
    replicates: int = 1000,
    noise: float = 0.005,
    shared: float = 0.0,
    pictures: bool = False,
) -> Path:
    """Write `record` and made-up replicates (and a picture) as a run folder under `root`; return the folder.

    `shared`: the share of the replicates' variance that all rows have in common, as real runs on one test set do.
    """
    folder = root / record.run_id
    folder.mkdir(parents=True)
    artifacts: dict[str, str] = {}
    if replicates and record.status == "ok":
        drawn = {name: draw(record, name, replicates, noise, shared) for name in record.metrics}
        np.savez(folder / "replicates.npz", **drawn)
        artifacts["replicates.npz"] = hashlib.sha256((folder / "replicates.npz").read_bytes()).hexdigest()
    changes: dict[str, Any] = {"artifacts": {**artifacts, **record.artifacts}}
    if pictures:
        changes |= _pictures(folder, changes["artifacts"])
    record = record.model_copy(update=changes)
    payload = orjson.dumps(record.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    (folder / "record.json").write_bytes(payload)
    return folder


def write_runs(root: Path, records: Sequence[Record], **how: Any) -> Path:
    """Write run folders of all records; return `root`."""
    for record in records:
        write_run(root, record, **how)
    return root


def draw(record: Record, metric: str, n: int, noise: float, shared: float) -> np.ndarray:
    """Return made-up replicates (n,) around the metric's value."""
    value = record.metrics[metric].value
    own = np.random.default_rng(int(record.run_key[:8], 16)).standard_normal(n)
    common = np.random.default_rng(0).standard_normal(n)
    spread = noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    return np.full(n, np.nan) if value is None else value + spread


def _pictures(folder: Path, artifacts: dict[str, str]) -> dict[str, Any]:
    from PIL import Image

    from mlcvbench.records.schema import PlotInfo

    (folder / "plots").mkdir()
    Image.new("RGB", (320, 240), (200, 210, 230)).save(folder / "plots" / "confusion.png")
    digest = hashlib.sha256((folder / "plots" / "confusion.png").read_bytes()).hexdigest()
    plot = PlotInfo(file="confusion.png", title="Confusion matrix", alt="Most samples lie on the diagonal.")
    return {"plots": (plot,), "artifacts": {**artifacts, "plots/confusion.png": digest}}


def _moved(value: float | None, by: float) -> float | None:
    return None if value is None else min(1.0, max(0.0, value + by))


def _latency(p50: float | None) -> dict[str, LatencyInfo]:
    if p50 is None:
        return {}
    end_to_end = LatencyInfo(
        n=64,
        median=p50,
        mean=p50 * 1.01,
        std=p50 * 0.03,
        low=p50 * 0.95,
        high=p50 * 1.06,
        interval="within-process",
        p50=p50,
        p90=p50 * 1.2,
        min=p50 * 0.9,
        reason="p99 needs 662 calls, got 64",
    )
    return {
        "end_to_end": end_to_end,
        "preprocess": end_to_end.model_copy(update={"median": p50 * 0.1, "p50": p50 * 0.1}),
        "forward": end_to_end.model_copy(update={"median": p50 * 0.8, "p50": p50 * 0.8}),
        "postprocess": end_to_end.model_copy(update={"median": p50 * 0.1, "p50": p50 * 0.1}),
    }
