"""Ray casting: depth and surface number per sample, one solid at a time.

A solid is met only inside the rectangle its projection can touch, so the cost follows the covered area.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.camera import Camera
from mlcvbench_scenes.scene import FIRST_SOLID, NOTHING, Scene
from mlcvbench_scenes.shapes import NEAR, Numbers, Solid, enter, tangents
from mlcvbench_scenes.vectors import IDENTITY, Mat, Vec, apply, multiply, subtract, transpose

Array = NDArray[Any]
Window = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class View:
    """A camera's rays and what they meet.

    across (1, W) and down (H, 1) are x/z and y/z; depth (H, W) is z in metres, inf where nothing is met; surface
    uint8 (H, W) is numbered as in `scene`; alone[i] is the number of rays that would meet solid i by itself.
    """

    camera: Camera
    across: Array
    down: Array
    depth: Array
    surface: NDArray[np.uint8]
    windows: tuple[Window | None, ...]
    alone: NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Frame:
    """A solid's or plane's own frame seen from a camera: `origin` is the camera in it, `turn` takes rays to it."""

    origin: Vec
    turn: Mat

    def rays(self, across: Array, down: Array) -> Numbers:
        """Return the rays' directions in this frame; their camera-frame z is 1, so the ray parameter is depth."""
        (a, b, c), (d, e, f), (g, h, i) = self.turn
        return (a * across + (b * down + c), d * across + (e * down + f), g * across + (h * down + i))


def frame_of(center: Vec, rotation: Mat, camera: Camera) -> Frame:
    """Return a frame (its rotation takes it to the world) as seen from a camera."""
    inverse = transpose(rotation)
    return Frame(apply(inverse, subtract(camera.position, center)), multiply(inverse, transpose(camera.rotation)))


def solid_frame(solid: Solid, camera: Camera) -> Frame:
    """Return the frame in which rays meet the solid; a ball has no axis, so it is met in the camera's own."""
    if solid.kind == "sphere":
        return Frame(apply(camera.rotation, subtract(camera.position, solid.center)), IDENTITY)
    return frame_of(solid.center, solid.rotation, camera)


def look(scene: Scene, camera: Camera, samples: int, dtype: type[np.floating[Any]]) -> View:
    """Return what `samples` x `samples` rays per pixel meet, computed in `dtype`."""
    across, down = (rays.astype(dtype) for rays in camera.rays(samples))
    depth, surface = _planes(scene, camera, across, down)
    windows: list[Window | None] = []
    alone = np.zeros(len(scene.things), dtype=np.int64)
    for number, thing in enumerate(scene.things):
        window = window_of(thing.solid, camera, depth.shape, samples)
        windows.append(window)
        if window is None:
            continue
        rows, columns = window
        t = enter_from(thing.solid, camera, across[:, columns], down[rows])
        behind = depth[window]
        met = t < np.inf
        met &= t > NEAR
        alone[number] = np.count_nonzero(met)
        met &= t < behind
        np.copyto(behind, t, where=met)
        np.copyto(surface[window], np.uint8(number + FIRST_SOLID), where=met)
    return View(camera, across, down, depth, surface, tuple(windows), alone)


def enter_from(solid: Solid, camera: Camera, across: Array, down: Array) -> Array:
    """Return the depth at which rays of a camera enter a solid; inf where they miss."""
    frame = solid_frame(solid, camera)
    rays = (across, down, 1.0) if solid.kind == "sphere" else frame.rays(across, down)
    t: Array = enter(solid, frame.origin, rays)
    return t


def _planes(scene: Scene, camera: Camera, across: Array, down: Array) -> tuple[Array, NDArray[np.uint8]]:
    depths = []
    for plane in scene.planes:
        normal = plane.axes[2]
        away = apply(camera.rotation, normal)
        height = -sum(n * (p - q) for n, p, q in zip(normal, camera.position, plane.point, strict=True))
        t = height / (away[0] * across + (away[1] * down + away[2]))
        depths.append(np.where(t > NEAR, t, np.inf))
    ground, wall = depths
    surface = (wall < ground).astype(np.uint8)
    depth = np.minimum(ground, wall)
    surface[depth == np.inf] = NOTHING
    return depth, surface


def window_of(solid: Solid, camera: Camera, shape: tuple[int, ...], samples: int) -> Window | None:
    """Return the rows and columns of samples that can meet the solid, or None."""
    center = apply(camera.rotation, subtract(solid.center, camera.position))
    if center[2] + solid.radius <= NEAR:
        return None
    axes = multiply(transpose(solid.rotation), transpose(camera.rotation))
    return clip_window(tangents(center, axes, solid), camera, shape, samples)


def clip_window(
    bounds: tuple[float, float, float, float] | None, camera: Camera, shape: tuple[int, ...], samples: int
) -> Window | None:
    """Return bounds of x/z and y/z as rows and columns of samples; no bounds are the whole image, no sample is None."""
    if bounds is None:
        return slice(0, shape[0]), slice(0, shape[1])
    scale = camera.focal * samples
    left, right = (bounds[i] * scale + (shape[1] - 1) / 2 for i in (0, 2))
    top, bottom = (bounds[i] * scale + (shape[0] - 1) / 2 for i in (1, 3))
    x0, x1 = max(0, math.floor(left)), min(shape[1], math.ceil(right) + 1)
    y0, y1 = max(0, math.floor(top)), min(shape[0], math.ceil(bottom) + 1)
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None
