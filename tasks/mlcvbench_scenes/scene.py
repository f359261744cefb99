"""The parts of a scene: solids with textures on a ground before a wall, under a sun."""

from __future__ import annotations

import dataclasses

from mlcvbench.errors import RequestError
from mlcvbench_scenes.camera import Rig
from mlcvbench_scenes.shapes import KINDS, Solid
from mlcvbench_scenes.textures import Texture
from mlcvbench_scenes.vectors import Mat, Vec

CLASSES = ("ground", "wall", *KINDS)
"""Semantic classes; a label is an index into this tuple."""
FIRST_SOLID = 2
"""Surface numbers: 0 is the ground, 1 the wall, 2 + i the solid i, `NOTHING` where a ray meets none of them."""
NOTHING = 255


@dataclasses.dataclass(frozen=True)
class Thing:
    """A solid and its texture, which is fixed to the solid's own frame."""

    solid: Solid
    texture: Texture


@dataclasses.dataclass(frozen=True)
class Plane:
    """An endless plane: `axes` are two directions on it and its normal (rows), all of length one."""

    point: Vec
    axes: Mat
    texture: Texture


@dataclasses.dataclass(frozen=True)
class Light:
    """A sun and the sky: `direction` points to the sun (length one); strengths are linear RGB."""

    direction: Vec
    sun: Vec
    sky: Vec


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything visible, and the rig for which it was composed.

    `noise` is the sensor's standard deviation in grey levels of 0..255; `key` names its random numbers.
    """

    things: tuple[Thing, ...]
    planes: tuple[Plane, Plane]
    light: Light
    rig: Rig
    noise: float
    key: int

    def __post_init__(self) -> None:
        if len(self.things) > NOTHING - FIRST_SOLID:
            raise RequestError(f"a scene has {len(self.things)} solids; the most is {NOTHING - FIRST_SOLID}.")
        if self.light.direction[2] <= 0:
            raise RequestError(
                f"the sun stands at height {self.light.direction[2]:g}; wanted a direction with a positive z."
            )
