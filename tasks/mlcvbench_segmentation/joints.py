"""Joint proposals beside a label map: their check, and how near they come to the parts that the labels show.

A method that finds where parts lie in space may return, for each image, `joints` float32 (n, 5), the most confident
first: class, x and y in pixels of the original image (the centre of a pixel has whole numbers), z in metres along the
camera's axis, and confidence. They are not stored, but drawn and measured where the data have depth and its camera.

The true place of a part is the middle of the surface that is labelled so: the mean of its pixels in space, weighted by
the area that each covers. As in Shotton et al. (CVPR 2011), section 5, the most confident proposal within 0.1 m of it
is right, every other proposal is wrong, and a part of which nothing is seen is not missed; average precision is over
all proposals of a part, the most confident first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Breakdown, Outcome, Predictions
from mlcvbench.errors import PredictionError
from mlcvbench_segmentation.scoring import background_of

NAME, COLUMNS = "joints", ("class", "x", "y", "z", "confidence")
NEAR = 0.1
"""Metres within which a proposal is right."""
READ_AT_ONCE = 64


class Nearness(NamedTuple):
    """How near the proposals of one part come: images that show it, in how many the most confident proposal is right,
    average precision, and the median distance of the most confident one in metres; NaN where nothing is to be found.
    """

    shown: int
    right: int
    average_precision: float
    distance: float


def check_joints(predictions: Predictions, ids: Array, classes: int) -> Predictions:
    """Return the column of joint proposals, float32; nothing where a model gives none.

    PredictionError names the sample, what was wanted and what was got.
    """
    if NAME not in predictions:
        return {}
    column = predictions[NAME]
    if not isinstance(column, list | tuple | np.ndarray) or len(column) != len(ids):
        got = type(column).__name__ if not hasattr(column, "__len__") else f"{len(column)} entries"
        raise PredictionError(f"field 'joints': wanted one array (n, 5) for each of {len(ids)} samples, got {got}.")
    return {NAME: [_check_one(one, str(name), classes) for one, name in zip(column, ids, strict=True)]}


def _check_one(given: Any, name: str, classes: int) -> Array:
    where, array = f"field 'joints', sample {name!r}: ", np.asarray(given)
    if array.size == 0:
        return np.zeros((0, len(COLUMNS)), dtype=np.float32)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise PredictionError(f"{where}wanted numbers (n, 5), {', '.join(COLUMNS)}; got {array.dtype} {array.shape}.")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused
        joints = array.astype(np.float32)
    bad = ~np.isfinite(joints).all(axis=1)
    if bad.any():
        raise PredictionError(f"{where}wanted finite numbers, got {joints[bad][0].tolist()}.")
    labels = joints[:, 0]
    strange = (labels != np.floor(labels)) | (labels < 0) | (labels >= classes)
    if strange.any():
        raise PredictionError(f"{where}wanted classes 0 to {classes - 1}, got {labels[strange][0]:g}.")
    if (joints[:, 3] <= 0).any():
        raise PredictionError(f"{where}wanted a z above 0 m, got {joints[:, 3].min():g}.")
    return joints


def best_of(joints: Array) -> Array:
    """Return the most confident proposal of each class that has any, (k, 5), in the order of classes."""
    ordered = _ordered(joints)
    return ordered[np.unique(ordered[:, 0], return_index=True)[1]]


def in_space(pixels: Array, camera: Array) -> Array:
    """Return where pixels (n, 3), x, y and the depth z, lie before a camera of intrinsics (3, 3): float64 (n, 3), m."""
    rays = pixels.copy()
    rays[:, 2] = 1
    points: Array = rays @ np.linalg.inv(camera).T * pixels[:, 2:]
    return points


def part_middles(label_map: Array, depth: Array, camera: Array, classes: int) -> Array:
    """Return the middle of the surface of each class in space, float64 (C, 3); NaN for one of which nothing is seen."""
    rows, columns = np.nonzero((label_map < classes) & np.isfinite(depth) & (depth > 0))
    labels, z = label_map[rows, columns], depth[rows, columns].astype(np.float64)
    points, area = in_space(np.stack([columns, rows, z], axis=1), camera), z * z
    total = np.bincount(labels, area, classes)
    sums = np.stack([np.bincount(labels, area * axis, classes) for axis in points.T], axis=1)
    with np.errstate(invalid="ignore"):
        middles: Array = sums / total[:, None]
    return middles


def nearness(distances: Sequence[Array], confidences: Sequence[Array], shown: Sequence[bool]) -> Nearness:
    """Return how near the proposals of one part come.

    Args:
        distances: of each image's proposals from the true place, the most confident first; anything where not shown.
        confidences: as many.
        shown: whether the image shows the part.

    """
    count = sum(shown)
    best = [float(own[0]) for own, seen in zip(distances, shown, strict=True) if seen and len(own)]
    if not count:
        return Nearness(0, 0, np.nan, np.nan)
    right = [_first_near(own) & seen for own, seen in zip(distances, shown, strict=True)]
    found = np.concatenate(right)[np.argsort(-np.concatenate(confidences), kind="stable")]
    precision = np.cumsum(found) / np.arange(1, len(found) + 1)
    return Nearness(
        count,
        sum(distance <= NEAR for distance in best),
        float(precision[found].sum() / count),
        float(np.median(best)) if best else np.nan,
    )


def _first_near(distances: Array) -> Array:
    """Return which proposal is right: the first one that is near."""
    right = np.zeros(len(distances), dtype=bool)
    near = np.flatnonzero(distances <= NEAR)
    right[near[:1]] = True
    return right


def joint_breakdown(outcome: Outcome) -> Breakdown | None:
    """Return how near the joint proposals come by part; None without proposals, or where depth or camera is unknown."""
    problem, proposed = outcome.problem, outcome.predictions.get(NAME)
    if proposed is None or "depth" not in problem.inputs:
        return None
    count, background = len(problem.classes), background_of(problem)
    parts = {label: _Part([], [], []) for label, name in enumerate(problem.classes) if name not in background}
    place = 0
    for batch, targets in outcome.split.batches(READ_AT_ONCE):
        if "intrinsics" not in batch.meta:
            return None
        seen = zip(batch.inputs["depth"], targets["label_map"], batch.meta["intrinsics"], strict=True)
        for depth, label_map, camera in seen:
            middles = part_middles(np.asarray(label_map), np.asarray(depth), camera, count)
            joints = _ordered(proposed[place]).astype(np.float64)
            points, place = in_space(joints[:, 1:4], camera), place + 1
            for label, part in parts.items():
                own = joints[:, 0] == label
                part.distances.append(np.linalg.norm(points[own] - middles[label], axis=1))
                part.confidences.append(joints[own, 4])
                part.shown.append(not np.isnan(middles[label, 0]))
    return _table({problem.classes[label]: nearness(*part) for label, part in parts.items() if any(part.shown)})


class _Part(NamedTuple):
    """What `nearness` takes of one part."""

    distances: list[Array]
    confidences: list[Array]
    shown: list[bool]


def _ordered(joints: Array) -> Array:
    """Return proposals (n, 5), the most confident first."""
    return joints[np.argsort(-joints[:, 4], kind="stable")]


def _table(found: dict[str, Nearness]) -> Breakdown | None:
    if not found:
        return None
    every = list(found.values())
    mean = Nearness(
        sum(one.shown for one in every),
        sum(one.right for one in every),
        float(np.mean([one.average_precision for one in every])),
        float("nan"),
    )
    lines = [mean, *every]
    columns: dict[str, tuple[str, Sequence[float | None]]] = {
        "seen": ("1", [float(one.shown) for one in lines]),
        "best within 0.1 m": ("fraction", [one.right / one.shown for one in lines]),
        "average precision": ("fraction", [one.average_precision for one in lines]),
        "median distance": ("m", [None if np.isnan(one.distance) else one.distance for one in lines]),
    }
    note = (
        "The true place of a part is the middle of its labelled surface. Within 0.1 m of it the most confident "
        "proposal is right, every other is wrong, and a part that is not seen is not missed. The first line has the "
        "mean over parts of the average precision."
    )
    return Breakdown("Joint proposals", note, "part", ["all parts", *found], columns)
