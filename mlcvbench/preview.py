"""Pictures of a data set with its ground truth: what `mlcvbench data preview` shows.

A name is a data set of one task kind or of several, then each kind shows what it asks for; or it is a definition, which
brings the parameters of its data set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mlcvbench.contract import LoadedData, Panel, Task
from mlcvbench.errors import (
    DataError,
    MlcvbenchError,
    OverrideError,
    PluginError,
    RequestError,
    StoreError,
    UnknownNameError,
    did_you_mean,
)
from mlcvbench.registry import Registry, get_registry
from mlcvbench.run_keys import RUN_KEYS
from mlcvbench.settings import complete, existing, parse_setting
from mlcvbench.specs import DatasetSpec, Param

COUNT = Param("count", "int", 8, "samples to show, spread over the split", low=1, high=200)
SPLIT = Param("split", "str", "test", "train, val or test")
TASK = Param("task", "str", help="task kind, of a data set that several have")
OUT = Param("out", "str", help="PNG file to write")
SEED = RUN_KEYS["data.seed"].param
KEYS = {param.name: param for param in (COUNT, SPLIT, TASK, OUT, SEED)}
SUFFIX = ".png"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One sheet that was asked for: a data set as a task kind sees it. `given` are the settings to mention."""

    kind: str
    spec: DatasetSpec
    params: Mapping[str, Any]
    given: Mapping[str, Any]
    seed: int
    split: str
    count: int
    out: Path


@dataclass(frozen=True, slots=True)
class Written:
    """A sheet that lies at `path`, and what it shows in words."""

    path: Path
    shows: str


def plan_previews(name: str, settings: Sequence[str] = (), registry: Registry | None = None) -> list[Request]:
    """Return the sheets that a name and KEY=VALUE words ask for, one a task kind.

    UnknownNameError offers the nearest names, OverrideError the nearest keys; StoreError when `out` cannot be written.
    """
    from mlcvbench.overrides import parse_pairs

    known = registry or get_registry()
    pairs = dict(parse_pairs(settings))
    common = {
        key: parse_setting(param, pairs.pop(key), key) if key in pairs else param.default for key, param in KEYS.items()
    }
    found = _find(name, common["task"], known)
    given: list[dict[str, Any]] = [{} for _ in found]
    for key, text in pairs.items():
        place, _, own = key.partition(".")
        owners = [n for n, one in enumerate(found) if place == "data" and own in one.declared]
        if not owners:
            raise _unknown(key, found)
        for number in owners:
            param = found[number].declared[own]
            given[number][own] = existing(param, parse_setting(param, text, key), key)
    return [
        Request(
            kind=one.kind,
            spec=one.spec,
            params=_completed(one.spec, {**one.fixed, **own}),
            given={**one.fixed, **own},
            seed=common["data.seed"],
            split=common["split"],
            count=common["count"],
            out=out,
        )
        for one, own, out in zip(found, given, _outs(name, common["out"], found), strict=True)
    ]


def write_preview(request: Request) -> Written | None:
    """Draw the sheet and write it, whole or not at all; None when the task kind draws no pictures of its samples.

    DataError and RequestError say what is wrong with the data or the split, StoreError why the file cannot be written.
    """
    from mlcvbench import assembly

    task = assembly.task_of_kind(request.kind)
    if type(task).preview is Task.preview:
        return None
    data = _guarded(request, lambda: assembly.read_data(request.spec, task, request.params, request.seed))
    if request.split not in data.splits:
        raise UnknownNameError("split", request.split, data.splits)
    split = data.splits[request.split]
    panels = _guarded(request, lambda: task.preview(split, data.problem, request.count))
    _check_panels(panels, request.kind)
    if not panels:
        return None
    shows = _shows(request, len(split))
    _write(request, data, panels, shows)
    return Written(request.out, shows)


def no_pictures(requests: Sequence[Request]) -> RequestError:
    """Return the error of data sets of which no task kind draws pictures."""
    kinds = " and ".join(sorted({request.kind for request in requests}))
    return RequestError(f"task kind {kinds} draws no pictures of its samples, so {requests[0].spec.name!r} has none.")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a name means for one task kind: a data set, and the settings that a definition fixes."""

    kind: str
    spec: DatasetSpec
    fixed: Mapping[str, Any]

    @property
    def declared(self) -> dict[str, Param]:
        return {param.name: param for param in self.spec.params}


def _find(name: str, kind: str | None, registry: Registry) -> list[_Found]:
    """Return what the name means for each task kind (for one, when given): a data set goes before a definition."""
    from mlcvbench.definition_files import SUFFIXES, definition_files
    from mlcvbench.definitions import load_definition, read_definition

    if kind is not None:
        registry.task(kind)
    specs = [entry.spec for entry in registry.datasets(kind) if entry.spec.name == name]
    if specs:
        kinds = {own: spec for spec in specs for own in spec.kinds if kind in {None, own}}
        return [_Found(own, kinds[own], {}) for own in sorted(kinds)]
    files = {own: paths for own, paths in definition_files(registry).items() if kind in {None, own}}
    if kind is not None and name in files[kind]:
        definition = read_definition(files[kind][name], registry)
    elif name.endswith(SUFFIXES) or name in files or any(name in paths for paths in files.values()):
        definition = load_definition(name, registry)
    else:
        known = {entry.spec.name for entry in registry.datasets(kind)} | {
            one for paths in files.values() for one in paths
        }
        raise UnknownNameError("data set" if kind is None else f"{kind} data set", name, known)
    if kind not in {None, definition.kind}:
        raise RequestError(f"task={kind}: the definition {name!r} is of task kind {definition.kind!r}.")
    return [_Found(definition.kind, registry.dataset(definition.dataset, definition.kind).spec, definition.data)]


def _unknown(key: str, found: Sequence[_Found]) -> OverrideError:
    """Say that no one takes a key, with the nearest that somebody does."""
    place, _, name = key.partition(".")
    settings = [f"data.{own}" for one in found for own in one.declared]
    if place == "data" and name:
        hint = did_you_mean(key, [*settings, SEED.name])
        return OverrideError(
            f"key {key!r} has no effect: data set {found[0].spec.name!r} declares no such setting.{hint}"
        )
    return OverrideError(f"unknown key {key!r}.{did_you_mean(key, [*KEYS, *settings])}")


def _completed(spec: DatasetSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of the data set; OverrideError names one that must be given and is not."""
    for param in spec.params:
        if param.required and param.name not in given:
            what = f"data.{param.name}={param.type.upper()}"
            raise OverrideError(f"data set {spec.name!r} needs {what}{f' ({param.help})' if param.help else ''}.")
    return complete(spec.params, given)


def _outs(name: str, out: str | None, found: Sequence[_Found]) -> list[Path]:
    """Return the file of each sheet; refuse early what cannot be written, for drawing may take a while."""
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in Path(name).stem)
    several = len(found) > 1
    if out is None:
        outs = [Path(f"preview-{stem}{f'-{one.kind}' if several else ''}{SUFFIX}") for one in found]
    elif several:
        kinds = " or ".join(f"task={one.kind}" for one in found)
        raise RequestError(f"out={out}: {name!r} is a data set of {len(found)} task kinds; say {kinds} as well.")
    else:
        outs = [Path(out).expanduser()]
    for path in outs:
        if path.suffix.lower() != SUFFIX:
            raise RequestError(f"out={path}: wanted the name of a PNG file, such as {path.stem or 'sheet'}{SUFFIX}.")
        if not path.parent.is_dir():
            raise StoreError(f"out={path}: there is no folder {str(path.parent)!r}.")
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            reason = "is a folder" if path.is_dir() else "its folder cannot be written"
            raise StoreError(f"out={path}: {reason}; choose another file.")
    return outs


def _guarded(request: Request, step: Callable[[], T]) -> T:
    """Run code of a data set or a task kind; whatever it raises becomes one line."""
    try:
        return step()
    except MlcvbenchError:
        raise
    except MemoryError:
        raise DataError(f"data set {request.spec.name!r} does not fit into memory.") from None
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"drawing data set {request.spec.name!r} failed: {said}.") from error


def _check_panels(panels: Any, kind: str) -> None:
    """Refuse what is no list of pictures; PluginError names what was wanted."""
    for panel in panels if isinstance(panels, list) else [panels]:
        image = np.asarray(panel.image) if isinstance(panel, Panel) else None
        if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            got = type(panel).__name__ if image is None else f"{image.dtype} {image.shape}"
            raise PluginError(f"task kind {kind!r}: preview() gave {got}; wanted Panels of uint8 (H, W, 3).")


def _shows(request: Request, total: int) -> str:
    """Return which split is shown, how large it is and how much of it was asked for; what a sample is, kinds differ."""
    samples = f"{total:,} samples" if total > 1 else "one sample"
    return f"split {request.split}, {samples}" + (f", count={request.count}" if request.count < total else "")


def _write(request: Request, data: LoadedData, panels: Sequence[Panel], shows: str) -> None:
    from mlcvbench.contact_sheet import draw_sheet
    from mlcvbench.request import text

    shown = min(request.count, len(data.splits[request.split]))
    group = len(panels) // shown if len(panels) % shown == 0 else 1
    hidden = {param.name for param in request.spec.params if param.type == "path"}
    settings = [f"data.{name}={text(value)}" for name, value in request.given.items() if name not in hidden]
    settings += [f"data.seed={request.seed}"] if request.seed else []
    sheet = draw_sheet(
        panels,
        group,
        f"{data.name} ({request.kind})",
        [request.spec.summary, ", ".join([shows, *settings])],
    )
    beside = request.out.with_name(f".{request.out.name}.{os.getpid()}")
    try:
        sheet.save(beside, format="PNG")
        beside.replace(request.out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"out={request.out}: cannot be written ({error.strerror or error}).") from None
