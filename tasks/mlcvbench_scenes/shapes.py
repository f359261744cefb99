"""The five solids: where a ray enters them, how their surface faces a direction, and which pixels they can touch.

Each lives in its own frame, centred, with its axis along z. `size` is

- sphere: (radius, radius, radius)      - box: half extents
- cylinder: (radius, radius, half height)
- cone: (base radius, base radius, half height), base at z = -half height
- capsule: (radius, radius, half length of the inner segment)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mlcvbench_scenes.vectors import Mat, Vec, dot, transpose

KINDS = ("sphere", "box", "cylinder", "cone", "capsule")
Number = Any
"""A float or an array: a ray's origin is one point and its directions are many, or the other way round."""
Numbers = tuple[Number, Number, Number]


@dataclasses.dataclass(frozen=True)
class Solid:
    """A shape in the world. `rotation` takes its own frame to the world; `center` is in metres."""

    kind: str
    size: Vec
    center: Vec
    rotation: Mat

    @property
    def radius(self) -> float:
        """The radius of a ball around the centre that holds the solid."""
        a, b, c = self.size
        if self.kind == "sphere":
            return a
        if self.kind == "capsule":
            return a + c
        return math.sqrt(a * a + c * c) if self.kind in {"cylinder", "cone"} else math.sqrt(a * a + b * b + c * c)


def depth_below(kind: str, size: Vec, rotation: Mat) -> float:
    """Return how far the solid reaches below its centre, in metres: put the centre that high and it touches z = 0."""
    a, b, c = size
    up = rotation[2]
    if kind == "sphere":
        return a
    if kind == "box":
        return abs(up[0]) * a + abs(up[1]) * b + abs(up[2]) * c
    rim = a * math.sqrt(max(0.0, 1.0 - up[2] * up[2]))
    if kind == "cylinder":
        return c * abs(up[2]) + rim
    if kind == "cone":
        return max(-c * up[2], c * up[2] + rim)
    return c * abs(up[2]) + a


def enter(solid: Solid, origin: Numbers, direction: Numbers) -> Number:
    """Return the ray parameter where rays from outside enter the solid, in its own frame; inf where they miss.

    A solid behind the origin gives a negative parameter. Origin and direction broadcast.
    """
    return _ENTER[solid.kind](solid.size, origin, direction)


def facing(solid: Solid, point: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    """Return, for each direction (in the solid's frame), the cosine between it and the surface's normal at `point`."""
    return _FACING[solid.kind](solid.size, point, directions)


def _sphere(size: Vec, o: Numbers, d: Numbers) -> Number:
    a = (d[0] * d[0] + d[2] * d[2]) + d[1] * d[1]
    b = (o[0] * d[0] + o[2] * d[2]) + o[1] * d[1]
    c = (o[0] * o[0] + o[1] * o[1] + o[2] * o[2]) - size[0] * size[0]
    inside = b * b - a * c
    return np.where(inside > 0.0, (-b - np.sqrt(np.maximum(inside, 0.0))) / a, np.inf)


def _box(size: Vec, o: Numbers, d: Numbers) -> Number:
    first, last = _slab(size[0], o[0], d[0])
    for axis in (1, 2):
        near, far = _slab(size[axis], o[axis], d[axis])
        first, last = np.maximum(first, near), np.minimum(last, far)
    return np.where(first < last, first, np.inf)


def _cylinder(size: Vec, o: Numbers, d: Numbers) -> Number:
    radius, _, half = size
    a = _not_zero(d[0] * d[0] + d[1] * d[1])
    b = o[0] * d[0] + o[1] * d[1]
    c = o[0] * o[0] + o[1] * o[1] - radius * radius
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0.0))
    near, far = _slab(half, o[2], d[2])
    first = np.maximum((-b - root) / a, near)
    last = np.minimum((root - b) / a, far)
    return np.where((inside > 0.0) & (first < last), first, np.inf)


def _cone(size: Vec, o: Numbers, d: Numbers) -> Number:
    radius, _, half = size
    slope = radius / (2.0 * half)
    square = slope * slope
    below = half - o[2]  # distance from the apex plane, downwards; the axis coordinate of the ray is below - t dz
    a = _not_zero(d[0] * d[0] + d[1] * d[1] - square * (d[2] * d[2]))
    b = o[0] * d[0] + o[1] * d[1] + square * (below * d[2])
    c = o[0] * o[0] + o[1] * o[1] - square * (below * below)
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0.0))
    best = np.where(inside > 0.0, np.inf, np.inf)
    for t in ((-b - root) / a, (root - b) / a):
        down = below - t * d[2]
        best = np.where((inside > 0.0) & (down >= 0.0) & (down <= 2.0 * half), np.minimum(best, t), best)
    t = (-half - o[2]) / _not_zero(d[2])
    x, y = o[0] + t * d[0], o[1] + t * d[1]
    return np.where(x * x + y * y <= radius * radius, np.minimum(best, t), best)


def _capsule(size: Vec, o: Numbers, d: Numbers) -> Number:
    """Meet the endless cylinder; where that lies beyond an end of the segment, meet the ball at that end."""
    radius, _, half = size
    a = _not_zero(d[0] * d[0] + d[1] * d[1])
    b = o[0] * d[0] + o[1] * d[1]
    c = o[0] * o[0] + o[1] * o[1] - radius * radius
    inside = b * b - a * c
    t = (-b - np.sqrt(np.maximum(inside, 0.0))) / a
    z = o[2] + t * d[2]
    end = np.minimum(np.maximum(z, -half), half)
    oz = o[2] - end
    a = a + d[2] * d[2]
    b = b + oz * d[2]
    ball = b * b - a * (c + oz * oz)
    t = np.where(z == end, t, (-b - np.sqrt(np.maximum(ball, 0.0))) / a)
    return np.where((inside > 0.0) & ((z == end) | (ball > 0.0)), t, np.inf)


def _slab(half: float, o: Number, d: Number) -> tuple[Number, Number]:
    """Return where a ray enters and leaves -half <= coordinate <= half."""
    inverse = 1.0 / _not_zero(d)
    middle, reach = o * inverse, half * abs(inverse)
    return -middle - reach, reach - middle


def _not_zero(value: Number) -> Number:
    """Keep a division defined; rays exactly along an axis are as good as almost along it."""
    return value if isinstance(value, np.ndarray) else (value or 1e-12)


def _face_sphere(size: Vec, p: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    return [_along(p, v, 1.0 / size[0]) for v in directions]


def _face_box(size: Vec, p: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    gaps = [abs(p[axis]) - size[axis] for axis in range(3)]
    on_x = (gaps[0] >= gaps[1]) & (gaps[0] >= gaps[2])
    on_y = gaps[1] >= gaps[2]
    signs = [np.copysign(np.float32(1.0), p[axis]) for axis in range(3)]
    return [np.where(on_x, signs[0] * v[0], np.where(on_y, signs[1] * v[1], signs[2] * v[2])) for v in directions]


def _face_cylinder(size: Vec, p: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    radius, _, half = size
    side = radius - np.sqrt(p[0] * p[0] + p[1] * p[1]) < half - abs(p[2])
    sign = np.copysign(np.float32(1.0), p[2])
    return [np.where(side, (p[0] * v[0] + p[1] * v[1]) / radius, sign * v[2]) for v in directions]


def _face_cone(size: Vec, p: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    radius, _, half = size
    slope = radius / (2.0 * half)
    cosine = 1.0 / math.sqrt(1.0 + slope * slope)
    around = np.maximum(np.sqrt(p[0] * p[0] + p[1] * p[1]), 1e-6)
    base = (p[2] + half) < cosine * (slope * (half - p[2]) - around)
    outward = cosine / around
    return [np.where(base, -v[2], (p[0] * v[0] + p[1] * v[1]) * outward + (slope * cosine * v[2])) for v in directions]


def _face_capsule(size: Vec, p: Numbers, directions: tuple[Vec, ...]) -> list[Number]:
    radius, _, half = size
    beyond = p[2] - np.minimum(np.maximum(p[2], -half), half)
    return [_along((p[0], p[1], beyond), v, 1.0 / radius) for v in directions]


def _along(p: Numbers, v: Vec, scale: float) -> Number:
    return p[0] * (v[0] * scale) + p[1] * (v[1] * scale) + p[2] * (v[2] * scale)


_ENTER: dict[str, Callable[[Vec, Numbers, Numbers], Number]] = {
    "sphere": _sphere,
    "box": _box,
    "cylinder": _cylinder,
    "cone": _cone,
    "capsule": _capsule,
}
_FACING: dict[str, Callable[[Vec, Numbers, tuple[Vec, ...]], list[Number]]] = {
    "sphere": _face_sphere,
    "box": _face_box,
    "cylinder": _face_cylinder,
    "cone": _face_cone,
    "capsule": _face_capsule,
}


def tangents(center: Vec, axes: Mat, solid: Solid) -> tuple[float, float, float, float] | None:
    """Return bounds (left, top, right, bottom) of x/z and y/z over the solid; None when it reaches the camera's plane.

    `center` and `axes` (rows: the solid's own axes) are in the camera's frame.
    """
    a, b, c = solid.size
    if solid.kind == "sphere":
        return ball_tangents(center, a)
    if solid.kind == "capsule":
        axis = axes[2]
        ends = [
            ball_tangents(tuple(m + s * c * x for m, x in zip(center, axis, strict=True)), a)  # type: ignore[arg-type]
            for s in (-1.0, 1.0)
        ]
        return None if ends[0] is None or ends[1] is None else _around([ends[0], ends[1]])
    corners = []
    for x in (-a, a):
        for y in (-b, b):
            for z in (-c, c):
                at = [center[i] + x * axes[0][i] + y * axes[1][i] + z * axes[2][i] for i in range(3)]
                if at[2] <= NEAR:
                    return None
                u, v = at[0] / at[2], at[1] / at[2]
                corners.append((u, v, u, v))
    return _around(corners)


NEAR = 1e-2
"""Nothing is seen that is nearer than this, in metres."""


def ball_tangents(center: Vec, radius: float) -> tuple[float, float, float, float] | None:
    """Return the bounds of x/z and y/z over a ball in the camera's frame; None when it reaches the camera's plane."""
    x, y, z = center
    if z - radius <= NEAR:
        return None
    below = z * z - radius * radius
    across = radius * math.sqrt(x * x + below)
    down = radius * math.sqrt(y * y + below)
    return ((x * z - across) / below, (y * z - down) / below, (x * z + across) / below, (y * z + down) / below)


def _around(parts: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    left, top, right, bottom = zip(*parts, strict=True)
    return min(left), min(top), max(right), max(bottom)


def to_frame(solid: Solid, vector: Vec) -> Vec:
    """Return a direction of the world in the solid's own frame."""
    x, y, z = transpose(solid.rotation)
    return dot(x, vector), dot(y, vector), dot(z, vector)
