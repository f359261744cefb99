"""Pictures with found objects, missed objects and false detections drawn on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.figures import (
    DASHED,
    INK,
    TINY,
    Box,
    Canvas,
    Dash,
    Key,
    Tile,
    colored,
    draw_tiles,
    fitted,
    short_name,
    text_width,
)
from mlcvbench_detection.analysis.confidence import confidence_of
from mlcvbench_detection.analysis.curves import Outcomes, outcomes
from mlcvbench_detection.coco.scoring import detected_boxes
from mlcvbench_detection.geometry.boxes import pairwise_iou
from mlcvbench_detection.geometry.ragged import ragged
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.split import has_pictures

IMAGES = 6
A_ROW = 3
SIDE = 390
"""Approximate length in pixels of a drawn image's longer side."""
TRUE, FALSE, MISSED, WANTED = "#1a9850", "#d73027", "#fdae00", "#ffffff"
_MOST_BOXES = 60
"""The most boxes of one kind drawn on an image."""
_LABEL_HEIGHT = 0.06
"""A box this close to the top of its image, as a fraction of the height, has its label inside."""
_FAR_RIGHT = 0.85
"""A label that would begin farther right, as a fraction of the width, is right-aligned."""


def draw_overlays(folder: Path, outcome: Outcome) -> list[Plot]:
    """Draw the images with the most and the fewest errors; nothing when the split has no pictures."""
    split, table = outcome.split, outcome.table
    if not has_pictures(split) or not len(table):
        return []
    found = outcomes(table)
    score = outcome.once(confidence_of).every
    errors, hits = _tally(table, found, score, len(split))
    annotated = np.flatnonzero(hits + errors > 0)
    scene = _Scene(outcome, found, score)
    plots = []
    for file, title, order in (
        ("worst.png", "Images with the most errors", np.lexsort((annotated, -errors[annotated]))),
        (
            "best.png",
            "Images with the most objects found without error",
            np.lexsort((-hits[annotated], errors[annotated])),
        ),
    ):
        chosen = annotated[order[:IMAGES]]
        if len(chosen):
            canvas, alt = scene.draw(chosen)
            canvas.save(folder / file)
            plots.append(Plot(file, title, alt))
    return plots


def _tally(table: Table, found: Outcomes, score: float, count: int) -> tuple[Array, Array]:
    """Return errors and hits of each image (U,) when detections from `score` on are shown."""
    unit = table["unit"]
    shown = found.false[table["score"][found.false] >= score]
    late = found.true[table["score"][found.true] < score]  # found, but below the score: missed when shown
    hits = found.true[table["score"][found.true] >= score]
    errors = np.bincount(unit[np.concatenate([shown, late, found.missed])], minlength=count)
    return errors, np.bincount(unit[hits], minlength=count)


class _Scene:
    """Draws images of one record."""

    def __init__(self, outcome: Outcome, found: Outcomes, score: float) -> None:
        predictions, targets = outcome.predictions, outcome.targets
        self._split, self._classes, self._table = outcome.split, outcome.problem.classes, outcome.table
        self._found, self._score = found, score
        self._boxes, self._labels = detected_boxes(predictions), ragged(predictions, "labels")
        self._wanted, self._wanted_labels = ragged(targets, "xywh"), ragged(targets, "labels")
        self._masks: RaggedMasks | None = predictions.get("masks")

    def draw(self, units: Array) -> tuple[Canvas, str]:
        """Draw some images in a grid."""
        tiles = [self._tile(unit) for unit in units.tolist()]
        canvas = draw_tiles([tiles[first : first + A_ROW] for first in range(0, len(tiles), A_ROW)], keys=KEYS)
        names = ", ".join(str(self._split.ids[unit]) for unit in units)
        return canvas, f"Images {names[:200]} with annotations and the detections that score {self._score:.3f} or more."

    def _tile(self, unit: int) -> Tile:
        image = np.asarray(self._split.read([unit])[0].inputs["image"][0])
        own = self._table["unit"] == unit
        true, late = self._shown(self._found.true[own[self._found.true]])
        false, _ = self._shown(self._found.false[own[self._found.false]])
        missed = self._found.missed[own[self._found.missed]]
        canvas = Canvas.over(fitted(self._shaded(image, unit, true, false), SIDE, SIDE))
        scale = np.array([canvas.box.width / image.shape[1], canvas.box.height / image.shape[0]] * 2)
        index = self._table["index"]
        wanted = index[self._found.found[own[self._found.found]]]
        unshown = self._unshown(unit, wanted, index[late])
        self._annotations(canvas, scale, unit, np.setdiff1d(wanted, unshown), named=False)
        self._annotations(canvas, scale, unit, np.concatenate([index[missed], unshown]), named=True)
        self._detections(canvas, scale, unit, false, FALSE)
        self._detections(canvas, scale, unit, true, TRUE)
        counts = f"{len(true)} found, {len(false)} false, {len(missed) + len(late)} missed"
        return Tile(canvas.pixels, [f"{str(self._split.ids[unit])[-24:]}: {counts}"])

    def _shown(self, rows: Array) -> tuple[Array, Array]:
        """Split detections into those at or above the score and those below."""
        visible = self._table["score"][rows] >= self._score
        return rows[visible], rows[~visible]

    def _shaded(self, image: Array, unit: int, true: Array, false: Array) -> Array:
        """Return the image with the detected masks laid over it."""
        if self._masks is None:
            return colored(image)
        picture = colored(image).astype(np.float64)
        for rows, color in ((false, FALSE), (true, TRUE)):
            for index in self._table["index"][rows][:_MOST_BOXES].tolist():
                inside = self._masks[unit].dense(index)
                picture[inside] = 0.55 * picture[inside] + 0.45 * _rgb(color)
        return picture.round().astype(np.uint8)

    def _unshown(self, unit: int, wanted: Array, late: Array) -> Array:
        """Return the annotations that were found only by detections below the score."""
        boxes, annotated = self._boxes[unit], self._wanted[unit]
        taken: list[int] = []
        for place in late.tolist():
            same = wanted[self._wanted_labels[unit][wanted] == self._labels[unit][place]]
            same = np.setdiff1d(same, taken)
            if len(same):
                iou = pairwise_iou(boxes, annotated, np.zeros(len(annotated), dtype=bool))
                taken.append(int(same[np.argmax(iou(np.full(len(same), place), same))]))
        return np.array(taken, dtype=np.int64)

    def _annotations(self, canvas: Canvas, scale: Array, unit: int, index: Array, *, named: bool) -> None:
        """Draw annotations dashed; the class of a missed one is below the box, where no detection has its label."""
        for place in index[:_MOST_BOXES].tolist():
            box, color = _box(self._wanted[unit][place] * scale), MISSED if named else WANTED
            _rectangle(canvas, box, color, DASHED)
            if named:
                inside = box.bottom > (1 - _LABEL_HEIGHT) * canvas.box.height
                name = short_name(self._classes[self._wanted_labels[unit][place]])
                _label(canvas, box.left, box.bottom, name, color, above=inside)

    def _detections(self, canvas: Canvas, scale: Array, unit: int, rows: Array, color: str) -> None:
        """Draw detections with class and score above."""
        for row in rows[:_MOST_BOXES].tolist():
            place = int(self._table["index"][row])
            box = _box(self._boxes[unit][place] * scale)
            _rectangle(canvas, box, color, ())
            text = f"{short_name(self._classes[self._labels[unit][place]])} {self._table['score'][row]:.2f}"
            _label(canvas, box.left, box.top, text, color, above=box.top > _LABEL_HEIGHT * canvas.box.height)


def _box(xywh: Array) -> Box:
    """Return a box of pixels; empty ones stay visible."""
    left, top, width, height = xywh.tolist()
    right, bottom = max(round(left + width), round(left) + 1), max(round(top + height), round(top) + 1)
    return Box(round(left), round(top), right, bottom)


def _rectangle(canvas: Canvas, box: Box, color: str, dash: Dash) -> None:
    """Draw the border of a box on a dark outline, visible on any background."""
    around = Box(box.left - 1, box.top - 1, box.right + 1, box.bottom + 1)
    canvas.frame(around, "black", 4, alpha=0.6)
    canvas.frame(box, color, 2, dash)


def _label(canvas: Canvas, x: int, y: int, text: str, color: str, *, above: bool) -> None:
    """Write a text above or below a place, inside the image."""
    wide, high = text_width(text, TINY) + 4, TINY + 3
    left = x - wide if x > _FAR_RIGHT * canvas.box.width else x
    left, top = (
        max(0, min(left, canvas.box.width - wide)),
        min(max(0, y - high if above else y), canvas.box.height - high),
    )
    canvas.fill(Box(left, top, left + wide, top + high), color, 0.9)
    canvas.text(left + 2, top + high / 2, text, TINY, "white")


KEYS = (
    Key("found (detection)", TRUE, "patch"),
    Key("false detection", FALSE, "patch"),
    Key("missed (annotation)", MISSED, "patch"),
    Key("annotation", INK, "frame", dash=DASHED),
)


def _rgb(color: str) -> Array:
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)
