"""The baseline of detection: the most frequent training boxes, whatever the image shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Split
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays

STATE_FILE = "box_prior.safetensors"
MOST = 100
"""Detections per image that COCO's protocols consider."""


class BoxPrior(Model):
    """Predict the centres of k-means over the training boxes of each class, the same for every image.

    Boxes are compared as x1, y1, x2, y2 relative to their image's width and height. A score is the number of objects
    of the class nearest to the box over the number of training images, at most 1: the expected rate of hits.
    """

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        from sklearn.cluster import KMeans

        boxes, labels = _relative_boxes(train)
        if not len(boxes):
            raise DataError(f"box_prior: split {train.name!r} has no object to learn from.")
        rows: list[tuple[Array, Array, Array]] = []
        for label in np.unique(labels):
            own = boxes[labels == label]
            groups = min(self.params["boxes"], len(np.unique(own, axis=0)))
            found = KMeans(groups, n_init=3, random_state=ctx.seed).fit(own)
            share = np.bincount(found.labels_, minlength=groups) / len(train)
            rows.append((found.cluster_centers_, np.minimum(share, 1), np.full(groups, label)))
        centers, scores, classes = (np.concatenate(column) for column in zip(*rows, strict=True))
        best = np.argsort(-scores, kind="stable")[:MOST]
        self._boxes = np.clip(centers[best], 0, 1).astype(np.float32)
        self._scores, self._labels = scores[best].astype(np.float32), classes[best].astype(np.int64)

    def preprocess(self, batch: Batch) -> list[tuple[int, int]]:
        return [(image.shape[1], image.shape[0]) for image in batch.inputs["image"]]

    def forward(self, inputs: list[tuple[int, int]]) -> list[Array]:
        return [self._boxes * np.array([*size, *size], dtype=np.float32) for size in inputs]

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {
            "boxes": outputs,
            "scores": [self._scores.copy() for _ in outputs],
            "labels": [self._labels.copy() for _ in outputs],
        }

    def operations(self, inputs: list[tuple[int, int]]) -> Operations:
        return Operations(macs=0)

    def parameters(self) -> ParameterCounts:
        arrays = (self._boxes, self._scores, self._labels)
        return ParameterCounts(
            trainable=self._boxes.size + self._scores.size, bytes=sum(array.nbytes for array in arrays)
        )

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"boxes": self._boxes, "scores": self._scores, "labels": self._labels})

    def load(self, folder: Path) -> None:
        wanted = {"boxes": ("float32", 2), "scores": ("float32", 1), "labels": ("int64", 1)}
        arrays = read_arrays(folder / STATE_FILE, wanted)
        boxes, scores, labels = (arrays[name] for name in ("boxes", "scores", "labels"))
        classes = len(self.problem.classes)
        if boxes.shape != (len(scores), 4) or len(labels) != len(scores) or not np.isin(labels, range(classes)).all():
            raise RecordError(f"{STATE_FILE}: wanted boxes (n, 4), scores and labels (n,) of {classes} classes.")
        self._boxes, self._scores, self._labels = boxes, scores, labels


def _relative_boxes(train: Split) -> tuple[Array, Array]:
    """Return the objects to find: boxes float64 (n, 4), x1 y1 x2 y2 relative to their image; labels (n,)."""
    targets = train.targets()
    boxes, labels = [np.zeros((0, 4))], [np.zeros(0, dtype=np.int64)]
    for place, (xywh, own) in enumerate(zip(targets["xywh"], targets["labels"], strict=True)):
        height, width = targets["size"][place]
        shown = np.full(len(own), width > 0 and height > 0)
        for name in ("crowd", "difficult"):
            if name in targets:
                shown &= ~np.asarray(targets[name][place], dtype=bool)
        corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        boxes.append(corners[shown] / np.maximum([width, height, width, height], 1))
        labels.append(np.asarray(own)[shown])
    return np.concatenate(boxes), np.concatenate(labels)
