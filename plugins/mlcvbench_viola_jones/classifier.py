"""`viola_jones` for patches: one boosted classifier, without a cascade (Viola and Jones 2001, table 1)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from mlcvbench.contract import (
    Array,
    Batch,
    FitContext,
    FitReport,
    Model,
    Operations,
    ParameterCounts,
    Predictions,
    Split,
)
from mlcvbench.errors import DataError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_viola_jones.boosting import AdaBoost, Ordered, halves, most_features
from mlcvbench_viola_jones.cascade import Cascade, empty_cascade
from mlcvbench_viola_jones.features import SIDE, Features, every_feature
from mlcvbench_viola_jones.search import grey
from mlcvbench_viola_jones.state import WANTED, arrays_of, cascades_of

STATE_FILE = "viola_jones.safetensors"
_AT_ONCE = 256


class HaarBoost(Model):
    """AdaBoost on stumps over Haar-like features of the patch, made grey and 24 x 24.

    Of two classes the second one is boosted against the first, as faces against the rest; of more, each against all
    others. Boosting begins with half of the weight on each side. A patch's score is the sum of the votes, which
    estimates the logarithm of the odds (Friedman, Hastie and Tibshirani 2000) and is above 0 where Viola and Jones' sum
    of {0, 1} votes exceeds half of all votes.
    """

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        started = time.monotonic()
        parts = [(as_patches(batch.inputs["image"]), targets["label"]) for batch, targets in train.batches(_AT_ONCE)]
        patches, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        sides = self._sides(labels)
        if all((own > 0).all() or (own < 0).all() for own in sides):
            raise DataError(f"viola_jones: split {train.name!r} shows one class only; wanted at least two.")
        features = drawn_features(every_feature(), self.params["features"], len(patches), ctx.seed)
        total = self.params["stumps"] * len(sides)
        ordered = Ordered(features, patches, lambda: ctx.progress(0, total))
        self.cascade = empty_cascade(SIDE, SIDE)
        errors: list[float] = []
        cut_short = False
        for place, signs in enumerate(sides):
            boosted = AdaBoost(ordered, signs, halves(signs))
            while len(boosted.stumps) < self.params["stumps"] and boosted.round():
                ctx.progress(place * self.params["stumps"] + len(boosted.stumps), total)
                if ctx.budget is not None and time.monotonic() - started > ctx.budget * (place + 1) / len(sides):
                    cut_short = True
                    break
            errors.append(float(np.mean(boosted.scores * signs <= 0)))
            self.cascade = with_boosted(self.cascade, boosted, features, 0.0)
        return FitReport(history={"train_error": errors}, cut_short=cut_short)

    def _sides(self, labels: Array) -> list[Array]:
        """Return for each classifier which patches are on its side, +1 or -1 (N,)."""
        classes = [1] if len(self.problem.classes) == 2 else range(len(self.problem.classes))
        return [np.where(labels == label, 1, -1) for label in classes]

    def preprocess(self, batch: Batch) -> Array:
        return as_patches(batch.inputs["image"])

    def forward(self, inputs: Array) -> Array:
        sums = [self.cascade.stage_sums(inputs, number) for number in range(self.cascade.stages)]
        return np.stack(sums, axis=1)  # (B, 1) or (B, C)

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        if outputs.shape[1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=1) / 2
        return {"scores": outputs.astype(np.float32)}

    def operations(self, inputs: Array) -> Operations:
        counts = {"haar_features": len(self.cascade.features), "integral_pixels": 2 * SIDE * SIDE}
        return Operations(macs=None, other_ops=counts, reason="the method adds and compares; it has no multiply-adds")

    def parameters(self) -> ParameterCounts:
        learned = self.cascade.thresholds.size + self.cascade.left.size + self.cascade.right.size
        return ParameterCounts(learned, bytes=sum(array.nbytes for array in arrays_of([self.cascade]).values()))

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, arrays_of([self.cascade]))

    def load(self, folder: Path) -> None:
        (self.cascade,) = cascades_of(STATE_FILE, read_arrays(folder / STATE_FILE, WANTED), 1)


def as_patches(images: Array | list[Array]) -> Array:
    """Return images uint8 (B, H, W) or (B, H, W, 3), or a list of them, as grey patches (B, 24, 24)."""
    patches = [resized(grey(np.asarray(image)), SIDE, SIDE) for image in images]
    return np.stack(patches) if patches else np.zeros((0, SIDE, SIDE), dtype=np.uint8)


def resized(image: Array, width: int, height: int) -> Array:
    """Return a grey image resized: averaged when it shrinks, interpolated when it grows."""
    import cv2

    shrinks = width * height < image.size
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def drawn_features(features: Features, wanted: int, patches: int, seed: int) -> Features:
    """Return some features, drawn by `seed`: `wanted`, or as many as can be kept in order for so many patches."""
    count = min(wanted, most_features(patches), len(features))
    drawn = np.random.default_rng(seed).choice(len(features), count, replace=False)
    return features.take(np.sort(drawn))


def with_boosted(cascade: Cascade, boosted: AdaBoost, features: Features, limit: float) -> Cascade:
    """Return a cascade with one more stage, of all stumps of a boosting; `features`: those it chose among."""
    chosen = np.array([stump.feature for stump in boosted.stumps], dtype=np.int64)
    votes = np.array([(s.threshold, s.left, s.right) for s in boosted.stumps], dtype=np.float32).reshape(-1, 3)
    return cascade.with_stage(features.take(chosen), votes, limit)
