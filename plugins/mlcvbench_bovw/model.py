"""Images as statistics of their patches: bag of visual words and VLAD, classified linearly or by k-NN."""

from __future__ import annotations

import math
from abc import abstractmethod
from pathlib import Path
from typing import Any

import cv2
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
    Problem,
    Split,
)
from mlcvbench.errors import DataError
from mlcvbench.files.arrays import write_arrays
from mlcvbench_bovw.codebook import (
    histogram,
    learn_words,
    normalised,
    rarity,
    residual_sums,
    squared_distances,
    vlad_vector,
)
from mlcvbench_bovw.descriptors import describe, width_of
from mlcvbench_bovw.patches import Sampling
from mlcvbench_bovw.readers import READERS, Reader
from mlcvbench_bovw.stored import layout_of, read_exactly

ARRAYS = "codebook.safetensors"
BATCH = 64
MOST_DESCRIPTORS = 100_000
"""k-means sees a random sample of at most this many."""
LEAST_IMAGES = 2_000
"""The sample comes from this many images or more, if there are so many, however many patches each has."""
MOST_DISTANCES = 5_000
"""The width of soft assignment is the median of about this many distances."""


class _WordModel(Model):
    """Words are learned from training images only; the vectors of those images then train the reader.

    Images that are drawn for the words are described again for the vectors: all descriptors of 60,000 images would take
    gigabytes. What stays in memory is the sample for k-means, then one vector per image.
    """

    def __init__(
        self,
        problem: Problem,
        words: int,
        descriptor: str = "sift",
        classifier: str = "linear",
        inverse_penalty: float = 100.0,
        k: int = 5,
        **sampling: Any,
    ) -> None:
        own = {"descriptor": descriptor, "classifier": classifier, "inverse_penalty": inverse_penalty, "k": k}
        super().__init__(problem, words=words, **own, **sampling)
        self.descriptor, self.sampling = descriptor, Sampling(**sampling)
        self.words = np.zeros((words, width_of(descriptor)), np.float32)
        self.reader: Reader | None = None

    @property
    @abstractmethod
    def length(self) -> int:
        """The length V of an image's vector."""

    @abstractmethod
    def pool(self, descriptors: Array) -> Array:
        """Return the pooled descriptors (P, D) of an image, float32 (V,)."""

    @abstractmethod
    def scale(self, pooled: Array) -> Array:
        """Return the vector float32 (V,) of an image from its pooled descriptors (V,)."""

    def encode(self, descriptors: Array) -> Array:
        """Return the vector float32 (V,) of an image from its descriptors (P, D)."""
        return self.scale(self.pool(descriptors))

    def to(self, device: Device) -> None:
        super().to(device)
        cv2.setNumThreads(device.threads)

    def learn(self, descriptors: Array, seed: int) -> None:
        """Learn the codebook from a sample of descriptors (P, D) of training images, in random order of the images."""
        self.words = learn_words(descriptors, len(self.words), seed)

    def weigh(self, pooled: Array) -> None:
        """Learn the weights of words from the pooled descriptors of the training images (N, V)."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        reader = self._new_reader()
        reader.check(len(train))
        self.learn(self._sample(train, ctx), ctx.seed)
        vectors, labels = self._pooled(train, ctx)
        self.weigh(vectors)
        for row in vectors:
            row[:] = self.scale(row)
        reader.fit(vectors, labels)
        self.reader = reader
        return FitReport()

    def _new_reader(self) -> Reader:
        settings = {name: self.params[name] for name in ("k", "inverse_penalty")}
        return READERS[self.params["classifier"]](len(self.problem.classes), **settings)

    def _sample(self, train: Split, ctx: FitContext) -> Array:
        """Return at most MOST_DESCRIPTORS of training images float32 (P, D), the images in random order.

        Each image contributes at most its share, so that a few large ones do not dominate the codebook.
        """
        rng = np.random.default_rng(ctx.seed)
        share = math.ceil(MOST_DESCRIPTORS / max(1, min(len(train), LEAST_IMAGES)))
        kept: list[Array] = []
        count = 0
        for batch in train.inputs(BATCH, rng.permutation(len(train))):
            for image in batch.inputs["image"]:
                found = self.describe(image)
                if len(found) > share:
                    found = found[rng.choice(len(found), share, replace=False)]
                kept.append(found)
                count += len(found)
            ctx.progress(len(kept), 2 * len(train))
            if count >= MOST_DESCRIPTORS:
                break
        if not count:
            raise DataError("no patch was found in any training image; set model.points=grid.")
        return np.concatenate(kept)[:MOST_DESCRIPTORS]

    def _pooled(self, train: Split, ctx: FitContext) -> tuple[Array, Array]:
        """Return the pooled descriptors of each training image, float32 (N, V), and the labels (N,)."""
        pooled = np.empty((len(train), self.length), np.float32)
        labels: list[Array] = []
        done = 0
        for batch, targets in train.batches(BATCH):
            for image in batch.inputs["image"]:
                pooled[done] = self.pool(self.describe(image))
                done += 1
            labels.append(np.asarray(targets["label"]))
            ctx.progress(len(train) + done, 2 * len(train))
        return pooled, np.concatenate(labels)

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
        write_arrays(folder / ARRAYS, {**self.learned(), **held})

    def load(self, folder: Path) -> None:
        reader = self._new_reader()
        own = {name: layout_of(array) for name, array in self.learned().items()}
        arrays = read_exactly(folder / ARRAYS, {**own, **reader.layouts(self.length)})
        reader.restore(arrays)
        self.restore(arrays)
        self.reader = reader

    def learned(self) -> dict[str, Array]:
        """Return the codebook and everything else that was learned; before a fit, arrays of the same layout."""
        return {"words": self.words}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Restore what `learned` returned."""
        self.words = arrays["words"]


class BagOfVisualWords(_WordModel):
    """A histogram of words. With soft assignment the kernel's width is the median distance to the nearest word."""

    def __init__(
        self,
        problem: Problem,
        words: int = 500,
        assignment: str = "hard",
        weighting: str = "none",
        norm: str = "l1-sqrt",
        **further: Any,
    ) -> None:
        super().__init__(problem, words, **further)
        self.params |= {"assignment": assignment, "weighting": weighting, "norm": norm}
        self.soft, self.norm, self.width = assignment == "soft", norm, 0.0
        self.weighted, self.rarity = weighting == "tfidf", np.ones(words, np.float32)

    @property
    def length(self) -> int:
        return len(self.words)

    def learn(self, descriptors: Array, seed: int) -> None:
        super().learn(descriptors, seed)
        if self.soft:
            spread = descriptors[:: math.ceil(len(descriptors) / MOST_DISTANCES)]  # over all images of the sample
            nearest = squared_distances(spread, self.words).min(axis=1)
            self.width = max(float(np.sqrt(np.median(nearest))), 1e-6)

    def weigh(self, pooled: Array) -> None:
        if self.weighted:
            self.rarity = rarity(pooled)

    def pool(self, descriptors: Array) -> Array:
        return histogram(descriptors, self.words, width=self.width)

    def scale(self, pooled: Array) -> Array:
        return normalised(pooled * self.rarity if self.weighted else pooled, self.norm).astype(np.float32)

    def learned(self) -> dict[str, Array]:
        width = {"width": np.array([self.width])} if self.soft else {}
        return {**super().learned(), **width, **({"rarity": self.rarity} if self.weighted else {})}

    def restore(self, arrays: dict[str, Array]) -> None:
        super().restore(arrays)
        if self.soft:
            self.width = float(arrays["width"][0])
        if self.weighted:
            self.rarity = arrays["rarity"]


class Vlad(_WordModel):
    """Sums of residuals: K words of D numbers give K * D (64 words of SIFT: 8,192)."""

    def __init__(self, problem: Problem, words: int = 64, **further: Any) -> None:
        super().__init__(problem, words, **further)

    @property
    def length(self) -> int:
        return self.words.size

    def pool(self, descriptors: Array) -> Array:
        return residual_sums(descriptors, self.words).ravel()

    def scale(self, pooled: Array) -> Array:
        return vlad_vector(pooled.reshape(self.words.shape))
