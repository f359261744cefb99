"""Pictures of a segmentation record: IoU of each class, and the best and worst images beside their labels.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import INK, bars, new_figure, plain_style, save, short_name
from mlcvbench_segmentation.palette import IGNORED_COLOR, class_colors, label_colors
from mlcvbench_segmentation.pictures import picture_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 3
"""So many of the best and so many of the worst images."""
LISTED = 40
SIDE = 480
"""Longest side of a drawn image, pixels."""
BLEND = 0.6


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
    with plain_style():
        figure, alt = draw_class_iou(table, classes)
        drawn.append(_save(figure, folder, "classes.png", "IoU of each class", alt))
        for chosen, file, title in ((worst, "worst.png", "Worst images"), (best, "best.png", "Best images")):
            if len(chosen):
                figure, alt = shown.draw(chosen.tolist(), title.lower())
                drawn.append(_save(figure, folder, file, title, alt))
    return drawn


def image_iou(table: Table) -> tuple[Array, Array]:
    """Return the units with a scored pixel and the mean IoU of the classes that occur in each."""
    union = table["labelled"] + table["predicted"] - table["hit"]
    iou = table["hit"][union > 0] / union[union > 0]
    units, place = np.unique(table["unit"][union > 0], return_inverse=True)
    return units, np.bincount(place, iou) / np.bincount(place)


def draw_class_iou(table: Table, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw the IoU of each class over the data set as bars; of many classes, the worst."""
    sums = [np.bincount(table["rank"], table[name], len(classes)) for name in ("hit", "labelled", "predicted")]
    with np.errstate(invalid="ignore"):
        iou = sums[0] / (sums[1] + sums[2] - sums[0])
    order = np.flatnonzero(~np.isnan(iou))
    what = ""
    if len(order) > LISTED:
        what = f" ({LISTED} worst of {len(order)} classes)"
        order = order[np.argsort(iou[order], kind="stable")[:LISTED]]
    figure = bars(iou[order], [short_name(classes[index]) for index in order.tolist()], f"IoU{what}", most=1.0)
    worst = int(order[np.argmin(iou[order])])
    return figure, f"IoU of each class; the lowest is {iou[worst]:.3f} for {classes[worst]}."


class _Shown:
    """What is drawn of an image: itself under its labels, under its prediction, and where they differ."""

    def __init__(self, outcome: Outcome, iou: dict[int, float]) -> None:
        self._predictions, self._targets, self._split = outcome.predictions, outcome.targets, outcome.split
        self._classes, self._iou = outcome.problem.classes, iou
        self._colors = class_colors(len(self._classes))

    def draw(self, units: Sequence[int], what: str) -> tuple[Figure, str]:
        """Draw one row an image, with a legend of the classes in it."""
        height, width = self._predictions["label_map"][units[0]].shape
        figure = new_figure(float(np.clip(8.2 * width / height, 6.5, 12.5)), 2.9 * len(units))
        grid = figure.subplots(len(units), 3, squeeze=False)
        seen: set[int] = set()
        for row, unit in zip(grid, units, strict=True):
            label, guess = self._targets["label_map"][unit], self._predictions["label_map"][unit]
            step = max(1, -(-max(label.shape) // SIDE))
            label, guess = label[::step, ::step], guess[::step, ::step]
            image = self._image(unit, label.shape, step)
            scored = label < len(self._classes)
            wrong = (label != guess) & scored
            guess = np.where(scored, guess, label)  # what is not scored is not shown as a prediction either
            seen |= set(np.union1d(label[scored], guess[scored]).tolist())
            for axes, picture in zip(
                row, (self._over(image, label), self._over(image, guess), _marked(image, wrong, scored)), strict=True
            ):
                axes.imshow(picture, interpolation="nearest")
                axes.set_axis_off()
            row[0].set_title(f"{short_name(str(self._split.ids[unit]))}: labels", fontsize=8, color=INK)
            row[1].set_title(f"prediction, mean IoU {self._iou[unit]:.3f}", fontsize=8, color=INK)
            row[2].set_title("wrong pixels", fontsize=8, color=INK)
        self._legend(figure, sorted(seen))
        values = ", ".join(f"{self._iou[unit]:.3f}" for unit in units)
        return figure, f"The {len(units)} {what} by mean IoU of their classes ({values}): labels, prediction, errors."

    def _image(self, unit: int, shape: tuple[int, ...], step: int) -> Array:
        """Return the image as grey RGB (H, W, 3) uint8, or white when the split has no images."""
        try:
            image = picture_of(self._split.read(np.array([unit]))[0], 0)[::step, ::step]
        except DataError:
            return np.full((*shape, 3), 255, dtype=np.uint8)
        return np.repeat(image.mean(axis=2)[..., None], 3, axis=2).astype(np.uint8)

    def _over(self, image: Array, label_map: Array) -> Array:
        """Return the label map's colours laid over the image."""
        classes = len(self._classes)
        blended = (BLEND * label_colors(label_map, classes) + (1 - BLEND) * image).astype(np.uint8)
        blended[label_map >= classes] = IGNORED_COLOR
        return blended

    def _legend(self, figure: Figure, classes: Sequence[int]) -> None:
        from matplotlib.patches import Patch

        handles: list[Any] = [
            Patch(color=_hex(self._colors[index]), label=short_name(self._classes[index])) for index in classes[:24]
        ]
        handles.append(Patch(color=_hex(IGNORED_COLOR), label="not scored"))
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles) if len(handles) <= 8 else 6,
            fontsize=7,
            frameon=False,
        )


def _hex(color: Iterable[int]) -> str:
    return "#" + "".join(f"{int(level):02x}" for level in color)


def _marked(image: Array, wrong: Array, scored: Array) -> Array:
    """Return the image, pale, with wrong pixels in red and those that are not scored in grey."""
    pale = (255 - (255 - image.astype(np.int64)) // 3).astype(np.uint8)
    pale[~scored] = IGNORED_COLOR
    pale[wrong] = (178, 24, 43)
    return pale


def _save(figure: Figure, folder: Path, file: str, title: str, alt: str) -> Plot:
    save(figure, folder / file)
    return Plot(file, title, alt)
