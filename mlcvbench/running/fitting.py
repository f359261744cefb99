"""Obtain the fitted model of a run: from the cache, from a weights file, by fitting, or live as given."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from mlcvbench.contract import FitContext, FitReport, LoadedData, Model, Notice, Split
from mlcvbench.contract.history import stored_history
from mlcvbench.errors import DataError
from mlcvbench.limits import MIB, usable_memory
from mlcvbench.loading.data import fit_data
from mlcvbench.loading.models import build_model, load_state
from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.given_weights import FITS, FITTED_FILE, STATE_FOLDER, described, given_weights
from mlcvbench.plan.identity import compute_fit_key
from mlcvbench.processes.progress import Progress
from mlcvbench.processes.usage import high_water, lifetime_peak, reset_high_water
from mlcvbench.records.schema import FitInfo, ParametersInfo, WeightsInfo
from mlcvbench.running.fit_scores import FitScores
from mlcvbench.running.reported import Reported
from mlcvbench.running.results import FitResult
from mlcvbench.storage import cache
from mlcvbench.storage.digests import content_hash
from mlcvbench.storage.durable import replace_text

FIT_FILE = "fit.json"
NOTICES = "notices"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model ready to predict. `weights`: what its saved state is loaded from, as in `weights=`; None for a live
    model. `said`: the notices of its fit, now or when it was stored, or of the weights that it was given. `held_out`:
    the validation split that its fit did not train on, if any.
    """

    model: Model
    ragged: bool
    info: FitInfo
    weights: Path | None
    weights_info: WeightsInfo
    said: tuple[Notice, ...] = ()
    held_out: Split | None = None

    @property
    def notices(self) -> list[Notice]:
        """What must be said of the fit."""
        why = self.info.history_reason
        lost = [] if why is None else [Notice("history-not-kept", f"The history of the fit is not kept: {why}.")]
        return [*self.said, *lost]


def obtain_model(resolved: Resolved, data: LoadedData, report: Progress, live: Model | None) -> Fitted:
    """Return the model to evaluate, fitted once for all runs that differ only in what is measured."""
    if live is not None:
        return Fitted(live, ragged=False, info=FitInfo(), weights=None, weights_info=WeightsInfo(source="live"))
    config, spec = resolved.config, resolved.spec
    if config.weights is not None:
        return _from_file(resolved, data, Path(config.weights))
    key = compute_fit_key(config, data.fingerprint_of(("train", "val")), resolved.entries)
    parts = fit_data(data, spec, config.fit)
    trained_on = (f"{data.name}/{parts.train.name}",) if parts.train is not None else ()
    stored = cache.get(FITS, key)
    if stored is None:
        stored, model, cached = *_fit_and_store(resolved, data, report, key), False
    else:
        model, cached = build_model(resolved, data.problem, stored / STATE_FOLDER), True
    if not (stored / FITTED_FILE).exists():  # also one of an earlier version, which kept no problem
        replace_text(stored / FITTED_FILE, described(data.problem, trained_on, stored / STATE_FOLDER))
    facts = json.loads((stored / FIT_FILE).read_text())
    said = tuple(Notice(**notice) for notice in facts.pop(NOTICES, ()))  # none in one of an earlier version
    info = FitInfo(**{**facts, "cached": cached})
    return Fitted(
        model,
        ragged=spec.ragged,
        info=info,
        weights=stored / STATE_FOLDER,
        weights_info=WeightsInfo(
            source="fitted",
            sha256=content_hash(stored / STATE_FOLDER),
            trained_on=trained_on,
        ),
        said=said,
        held_out=parts.val,
    )


def fit_result(fitted: Fitted) -> FitResult:
    """Return a record's facts about a model's fit, and its size."""
    return FitResult(fitted.info, fitted.weights_info, ParametersInfo(**asdict(fitted.model.parameters())))


def _from_file(resolved: Resolved, data: LoadedData, given: Path) -> Fitted:
    named = given_weights(given)
    info = WeightsInfo(
        source="file" if named.run is None else "run", sha256=content_hash(named.state), trained_on=named.trained_on
    )
    model = build_model(resolved, named.problem_for(data.problem, data.name))
    said = load_state(model, named.state, resolved.config.model)
    learned = FitInfo() if named.run is None else _learned_from(named.state.parent)
    return Fitted(model, ragged=resolved.spec.ragged, info=learned, weights=given, weights_info=info, said=said)


def _learned_from(stored: Path) -> FitInfo:
    """Return what a fit in the cache learned from; what it cost is no cost of a run that is given its weights."""
    plain = json.loads((stored / FIT_FILE).read_text())
    return FitInfo(train_samples=plain.get("train_samples"), val_samples=plain.get("val_samples"))


def _fit_and_store(resolved: Resolved, data: LoadedData, report: Progress, key: str) -> tuple[Path, Model]:
    model = build_model(resolved, data.problem)
    with cache.interruptible("checkpoints", key) as checkpoints, cache.interruptible("histories", key) as histories:
        progress = _FitProgress(report, histories)
        info, said = _fit(resolved, data, progress, model, checkpoints)

    def write(folder: Path) -> None:
        (folder / STATE_FOLDER).mkdir()
        model.save(folder / STATE_FOLDER)
        facts = {**info.model_dump(), NOTICES: [asdict(notice) for notice in said]}
        (folder / FIT_FILE).write_text(json.dumps(facts, sort_keys=True))

    return cache.put(FITS, key, write), model


class _FitProgress:
    """How far a fit is, and what it reports by epoch."""

    def __init__(self, report: Progress, folder: Path | None) -> None:
        self._report = report
        self._at = (0, 1)
        self.reported = Reported(folder, lambda numbers: report("fit", *self._at, numbers))

    def __call__(self, done: int, total: int) -> None:
        """Pass on that `done` of `total` steps are done."""
        self._at = (done, total)
        self._report("fit", done, total)


def _fit(
    resolved: Resolved, data: LoadedData, progress: _FitProgress, model: Model, checkpoints: Path | None
) -> tuple[FitInfo, tuple[Notice, ...]]:
    if type(model).fit is Model.fit:
        return FitInfo(seconds=0.0), ()
    config = resolved.config
    parts = fit_data(data, resolved.spec, config.fit)
    if parts.train is None:
        raise DataError(
            f"data set {data.name!r} has no training split and model {config.model!r} needs fitting; give weights=PATH."
        )
    scores = FitScores(resolved, data)
    context = FitContext(
        seed=config.seed,
        device=model.device,
        settings=dict(config.fit),
        checkpoints=checkpoints,
        budget=config.budget,
        progress=progress,
        memory=_memory_of(config),
        report=progress.reported,
        score=scores,
        metrics=scores.metrics,
    )
    fresh_mark = reset_high_water()  # else later fits of a search would be charged with the memory of earlier ones
    resident = psutil.Process().memory_info().rss
    start = time.perf_counter()
    outcome = model.fit(parts.train, parts.val, context) or FitReport()
    seconds = time.perf_counter() - start
    peak = high_water() if fresh_mark else None
    if peak is None:
        peak = lifetime_peak()
    # what was fitted is not lost for a history that cannot be kept
    history, why = stored_history(outcome.history or progress.reported.columns())
    info = FitInfo(
        seconds=seconds + outcome.earlier_seconds,
        epochs=outcome.epochs,
        cut_short=outcome.cut_short,
        peak_memory=max(0, peak - resident),
        train_samples=len(parts.train),
        val_samples=len(parts.val) if parts.val is not None else None,
        history=history,
        history_reason=why,
    )
    return info, tuple(outcome.notices)


def _memory_of(config: RunConfig) -> int:
    """Return the bytes that images of a split may take: as asked, else a quarter of the run's, or of what there is."""
    if config.fit_memory_mb is not None:
        return config.fit_memory_mb * MIB
    return (usable_memory() if config.memory_mb is None else config.memory_mb * MIB) // 4
