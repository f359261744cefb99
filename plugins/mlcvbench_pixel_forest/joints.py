"""Joint proposals: the modes of each body part's density in space, found by mean shift.

Shotton et al., "Real-time human pose recognition in parts from single depth images", CVPR 2011, section 4:

    f_c(x) ~ sum_i w_ic exp(-|(x - x_i) / b_c|^2)    (equation 7)
    w_ic = P(c | i) d_i^2                            (equation 8)

x_i is where pixel i lies in space, d_i its depth, b_c the bandwidth of part c. Pixels whose probability reaches the
part's threshold start a climb each; a proposal is a mode with the sum of the weights that reach it, pushed back from
the surface into the body. A pixel at depth d covers an area of d^2 / (f_x f_y): divided so, weights are square metres
that the camera sees of a part, whatever the distance and the size of the image.

So that the cost does not grow with the square of an image's pixels, those of a part within one cube of a third of the
bandwidth count as one point at their weighted middle, and climbs within one cube of a fifth of it go on as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

GATHERED, TOGETHER, ONE_MODE = 1 / 3, 1 / 5, 1 / 2
"""In bandwidths: sides of the cubes in which points, and climbs, become one; how near ends of climbs are one mode."""
STILL, MOST_STEPS, JOINED_EVERY = 1e-3, 300, 4
"""Climbs end when none moves farther along any axis, in bandwidths; every few steps those in one cube are joined."""
STRIDE = 1.4
"""How far a step goes, 1 being to the mean under the kernel. Mean shift is an EM algorithm: near a mode, steps up to
twice as long climb too (Salakhutdinov and Roweis, ICML 2003), and fewer are needed."""
BLOCK = 2_000_000
"""The most values of the kernel at once."""
FARTHEST = 1e5
"""Bandwidths from the camera along an axis up to which places are told apart, so that cubes are numbered in int64."""


class PartSettings(NamedTuple):
    """Of one part: bandwidth in metres, the least probability of a start, and metres from the surface to the joint."""

    bandwidth: float
    threshold: float
    offset: float


class Modes(NamedTuple):
    """Modes of a density, the most confident first: float64 (M, 3), and the sum of weights that reach each, (M,)."""

    places: Array
    confidence: Array


def joint_proposals(
    image: Array, places: Array, probabilities: Array, intrinsics: Array, settings: Mapping[int, PartSettings]
) -> Array:
    """Return the proposals of a depth image, float32 (J, 5): class, x and y in pixels, z in metres, confidence in m^2.

    The most confident comes first; a pixel's centre has whole numbers for x and y.

    Args:
        image: float32 (H, W), metres.
        places: int64 (n,), indices into the flat image; each has a measurement.
        probabilities: float (n, C) of these pixels.
        intrinsics: float64 (3, 3) of the camera, pixels.
        settings: by class, for those that are parts.

    """
    rows, columns = np.divmod(places, image.shape[1])
    depth = image.reshape(-1)[places].astype(np.float64)
    rays = np.linalg.inv(intrinsics) @ np.stack([columns, rows, np.ones(len(places))])
    points = (rays * depth).T  # (n, 3)
    area = depth * depth / abs(np.linalg.det(intrinsics[:2, :2]))
    found = [np.zeros((0, 5))]
    for label, part in settings.items():
        own = probabilities[:, label]
        modes = density_modes(points, own * area, own >= part.threshold, part.bandwidth)
        moved = modes.places + np.array([0.0, 0.0, part.offset])
        pixels = moved @ intrinsics.T / moved[:, 2:]
        pixels[:, 2] = moved[:, 2]
        confidence = np.minimum(modes.confidence, np.finfo(np.float32).max)
        found.append(np.column_stack([np.full(len(moved), label), pixels, confidence]))
    joints = np.concatenate(found)
    ordered: Array = joints[np.argsort(-joints[:, 4], kind="stable")].astype(np.float32)
    return ordered


def density_modes(points: Array, weights: Array, starts: Array, bandwidth: float) -> Modes:
    """Return the modes of a weighted Gaussian kernel density that climbs from some of its points reach.

    Args:
        points: float64 (n, 3).
        weights: float64 (n,), 0 or more; points of weight 0 are left out.
        starts: bool (n,).
        bandwidth: b of exp(-|x / b|^2), in the unit of the points.

    """
    known = np.flatnonzero(weights > 0)
    if not starts[known].any():
        return Modes(np.zeros((0, 3)), np.zeros(0))
    points = np.minimum(np.maximum(points[known] / bandwidth, -FARTHEST), FARTHEST)
    weights, starts = weights[known], starts[known]
    cubes, _ = _cubes(points, GATHERED)
    total, reached = np.bincount(cubes, weights), np.bincount(cubes, weights * starts)
    gathered = np.stack([np.bincount(cubes, weights * axis) / total for axis in points.T], axis=1)
    density = _Density(gathered, total)
    places, reached = gathered[reached > 0], reached[reached > 0]
    for step in range(1, MOST_STEPS + 1):
        move = density.means(places)
        move -= places
        move *= STRIDE
        places = places + move
        if max(move.max(), -move.min()) <= STILL:
            break
        if step % JOINED_EVERY == 0 and len(places) > 1:
            cubes, firsts = _cubes(places, TOGETHER)
            places, reached = places[firsts], np.bincount(cubes, reached)
    return _merged(places, reached, bandwidth)


class _Density:
    """Weighted points (N, 3) in bandwidths, and what each of many steps needs of them."""

    def __init__(self, points: Array, weights: Array) -> None:
        self._twice, self._squares = np.ascontiguousarray(2 * points.T), np.square(points).sum(axis=1)
        self._pulls = np.concatenate([points * weights[:, None], weights[:, None]], axis=1)  # (N, 4)

    def means(self, places: Array) -> Array:
        """Return the mean of the points under the kernel around each place (S, 3)."""
        sums, step = np.empty((len(places), 4)), max(1, BLOCK // len(self._squares))
        for first in range(0, len(places), step):
            own = places[first : first + step]
            kernel = own @ self._twice  # exp(2xy - |y|^2 - |x|^2), in place
            kernel -= self._squares
            kernel -= np.einsum("ij,ij->i", own, own)[:, None]
            np.exp(kernel, out=kernel)
            sums[first : first + step] = kernel @ self._pulls
        means: Array = sums[:, :3] / sums[:, 3:]
        return means


def _merged(places: Array, reached: Array, bandwidth: float) -> Modes:
    """Return the modes: beginning with the end that most weight reaches, ends near to it are the same one."""
    order = np.argsort(-reached, kind="stable")
    places, reached = places[order], reached[order]
    modes, confidence = [], []
    while len(places):
        near = np.square(places - places[0]).sum(axis=1) <= ONE_MODE**2
        modes.append(places[0] * bandwidth)
        confidence.append(reached[near].sum())
        places, reached = places[~near], reached[~near]
    order = np.argsort(-np.array(confidence), kind="stable")
    return Modes(np.stack(modes)[order], np.array(confidence)[order])


def _cubes(points: Array, side: float) -> tuple[Array, Array]:
    """Return the number of the cube in which each point (n, 3) lies, int64 (n,), and the first point of each cube."""
    across, down, deep = np.floor(points * (1 / side)).astype(np.int64).T
    span = 2 * math.ceil(FARTHEST / side) + 1
    _, firsts, cubes = np.unique((across * span + down) * span + deep, return_index=True, return_inverse=True)
    return cubes, firsts
