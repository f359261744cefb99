"""Learning the windows: positives from the boxes, hard negatives from the detector's own mistakes, linear SVMs.

Dalal and Triggs 2005, section 4: train, search the training images, add the false alarms to the negatives, retrain.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Split
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import ahead, readers
from mlcvbench_hog.bank import Bank, Found
from mlcvbench_hog.features import Level, as_color, block_grid, pyramid, resize
from mlcvbench_hog.templates import MARGIN_CELLS, Template, nearest_template
from mlcvbench_hog.truths import best_overlap, truths

NEGATIVE_IOU = 0.4
"""A window is a negative when it overlaps every object of its class less."""
HIT_IOU = 0.5
"""Calibration counts a window as a hit when it overlaps an object of its class at least as much."""
MARGIN = -1.0
"""Negatives with a higher score are inside the SVM's margin: these are the hard ones."""
HARDEST = 5
"""Hard negatives taken from an image for one template in a round."""
BIAS_SCALE = 10.0
"""scikit-learn penalises the bias too; the larger its input, the less."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a fit gives: the SVMs, Platt's slope and offset of each template, float64 (T, 2), and a history."""

    bank: Bank
    calibration: Array
    history: dict[str, list[float]]


@dataclass(slots=True)
class Samples:
    """Windows of one template, features float32 (features,) each; `seen` says where the negatives lie."""

    template: Template
    positives: list[Array] = field(default_factory=list)
    negatives: list[Array] = field(default_factory=list)
    seen: set[tuple[int, int, int, int]] = field(default_factory=set)


class Trainer:
    """Learns the windows of some templates on a training split; `threads` images are searched side by side."""

    def __init__(
        self,
        split: Split,
        templates: Sequence[Template],
        scales: Array,
        params: dict[str, Any],
        ctx: FitContext,
        threads: int,
    ) -> None:
        self._split, self._scales, self._params, self._ctx = split, scales, params, ctx
        self._cell: int = params["cell"]
        self._threads = threads
        self._truths = truths(split)
        self._samples = [Samples(template) for template in templates]

    def run(self) -> Learned:
        """Train on random negatives, then mine and retrain `rounds` times or until the budget is spent."""
        started = time.monotonic()
        self._take_positives()
        self._draw_negatives()
        self._samples = [own for own in self._samples if own.positives and own.negatives]
        if not self._samples:
            raise DataError(
                f"hog_svm: split {self._split.name!r} has no image in which a window of {self._params['window']} cells "
                f"of {self._cell} pixels fits beside the objects."
            )
        bank = self._train()
        history: dict[str, list[float]] = {"hard_negatives": []}
        rounds: int = self._params["rounds"]
        for number in range(rounds):
            added = self._mine(bank)
            bank = self._train()
            history["hard_negatives"].append(float(added))
            self._ctx.progress(number + 1, rounds + 1)
            if self._ctx.budget is not None and time.monotonic() - started > self._ctx.budget:
                break
        calibration = self._calibrate(bank)
        self._ctx.progress(rounds + 1, rounds + 1)
        return Learned(bank, calibration, history)

    def _images(self) -> Iterator[tuple[int, Array]]:
        for place, batch in enumerate(self._split.inputs(1)):
            yield place, _image_of(batch)

    def _searched(self, bank: Bank) -> Iterator[tuple[int, list[Level], Found]]:
        """Yield the place of each image, its pyramid and the windows that `bank` finds there."""

        def search(place: int) -> tuple[int, list[Level], Found]:
            batch, _ = self._split.read([place])
            levels = list(pyramid(_image_of(batch), self._scales, self._cell))
            return place, levels, bank.search(levels, MARGIN)

        with readers(self._threads - 1), bank.alone():
            yield from ahead(search, range(len(self._split)))

    def _take_positives(self) -> None:
        """Take each object and its mirror image."""
        templates = [own.template for own in self._samples]
        for place, image in self._images():
            truth = self._truths[place]
            flipped = np.ascontiguousarray(image[:, ::-1])
            for box, label in zip(truth.boxes[~truth.ignored], truth.labels[~truth.ignored].tolist(), strict=True):
                width, height = box[2:] - box[:2]
                index = nearest_template(templates, label, height / width)
                mirror = box.copy()
                mirror[[0, 2]] = image.shape[1] - box[[2, 0]]
                for picture, where in ((image, box), (flipped, mirror)):
                    self._samples[index].positives.append(crop(picture, where, templates[index], self._cell))

    def _draw_negatives(self) -> None:
        """Take windows at random places of random levels, about `negatives` a template."""
        rng = np.random.default_rng(self._ctx.seed)
        each = -(-self._params["negatives"] // len(self._split))
        for place, image in self._images():
            levels = list(pyramid(image, self._scales, self._cell))
            for own in self._samples:
                rows, columns, _ = own.template.shape
                fitting = [n for n, one in enumerate(levels) if one.fits(rows, columns)]
                for _ in range(each if fitting else 0):
                    number = fitting[int(rng.integers(len(fitting)))]
                    grid = levels[number].blocks.shape
                    row, column = int(rng.integers(grid[0] - rows + 1)), int(rng.integers(grid[1] - columns + 1))
                    box = own.template.boxes(np.array([row]), np.array([column]), levels[number].scale, self._cell)
                    if best_overlap(box, self._truths[place], own.template.label)[0] < NEGATIVE_IOU:
                        _add(own, place, levels, (number, row, column))

    def _mine(self, bank: Bank) -> int:
        """Add the hardest new negatives of every image; return how many they are."""
        added = 0
        for place, levels, found in self._searched(bank):
            for index, own in enumerate(self._samples):
                mine = found.take(np.flatnonzero(found.template == index))
                best = best_overlap(mine.boxes, self._truths[place], own.template.label)
                for at in np.flatnonzero(best < NEGATIVE_IOU)[:HARDEST].tolist():
                    where = int(mine.level[at]), int(mine.row[at]), int(mine.column[at])
                    added += _add(own, place, levels, where)
        return added

    def _train(self) -> Bank:
        from sklearn.svm import LinearSVC

        weights, biases = [], []
        for own in self._samples:
            features = np.stack([*own.positives, *own.negatives])
            answers = np.repeat([1, -1], [len(own.positives), len(own.negatives)])
            machine = LinearSVC(
                C=self._params["c"], intercept_scaling=BIAS_SCALE, random_state=self._ctx.seed, max_iter=10_000
            )
            machine.fit(features, answers)
            weights.append(machine.coef_[0].astype(np.float32))
            biases.append(machine.intercept_[0])
        templates = [own.template for own in self._samples]
        return Bank(templates, weights, np.array(biases, dtype=np.float32), self._cell)

    def _calibrate(self, bank: Bank) -> Array:
        """Return for each template the logistic curve from a window's score to its chance to be a hit."""
        scores: list[list[Array]] = [[] for _ in bank.templates]
        hits: list[list[Array]] = [[] for _ in bank.templates]
        for place, _, found in self._searched(bank):
            for index, template in enumerate(bank.templates):
                own = found.take(np.flatnonzero(found.template == index))
                scores[index].append(own.scores)
                hits[index].append(best_overlap(own.boxes, self._truths[place], template.label) >= HIT_IOU)
        curves = [fit_logistic(np.concatenate(s), np.concatenate(h)) for s, h in zip(scores, hits, strict=True)]
        return np.array(curves)


def _image_of(batch: Batch) -> Array:
    """Return the only image of a batch in colour."""
    return as_color(np.asarray(batch.inputs["image"][0]))


def crop(image: Array, box: Array, template: Template, cell: int) -> Array:
    """Return the features float32 of the window around an object, the image warped so that the object fills it."""
    import cv2

    width, height = box[2:] - box[:2]
    wide = max(1, round(image.shape[1] * template.columns * cell / width))
    high = max(1, round(image.shape[0] * template.rows * cell / height))
    x, y = round(box[0] * wide / image.shape[1]), round(box[1] * high / image.shape[0])
    around = MARGIN_CELLS + 1  # one cell more, which the gradients on the window's border see
    edge = around * cell
    padded = cv2.copyMakeBorder(resize(image, wide, high), edge, edge + cell, edge, edge + cell, cv2.BORDER_REPLICATE)
    rows, columns = ((side + 2 * around) * cell for side in (template.rows, template.columns))
    window = np.ascontiguousarray(padded[y : y + rows, x : x + columns])
    return block_grid(window, cell)[1:-1, 1:-1].ravel()


def fit_logistic(scores: Array, hits: Array) -> tuple[float, float]:
    """Return slope and offset of the chance 1 / (1 + exp(-(slope x score + offset))) of a hit (Platt 1999).

    Without both hits and misses nothing can be fitted: slope 1, offset 0. A slope is positive, so that a template's
    order of windows stays.
    """
    from sklearn.linear_model import LogisticRegression

    if not hits.any() or hits.all():
        return 1.0, 0.0
    curve = LogisticRegression().fit(scores[:, None], hits)
    return max(float(curve.coef_[0, 0]), 1e-3), float(curve.intercept_[0])


def _add(own: Samples, place: int, levels: Sequence[Level], where: tuple[int, int, int]) -> bool:
    """Take a window as a negative of image `place` unless it is one already; return whether it is new."""
    if (place, *where) in own.seen:
        return False
    own.seen.add((place, *where))
    own.negatives.append(own.template.window(levels[where[0]], *where[1:]))
    return True
