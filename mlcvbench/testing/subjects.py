"""The subjects of `plugin check`: the models and data sets of a name, of a plugin, or of a plugin's folder."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcvbench.contract import LoadedData
from mlcvbench.errors import OverrideError, PluginError, UnknownNameError, did_you_mean
from mlcvbench.registry import Entry, Registry, discover, get_registry, using
from mlcvbench.registry.entry_points import GROUP, EntryPoint, normalise
from mlcvbench.specs import DatasetSpec, ModelSpec, Param
from mlcvbench.specs.checks import check_inputs
from mlcvbench.specs.values import missing, parse_setting
from mlcvbench.testing.conformance import check_model
from mlcvbench.testing.datasets import check_dataset
from mlcvbench.testing.results import CheckResult
from mlcvbench.testing.toy import first_samples

PROJECT_FILE = "pyproject.toml"
MAX_PROJECT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """The checks of one model or data set for one task kind, or of a plugin that cannot be loaded."""

    what: str
    name: str
    kind: str
    plugin: str
    results: list[CheckResult]

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(result.passed is False for result in self.results)


def check_reference(reference: str, settings: Mapping[str, str], data: str | None = None) -> list[Report]:
    """Check what `reference` names: a model, a data set, a plugin, or the folder of a plugin's project.

    `settings`: text by name, used where a model or data set declares it. `data`: the data set whose first samples
    models are checked on, with its `data.*` settings, instead of toy data. UnknownNameError for an unknown name.
    """
    if not (Path(reference).is_dir() or reference.endswith(PROJECT_FILE)):
        return _check_installed(reference, settings, data, get_registry())
    with _folder_on_path(Path(reference)) as entry_points, using(discover(extra=entry_points)) as registry:
        names = {entry_point.name for entry_point in entry_points}
        return [
            *_broken(names, registry, entry_points[0].distribution),
            *_all_reports(
                [e for e in registry.models() if _from(e, entry_points)],
                [e for e in registry.datasets() if _from(e, entry_points)],
                settings,
                data,
                registry,
            ),
        ]


def _check_installed(reference: str, settings: Mapping[str, str], data: str | None, registry: Registry) -> list[Report]:
    def named(entry: Entry[Any]) -> bool:
        return reference in {entry.spec.name, entry.origin.plugin, entry.origin.package, entry.origin.distribution}

    models, datasets = [e for e in registry.models() if named(e)], [e for e in registry.datasets() if named(e)]
    if any(entry.spec.name == reference for entries in (models, datasets) for entry in entries):
        # A model or data set takes precedence over a plugin of the same name.
        models = [entry for entry in models if entry.spec.name == reference]
        datasets = [entry for entry in datasets if entry.spec.name == reference]
    broken = _broken({reference}, registry)
    if not models and not datasets and not broken:
        if any(origin.plugin == reference for origin in registry.plugins):
            raise PluginError(f"plugin {reference!r} declares no model and no data set, so there is nothing to check.")
        known = [e.spec.name for e in registry.models()] + [e.spec.name for e in registry.datasets()]
        known += [origin.plugin for origin in registry.plugins]
        raise UnknownNameError("model, data set or plugin", reference, known)
    return [*broken, *_all_reports(models, datasets, settings, data, registry)]


def _broken(names: set[str], registry: Registry, distribution: str | None = None) -> list[Report]:
    return [
        Report("plugin", q.plugin, "", q.plugin, [CheckResult("loads", passed=False, detail=q.reason)])
        for q in registry.quarantined
        if q.plugin in names and distribution in {None, q.distribution}
    ]


def _from(entry: Entry[Any], entry_points: Sequence[EntryPoint]) -> bool:
    return any((entry.origin.plugin, entry.origin.distribution) == (p.name, p.distribution) for p in entry_points)


def _all_reports(
    models: Sequence[Entry[ModelSpec]],
    datasets: Sequence[Entry[DatasetSpec]],
    settings: Mapping[str, str],
    data: str | None,
    registry: Registry,
) -> list[Report]:
    lost = [key for key in settings if key.startswith("data.")]
    if models and not datasets and data is None and lost:
        raise OverrideError(
            f"key {lost[0]!r} has no effect on {models[0].spec.name!r}, which is checked on toy data; "
            "data=NAME takes the first samples of a data set instead."
        )
    # The settings of one data set are not those of another.
    own = {
        entry.spec.name: settings if data in {None, entry.spec.name} else _without_data(settings) for entry in datasets
    }
    return [
        *(report for entry in models for report in _reports(entry, settings, data, registry)),
        *(_dataset_report(entry, own[entry.spec.name]) for entry in datasets),
    ]


def _without_data(settings: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in settings.items() if not key.startswith("data.")}


def _reports(
    entry: Entry[ModelSpec], settings: Mapping[str, str], data: str | None, registry: Registry
) -> Iterator[Report]:
    """Check a model for each of its task kinds, or for those of the data set that is named."""
    spec, kinds = entry.spec, entry.spec.kinds
    if data is not None:
        kinds = tuple(kind for kind in kinds if any(e.spec.name == data for e in registry.datasets(kind))) or kinds[:1]
    params = _typed(spec, "model", spec.params, settings)
    fit = _typed(spec, "fit", spec.fit, settings)
    for kind in kinds:
        samples = None if data is None else _samples(spec, registry.dataset(data, kind).spec, settings)
        results = check_model(spec, kind, params=params, fit=fit, data=samples)
        yield Report("model", spec.name, kind, entry.origin.plugin, results)


def _samples(model: ModelSpec, dataset: DatasetSpec, settings: Mapping[str, str]) -> LoadedData:
    """Return the first samples of a data set that has what the model needs."""
    check_inputs(model, dataset)
    given = _typed(dataset, "data", dataset.params, settings)
    if lacking := [param.name for param in missing(dataset.params, given)]:
        raise OverrideError(f"data set {dataset.name!r} needs data.{lacking[0]}=VALUE.")
    return first_samples(dataset, given)


def _dataset_report(entry: Entry[DatasetSpec], settings: Mapping[str, str]) -> Report:
    spec = entry.spec
    results = check_dataset(spec, params=_typed(spec, "data", spec.params, settings))
    return Report("data set", spec.name, ", ".join(spec.kinds), entry.origin.plugin, results)


def _typed(
    spec: ModelSpec | DatasetSpec, place: str, declared: Sequence[Param], settings: Mapping[str, str]
) -> dict[str, Any]:
    params = {f"{place}.{param.name}": param for param in declared}
    for key in settings:
        if key.startswith(f"{place}.") and key not in params:
            raise OverrideError(f"key {key!r} has no effect on {spec.name!r}.{did_you_mean(key, params)}")
    return {params[key].name: parse_setting(params[key], text, key) for key, text in settings.items() if key in params}


@contextmanager
def _folder_on_path(folder: Path) -> Iterator[list[EntryPoint]]:
    """Make a project's packages importable from its folder; yield its entry points."""
    project = folder if folder.name == PROJECT_FILE else folder / PROJECT_FILE
    entry_points = _read_project(project)
    places = [str(place) for place in (project.parent.absolute() / "src", project.parent.absolute()) if place.is_dir()]
    before = list(sys.path)
    sys.path[:0] = places
    try:
        yield entry_points
    finally:
        sys.path[:] = before


def _read_project(path: Path) -> list[EntryPoint]:
    try:
        if path.stat().st_size > MAX_PROJECT_BYTES:
            raise PluginError(f"{path}: is larger than {MAX_PROJECT_BYTES} bytes.")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PluginError(f"{path}: no such file; wanted the folder of a plugin's project.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{path}: cannot be read: {error}.") from None
    project, found = content.get("project"), content
    for key in ("project", "entry-points", GROUP):
        found = found.get(key, {}) if isinstance(found, dict) else {}
    if not isinstance(found, dict) or not isinstance(project, dict) or not found:
        raise PluginError(f"{path}: has no [project.entry-points.{GROUP}] section, so it is not a plugin.")
    name, version = str(project.get("name", path.parent.name)), str(project.get("version", "unknown"))
    return [EntryPoint(str(key), str(value), normalise(name), version) for key, value in found.items()]
