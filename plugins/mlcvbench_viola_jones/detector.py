"""`viola_jones` for images: a cascade for each class, run over windows of all places and sizes, and merging."""

from __future__ import annotations

import time
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
from mlcvbench_viola_jones.cascade import Cascade
from mlcvbench_viola_jones.classifier import STATE_FILE
from mlcvbench_viola_jones.learning import Shown, Trainer
from mlcvbench_viola_jones.merging import merge
from mlcvbench_viola_jones.opencv_engine import OpencvCascade
from mlcvbench_viola_jones.opencv_xml import read_xml_cascade
from mlcvbench_viola_jones.search import Found, Search, find, grey
from mlcvbench_viola_jones.state import WANTED, arrays_of, cascades_of
from mlcvbench_viola_jones.truths import boxes_in, median_shape, truths

MOST = 100
"""Detections of an image."""


class Windows(NamedTuple):
    """What forward finds in one image: accepted windows of each class, and the image's height and width."""

    found: list[Found]
    height: int
    width: int


class ViolaJones(Model):
    """Learn a cascade for each class from the training boxes, and find objects wherever one accepts windows.

    What differs from Viola and Jones: negatives come from the training images themselves, outside their objects; each
    stage draws the features that it may choose among; objects are moved and enlarged a little for training, as much as
    the search may miss them. A window is square, and a detection has the median shape of the class's boxes in it.
    With `cascade`, a file of OpenCV's, nothing is learned and a detection is its window.
    """

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport | None:
        if self.params.get("cascade"):
            self._take_file(Path(self.params["cascade"]))
            return None
        started = time.monotonic()
        shown, held_out = grey_images(train), None if val is None else grey_images(val)
        classes, stages = len(self.problem.classes), self.params["stages"]
        cascades, shapes, cut_short = [], [], False
        history: dict[str, list[float | None]] = {}
        for label in range(classes):
            objects = truths(train, label)
            trainer = Trainer(
                Shown(shown, objects),
                None if val is None or held_out is None else Shown(held_out, truths(val, label)),
                self.params,
                ctx,
            )
            if trainer.trainable:
                until = None if ctx.budget is None else started + ctx.budget * (label + 1) / classes
                trainer.run(until, lambda stage, first=label * stages: ctx.progress(first + stage, classes * stages))  # type: ignore[misc]
            cascades.append(trainer.cascade)
            shapes.append(
                median_shape(np.concatenate([one.boxes[~one.ignored] for one in objects]), self.params["context"])
            )
            history = trainer.history if len(trainer.history["stumps"]) > len(history.get("stumps", [])) else history
            cut_short |= trainer.cut_short
            ctx.progress((label + 1) * stages, classes * stages)
        if not any(cascade.stages for cascade in cascades):
            raise DataError(
                f"viola_jones: split {train.name!r} has too few objects, or too little beside them, to learn from."
            )
        self._set(cascades, np.array(shapes))
        return FitReport(history=history, cut_short=cut_short)

    def _take_file(self, path: Path) -> None:
        if len(self.problem.classes) != 1:
            raise DataError(
                f"viola_jones: model.cascade finds one class, the data have {len(self.problem.classes)}; leave it out."
            )
        cascade = read_xml_cascade(path)
        self._set([cascade], np.array([[1.0, cascade.height / cascade.width]]))

    def _set(self, cascades: list[Cascade], shapes: Array) -> None:
        self.cascades, self.shapes = cascades, shapes
        self.search = Search.of(cascades[0].width, cascades[0].height, self.params)
        opencv = self.params["search"] == "opencv"
        self._engines = [OpencvCascade(one) if opencv and one.stages else None for one in cascades]

    def preprocess(self, batch: Batch) -> list[Array]:
        return [grey(np.asarray(image)) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> list[Windows]:
        return [Windows([self._find(image, n) for n in range(len(self.cascades))], *image.shape) for image in inputs]

    def _find(self, image: Array, number: int) -> Found:
        engine = self._engines[number]
        if engine is not None:
            return engine.find(image, self.search)
        if not self.cascades[number].stages:
            return Found(np.zeros((0, 4)), np.zeros(0))
        return find(image, self.cascades[number], self.search)

    def postprocess(self, outputs: list[Windows], batch: Batch) -> Predictions:
        kept = [self._decide(windows) for windows in outputs]
        names = ("boxes", "scores", "labels")
        return {name: [own[place] for own in kept] for place, name in enumerate(names)}

    def _decide(self, windows: Windows) -> tuple[Array, Array, Array]:
        """Return boxes float32 (n, 4) inside the image, scores float32 (n,) and labels int64 (n,), best first."""
        merged = [merge(one.boxes, one.margins, self.params["neighbours"], self.params["nms"]) for one in windows.found]
        boxes = np.concatenate([boxes_in(one.boxes, shape) for one, shape in zip(merged, self.shapes, strict=True)])
        scores = np.concatenate([one.scores for one in merged])
        labels = np.repeat(np.arange(len(merged)), [len(one.scores) for one in merged])
        best = np.argsort(-scores, kind="stable")[:MOST]
        limits = np.array([windows.width, windows.height] * 2, dtype=np.float64)
        boxes = np.clip(boxes[best], 0, limits)
        return boxes.astype(np.float32), scores[best].astype(np.float32), labels[best].astype(np.int64)

    def operations(self, inputs: list[Array]) -> Operations:
        """Count what the first image takes: how many windows pass how many stages depends on what it shows."""
        windows = features = pixels = 0
        for image in inputs[:1]:
            sizes = [level.size or image.shape[::-1] for level in self.search.levels(*image.shape)]
            pixels = sum(
                2 * width * height for width, height in (set(sizes) if self.search.way == "features" else sizes)
            )
            for cascade in self.cascades:
                found = find(image, cascade, self.search) if cascade.stages else Found(np.zeros((0, 4)), np.zeros(0))
                windows, features = windows + found.looked_at, features + found.evaluated
        counts = {"integral_pixels": pixels, "windows": windows, "haar_features": features}
        why = "the method adds and compares; it has no multiply-adds"
        return Operations(macs=None, other_ops=counts, reason=why, varies=True)

    def parameters(self) -> ParameterCounts:
        learned = sum(one.thresholds.size * 3 + one.limits.size for one in self.cascades)
        return ParameterCounts(trainable=learned, bytes=sum(array.nbytes for array in self._arrays().values()))

    def _arrays(self) -> dict[str, Array]:
        return arrays_of(self.cascades) | {"shapes": self.shapes}

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, self._arrays())

    def load(self, folder: Path) -> None:
        arrays = read_arrays(folder / STATE_FILE, WANTED | {"shapes": ("float64", 2)})
        classes = len(self.problem.classes)
        cascades = cascades_of(STATE_FILE, arrays, classes)
        if arrays["shapes"].shape != (classes, 2):
            raise RecordError(f"{STATE_FILE}: wanted the shapes of {classes} classes' boxes.")
        self._set(cascades, arrays["shapes"])


def grey_images(split: Split) -> list[Array]:
    """Return all images of a split as grey uint8 (H, W)."""
    return [grey(np.asarray(batch.inputs["image"][0])) for batch in split.inputs(1)]
