"""Make real runs in this process, quickly: digits, no timing unless asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store
from mlcvbench.running import stages


def config_for(*settings: str, **changes: object) -> RunConfig:
    """Return the one resolved configuration of a request on digits, without timing."""
    words = list(settings)
    for key, value in (("task", "digits"), ("model", "majority"), ("time", "off")):
        if not any(word.startswith(f"{key}=") for word in words):
            words.append(f"{key}={value}")
    (config,) = plan(words).configs
    return replace(config, **changes)  # type: ignore[arg-type]


def stored_run(root: Path, *settings: str, **changes: object) -> tuple[Record, Path]:
    """Carry out one run, store it below `root` and return its record and folder."""
    config = config_for(*settings, **changes)
    store = Store(root)
    pending = store.begin(config.model)
    record = stages.execute(config, pending.folder)
    folder = store.commit(pending, record)
    return store.load(folder.name), folder
