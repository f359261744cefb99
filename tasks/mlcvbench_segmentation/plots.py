"""Pictures of a segmentation record: IoU of each class, and the best and worst images beside their labels.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import (
    PALE,
    Canvas,
    Key,
    Tile,
    averaged,
    bars,
    colored,
    draw_tiles,
    enlarged,
    enlargement,
    short_name,
    thinning,
)
from mlcvbench_segmentation.joints import NAME, best_of
from mlcvbench_segmentation.palette import IGNORED_COLOR, class_colors, label_colors
from mlcvbench_segmentation.pictures import picture_of

SHOWN = 3
"""Number of best and of worst images."""
LISTED = 40
HIGH, WIDE = 300, 440
"""Most pixels of a drawn image; larger ones are subsampled, smaller ones enlarged, by integer factors."""
LEAST = 190
"""Least width of a column in pixels, so that its caption fits."""
BLEND = 0.6
EXPLAINED = 24
"""The most classes in the legend."""


def draw(folder: Path, outcome: Outcome) -> list[Plot]:
    """Write the pictures as PNG into `folder` and return what they are; images are read one at a time."""
    table, classes = outcome.table, outcome.problem.classes
    units, quality = image_iou(table)
    if not len(units):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    order = units[np.argsort(quality, kind="stable")]
    worst, best = order[:SHOWN], order[::-1][: max(0, min(SHOWN, len(order) - SHOWN))]
    shown = _Shown(outcome, dict(zip(units.tolist(), quality.tolist(), strict=True)))
    drawn: list[Plot] = []
    drawn.append(_save(*draw_class_iou(table, classes), folder, "classes.png", "IoU of each class"))
    for chosen, file, title in ((worst, "worst.png", "Worst images"), (best, "best.png", "Best images")):
        if len(chosen):
            drawn.append(_save(*shown.draw(chosen.tolist(), title.lower()), folder, file, title))
    return drawn


def image_iou(table: Table) -> tuple[Array, Array]:
    """Return the units with a scored pixel and the mean IoU of the classes that occur in each."""
    union = table["labelled"] + table["predicted"] - table["hit"]
    iou = table["hit"][union > 0] / union[union > 0]
    units, place = np.unique(table["unit"][union > 0], return_inverse=True)
    return units, np.bincount(place, iou) / np.bincount(place)


def draw_class_iou(table: Table, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw the IoU of each class over the data set as bars; for many classes, the worst ones."""
    sums = [np.bincount(table["rank"], table[name], len(classes)) for name in ("hit", "labelled", "predicted")]
    with np.errstate(invalid="ignore"):
        iou = sums[0] / (sums[1] + sums[2] - sums[0])
    order = np.flatnonzero(~np.isnan(iou))
    what = ""
    if len(order) > LISTED:
        what = f" ({LISTED} worst of {len(order)} classes)"
        order = order[np.argsort(iou[order], kind="stable")[:LISTED]]
    canvas = bars(iou[order], [short_name(classes[index]) for index in order.tolist()], f"IoU{what}", most=1.0)
    worst = int(order[np.argmin(iou[order])])
    return canvas, f"IoU of each class; the lowest is {iou[worst]:.3f} for {classes[worst]}."


class _Shown:
    """The drawings of an image: with its labels, with its prediction, and where they differ."""

    def __init__(self, outcome: Outcome, iou: dict[int, float]) -> None:
        self._predictions, self._targets, self._split = outcome.predictions, outcome.targets, outcome.split
        self._classes, self._iou = outcome.problem.classes, iou
        self._joints = self._predictions.get(NAME)
        self._colors = class_colors(len(self._classes))

    def draw(self, units: Sequence[int], what: str) -> tuple[Canvas, str]:
        """Draw one row per image, with a legend of its classes."""
        rows: list[list[Tile]] = []
        seen: set[int] = set()
        for unit in units:
            image, label = self._read(unit)
            guess = self._predictions["label_map"][unit]
            height, width = label.shape
            step, factor = thinning(height, width, HIGH, WIDE), enlargement(height, width, HIGH, WIDE)
            label, guess = label[::step, ::step], guess[::step, ::step]
            image = colored(averaged(image, step).mean(axis=2).astype(np.uint8))
            scored = label < len(self._classes)
            wrong = (label != guess) & scored
            guess = np.where(scored, guess, label)  # unscored pixels are not shown as predictions either
            seen |= set(np.union1d(label[scored], guess[scored]).tolist())
            shown = (
                (self._over(image, label), f"{self._split.ids[unit]}: labels"),
                (self._over(image, guess), f"prediction, mean IoU {self._iou[unit]:.3f}"),
                (_marked(image, wrong, scored), "wrong pixels"),
            )
            pictures = [enlarged(picture, factor) for picture, _ in shown]
            if self._joints is not None:
                pictures[1] = self._crossed(pictures[1], best_of(self._joints[unit]), factor / step)
            rows.append([Tile(picture, [text]) for picture, (_, text) in zip(pictures, shown, strict=True)])
        values = ", ".join(f"{self._iou[unit]:.3f}" for unit in units)
        canvas = draw_tiles(rows, keys=self._keys(sorted(seen)), side=LEAST)
        crosses = "" if self._joints is None else " A cross is the best joint proposal of its part."
        said = f"The {len(units)} {what} by mean IoU of their classes ({values}): labels, prediction, errors."
        return canvas, said + crosses

    def _crossed(self, picture: Array, joints: Array, scale: float) -> Array:
        """Return a picture with a cross of its class's colour at each joint proposal (k, 5)."""
        canvas = Canvas.over(picture)
        for label, x, y, *_ in joints.tolist():
            place = (x + 0.5) * scale, (y + 0.5) * scale
            canvas.cross(*place, _hex(self._colors[int(label)]), canvas.box)
        return canvas.pixels

    def _read(self, unit: int) -> tuple[Array, Array]:
        """Return an image (H, W, 3), white when the split has none, and its label map, decoded once."""
        try:
            batch, targets = self._split.read(np.array([unit]))
        except DataError:
            label = self._targets["label_map"][unit]
            return np.full((*label.shape, 3), 255, dtype=np.uint8), label
        return picture_of(batch, 0), targets["label_map"][0]

    def _over(self, image: Array, label_map: Array) -> Array:
        """Return the label map's colours laid over the image."""
        classes = len(self._classes)
        blended = (BLEND * label_colors(label_map, classes) + (1 - BLEND) * image).astype(np.uint8)
        blended[label_map >= classes] = IGNORED_COLOR
        return blended

    def _keys(self, classes: Sequence[int]) -> list[Key]:
        named = [
            Key(short_name(self._classes[index]), _hex(self._colors[index]), "patch") for index in classes[:EXPLAINED]
        ]
        joint = [] if self._joints is None else [Key("best joint proposal of its part", PALE, "cross")]
        return [*named, *joint, Key("not scored", _hex(IGNORED_COLOR), "patch")]


def _hex(color: Iterable[int]) -> str:
    return "#" + "".join(f"{int(level):02x}" for level in color)


def _marked(image: Array, wrong: Array, scored: Array) -> Array:
    """Return the image, pale, with wrong pixels in red and unscored ones in grey."""
    pale = (255 - (255 - image.astype(np.int64)) // 3).astype(np.uint8)
    pale[~scored] = IGNORED_COLOR
    pale[wrong] = (178, 24, 43)
    return pale


def _save(canvas: Canvas, alt: str, folder: Path, file: str, title: str) -> Plot:
    canvas.save(folder / file)
    return Plot(file, title, alt)
