"""What the two forests have in common: sampling of training pixels, growing, deciding, saving."""

from __future__ import annotations

import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, FitReport, Model, ParameterCounts, Predictions, Split
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_pixel_forest.forest import ARRAYS, ArrayForest, from_sklearn

READ_AT_ONCE = 16


class Pixels(NamedTuple):
    """The pixels of one image that can be classified: their features float32 (F, n) and places in the flat image."""

    columns: Array
    places: Array


class ForestModel(Model):
    """A forest over features of single pixels.

    Training pixels are sampled from each image, about `samples`: class c gets a share proportional to
    n_c^(1 - balance), n_c being its labelled pixels there, so `balance=1` takes equally many of each class as Shotton
    et al. do. A class that has too few gives all it has.
    """

    name: str
    kind: str
    """The input kind it reads."""
    forest: ArrayForest

    def to(self, device: Any) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    @abstractmethod
    def pixels(self, image: Array, chosen: Array | None = None) -> Pixels:
        """Return the features of an image's pixels; of those among `chosen` (places in the flat image), if given."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        generator = np.random.default_rng(ctx.seed)
        self.prepare(train, generator)
        columns, labels = self._sampled(train, generator)
        self.forest, grown = self._grown(columns, labels, ctx)
        self.reduce()
        return FitReport(history={"trees": grown}, cut_short=grown[-1] < self.params["trees"])

    def prepare(self, train: Split, generator: np.random.Generator) -> None:
        """Draw what the features need before any pixel is looked at; the default needs nothing."""

    def reduce(self) -> None:
        """Leave away what the grown forest does not use; the default keeps everything."""

    def _sampled(self, train: Split, generator: np.random.Generator) -> tuple[Array, Array]:
        """Return the features float32 (F, N) and labels int64 (N,) of the sampled training pixels."""
        columns, labels = [], []
        for batch, targets in train.batches(READ_AT_ONCE):
            for image, label_map in zip(batch.inputs[self.kind], targets["label_map"], strict=True):
                label = np.asarray(label_map).reshape(-1)
                chosen = self.sampled_places(np.asarray(image), label, generator)
                if len(chosen):
                    found = self.pixels(np.asarray(image), chosen)
                    columns.append(found.columns)
                    labels.append(label[found.places].astype(np.int64))
        if not columns:
            raise DataError(f"{self.name}: split {train.name!r} has no labelled pixel to learn from.")
        return np.concatenate(columns, axis=1), np.concatenate(labels)

    def sampled_places(self, image: Array, label: Array, generator: np.random.Generator) -> Array:
        """Return the sampled places (n,) of an image, in order."""
        usable = (label < len(self.problem.classes)) & self.usable(image)
        counts = np.bincount(label[usable], minlength=len(self.problem.classes))
        weights = np.where(counts > 0, counts.astype(np.float64) ** (1 - self.params["balance"]), 0)
        quota = np.ceil(self.params["samples"] * weights / max(weights.sum(), 1)).astype(np.int64)
        picked = []
        for index in np.flatnonzero(counts):
            places = np.flatnonzero(usable & (label == index))
            picked.append(generator.permutation(places)[: quota[index]])
        return np.sort(np.concatenate(picked)) if picked else np.empty(0, dtype=np.int64)

    def usable(self, image: Array) -> Array:
        """Return bool (H * W,): which pixels can be classified; the default is all."""
        return np.ones(image.shape[0] * image.shape[1], dtype=np.bool_)

    def _grown(self, columns: Array, labels: Array, ctx: FitContext) -> tuple[ArrayForest, list[float]]:
        """Grow trees until there are enough or the budget is spent; the trees do not depend on the threads."""
        from sklearn.ensemble import RandomForestClassifier

        threads, wanted = max(1, ctx.device.threads), self.params["trees"]
        rows = np.ascontiguousarray(columns.T)  # (N, F)
        grower = RandomForestClassifier(
            max_depth=self.params["depth"],
            min_samples_leaf=self.params["leaf"],
            random_state=ctx.seed % 2**32,
            n_jobs=threads,
            warm_start=True,
        )
        started = time.monotonic()
        grown: list[float] = []
        while not grown or grown[-1] < wanted:
            grower.n_estimators = min(wanted, int(grown[-1] if grown else 0) + threads)
            grower.fit(rows, labels)
            grown.append(float(grower.n_estimators))
            ctx.progress(grower.n_estimators, wanted)
            if ctx.budget is not None and time.monotonic() - started > ctx.budget:
                break
        return from_sklearn(grower, len(self.problem.classes)), grown

    def preprocess(self, batch: Batch) -> list[Array]:
        return [np.ascontiguousarray(image) for image in batch.inputs[self.kind]]

    def forward(self, inputs: list[Array]) -> list[Any]:
        return [self.label_map(image, *self.probabilities(image)) for image in inputs]

    def probabilities(self, image: Array) -> tuple[Array, Array]:
        """Return the places (n,) of the pixels that can be classified, and their probabilities, float64 (n, C)."""
        found = self.pixels(image)
        return found.places, self.forest.probabilities(found.columns, self.device.threads)

    def label_map(self, image: Array, places: Array, probabilities: Array) -> Array:
        """Return the most probable class (H, W) of each pixel; equal ones go to the lower, unusable pixels get 0."""
        height, width = image.shape[:2]
        everywhere = np.zeros((height * width, probabilities.shape[1]))
        everywhere[places] = probabilities
        decided = self.decide(everywhere.reshape(height, width, -1))
        return decided.astype(np.uint16)

    def decide(self, probabilities: Array) -> Array:
        """Return the class of each pixel from probabilities (H, W, C)."""
        decided: Array = probabilities.argmax(axis=2)
        return decided

    def postprocess(self, outputs: list[Any], batch: Batch) -> Predictions:
        return {"label_map": outputs}

    def comparisons(self, inputs: list[Array]) -> int:
        """Return the comparisons a sample that the trees make on these very images."""
        made = [self.forest.comparisons(self.pixels(image).columns, self.device.threads) for image in inputs]
        return round(sum(made) / len(made)) if made else 0

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(trainable=self.forest.numbers, bytes=self.forest.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / f"{self.name}.safetensors", self.forest.arrays)

    def load(self, folder: Path) -> None:
        self.forest = self._read(folder, {})[0]

    def _read(self, folder: Path, more: dict[str, tuple[str, int]]) -> tuple[ArrayForest, dict[str, Array]]:
        """Return the stored forest and further arrays beside it; RecordError when they do not fit this problem."""
        path = folder / f"{self.name}.safetensors"
        arrays = read_arrays(path, ARRAYS | more)
        features = self.feature_count(arrays)
        forest = ArrayForest({name: arrays[name] for name in ARRAYS}, features)
        if forest.classes != len(self.problem.classes):
            raise RecordError(
                f"{path.name}: wanted probabilities of {len(self.problem.classes)} classes, got {forest.classes}."
            )
        return forest, arrays

    @abstractmethod
    def feature_count(self, arrays: dict[str, Array]) -> int:
        """Return how many features a stored forest may ask for."""
