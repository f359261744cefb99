"""People of capsules in front of a depth camera: a depth image and the body part of every pixel.

After the synthetic data of Shotton et al., "Real-time human pose recognition in parts from single depth images"
(CVPR 2011): random build, pose and camera, and noise that grows with the square of the distance.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import UnknownNameError
from mlcvbench_scenes.camera import Camera, Rig, looking
from mlcvbench_scenes.hashing import Draws, bell, hash32, mix
from mlcvbench_scenes.scene import FIRST_SOLID, Light, Plane, Scene, Thing
from mlcvbench_scenes.shapes import Solid
from mlcvbench_scenes.textures import Texture
from mlcvbench_scenes.vectors import IDENTITY, Mat, Vec, add, apply, cross, from_quaternion, multiply, transpose, unit
from mlcvbench_scenes.visibility import look

PARTS = (
    "background",
    "head",
    "torso",
    "hips",
    "left upper arm",
    "left forearm",
    "right upper arm",
    "right forearm",
    "left thigh",
    "left shin",
    "right thigh",
    "right shin",
)
"""Labels are indices into this tuple; left and right are the person's own."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """The difficulty of a body: how far joints bend (1 = a person who exercises), noise and holes of the depth.

    `noise` is the standard deviation in metres at one metre, `holes` the share of border pixels without a measurement,
    `turn` the greatest tangent of half the angle by which the person turns away from the camera.
    """

    bend: float
    noise: float
    holes: float
    turn: float


EFFORTS: dict[str, Effort] = {
    "easy": Effort(0.45, 0.0005, 0.05, 0.08),
    "medium": Effort(0.8, 0.0015, 0.3, 0.22),
    "hard": Effort(1.15, 0.004, 0.6, 0.4),
}


@dataclasses.dataclass(frozen=True)
class BodyFrame:
    """A depth image of one person.

    - `depth`: float32 (H, W), metres as measured; 0 where the sensor has no measurement.
    - `exact`: float32 (H, W), metres without noise or holes.
    - `parts`: uint8 (H, W), indices into `PARTS`, at pixel centres, also where the measurement is missing.
    """

    camera: Camera
    depth: NDArray[np.float32]
    exact: NDArray[np.float32]
    parts: NDArray[np.uint8]


def render_body(seed: int, index: int = 0, level: str = "medium", *, size: tuple[int, int] = (96, 96)) -> BodyFrame:
    """Return person number `index` of a seed, seen from 2.4 to 3.4 metres.

    Raises UnknownNameError for a level that is not `easy`, `medium` or `hard`.
    """
    if level not in EFFORTS:
        raise UnknownNameError("level", level, EFFORTS)
    effort = EFFORTS[level]
    draws = Draws("body", seed, index)
    limbs = _person(draws, effort)
    scene = _room(draws.child("room"), [solid for _, solid in limbs], size)
    with np.errstate(all="ignore"):
        view = look(scene, scene.rig.left, 1, np.float64)
    table = np.zeros(256, dtype=np.uint8)
    table[FIRST_SOLID : FIRST_SOLID + len(limbs)] = [PARTS.index(part) for part, _ in limbs]
    exact = view.depth.astype(np.float32)
    return BodyFrame(scene.rig.left, _measure(exact, effort, draws.key), exact, table.take(view.surface))


def _measure(exact: NDArray[np.float32], effort: Effort, key: int) -> NDArray[np.float32]:
    """Return depth with noise that grows with its square, in whole millimetres, and holes along its jumps."""
    noise = bell(exact.shape, mix(key, "noise")) * np.float32(effort.noise)
    depth = np.floor((exact + noise * exact * exact) * np.float32(1000.0) + np.float32(0.5)) / np.float32(1000.0)
    jump = np.zeros(exact.shape, dtype=np.bool_)
    across, down = np.abs(exact[:, 1:] - exact[:, :-1]) > 0.1, np.abs(exact[1:] - exact[:-1]) > 0.1
    jump[:, 1:] |= across
    jump[:, :-1] |= across
    jump[1:] |= down
    jump[:-1] |= down
    chance = hash32(exact.size, mix(key, "holes")).reshape(exact.shape)
    depth[jump & (chance < np.uint32(effort.holes * 4294967295.0))] = 0.0
    measured: NDArray[np.float32] = np.maximum(depth, np.float32(0.0))
    return measured


def _room(draws: Draws, solids: list[Solid], size: tuple[int, int]) -> Scene:
    plain = Texture("cloud", 1.0, 0.0, 1.0, (0.0, 0.0, 0.0), ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4)))
    things = tuple(Thing(solid, plain) for solid in solids)
    distance = draws.uniform(2.4, 3.4)
    position = (draws.uniform(-0.5, 0.5), -distance, draws.uniform(0.8, 1.7))
    target = (draws.uniform(-0.12, 0.12), 0.0, draws.uniform(0.8, 1.0))
    wall = Plane((0.0, draws.uniform(0.9, 2.5), 0.0), ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)), plain)
    light = Light((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    camera = looking(position, target, size, 1.15 * min(size))
    return Scene(things, (Plane((0.0, 0.0, 0.0), IDENTITY, plain), wall), light, Rig(camera, 0.1), 0.0, 0)


def _person(draws: Draws, effort: Effort) -> list[tuple[str, Solid]]:
    """Return (part, solid) pairs of a person who faces the camera (-y) and stands on the ground."""
    build, pose = draws.child("build"), draws.child("pose")
    tall, wide = build.uniform(0.88, 1.08), build.uniform(0.85, 1.3)
    body = from_quaternion(1.0, 0.0, 0.0, pose.uniform(-effort.turn, effort.turn))
    chest = multiply(body, _joint(pose, effort, (-0.12, 0.18), (-0.12, 0.12), (-0.15, 0.15)))
    hips: Vec = (0.0, 0.0, 0.0)
    neck = add(hips, apply(chest, (0.0, 0.0, 0.50 * tall)))
    limbs = _trunk(chest, body, tall, wide)
    head = multiply(chest, _joint(pose, effort, (-0.15, 0.2), (-0.15, 0.15), (-0.3, 0.3)))
    middle = add(neck, apply(head, (0.0, -0.01, 0.20 * tall)))
    limbs.append(
        ("head", _between(middle, add(middle, apply(head, (0.0, 0.0, 0.06))), 0.095 * build.uniform(0.9, 1.1)))
    )
    for side, name in ((1.0, "left"), (-1.0, "right")):
        limbs += _arm(pose, effort, name, add(neck, apply(chest, (side * 0.19 * wide, 0.0, -0.04))), chest, side, tall)
        limbs += _leg(pose, effort, name, apply(body, (side * 0.095 * wide, 0.0, -0.05)), body, side, tall)
    lowest = min(solid.center[2] - abs(solid.rotation[2][2]) * solid.size[2] - solid.size[0] for _, solid in limbs)
    return [(part, dataclasses.replace(solid, center=add(solid.center, (0.0, 0.0, -lowest)))) for part, solid in limbs]


def _trunk(chest: Mat, body: Mat, tall: float, wide: float) -> list[tuple[str, Solid]]:
    """Return hips and a chest of two upright capsules side by side, broader than they are deep."""
    parts = [
        ("hips", _between(apply(body, (-0.07 * wide, 0.0, 0.0)), apply(body, (0.07 * wide, 0.0, 0.0)), 0.12 * wide))
    ]
    for side in (-0.075 * wide, 0.075 * wide):
        low, high = apply(chest, (side * 0.8, 0.0, 0.14 * tall)), apply(chest, (side, 0.0, 0.42 * tall))
        parts.append(("torso", _between(low, high, 0.115 * wide)))
    return parts


def _arm(
    pose: Draws, effort: Effort, name: str, shoulder: Vec, chest: Mat, side: float, tall: float
) -> list[tuple[str, Solid]]:
    """Return an upper arm that swings forward, back and outwards, and a forearm that bends forward."""
    upper = multiply(chest, _joint(pose, effort, (-0.9, 0.35), (-0.9, -0.05), (-0.3, 0.3), side))
    elbow = add(shoulder, apply(upper, (0.0, 0.0, -0.29 * tall)))
    lower = multiply(upper, _joint(pose, effort, (-0.9, -0.02), (-0.1, 0.1), (-0.4, 0.4), side))
    hand = add(elbow, apply(lower, (0.0, 0.0, -0.33 * tall)))
    return [(f"{name} upper arm", _between(shoulder, elbow, 0.055)), (f"{name} forearm", _between(elbow, hand, 0.043))]


def _leg(
    pose: Draws, effort: Effort, name: str, hip: Vec, body: Mat, side: float, tall: float
) -> list[tuple[str, Solid]]:
    """Return a thigh, a shin that bends backwards, and a foot that counts as shin and points forward."""
    upper = multiply(body, _joint(pose, effort, (-0.55, 0.15), (-0.25, -0.02), (-0.1, 0.1), side))
    knee = add(hip, apply(upper, (0.0, 0.0, -0.42 * tall)))
    lower = multiply(upper, _joint(pose, effort, (0.0, 0.5), (-0.03, 0.03), (-0.05, 0.05), side))
    ankle = add(knee, apply(lower, (0.0, 0.0, -0.42 * tall)))
    toes = add(ankle, apply(lower, (0.0, -0.16, -0.03)))
    return [
        (f"{name} thigh", _between(hip, knee, 0.078)),
        (f"{name} shin", _between(knee, ankle, 0.055)),
        (f"{name} shin", _between(ankle, toes, 0.042)),
    ]


def _joint(
    draws: Draws,
    effort: Effort,
    about_x: tuple[float, float],
    about_y: tuple[float, float],
    about_z: tuple[float, float],
    side: float = 1.0,
) -> Mat:
    """Return a random rotation; ranges are tangents of half the angle, mirrored for the right side (`side` -1)."""
    x, y, z = (draws.uniform(*bounds) * effort.bend for bounds in (about_x, about_y, about_z))
    return from_quaternion(1.0, x, y * side, z * side)


def _between(start: Vec, end: Vec, radius: float) -> Solid:
    """Return the capsule around the segment between two points."""
    span = add(end, start, -1.0)
    axis = unit(span)
    aside = unit(cross(axis, (0.0, 1.0, 0.0) if abs(axis[1]) < 0.9 else (1.0, 0.0, 0.0)))
    rotation = transpose((aside, cross(axis, aside), axis))
    half = 0.5 * math.sqrt(span[0] * span[0] + span[1] * span[1] + span[2] * span[2])
    return Solid("capsule", (radius, radius, half), add(start, span, 0.5), rotation)
