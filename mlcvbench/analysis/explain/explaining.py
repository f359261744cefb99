"""Explain samples of a run: predict, project, occlude, and write one picture per sample and the numbers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.analysis.contact_sheet import draw_sheet
from mlcvbench.analysis.explain import drawing
from mlcvbench.analysis.explain.deconvnet import Projection, project
from mlcvbench.analysis.explain.occlusion import Occlusion, occlude
from mlcvbench.analysis.explain.request import ExplainRequest, places_of, square
from mlcvbench.analysis.explain.subject import Subject
from mlcvbench.contract import Array, Batch, Column, Panel, TorchModel
from mlcvbench.errors import MlcvbenchError, RequestError, StoreError, said_by
from mlcvbench.figures import Canvas, colored

NUMBERS_FILE = "explain.json"
MODEL_INPUT_CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sample: its label, the model's prediction with its probability, and the explanations."""

    id: str
    image: Array
    truth: int | None
    prediction: int
    probabilities: Array
    layer: str | None
    projections: tuple[Projection, ...]
    occlusion: Occlusion | None
    watched: int


@dataclass(frozen=True, slots=True)
class Written:
    """A picture at `path`, and its sample."""

    path: Path
    sample: Explanation


def explain(subject: Subject, request: ExplainRequest) -> Iterator[Written]:
    """Explain the samples of a request and yield each one once its picture is written; the numbers are written last.

    RequestError when the model cannot be explained this way, UnknownNameError for an unknown sample or layer,
    StoreError when the folder cannot be written.
    """
    places = places_of(request, subject.test)
    folder = request.out or Path(f"explain-{subject.record.run_id}")
    taken: set[str] = set()
    done: list[dict[str, Any]] = []
    for place in places:
        try:
            sample = explain_sample(subject, request, place)
        except MlcvbenchError:
            raise
        except Exception as error:
            said = said_by(error)
            raise RequestError(f"explaining run {subject.record.run_id!r} failed: {said}.") from error
        path = folder / _file_of(sample.id, taken)
        sheet = draw(subject, sample)
        _make(folder)
        _write(path, lambda beside, sheet=sheet: sheet.save(beside))  # type: ignore[misc]
        done.append({"file": path.name, **numbers(subject, sample)})
        yield Written(path, sample)
    document = {"run": subject.record.run_id, "model": subject.record.model.name, "samples": done}
    _write(folder / NUMBERS_FILE, lambda beside: beside.write_text(json.dumps(document, indent=2) + "\n"))


def explain_sample(subject: Subject, request: ExplainRequest, place: int) -> Explanation:
    """Explain the sample at `place` of the test split."""
    batch, targets = subject.test.read([place])
    image = np.asarray(batch.inputs["image"][0])
    probabilities = _probabilities(subject, batch)[0]
    prediction = int(probabilities.argmax())
    label = targets.get("label")
    truth = None if label is None else int(label[0])
    if request.of_truth and truth is None:
        raise RequestError("class=truth: the data set has no labels; use class=prediction.")
    watched = truth if request.of_truth and truth is not None else prediction
    layer, projections = _project(subject, request, batch) if request.deconvnet else (None, [])
    occlusion = None
    if request.occlusion:
        window, step = square(request, *image.shape[:2])
        occlusion = occlude(_scorer(subject, batch, watched), image, window, step)
    return Explanation(
        str(batch.ids[0]), image, truth, prediction, probabilities, layer, tuple(projections), occlusion, watched
    )


def _project(subject: Subject, request: ExplainRequest, batch: Batch) -> tuple[str, list[Projection]]:
    model = subject.model
    name = subject.record.model.name
    if not isinstance(model, TorchModel):
        raise RequestError(f"model {name!r} is not a torch network, so it has no deconvnet; use show=occlusion.")
    inputs = model.preprocess(batch)
    if getattr(inputs, "ndim", 0) != 4 or inputs.shape[1] not in MODEL_INPUT_CHANNELS:
        raise RequestError(f"model {name!r} takes no images (B, C, H, W), so it has no deconvnet; use show=occlusion.")
    return project(model.module, inputs, request.features, request.layer)


def _scorer(subject: Subject, batch: Batch, watched: int) -> Callable[[Array], Array]:
    """Return the probability of a class as a function of images that stand in for the one of `batch`."""

    def repeated(column: Column, count: int) -> Column:
        return [column[0]] * count if isinstance(column, list) else np.repeat(column, count, axis=0)

    def score(images: Array) -> Array:
        count = len(images)
        others = {kind: repeated(column, count) for kind, column in batch.inputs.items() if kind != "image"}
        meta = {name: repeated(column, count) for name, column in batch.meta.items()}
        changed = Batch(np.repeat(batch.ids, count), {**others, "image": images}, meta)
        return _probabilities(subject, changed)[:, watched]

    return score


def _probabilities(subject: Subject, batch: Batch) -> Array:
    """Return the model's probabilities, or the softmax of its scores, float64 (B, C)."""
    found = subject.model.predict(batch)
    fields: dict[str, Any] = found if isinstance(found, dict) else {}
    given = fields.get("scores", fields.get("probabilities"))
    classes = len(subject.data.problem.classes)
    if not isinstance(given, np.ndarray) or given.shape != (len(batch), classes):
        name = subject.record.model.name
        raise RequestError(f"model {name!r} gives no class scores per image, so there is nothing to explain.")
    scores = given.astype(np.float64)
    if "probabilities" in fields:
        return np.asarray(scores)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def draw(subject: Subject, sample: Explanation) -> Canvas:
    """Return the sheet of a sample: the image, the occlusion map, and projections of the strongest features."""
    classes = subject.data.problem.classes
    sure = sample.probabilities[sample.prediction]
    truth = "Read" if sample.truth is None else f"Is {classes[sample.truth]}, read"
    said = f"{truth} as {classes[sample.prediction]} with probability {sure:.2f}."
    height, width = sample.image.shape[:2]
    panels = [Panel(colored(sample.image), f"the image, {width}x{height} pixels")]
    lines = [f"run {subject.record.run_id}", said]
    if sample.occlusion is not None:
        panel, line = _hidden(sample.occlusion, sample.image, classes[sample.watched])
        panels.append(panel)
        lines.append(line)
    for one in sample.projections:
        caption = f"channel {one.channel}, row {one.row}, column {one.column}: activation {one.activation:.3g}"
        panels.append(Panel(drawing.projection(one.pixels), caption))
    if sample.layer is not None:
        lines.append(
            f"Further pictures: the strongest activations of layer {sample.layer}, one per channel, projected back to "
            "the pixels by a deconvnet. Mid grey is 0, brighter more, darker less, each on its own scale."
            if sample.projections
            else f"No unit of layer {sample.layer} fires."
        )
    title = f"{subject.record.model.called} on {subject.data.name}, sample {sample.id}"
    return draw_sheet(panels, len(panels), title, lines)


def _hidden(found: Occlusion, image: Array, name: str) -> tuple[Panel, str]:
    """Return the occlusion map above its scale, and the line that explains it; `name`: the class that is watched."""
    drops = found.by_pixel()
    least, most = found.score - found.drops.max(), found.score - found.drops.min()
    caption = f"probability {found.score:.2f}, with a part hidden {least:.2f} to {most:.2f}"
    line = (
        f"Second picture: how the probability of {name} changes when a grey square of {found.window}x{found.window} "
        "pixels hides a part, red where it falls, blue where it rises; mean of the squares over a pixel."
    )
    return Panel(drawing.with_scale(image, drops), caption), line


def numbers(subject: Subject, sample: Explanation) -> dict[str, Any]:
    """Return the explanation without its pictures, as plain data."""
    classes = subject.data.problem.classes
    found = sample.occlusion
    return {
        "id": sample.id,
        "truth": None if sample.truth is None else classes[sample.truth],
        "prediction": classes[sample.prediction],
        "probability": float(sample.probabilities[sample.prediction]),
        "occlusion": None if found is None else {
            "class": classes[sample.watched],
            "probability": found.score,
            "window": found.window,
            "tops": found.tops.tolist(),
            "lefts": found.lefts.tolist(),
            "drops": found.drops.tolist(),
        },
        "layer": sample.layer,
        "features": [
            {"channel": one.channel, "row": one.row, "column": one.column, "activation": one.activation}
            for one in sample.projections
        ],
    }  # fmt: skip


def _file_of(sample: str, taken: set[str]) -> str:
    """Return a unique file name for a sample's picture, whatever characters are in its id."""
    bare = re.sub(r"\.(png|jpe?g|bmp|tiff?|webp)$", "", sample, flags=re.IGNORECASE)
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", bare).lstrip(".")[:80] or "sample"
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return f"{name}.png"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"out={folder}: cannot be made ({error.strerror or error}).") from None


def _write(path: Path, writer: Callable[[Path], Any]) -> None:
    """Write a file atomically."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writer(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}).") from None
