"""The record in the making: what each stage found out so far, so that a failing run still says all it knows."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlcvbench.contract import LoadedData, Notice, Scorer
from mlcvbench.errors import DataError, RequestError, scrub, short_digests
from mlcvbench.loading.repeated_files import repeated_files
from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.command import command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.plan.identity import compute_group_key, compute_run_key
from mlcvbench.plan.named_files import labelled, labels_of, paths_of
from mlcvbench.plan.sources import source_hash
from mlcvbench.records.schema import (
    PREDICTIONS,
    DatasetInfo,
    EnvironmentInfo,
    ErrorInfo,
    FitInfo,
    ModelInfo,
    NoticeInfo,
    ParametersInfo,
    Record,
    SelectionInfo,
    Status,
    TaskInfo,
    WeightsInfo,
)
from mlcvbench.records.store import run_name
from mlcvbench.running.fitting import Fitted
from mlcvbench.storage.durable import message_of, sha256_of
from mlcvbench.version import __version__

UNKNOWN_FINGERPRINT = "0" * 64
MEASURED = ("operations", "layers", "parameters", "memory", "latency", "throughput")
CONTAMINATED = "its settings were chosen on the test split (select_on=test), so its score is too good"


class Draft:
    """Parts of a record by field name, the stage that is running and how to report progress.

    `outsider` describes a model that no plugin provides: a live one, or one of which only predictions are known.
    `keep` is called with the record as it stands once there is a score, and whenever a cost was measured since.
    """

    def __init__(
        self,
        config: RunConfig,
        report: Callable[[str, int, int], None],
        *,
        isolated: bool = True,
        outsider: ModelInfo | None = None,
        keep: Callable[[Record], None] | None = None,
    ) -> None:
        self._keep = keep
        self.entries = entries_of(config)
        self.config = self.chosen = config
        self.begun = config
        self.outsider = outsider
        self.command = ""
        self.report = report
        self.current = "resolve"
        self.status: Status = "ok"
        self.parts: dict[str, Any] = {"isolated": isolated, "partial": config.limit is not None}
        if config.search is not None and config.search.on == "test":
            self.parts["contaminated"] = CONTAMINATED
        self.fingerprint = UNKNOWN_FINGERPRINT
        self.seconds: dict[str, float] = {}
        self.notices: dict[Notice, None] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name the stage that runs now and keep how long it took."""
        self.current = name
        self.report(name, 0, 1)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self.report(name, 1, 1)

    def refuse_changed(self) -> None:
        """Refuse to tell what a file decided that has changed since the run began; DataError names its setting."""
        for before, now in zip(self._labels(self.begun), self._labels(self._labelled(self.config)), strict=True):
            if before != now:
                key, label = before
                raise DataError(f"{key}={short_digests(label)}: changed while the run was going on; run it again.")

    def _labelled(self, config: RunConfig) -> RunConfig:
        return labelled(config, self.entries)

    def _labels(self, config: RunConfig) -> list[tuple[str, str]]:
        return labels_of(config, self.entries)

    def resolved(self, resolved: Resolved, data: LoadedData, scorer: Scorer) -> None:
        """Note the data, the protocol and the machine."""
        from mlcvbench.measure.environment import describe, env_class

        self.notice(data.notices)
        self.begun = self._labelled(self.config)
        test = data.splits["test"]
        seen = self.outsider is None or self.outsider.plugin != PREDICTIONS
        self.fingerprint = data.fingerprint(shown=seen)
        self.notice(repeated_files(data))
        environment = describe(resolved.device)
        self.parts |= {
            "dataset": DatasetInfo(
                name=data.name,
                version=data.version,
                split="test",
                fingerprint=test.fingerprint(),
                n=len(test),
                params=self._public_data(),
                licence=self.entries.dataset.spec.licence,
            ),
            "primary_metric": scorer.primary().name,
            "environment": environment,
            "env_class": env_class(environment),
        }

    def notice(self, notices: Iterable[Notice]) -> None:
        """Keep what a reader of the numbers must know, each once; RequestError says it instead where `strict` is on."""
        paths = paths_of(self.config, self.entries)
        self.notices |= {replace(notice, text=scrub(notice.text, paths)): None for notice in notices}
        if self.config.strict and self.notices:
            raise RequestError(f"strict=on: {' '.join(notice.text for notice in self.notices)}")

    def remark(self, notice: Notice) -> None:
        """Keep what befell a run after its score: said, and no reason to refuse it."""
        self.notices[notice] = None

    def keep(self) -> None:
        """Hand on what is known now: should this process end early, that is the record."""
        if self._keep is not None:
            self._keep(self.record())

    def predicted(self, path: Path, weights: str | None = None) -> None:
        """Note what a model that no plugin provides is known by: the predictions in `path`, the sha256 of weights."""
        content = {"predictions": sha256_of(path)} | ({"weights": weights} if weights is not None else {})
        self.config = replace(self.config, content=content)

    def measured(self) -> None:
        """Note what was measured of a live model, which is known by that too: another may predict the same, faster."""
        parts = {name: self.parts[name] for name in MEASURED if name in self.parts}
        plain = json.dumps(parts, sort_keys=True, default=lambda part: part and part.model_dump(mode="json"))
        digest = hashlib.sha256(plain.encode()).hexdigest()
        self.config = replace(self.config, content={**self.config.content, "measured": digest})

    def selected(self, chosen: RunConfig, info: SelectionInfo) -> None:
        """Note what the run's search chose; the run itself stays the one that was asked for."""
        self.chosen = chosen
        self.parts["selection"] = info

    def fitted(self, fitted: Fitted) -> None:
        """Note what was fitted, at what cost, and how large it is."""
        self.parts |= {
            "fit": fitted.info,
            "parameters": ParametersInfo(**asdict(fitted.model.parameters())),
            "model": self._model(fitted.weights_info),
        }

    def note_gpu(self, seen: dict[str, Any]) -> None:
        """Keep what the GPU did while it was timed: clocks, temperature, power, throttling."""
        if seen:
            environment: EnvironmentInfo = self.parts["environment"]
            self.parts["environment"] = environment.model_copy(update={"extra": {**environment.extra, "timing": seen}})

    def fail(self, status: Status, error: BaseException) -> None:
        """Turn the record into one of a failed run."""
        self.status = status
        text = "".join(traceback.format_exception(error))
        self.parts["error"] = ErrorInfo(
            stage=self.current,
            type=type(error).__name__,
            message=scrub(message_of(error)),
            traceback=scrub(text),
            limit=f"{self.config.memory_mb} MB" if status == "oom" and self.config.memory_mb else None,
        )

    def record(self) -> Record:
        """Return the record of what is known now."""
        config = self.config
        parts = {"model": self._model(WeightsInfo(source="none")), "environment": EnvironmentInfo(), **self.parts}
        parts.setdefault("fit", FitInfo())
        key = compute_run_key(config, self.fingerprint, self.entries)
        return Record(
            mlcvbench_version=__version__,
            run_id=run_name(config.definition.name, config.model, config.seed, key),
            run_key=key,
            group_key=compute_group_key(config, self.fingerprint, self.entries),
            nonce=secrets.token_hex(8),
            created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
            status=self.status,
            task=TaskInfo(
                kind=config.definition.kind,
                definition=config.definition.name,
                protocol_id=config.definition.protocol,
                title=config.definition.title,
            ),
            config=self._public_config(),
            command=self.command or command_of(config, self.entries),
            seed=config.seed,
            notices=tuple(NoticeInfo(**asdict(notice)) for notice in self.notices),
            stage_seconds={name: round(value, 3) for name, value in self.seconds.items()},
            **parts,
        )

    def _model(self, weights: WeightsInfo) -> ModelInfo:
        if self.outsider is not None:
            return self.outsider
        entry = self.entries.model_entry
        return ModelInfo(
            name=self.config.model,
            plugin=entry.origin.plugin,
            plugin_version=entry.origin.version,
            source_hash=source_hash(entry.origin.package),
            family=entry.spec.family,
            params=self._labelled(self.chosen).model_params,
            weights=weights,
            summary=entry.spec.summary,
            reference=entry.spec.reference,
            year=entry.spec.year,
        )

    def _public_config(self) -> dict[str, Any]:
        """Return the configuration as a record shows it: without paths of the machine."""
        plain, public = self._labelled(self.config).to_dict(), self._public_data()
        plain["data_params"] = public
        plain["definition"]["data"] = {
            name: None if public.get(name, value) is None else value
            for name, value in plain["definition"]["data"].items()
        }
        return plain

    def _public_data(self) -> dict[str, Any]:
        """Return the settings of the data without paths: a record names no folder of the machine it was made on."""
        places = self.entries.dataset.spec.places
        return {name: None if name in places else value for name, value in self.config.data_params.items()}
