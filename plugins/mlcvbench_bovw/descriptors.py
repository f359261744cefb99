"""Descriptors of patches: SIFT, raw normalised pixels, or colour moments."""

from __future__ import annotations

import cv2
import numpy as np

from mlcvbench.contract import Array
from mlcvbench_bovw.patches import SIDES

PATCH = 8
COLOR_CELLS = 2
EPSILON = 1e-7


def width_of(descriptor: str) -> int:
    """Return the length of one descriptor."""
    return {"sift": 128, "rootsift": 128, "patch": PATCH * PATCH, "color": COLOR_CELLS**2 * 6}[descriptor]


def describe(image: Array, gray: Array, places: Array, descriptor: str) -> Array:
    """Return the descriptors float32 (P, D) of patches `places` (P, 3) of an image uint8 (H, W[, 3])."""
    if not len(places):
        return np.zeros((0, width_of(descriptor)), np.float32)
    if descriptor in {"sift", "rootsift"}:
        return _sift(gray, places, root=descriptor == "rootsift")
    if descriptor == "patch":
        return np.stack([_normalised(_cut(gray, place, PATCH)) for place in places])
    colored = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    lab = cv2.cvtColor(np.ascontiguousarray(colored), cv2.COLOR_RGB2LAB)
    return np.stack([_color_moments(_cut(lab, place, 4 * COLOR_CELLS)) for place in places])


def _sift(gray: Array, places: Array, *, root: bool) -> Array:
    """Return upright SIFT vectors divided by their length; `root`: square roots of L1-normalised ones (RootSIFT).

    A patch without gradient gives zeros. Arandjelovic and Zisserman 2012 for the root. Gradients are those of the image
    smoothed with sigma 1.6 pixels for every side, where Lowe uses the sigma of the key point's scale.
    """
    points = [cv2.KeyPoint(float(x), float(y), float(side) / SIDES, 0.0) for x, y, side in places]
    _, vectors = cv2.SIFT.create().compute(gray, points)
    vectors = np.asarray(vectors, np.float32)
    if root:
        return np.asarray(np.sqrt(vectors / np.maximum(np.abs(vectors).sum(axis=1, keepdims=True), EPSILON)))
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), EPSILON), np.float32)


def _cut(image: Array, place: Array, size: int) -> Array:
    """Return the patch around `place`, scaled to (size, size[, 3]) with bilinear sampling, borders repeated."""
    x, y, side = (float(value) for value in place)
    step = side / size
    matrix = np.array([[step, 0, x - step * (size - 1) / 2], [0, step, y - step * (size - 1) / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _normalised(patch: Array) -> Array:
    """Return grey pixels with mean 0 and length 1; a constant patch gives zeros."""
    vector = patch.astype(np.float32).ravel()
    vector -= vector.mean()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1.0), np.float32)


def _color_moments(patch: Array) -> Array:
    """Return mean and deviation of L, a, b in each of 2 x 2 cells, in [0, 1]."""
    side = len(patch) // COLOR_CELLS
    cells = patch.reshape(COLOR_CELLS, side, COLOR_CELLS, side, 3).astype(np.float32) / 255.0
    return np.concatenate([cells.mean(axis=(1, 3)).ravel(), cells.std(axis=(1, 3)).ravel()]).astype(np.float32)
