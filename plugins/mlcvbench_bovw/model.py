"""Images as what their patches are made of: bag of visual words and VLAD, read by a linear classifier or k-NN."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
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
    Problem,
    Split,
)
from mlcvbench.errors import DataError, RecordError
from mlcvbench_bovw.codebook import (
    MOST_DESCRIPTORS,
    histogram,
    learn_words,
    normalised,
    rarity,
    residuals,
    squared_distances,
)
from mlcvbench_bovw.descriptors import describe, width_of
from mlcvbench_bovw.patches import Sampling
from mlcvbench_bovw.readers import READERS, Reader, read_reader
from mlcvbench_training.arrays import read_arrays, write_arrays

ARRAYS = "codebook.safetensors"
INVERSE_PENALTY = 100.0


class _WordModel(Model):
    """Words are learned from training images only; the vectors of those images then train the reader."""

    def __init__(
        self,
        problem: Problem,
        words: int,
        descriptor: str = "sift",
        classifier: str = "linear",
        k: int = 5,
        **sampling: Any,
    ) -> None:
        super().__init__(problem, words=words, descriptor=descriptor, classifier=classifier, k=k, **sampling)
        self.count, self.descriptor, self.classifier, self.k = words, descriptor, classifier, k
        self.sampling = Sampling(**sampling)
        self.words = np.zeros((0, width_of(descriptor)), np.float32)
        self.reader: Reader | None = None

    @abstractmethod
    def encode(self, descriptors: Array) -> Array:
        """Return the vector float32 (V,) of an image from its descriptors (P, D)."""

    def learn(self, descriptors: Array, seed: int) -> None:
        """Learn the codebook from descriptors (P, D) of training images."""
        self.words = learn_words(descriptors, self.count, seed)

    def weigh(self, found: Sequence[Array]) -> None:
        """Learn how much each word counts, from the descriptors (P, D) of each training image."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        found: list[Array] = []
        labels: list[Array] = []
        for batch, targets in train.batches(64):
            found += [self.describe(image) for image in batch.inputs["image"]]
            labels.append(np.asarray(targets["label"]))
            ctx.progress(len(found), len(train))
        if not any(map(len, found)):
            raise DataError("no patch was found in any training image; set model.points=grid.")
        rng = np.random.default_rng(ctx.seed)
        self.learn(_sample(found, rng), ctx.seed)
        self.weigh(found)
        vectors = self._vectors(found)
        classes = len(self.problem.classes)
        reader = READERS[self.classifier](classes, self.k, float(ctx.settings.get("inverse_penalty", INVERSE_PENALTY)))
        reader.fit(vectors, np.concatenate(labels))
        self.reader = reader
        return FitReport()

    def _vectors(self, found: list[Array]) -> Array:
        """Return the vectors float32 (N, V) of images; their descriptors are let go on the way."""
        first = self.encode(found[0])
        vectors = np.empty((len(found), len(first)), np.float32)
        for row in range(len(found)):
            vectors[row] = self.encode(found[row])
            found[row] = found[row][:0]
        return vectors

    def describe(self, image: Array) -> Array:
        """Return the descriptors float32 (P, D) of one image uint8 (H, W[, 3])."""
        pixels = np.ascontiguousarray(image)
        gray = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        return describe(pixels, gray, self.sampling.of(gray), self.descriptor)

    def preprocess(self, batch: Batch) -> list[Array]:
        return [self.describe(image) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> Array:
        if self.reader is None:
            raise DataError("the codebook is empty: fit the model or load its weights first.")
        if not inputs:
            return np.zeros((0, len(self.problem.classes)), np.float32)
        return self.reader.scores(np.stack([self.encode(descriptors) for descriptors in inputs]))

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        return {"scores": outputs}

    def operations(self, inputs: list[Array]) -> Operations:
        """Count the distances to the words and the reader; the descriptors themselves are OpenCV's and not counted."""
        patches = sum(map(len, inputs)) / max(len(inputs), 1)
        macs = round(patches * self.words.size) + (self.reader.macs() if self.reader else 0)
        return Operations(macs=macs, other_ops={"described_patches": round(patches)})

    def parameters(self) -> ParameterCounts:
        held = self.reader.arrays() if self.reader else {}
        bytes_held = self.words.nbytes + sum(array.nbytes for array in held.values())
        trained = held["weight"].size + held["bias"].size if "weight" in held else 0
        return ParameterCounts(trainable=trained, frozen=self.words.size, bytes=bytes_held)

    def save(self, folder: Path) -> None:
        held = self.reader.arrays() if self.reader else {}
        write_arrays(folder / ARRAYS, {"words": self.words, **held, **self.further()})

    def load(self, folder: Path) -> None:
        arrays = read_arrays(folder / ARRAYS, {"words": ("float32", 2)})
        self.words = arrays["words"]
        self.reader = read_reader(self.classifier, arrays, len(self.problem.classes), self.k)
        self.restore(arrays)

    def further(self) -> dict[str, Array]:
        """Return what else was learned."""
        return {}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take back what `further` gave."""


class BagOfVisualWords(_WordModel):
    """A histogram of words. With soft assignment the kernel's width is the median distance to the nearest word."""

    def __init__(
        self,
        problem: Problem,
        words: int = 500,
        assignment: str = "hard",
        weighting: str = "none",
        norm: str = "l1-sqrt",
        **sampling: Any,
    ) -> None:
        super().__init__(problem, words, **sampling)
        self.params |= {"assignment": assignment, "weighting": weighting, "norm": norm}
        self.soft, self.norm, self.width = assignment == "soft", norm, 0.0
        self.weighted, self.rarity = weighting == "tfidf", np.ones(0, np.float32)

    def learn(self, descriptors: Array, seed: int) -> None:
        super().learn(descriptors, seed)
        if self.soft:
            nearest = squared_distances(descriptors[:5000], self.words).min(axis=1)
            self.width = max(float(np.sqrt(np.median(nearest))), 1e-6)

    def weigh(self, found: Sequence[Array]) -> None:
        if self.weighted:
            self.rarity = rarity(np.stack([histogram(descriptors, self.words) for descriptors in found]))

    def encode(self, descriptors: Array) -> Array:
        counts = histogram(descriptors, self.words, width=self.width)
        return normalised(counts * self.rarity if self.weighted else counts, self.norm).astype(np.float32)

    def further(self) -> dict[str, Array]:
        weights = {"rarity": self.rarity} if self.weighted else {}
        return {"width": np.array([self.width]), **weights}

    def restore(self, arrays: dict[str, Array]) -> None:
        self.width = float(arrays["width"][0])
        if self.weighted:
            if "rarity" not in arrays:
                raise RecordError("the stored codebook lacks 'rarity'; it belongs to weighting=none.")
            self.rarity = arrays["rarity"]


class Vlad(_WordModel):
    """Sums of residuals: K words of D numbers give K * D (64 words of SIFT: 8,192)."""

    def __init__(self, problem: Problem, words: int = 64, **sampling: Any) -> None:
        super().__init__(problem, words, **sampling)

    def encode(self, descriptors: Array) -> Array:
        return residuals(descriptors, self.words)


def _sample(found: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return at most MOST_DESCRIPTORS of the descriptors of all images, in their order.

    All of them are never one array: for 60,000 images they take gigabytes.
    """
    ends = np.cumsum([len(descriptors) for descriptors in found])
    if ends[-1] <= MOST_DESCRIPTORS:
        return np.concatenate(found)
    chosen = np.sort(rng.choice(ends[-1], MOST_DESCRIPTORS, replace=False))
    starts = np.searchsorted(chosen, [0, *ends])
    parts = zip(found, [0, *ends], starts, starts[1:], strict=False)
    return np.concatenate([descriptors[chosen[low:high] - first] for descriptors, first, low, high in parts])
