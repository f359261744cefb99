"""Fit a model of the bench on arrays, without a run around it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, FitReport, InputSpec, Model, Problem

M = TypeVar("M", bound=Model)


def digits() -> tuple[ArraySplit, ArraySplit]:
    """Return scikit-learn's digits, uint8 0-16, 8x8: the first 1000 to train, the last 797 to test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.uint8)
    return split(images[:1000], data.target[:1000]), split(images[1000:], data.target[1000:])


def split(images: Any, labels: Any, name: str = "train") -> ArraySplit:
    """Return a classification split of uint8 images and integer labels."""
    return ArraySplit(name, {"image": images}, {"label": np.asarray(labels, dtype=np.int64)})


def problem(images: np.ndarray, classes: int = 10) -> Problem:
    """Return a classification problem of that many classes for images (N, H, W[, 3])."""
    names = tuple(f"class {number}" for number in range(classes))
    return Problem("classification", names, {"image": InputSpec(tuple(images.shape[1:]))})


def context(seed: int = 0, **settings: Any) -> FitContext:
    """Return a fit context with these `fit.*` settings."""
    return FitContext(seed=seed, device=Device(), settings=settings)


def fitted(model: M, train: ArraySplit, seed: int = 0, **settings: Any) -> M:
    """Return `model` after fitting it to `train`."""
    model.fit(train, None, context(seed, **settings))
    return model


def report_of(model: Model, train: ArraySplit, seed: int = 0, **settings: Any) -> FitReport:
    """Fit `model` and return its report."""
    report = model.fit(train, None, context(seed, **settings))
    assert report is not None
    return report


def images_batch(images: Any) -> Batch:
    """Return a batch of images without targets."""
    return Batch(ids=np.array([str(number) for number in range(len(images))]), inputs={"image": images})


def scores_of(model: Model, images: Any) -> np.ndarray:
    """Return the scores, or the probabilities, (B, C) of images."""
    (scores,) = model.predict(images_batch(images)).values()
    return scores


def percent_right(model: Model, test: ArraySplit) -> float:
    """Return the top-1 accuracy on a split in percent."""
    inputs, targets = test.arrays()
    return 100 * float((scores_of(model, inputs["image"]).argmax(axis=1) == targets["label"]).mean())
