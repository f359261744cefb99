"""The Python interface: run methods by name, evaluate a model in hand, read records back."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import OverrideError
from mlcvbench.limits import usable_cores
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.command import evaluate_call_of
from mlcvbench.plan.config import TEST_ALONE, RunConfig, TimeProfile
from mlcvbench.plan.definitions import load_definition
from mlcvbench.plan.planning import plan
from mlcvbench.records.doubts import doubts
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store
from mlcvbench.registry import get_registry
from mlcvbench.running import progress
from mlcvbench.running.sweep import run_sweep
from mlcvbench.specs.values import text

if TYPE_CHECKING:
    from pandas import DataFrame


def run(*settings: str, quiet: bool | None = None, **keys: Any) -> list[Record]:
    """Run methods by name, each in a fresh process, and return their records in the order of the request.

    The settings are those of `mlcvbench run`: `run("task=digits", "model.k=3")` or
    `run(task="digits", model=["knn", "majority"], **{"model.k": 3})`; a list sweeps. A run stored with `status=ok`
    under the same key is not repeated. Progress is shown in a notebook or an interactive session unless `quiet` is set.
    Raises MlcvbenchError for a wrong request, and KeyboardInterrupt when interrupted (finished runs are stored); a
    failed run is a record with `status` other than `ok`.
    """
    request = plan([*settings, *(f"{key}={_swept(value)}" for key, value in keys.items())])
    with progress.session_reporter(quiet) as reporter:
        result = run_sweep(request.configs, Store(request.out), on_event=reporter)
    if result.interrupted is not None:
        raise KeyboardInterrupt(result.summary)
    return list(result.records)


def evaluate(  # noqa: PLR0913 - keyword-only settings of a public function
    model: Any,
    task: str = "classification",
    *,
    name: str | None = None,
    preprocess: Any = None,
    device: str = "cpu",
    batch: int = 64,
    limit: int | None = None,
    intervals: bool = True,
    strict: bool = False,
    time: TimeProfile = "quick",
    out: str | Path | None = None,
    **settings: Any,
) -> Record:
    """Score and time a model object: any `nn.Module`, function or `Model`, for any task kind.

    A function is called with a batch of inputs, uint8 images (B, H, W) or (B, H, W, 3): one argument, or `left` and
    `right` for stereo; a list where sizes differ. The task kind interprets what it returns: class scores (B, C) or
    labels (B,); boxes, scores and labels per image; label maps or class scores per pixel; embeddings (B, D); maps of
    disparity or depth; or a dict of columns by name. A network gets float32 tensors (B, C, H, W) in [0, 1], or what
    `preprocess` makes of the inputs.

    Runs in this process, so its record says `isolated=False` and is never published. `task`: a task kind, a definition
    or a YAML file. `settings`: `data.*` settings, as in `evaluate(net, "fashion-mnist", root="data")`, and how outputs
    are interpreted, as listed by `mlcvbench info KIND`: `values="probabilities"`. `strict`: raise an error where a
    notice would be given. `out`: a folder to keep the record in; the model's weights, predictions and measured costs
    are part of its key. Exceptions of the model reach the caller; PredictionError when its output breaks the contract.
    """
    from mlcvbench.running import live, stages

    given = {"device": device, "batch": batch, "limit": limit, "intervals": intervals, "strict": strict, "time": time}
    config = _live_config(task, settings, given)
    resolved = resolve(config)
    reading = resolved.entries.task.spec.reading
    asked = live.Asked(resolved.task, load_data(resolved, TEST_ALONE).problem, reading, config.reading)
    wrapped = live.wrap(model, asked, resolved.device, name, preprocess)
    config = replace(config, model=wrapped.info.name)
    wrapped = replace(wrapped, call=evaluate_call_of(config, preprocess is not None, wrapped.info.title))
    with _kept_in_eval_mode(model):
        if out is None:
            with tempfile.TemporaryDirectory(prefix="mlcvbench-") as folder:
                return stages.evaluate_live(config, Path(folder), wrapped)
        store = Store(Path(out))
        store.ensure_writable()
        pending = store.begin(wrapped.info.name)
        try:
            record = stages.evaluate_live(config, pending.folder, wrapped)
            return store.load(store.commit(pending, record).name)
        except BaseException:
            store.discard(pending)
            raise


def load_records(runs: str | Path) -> list[Record]:
    """Return the readable records of a folder of runs; RecordError when a record is damaged."""
    from mlcvbench.errors import RecordError

    records, problems = Store(Path(runs)).records()
    if problems:
        raise RecordError(str(problems[0]))
    return [record for record, _ in records]


def to_frame(records: Iterable[Record]) -> DataFrame:
    """Return records as a pandas DataFrame, one row per run, in SI units: metrics with `_low` and `_high`, costs,
    settings.

    `model.*` and `fit.*` columns hold the settings; what was not measured is missing. `notices` and `doubts` list what
    a reader of the run's numbers must know, and are empty otherwise.
    """
    import pandas as pd

    return pd.DataFrame([_frame_row(record) for record in records])


def _frame_row(record: Record) -> dict[str, Any]:
    timing = record.latency.get("end_to_end")
    row: dict[str, Any] = {
        "run_id": record.run_id,
        "definition": record.task.definition,
        "model": record.model.name,
        "title": record.model.title,
        "seed": record.seed,
        "status": record.status,
    }
    for name, metric in record.metrics.items():
        row |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
    row |= {
        "latency_p50": timing.p50 if timing else None,
        "images_per_s": record.throughput.images_per_s,
        "macs": record.operations.macs,
        "parameters": record.parameters.trainable if record.parameters else None,
        "fitted_bytes": record.parameters.bytes if record.parameters else None,
        "host_peak": record.memory.host_peak,
        "fit_seconds": record.fit.seconds,
        "env_class": record.env_class,
        "notices": "; ".join(notice.text for notice in record.notices),
        "doubts": "; ".join(str(doubt) for doubt in doubts(record)),
    }
    row |= {f"model.{name}": value for name, value in record.model.params.items()}
    fit = record.config.get("fit") if record.selection is None else record.selection.fit
    return row | {f"fit.{name}": value for name, value in (fit or {}).items()}


def _live_config(task: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> RunConfig:
    words = [f"{key}={text(value)}" for key, value in given.items() if value is not None]
    words += [f"{_key(task, name)}={text(value)}" for name, value in settings.items()]
    (config,) = plan([f"task={task}", *words], outside="live", reads=True).configs
    return replace(config, threads=_threads_here())


def _key(task: str, name: str) -> str:
    """Return the key of a setting given to `evaluate` by its bare name; OverrideError when two have that name."""
    definition = load_definition(task, get_registry())
    kind = definition.kind
    data = {param.name for param in get_registry().dataset(definition.dataset, kind).spec.params} | {"seed"}
    reading = {word for param in get_registry().task(kind).spec.reading for word in (param.name, param.alias)}
    if name in data and name in reading:
        raise OverrideError(
            f"{name}= is a setting of data set {definition.dataset!r} and of how answers are read; write "
            f"**{{'data.{name}': VALUE}} for the data, **{{'reading.{name}': VALUE}} for the answers."
        )
    if name in reading or name.startswith("data."):
        return name
    return name.removeprefix("reading.") if name.startswith("reading.") else f"data.{name}"


@contextmanager
def _kept_in_eval_mode(model: Any) -> Iterator[None]:
    training = getattr(model, "training", None)
    try:
        yield
    finally:
        if training is True and hasattr(model, "train"):
            model.train()


def _threads_here() -> int:
    """Return the number of threads that a model in this process uses; it was fixed before this call."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else usable_cores()


def _swept(value: Any) -> str:
    return ",".join(text(item) for item in value) if isinstance(value, list) else text(value)
