"""Cameras: where they stand, what their pixels see, and two of them side by side.

The world is right-handed in metres: x to the right, y away from the starting camera, z up; the ground is z = 0.
A camera has x to the right, y down, z forward (OpenCV's convention); pixel centres have integer coordinates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import RequestError
from mlcvbench_scenes.vectors import Mat, Vec, add, apply, cross, from_quaternion, multiply, transpose, unit


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera. `rotation` has the camera's right, down and forward axes in the world as rows."""

    height: int
    width: int
    focal: float
    position: Vec
    rotation: Mat

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.focal <= 0:
            raise RequestError(
                f"a camera of {self.height} x {self.width} pixels and focal length {self.focal} cannot be built; "
                f"wanted positive numbers."
            )

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """The 3x3 matrix K, float64: pixel = K (x/z, y/z, 1)."""
        cx, cy = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[self.focal, 0.0, cx], [0.0, self.focal, cy], [0.0, 0.0, 1.0]])

    @property
    def pose(self) -> NDArray[np.float64]:
        """The 4x4 matrix, float64, that takes a point of the camera to the world."""
        pose = np.eye(4)
        pose[:3, :3] = np.array(self.rotation).T
        pose[:3, 3] = self.position
        return pose

    def rays(self, samples: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x/z of each column, float64 (1, samples * width), and y/z of each row (samples * height, 1).

        With `samples` = 2 a pixel has two by two rays, a quarter of a pixel off its centre.
        """
        shift = (samples - 1) / (2 * samples)
        across = (np.arange(samples * self.width) / samples - shift - (self.width - 1) / 2) / self.focal
        down = (np.arange(samples * self.height) / samples - shift - (self.height - 1) / 2) / self.focal
        return across[None, :], down[:, None]

    def moved(self, step: Vec, turn: Vec = (0.0, 0.0, 0.0)) -> Camera:
        """Return the camera after `step` (metres along its own right, down, forward axes) and a small `turn`.

        `turn` is half-angle tangents about the same axes; for small ones twice the value is the angle in radians.
        """
        position = add(self.position, apply(transpose(self.rotation), step))
        turned = multiply(transpose(from_quaternion(1.0, *turn)), self.rotation)
        return dataclasses.replace(self, position=position, rotation=turned)


@dataclasses.dataclass(frozen=True)
class Rig:
    """A rectified stereo pair: the right camera is the left one, `baseline` metres along its x axis."""

    left: Camera
    baseline: float

    @property
    def right(self) -> Camera:
        """The right camera."""
        return dataclasses.replace(self.left, position=add(self.left.position, self.left.rotation[0], self.baseline))

    def moved(self, step: Vec, turn: Vec = (0.0, 0.0, 0.0)) -> Rig:
        """Return the rig after a step and a turn, see `Camera.moved`."""
        return dataclasses.replace(self, left=self.left.moved(step, turn))

    def path(self, steps: Sequence[tuple[Vec, Vec]]) -> list[Rig]:
        """Return this rig and those after each (step, turn) in turn."""
        rigs = [self]
        for step, turn in steps:
            rigs.append(rigs[-1].moved(step, turn))
        return rigs


def looking(position: Vec, target: Vec, size: tuple[int, int], focal: float) -> Camera:
    """Return an upright camera of `size` (height, width) at `position` that has `target` in its middle."""
    forward = unit((target[0] - position[0], target[1] - position[1], target[2] - position[2]))
    right = unit(cross(forward, (0.0, 0.0, 1.0)))
    return Camera(size[0], size[1], focal, position, (right, cross(forward, right), forward))
