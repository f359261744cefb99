"""Pictures of a data set with its ground truth: what `mlcvbench data preview` shows, one sheet per task kind."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.analysis.contact_sheet import draw_sheet
from mlcvbench.analysis.output import PICTURE, refuse_unwritable
from mlcvbench.contract import LoadedData, Panel, Task
from mlcvbench.errors import (
    PluginError,
    RequestError,
    StoreError,
    UnknownNameError,
)
from mlcvbench.plan.data_requests import DataRequest, guarded, plan_data
from mlcvbench.registry import Registry
from mlcvbench.specs import Param

COUNT = Param("count", "int", 8, "samples to show, spread over the split", low=1, high=200)
SPLIT = Param("split", "str", "test", "train, val or test")
OUT = Param("out", "str", help="PNG file to write")


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """One requested sheet: its data, split, number of samples, and output path."""

    data: DataRequest
    split: str
    count: int
    out: Path


@dataclass(frozen=True, slots=True)
class Written:
    """A sheet at `path`, and a description of what it shows."""

    path: Path
    shows: str


def plan_previews(name: str, settings: Sequence[str] = (), registry: Registry | None = None) -> list[PreviewRequest]:
    """Return the sheets that a name and KEY=VALUE words request, one per task kind.

    UnknownNameError offers the nearest names, OverrideError the nearest keys; StoreError when `out` cannot be written.
    """
    found, own = plan_data(name, settings, (COUNT, SPLIT, OUT), registry)
    outs = _outs(name, own[OUT.name], [one.kind for one in found])
    return [PreviewRequest(one, own[SPLIT.name], own[COUNT.name], out) for one, out in zip(found, outs, strict=True)]


def write_preview(request: PreviewRequest) -> Written | None:
    """Draw the sheet and write it atomically; None when the task kind draws no pictures of its samples.

    DataError and RequestError say what is wrong with the data or the split, StoreError why the file cannot be written.
    """
    from mlcvbench.loading.data import read_data
    from mlcvbench.loading.tasks import task_of_kind

    asked = request.data
    task = task_of_kind(asked.kind)
    if type(task).preview is Task.preview:
        return None
    data = guarded(asked, "drawing", lambda: read_data(asked.spec, task, asked.params, asked.seed))
    if request.split not in data.splits:
        raise UnknownNameError("split", request.split, data.splits)
    split = data.splits[request.split]
    panels = guarded(asked, "drawing", lambda: task.preview(split, data.problem, request.count))
    _check_panels(panels, asked.kind)
    if not panels:
        return None
    shows = _shows(request, len(split))
    _write(request, data, panels, shows)
    return Written(request.out, shows)


def no_pictures(requests: Sequence[PreviewRequest]) -> RequestError:
    """Return the error for data sets of which no task kind draws pictures."""
    kinds = " and ".join(sorted({request.data.kind for request in requests}))
    return RequestError(
        f"task kind {kinds} draws no pictures of its samples, so {requests[0].data.spec.name!r} has none."
    )


def _outs(name: str, out: str | None, kinds: Sequence[str]) -> list[Path]:
    """Return the file of each sheet; refuse early what cannot be written, since drawing may take a while."""
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in Path(name).stem)
    several = len(kinds) > 1
    if out is None:
        outs = [Path(f"preview-{stem}{f'-{kind}' if several else ''}{PICTURE}") for kind in kinds]
    elif several:
        said = " or ".join(f"task={kind}" for kind in kinds)
        raise RequestError(f"out={out}: {name!r} is a data set of {len(kinds)} task kinds; say {said} as well.")
    else:
        outs = [Path(out).expanduser()]
    for path in outs:
        refuse_unwritable(path, "sheet")
    return outs


def _check_panels(panels: Any, kind: str) -> None:
    """Refuse anything but a list of pictures; PluginError names what was wanted."""
    for panel in panels if isinstance(panels, list) else [panels]:
        image = np.asarray(panel.image) if isinstance(panel, Panel) else None
        if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            got = type(panel).__name__ if image is None else f"{image.dtype} {image.shape}"
            raise PluginError(f"task kind {kind!r}: preview() gave {got}; wanted Panels of uint8 (H, W, 3).")


def _shows(request: PreviewRequest, total: int) -> str:
    """Return which split is shown, its size and the requested count; what a sample is differs between task kinds."""
    samples = f"{total:,} samples" if total > 1 else "one sample"
    return f"split {request.split}, {samples}" + (f", count={request.count}" if request.count < total else "")


def _write(request: PreviewRequest, data: LoadedData, panels: Sequence[Panel], shows: str) -> None:
    from mlcvbench.specs.values import text

    shown = min(request.count, len(data.splits[request.split]))
    group = len(panels) // shown if len(panels) % shown == 0 else 1
    places = request.data.spec.places
    settings = [f"data.{name}={text(value)}" for name, value in request.data.given.items() if name not in places]
    settings += [f"data.seed={request.data.seed}"] if request.data.seed else []
    sheet = draw_sheet(
        panels,
        group,
        f"{data.name} ({request.data.kind})",
        [request.data.spec.summary, ", ".join([shows, *settings])],
    )
    beside = request.out.with_name(f".{request.out.name}.{os.getpid()}")
    try:
        sheet.save(beside)
        beside.replace(request.out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"out={request.out}: cannot be written ({error.strerror or error}).") from None
