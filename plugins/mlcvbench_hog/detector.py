"""`hog_svm`: windows of several shapes and sizes, scored by linear SVMs on histograms of oriented gradients."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import (
    Array,
    Batch,
    Device,
    FitContext,
    FitReport,
    Model,
    Operations,
    ParameterCounts,
    Predictions,
    Split,
)
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_hog.bank import Bank, Found
from mlcvbench_hog.features import CHANNELS, as_color, level_grid, level_sizes, pyramid
from mlcvbench_hog.learning import MARGIN, Trainer
from mlcvbench_hog.templates import Template, choose_templates, pyramid_scales
from mlcvbench_hog.truths import truths

STATE_FILE = "hog_svm.safetensors"
MOST = 100
"""Detections of an image."""
CANDIDATES = 2000
"""Windows of an image, at most, among which overlapping ones are dropped."""


class Windows(NamedTuple):
    """What forward finds in one image: windows above the SVMs' margin, best first, and the image's size."""

    found: Found
    height: int
    width: int


class HogSvm(Model):
    """Learn windows of a few shapes per class from the training boxes, and find objects wherever one matches.

    What differs from Dalal and Triggs: several classes and window shapes; the object fills its window but for one cell
    on each side; boxes are warped to the window's shape; a window is a negative when it overlaps every object of its
    class less than `learning.NEGATIVE_IOU`, whatever else it shows. Scores are Platt's probabilities, fitted for each
    window shape on what the detector finds in the training images, so that shapes and classes can be ranked together.
    """

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        shown = [(one.boxes[~one.ignored], one.labels[~one.ignored]) for one in truths(train)]
        boxes = np.concatenate([own for own, _ in shown]) if shown else np.zeros((0, 4))
        if not len(boxes):
            raise DataError(f"hog_svm: split {train.name!r} has no object to learn from.")
        labels = np.concatenate([own for _, own in shown])
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        window, cell = self.params["window"], self.params["cell"]
        aspects = [(height / width)[labels == label] for label in range(len(self.problem.classes))]
        templates = choose_templates(aspects, window, self.params["aspects"], ctx.seed)
        self.scales = pyramid_scales(np.sqrt(width * height), window, cell, self.params["scales"])
        learned = Trainer(train, templates, self.scales, self.params, ctx, self.device.threads).run()
        self.bank, self.calibration = learned.bank, learned.calibration
        cut_short = len(learned.history["hard_negatives"]) < self.params["rounds"]
        return FitReport(history=learned.history, cut_short=cut_short)

    def preprocess(self, batch: Batch) -> list[Array]:
        return [as_color(np.asarray(image)) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> list[Windows]:
        cell = self.params["cell"]
        return [
            Windows(self.bank.search(pyramid(image, self.scales, cell), MARGIN), image.shape[0], image.shape[1])
            for image in inputs
        ]

    def postprocess(self, outputs: list[Windows], batch: Batch) -> Predictions:
        kept = [self._decide(windows) for windows in outputs]
        names = ("boxes", "scores", "labels")
        return {name: [own[place] for own in kept] for place, name in enumerate(names)}

    def _decide(self, windows: Windows) -> tuple[Array, Array, Array]:
        """Return boxes float32 (n, 4) inside the image, scores float32 (n,) and labels int64 (n,), best first."""
        found = windows.found
        slope, offset = self.calibration[found.template].T
        chance = 1 / (1 + np.exp(-(slope * found.scores + offset)))
        best = np.argsort(-chance, kind="stable")[:CANDIDATES]
        labels = np.array([template.label for template in self.bank.templates])[found.template[best]]
        limits = np.array([windows.width, windows.height] * 2, dtype=np.float64)
        boxes, chance = np.clip(found.boxes[best], 0, limits), chance[best]
        keep = suppress(boxes, chance, labels, self.params["nms"])[:MOST]
        return boxes[keep].astype(np.float32), chance[keep].astype(np.float32), labels[keep].astype(np.int64)

    def operations(self, inputs: list[Array]) -> Operations:
        """Count analytically: 36 multiply-adds for each block of each window; histograms are counted by pixels."""
        cell = self.params["cell"]
        places = pixels = 0
        for image in inputs[:1]:
            for width, height in level_sizes(image.shape[1], image.shape[0], self.scales, cell):
                rows, columns = level_grid(width, height, cell)
                places += rows * columns
                pixels += (rows + 1) * (columns + 1) * cell * cell
        return Operations(macs=places * self.bank.blocks * CHANNELS, other_ops={"gradient_pixels": pixels})

    def parameters(self) -> ParameterCounts:
        arrays = self._arrays()
        learned = sum(arrays[name].size for name in ("weights", "biases", "calibration"))
        return ParameterCounts(trainable=learned, bytes=sum(array.nbytes for array in arrays.values()))

    def _arrays(self) -> dict[str, Array]:
        shapes = [(template.label, template.rows, template.columns) for template in self.bank.templates]
        return {
            "templates": np.array(shapes, dtype=np.int64),
            "weights": np.concatenate(self.bank.weights),
            "biases": self.bank.biases,
            "calibration": self.calibration,
            "scales": self.scales,
        }

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, self._arrays())

    def load(self, folder: Path) -> None:
        wanted = {
            "templates": ("int64", 2),
            "weights": ("float32", 1),
            "biases": ("float32", 1),
            "calibration": ("float64", 2),
            "scales": ("float64", 1),
        }
        arrays = read_arrays(folder / STATE_FILE, wanted)
        shapes, classes = arrays["templates"], len(self.problem.classes)
        if (
            shapes.shape[1] != 3
            or not ((shapes[:, 0] >= 0) & (shapes[:, 0] < classes)).all()
            or (shapes[:, 1:] < 1).any()
        ):
            raise RecordError(f"{STATE_FILE}: wanted windows (label, rows, columns) of {classes} classes.")
        templates = [Template(*shape) for shape in shapes.tolist()]
        ends = np.cumsum([template.features for template in templates])
        if len(arrays["weights"]) != ends[-1] or any(len(arrays[n]) != len(ends) for n in ("biases", "calibration")):
            raise RecordError(f"{STATE_FILE}: the weights are not those of its {len(templates)} windows.")
        weights = np.split(arrays["weights"], ends[:-1])
        self.bank = Bank(templates, weights, arrays["biases"], self.params["cell"])
        self.calibration, self.scales = arrays["calibration"], arrays["scales"]


def suppress(boxes: Array, scores: Array, labels: Array, most: float) -> Array:
    """Return the indices that stay, best first: a box goes when its IoU with a better one of its class is over `most`.

    `boxes` float64 (n, 4) x1 y1 x2 y2, `scores` (n,) from 0 to 1; of equal scores the first is better.
    """
    import cv2

    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        chosen = cv2.dnn.NMSBoxes(sides[own].tolist(), scores[own].tolist(), 0.0, most)
        kept.append(own[np.asarray(chosen, dtype=np.int64)])
    every = np.sort(np.concatenate(kept))
    return every[np.argsort(-scores[every], kind="stable")]
