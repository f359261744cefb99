"""What makes two runs the same run: the resolved request, the data, the code of the plugin and the library versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import Entries, entries_of
from mlcvbench.plan.named_files import Renaming, label, labelled
from mlcvbench.plan.search import inner_packages
from mlcvbench.plan.sources import sources_of
from mlcvbench.registry.inner import InnerModel, inner_models

LIBRARIES = ("numpy", "scikit-learn", "torch")
LIMITS = ("seconds", "memory_mb")
"""Limits of a run. They may end a candidate of a search, and so decide what is chosen."""
WAYS = ("given", "strict", "load_threads", "recheck", "fit_memory_mb")
"""How a request is worded and carried out, which changes nothing that is found."""
TIMING = ("time", "intervals", *WAYS)
DISPLAY = ("title", "summary", "models", "starter", "metrics", "columns", "file", "sha256")


class Keys(NamedTuple):
    """sha256 hex: `run` is shared by equal runs, `group` by those that differ in nothing but the seed.

    `sources` are the code digests in both, by package; None for a package without sources on disk.
    """

    run: str
    group: str
    sources: Mapping[str, str | None]


def compute_run_key(config: RunConfig, fingerprint: str, entries: Entries | None = None) -> str:
    """Return the sha256 hex key of a run on data with this fingerprint."""
    return compute_keys(config, fingerprint, entries).run


def compute_keys(config: RunConfig, fingerprint: str, entries: Entries | None = None) -> Keys:
    """Return the keys of a run on data with this fingerprint, as a record holds them."""
    identity = _identity(config, fingerprint, entries) | {"time": config.time, "intervals": config.intervals}
    run = _digest(identity)
    identity["config"].pop("seed")
    return Keys(run, _digest(identity), identity["sources"])


def compute_fit_key(config: RunConfig, fingerprint: str, entries: Entries | None = None) -> str:
    """Return the key of the fitted state, which measuring, scoring and `limit` do not change."""
    identity = _identity(config, fingerprint, entries)
    for name in ("limit", "shards", "batch_size", "protocol"):
        identity["config"].pop(name, None)
    return _digest(identity)


def _identity(config: RunConfig, fingerprint: str, entries: Entries | None) -> dict[str, Any]:
    known, kind = entries or entries_of(config), config.definition.kind
    plain = labelled(config, known).to_dict()
    definition = {name: value for name, value in plain.pop("definition").items() if name not in DISPLAY}
    places = known.places
    plain["data_params"] = {name: value for name, value in plain["data_params"].items() if name not in places}
    definition["data"] = {name: value for name, value in definition["data"].items() if name not in places}
    unkeyed = TIMING if config.search is not None else (*TIMING, *LIMITS)
    inner = _inner_models(config, known)
    renaming = Renaming(known.registry, kind, label)
    return {
        "config": {name: value for name, value in plain.items() if name not in unkeyed},
        "definition": definition,
        "inner": [renaming.settings(one.spec.params, one.params, one.spec.name) for one in inner],
        "fingerprint": fingerprint,
        "sources": sources_of(_packages(config, known, inner), {plugin.package for plugin in known.registry.plugins}),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _inner_models(config: RunConfig, entries: Entries) -> list[InnerModel]:
    """Return the models inside the run's; none when no plugin provides that one."""
    if entries.provided is None:
        return []
    return list(inner_models(entries.provided.spec, config.model_params, config.definition.kind, entries.registry))


def _packages(config: RunConfig, entries: Entries, inner: Sequence[InnerModel]) -> set[str]:
    """Return the packages of a run's model and of those inside it; none when no plugin provides it."""
    model = entries.provided
    if model is None:
        return set()
    searched = inner_packages(config.search, model.spec, config.definition.kind, entries.registry)
    return {model.origin.package, *(one.package for one in inner), *searched}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
