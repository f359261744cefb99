"""Pictures with the objects that were found, missed and imagined drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.figures import INK, new_figure, save, short_name
from mlcvbench_detection.coco.scoring import detected_boxes
from mlcvbench_detection.geometry.boxes import pairwise_iou
from mlcvbench_detection.geometry.ragged import ragged
from mlcvbench_detection.pictures.curves import Outcomes, best_score, outcomes
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.split import has_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = 6
A_ROW = 3
TRUE, FALSE, MISSED, WANTED = "#1a9850", "#d73027", "#fdae00", "#ffffff"
_MOST_BOXES = 60
"""Boxes of one kind drawn on an image."""
_LABEL_HEIGHT = 0.06
"""A box that begins this near to the top of its image, as a share of the height, has its label inside."""


def draw_overlays(folder: Path, outcome: Outcome) -> list[Plot]:
    """Draw the images with the most and the fewest errors; nothing when the split has no pictures."""
    split, table = outcome.split, outcome.table
    if not has_pictures(split) or not len(table):
        return []
    found = outcomes(table)
    score = best_score(table, found)
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
            figure, alt = scene.figure(chosen)
            save(figure, folder / file)
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

    def figure(self, units: Array) -> tuple[Figure, str]:
        """Draw some images in a grid."""
        rows = -(-len(units) // A_ROW)
        figure = new_figure(11, 3.9 * rows)
        grid = figure.subplots(rows, A_ROW, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, unit in zip(grid, units.tolist(), strict=False):
            right, wrong, missed = self._draw(axes, unit)
            axes.set_title(
                f"{str(self._split.ids[unit])[-24:]}: {right} found, {wrong} false, {missed} missed",
                fontsize=8,
                color=INK,
            )
        figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
        names = ", ".join(str(self._split.ids[unit]) for unit in units)
        return figure, f"Images {names[:200]} with annotations and the detections that score {self._score:.3f} or more."

    def _draw(self, axes: Any, unit: int) -> tuple[int, int, int]:
        image = np.asarray(self._split.read([unit])[0].inputs["image"][0])
        own = self._table["unit"] == unit
        true, late = self._shown(self._found.true[own[self._found.true]])
        false, _ = self._shown(self._found.false[own[self._found.false]])
        missed = self._found.missed[own[self._found.missed]]
        height, width = image.shape[:2]
        axes.imshow(self._shaded(image, unit, true, false), cmap="gray", interpolation="nearest")
        index = self._table["index"]
        wanted = index[self._found.found[own[self._found.found]]]
        unshown = self._unshown(unit, wanted, index[late])
        self._annotations(axes, unit, np.setdiff1d(wanted, unshown), named=False)
        self._annotations(axes, unit, np.concatenate([index[missed], unshown]), named=True)
        self._detections(axes, unit, false, FALSE)
        self._detections(axes, unit, true, TRUE)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        return len(true), len(false), len(missed) + len(late)

    def _shown(self, rows: Array) -> tuple[Array, Array]:
        """Split detections into those at or above the score and those below."""
        visible = self._table["score"][rows] >= self._score
        return rows[visible], rows[~visible]

    def _shaded(self, image: Array, unit: int, true: Array, false: Array) -> Array:
        """Return the image with the detected masks laid over it."""
        if self._masks is None:
            return image
        picture = (
            image.astype(np.float64) if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2).astype(np.float64)
        )
        for rows, color in ((false, FALSE), (true, TRUE)):
            for index in self._table["index"][rows][:_MOST_BOXES].tolist():
                inside = self._masks[unit].dense(index)
                picture[inside] = 0.55 * picture[inside] + 0.45 * _rgb(color)
        return picture.round().astype(np.uint8)

    def _unshown(self, unit: int, wanted: Array, late: Array) -> Array:
        """Return the annotations that were found only by detections below the score: the best overlap of each."""
        boxes, annotated = self._boxes[unit], self._wanted[unit]
        taken: list[int] = []
        for place in late.tolist():
            same = wanted[self._wanted_labels[unit][wanted] == self._labels[unit][place]]
            same = np.setdiff1d(same, taken)
            if len(same):
                iou = pairwise_iou(boxes, annotated, np.zeros(len(annotated), dtype=bool))
                taken.append(int(same[np.argmax(iou(np.full(len(same), place), same))]))
        return np.array(taken, dtype=np.int64)

    def _annotations(self, axes: Any, unit: int, index: Array, *, named: bool) -> None:
        """Draw annotations dashed; the class of a missed one stands below, where no detection has its own."""
        for place in index[:_MOST_BOXES].tolist():
            box, color = self._wanted[unit][place], MISSED if named else WANTED
            _rectangle(axes, box, color, "--")
            if named:
                text = short_name(self._classes[self._wanted_labels[unit][place]])
                inside = box[1] + box[3] > (1 - _LABEL_HEIGHT) * max(axes.get_ylim())
                _label(axes, box[0], box[1] + box[3], text, color, "bottom" if inside else "top")

    def _detections(self, axes: Any, unit: int, rows: Array, color: str) -> None:
        """Draw detections with class and score above."""
        for row in rows[:_MOST_BOXES].tolist():
            place = int(self._table["index"][row])
            box = self._boxes[unit][place]
            _rectangle(axes, box, color, "-")
            text = f"{short_name(self._classes[self._labels[unit][place]])} {self._table['score'][row]:.2f}"
            _label(
                axes, box[0], box[1], text, color, "bottom" if box[1] > _LABEL_HEIGHT * max(axes.get_ylim()) else "top"
            )


def _rectangle(axes: Any, box: Array, color: str, style: str) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    for edge, line, thick, alpha in (("black", "-", 2.2, 0.6), (color, style, 1.3, 1.0)):
        patch = Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=edge, linestyle=line, alpha=alpha)
        patch.set_linewidth(thick)
        axes.add_patch(patch)


def _label(axes: Any, x: float, y: float, text: str, color: str, side: str) -> None:
    width = max(axes.get_xlim())
    paper = {"facecolor": color, "edgecolor": "none", "pad": 0.8, "alpha": 0.9}
    align = "right" if x > 0.85 * width else "left"
    axes.text(
        min(max(x, 0), width),
        max(y, 0),
        text,
        fontsize=6,
        color="white",
        va=side,
        ha=align,
        bbox=paper,
        clip_on=True,
    )


def _legend() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=TRUE, label="found (detection)"),
        Patch(facecolor=FALSE, label="false detection"),
        Patch(facecolor=MISSED, label="missed (annotation)"),
        Patch(facecolor="none", edgecolor="black", linestyle="--", label="annotation"),
    ]


def _rgb(color: str) -> Array:
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)
