"""Ground truth that follows from geometry alone: labels, boxes, disparity and what the other camera cannot see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.camera import Camera, Rig
from mlcvbench_scenes.scene import CLASSES, FIRST_SOLID, NOTHING, Scene
from mlcvbench_scenes.visibility import View, enter_from, window_of

_SAME = 1e-6
"""Depths with a smaller relative difference are the same surface; both are computed in float64."""


@dataclasses.dataclass(frozen=True)
class Instances:
    """The solids that show at least one pixel, in the order of their scene.

    - `number`: int64 (N,), index into `scene.things`.
    - `label`: int64 (N,), index into `CLASSES`.
    - `box`: float32 (N, 4), x0 y0 x1 y1, tight around the visible pixels; pixel (row, column) covers
      [column, column + 1) x [row, row + 1).
    - `area`: int64 (N,), visible pixels.
    - `visible`: float32 (N,), visible pixels over those the solid would have alone in the image.
    - `truncated`: bool (N,), the image's border cuts the solid off.
    """

    number: NDArray[np.int64]
    label: NDArray[np.int64]
    box: NDArray[np.float32]
    area: NDArray[np.int64]
    visible: NDArray[np.float32]
    truncated: NDArray[np.bool_]

    @property
    def occluded(self) -> NDArray[np.bool_]:
        """Bool (N,): another solid hides part of it."""
        return self.visible < 1.0

    def masks(self, surface: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return one mask per instance, bool (N, H, W), from the frame's surface numbers."""
        masks: NDArray[np.bool_] = surface[None] == (self.number[:, None, None] + FIRST_SOLID).astype(np.uint8)
        return masks


def semantic_labels(scene: Scene, surface: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return indices into `CLASSES`, uint8 (H, W); 255 where nothing is met."""
    kinds = [CLASSES.index(thing.solid.kind) for thing in scene.things]
    table = np.full(256, NOTHING, dtype=np.uint8)
    table[: FIRST_SOLID + len(kinds)] = [*range(FIRST_SOLID), *kinds]
    labels: NDArray[np.uint8] = table.take(surface)
    return labels


def find_instances(scene: Scene, view: View) -> Instances:
    """Return the `Instances` of a view with one ray per pixel."""
    rows: list[tuple[int, int, tuple[int, int, int, int], int, float, bool]] = []
    height, width = view.surface.shape
    for number, (thing, window) in enumerate(zip(scene.things, view.windows, strict=True)):
        if window is None:
            continue
        mask = view.surface[window] == number + FIRST_SOLID
        area = int(np.count_nonzero(mask))
        if not area:
            continue
        across, down = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        top, left = window[0].start, window[1].start
        box = (left + int(across[0]), top + int(down[0]), left + int(across[-1]) + 1, top + int(down[-1]) + 1)
        cut = _reaches_border(scene, number, view.camera, (height, width))
        share = area / int(view.alone[number])
        rows.append((number, CLASSES.index(thing.solid.kind), box, area, share, cut))
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * 6
    return Instances(
        number=np.array(columns[0], dtype=np.int64),
        label=np.array(columns[1], dtype=np.int64),
        box=np.array(columns[2], dtype=np.float32).reshape(-1, 4),
        area=np.array(columns[3], dtype=np.int64),
        visible=np.array(columns[4], dtype=np.float32),
        truncated=np.array(columns[5], dtype=np.bool_),
    )


def _reaches_border(scene: Scene, number: int, camera: Camera, shape: tuple[int, int]) -> bool:
    """Return whether a ray of the frame of pixels just outside the image would meet the solid."""
    solid = scene.things[number].solid
    window = window_of(solid, camera, shape, 1)
    if window is None:
        return False
    rows, columns = window
    if rows.start > 0 and columns.start > 0 and rows.stop < shape[0] and columns.stop < shape[1]:
        return False
    height, width = shape
    x = (np.arange(-1, width + 1) - (width - 1) / 2) / camera.focal
    y = (np.arange(-1, height + 1) - (height - 1) / 2) / camera.focal
    lines = ((x, y[:1]), (x, y[-1:]), (x[:1], y), (x[-1:], y))
    return any(bool(np.any(_meets(enter_from(solid, camera, u, v)))) for u, v in lines)


def _meets(t: NDArray[Any]) -> NDArray[np.bool_]:
    return (t > 0.0) & (t < np.inf)


def disparity_of(depth: NDArray[Any], focal: float, baseline: float) -> NDArray[np.float32]:
    """Return focal * baseline / depth in pixels, float32: how far left of its place a point is seen by the other."""
    return (focal * baseline / depth).astype(np.float32)


def occlusion(scene: Scene, view: View, rig: Rig, from_left: bool) -> NDArray[np.bool_]:
    """Return which pixels of a view the other camera of the rig cannot see, bool (H, W).

    A pixel's point is hidden when it falls outside the other image, or when the other camera's ray to exactly that
    point meets a solid earlier. `view` has one ray per pixel.
    """
    other = rig.right if from_left else rig.left
    shift = (-rig.baseline if from_left else rig.baseline) / view.depth
    seen_at = view.across + shift  # x/z of the point in the other camera
    column = seen_at * other.focal + (other.width - 1) / 2
    hidden: NDArray[np.bool_] = (column < -0.5) | (column > other.width - 0.5)
    limit = view.depth * (1.0 - _SAME)
    for thing in scene.things:
        window = window_of(thing.solid, other, view.depth.shape, 1)
        if window is None:
            continue
        rows, columns = window
        place = column[rows]
        inside = (place >= columns.start - 1) & (place <= columns.stop)
        row, at = np.nonzero(inside)
        row += rows.start
        t = enter_from(thing.solid, other, seen_at[row, at], view.down[row, 0])
        blocked = (t > 0.0) & (t < limit[row, at])
        hidden[row[blocked], at[blocked]] = True
    return hidden
