"""What makes two runs the same run: the resolved request, the data, the code of the plugin and the library versions."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mlcvbench.config import RunConfig
from mlcvbench.describing import describe_data
from mlcvbench.errors import RequestError, UnknownNameError

LIBRARIES = ("numpy", "scikit-learn", "torch")
SHARED_SOURCES = ("mlcvbench_training",)
TIMING = ("time", "seconds", "memory_mb", "given", "intervals", "strict")
DISPLAY = ("title", "summary", "models", "metrics", "file")


def run_key(config: RunConfig) -> str:
    """Return the key of a run, describing its data in a child process. DataError when the data cannot be read."""
    return compute_run_key(config, describe_data(config)["fingerprint"])


def compute_run_key(config: RunConfig, fingerprint: str) -> str:
    """Return the sha256 hex key of a run on data with this fingerprint."""
    return _digest({**_identity(config, fingerprint), "time": config.time, "intervals": config.intervals})


def compute_group_key(config: RunConfig, fingerprint: str) -> str:
    """Return the key that runs share when they differ in nothing but the seed."""
    identity = _identity(config, fingerprint)
    identity["config"].pop("seed")
    return _digest({**identity, "time": config.time, "intervals": config.intervals})


def compute_fit_key(config: RunConfig, fingerprint: str) -> str:
    """Return the key of the fitted state: what is measured, scored or limited does not change it."""
    identity = _identity(config, fingerprint)
    for name in ("limit", "shards", "batch_size", "protocol"):
        identity["config"].pop(name, None)
    return _digest(identity)


def source_hash(package: str) -> str | None:
    """Return the sha256 over the Python sources of an importable package, None when it has none on disk."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return _hash_files([Path(spec.origin)]) if spec is not None and spec.origin else None
    root = Path(next(iter(spec.submodule_search_locations)))
    return _hash_files(sorted(root.rglob("*.py")), root)


def weights_hash(given: str) -> str:
    """Return the sha256 of a weights file, or of all files of a weights folder; RequestError when it is absent."""
    path = Path(given)
    if path.is_file():
        return _hash_files([path])
    if path.is_dir():
        return _hash_files(sorted(file for file in path.rglob("*") if file.is_file()), path)
    raise RequestError(f"weights={given}: no file or folder of that name.")


def _identity(config: RunConfig, fingerprint: str) -> dict[str, Any]:
    from mlcvbench.inner import inner_models
    from mlcvbench.registry import get_registry
    from mlcvbench.search import inner_packages

    plain = config.to_dict()
    definition = {name: value for name, value in plain.pop("definition").items() if name not in DISPLAY}
    registry = get_registry()
    packages = set(SHARED_SOURCES)
    try:
        entry = registry.model(config.model, config.definition.kind)
        inner = inner_models(entry.spec, config.model_params, config.definition.kind)
        packages |= {entry.origin.package, *(one.package for one in inner)}
        packages |= set(inner_packages(config.search, entry.spec, config.definition.kind))
    except UnknownNameError:
        pass  # a live model or somebody's predictions: there is no plugin whose code could change
    dataset = registry.dataset(config.definition.dataset, config.definition.kind).spec
    paths = {param.name for param in dataset.params if param.type == "path"}
    plain["data_params"] = {name: value for name, value in plain["data_params"].items() if name not in paths}
    plain["weights"] = weights_hash(config.weights) if config.weights else None
    definition["data"] = {name: value for name, value in definition["data"].items() if name not in paths}
    return {
        "config": {name: value for name, value in plain.items() if name not in TIMING},
        "definition": definition,
        "fingerprint": fingerprint,
        "sources": {name: source_hash(name) for name in sorted(packages - {""})},
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


@lru_cache(maxsize=256)
def _hash_paths(paths: tuple[Path, ...], root: Path | None) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root) if root else path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _hash_files(paths: list[Path], root: Path | None = None) -> str:
    return _hash_paths(tuple(paths), root)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
