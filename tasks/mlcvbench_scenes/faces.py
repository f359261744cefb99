"""Faces by number: an identity is a few dozen measures and colours, a shot the conditions of one photograph.

A face is an ellipsoid, turned and lit, with features painted on its front and a nose that bends its normals. Two shots
of one identity differ in pose, light, expression, place and noise by more than two identities in the same shot do:
that is the task.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_scenes.compose import compose
from mlcvbench_scenes.hashing import Draws, mix
from mlcvbench_scenes.render import render
from mlcvbench_scenes.sensor import expose
from mlcvbench_scenes.textures import lattice_noise
from mlcvbench_scenes.vectors import Vec, from_quaternion, multiply, transpose, unit

Array = NDArray[Any]
SAMPLES = 2
"""Rays along each side of a pixel: four per pixel."""

RANGES: dict[str, tuple[float, float]] = {
    "width": (0.55, 0.68),
    "taper": (0.05, 0.38),
    "skin_light": (0.16, 0.68),
    "skin_warm": (0.55, 0.74),
    "blotches": (0.02, 0.14),
    "hair_light": (0.01, 0.3),
    "hair_warm": (0.4, 0.95),
    "hairline": (-0.62, -0.36),
    "hairline_curve": (-0.35, 0.7),
    "hair_side": (0.0, 0.42),
    "eye_apart": (0.19, 0.29),
    "eye_height": (-0.14, -0.02),
    "eye_width": (0.085, 0.13),
    "eye_open": (0.35, 0.62),
    "eye_tilt": (-0.25, 0.25),
    "iris_blue": (0.0, 1.0),
    "iris_light": (0.05, 0.4),
    "brow_above": (0.085, 0.15),
    "brow_thick": (0.014, 0.042),
    "brow_tilt": (-0.25, 0.25),
    "nose_end": (0.14, 0.27),
    "nose_width": (0.07, 0.14),
    "nose_bump": (0.5, 1.4),
    "mouth_height": (0.36, 0.47),
    "mouth_width": (0.15, 0.26),
    "lip_upper": (0.02, 0.045),
    "lip_lower": (0.025, 0.06),
    "lip_red": (0.1, 0.75),
    "beard": (-0.6, 0.85),
    "mole_x": (-0.35, 0.35),
    "mole_y": (0.05, 0.5),
    "mole": (-0.03, 0.035),
}
"""What makes an identity and between which values; lengths in half heights of the head, lightness linear."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """One person: a value for each of `RANGES`, and a key for the pattern of the skin."""

    values: dict[str, float]
    key: int

    @property
    def vector(self) -> NDArray[np.float64]:
        """The values scaled to 0..1, float64 (len(RANGES),): what an oracle would compare."""
        return np.array([(self.values[name] - low) / (high - low) for name, (low, high) in RANGES.items()])


@dataclasses.dataclass(frozen=True)
class Shot:
    """One photograph: tangents of half angles (`yaw`, `pitch`, `roll`), place, expression and light."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]
    smile: float
    mouth_open: float
    brow_raise: float
    gaze: float
    light: Vec
    sun: float
    ambient: float
    noise: float
    key: int


SPREAD = {"easy": 0.4, "medium": 0.75, "hard": 1.15}
"""Variation of shots, as a fraction of that of a bad photograph."""


def draw_identity(seed: int, number: int) -> Identity:
    """Return person `number` of a seed."""
    draws = Draws("identity", seed, number)
    return Identity({name: draws.child(name).uniform(*bounds) for name, bounds in RANGES.items()}, draws.key)


def draw_shot(seed: int, number: int, shot: int, level: str = "medium") -> Shot:
    """Return photograph `shot` of person `number`. Raises UnknownNameError for a level not in `SPREAD`."""
    if level not in SPREAD:
        raise UnknownNameError("level", level, SPREAD)
    wild, draws = SPREAD[level], Draws("shot", seed, number, shot)

    def around(width: float) -> float:
        return wild * draws.uniform(-width, width)

    strength = draws.uniform(0.85, 1.1) * (1.0 + around(0.3))
    return Shot(
        yaw=around(0.26),
        pitch=around(0.1),
        roll=around(0.09),
        scale=1.0 + around(0.1),
        shift=(around(0.08), around(0.08)),
        smile=around(0.8),
        mouth_open=max(0.0, around(0.07)),
        brow_raise=around(0.04),
        gaze=around(0.3),
        light=unit((around(0.9), -0.35 + around(0.4), 0.9)),
        sun=strength,
        ambient=draws.uniform(0.3, 0.45) * strength,
        noise=2.0 + 7.0 * wild * draws.uniform(),
        key=draws.key,
    )


def render_face(identity: Identity, shot: Shot, size: int = 64) -> NDArray[np.uint8]:
    """Return a photograph, uint8 (size, size, 3). Raises RequestError below 16 pixels."""
    return render_head(identity, shot, size)[0]


def render_head(identity: Identity, shot: Shot, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a photograph as `render_face` and how much of each pixel the head covers, float32 (size, size), 0 to 1."""
    if size < 16:
        raise RequestError(f"a face of {size} pixels cannot be drawn; wanted at least 16.")
    with np.errstate(all="ignore"):
        x, y, inside, point, normal = _head(identity, shot, size)
        color = _paint(identity, shot, point)
        light = _lit(identity, shot, point, normal)
        behind = _backdrop(shot, x, y)
        shaded = [layer * light * inside + back * (1.0 - inside) for layer, back in zip(color, behind, strict=True)]
    image = expose(np.stack(shaded).astype(np.float32), SAMPLES, shot.noise, mix(shot.key, "noise"))
    return image, inside.reshape(size, SAMPLES, size, SAMPLES).mean(axis=(1, 3), dtype=np.float32)


def _head(identity: Identity, shot: Shot, size: int) -> tuple[Array, Array, Array, list[Array], list[Array]]:
    """Return image coordinates, coverage, and the point and normal on the head in its own frame.

    Its frame: u to the image's right, v down, w towards the viewer; the head is 2 high.
    """
    line = (np.arange(SAMPLES * size, dtype=np.float32) + np.float32(0.5)) / np.float32(0.5 * SAMPLES * size) - 1
    x, y = (line[None, :] - shot.shift[0]) / shot.scale, (line[:, None] - shot.shift[1]) / shot.scale
    side = 1.0 + shot.roll * shot.roll
    cosine, sine = (1.0 - shot.roll * shot.roll) / side, 2.0 * shot.roll / side
    x, y = (x * cosine + y * sine) * 1.08, (y * cosine - x * sine) * 1.08
    chin = np.maximum(y + 0.1, 0.0)
    x = x / (1.0 - identity.values["taper"] * np.minimum(chin * chin, 0.9))
    turn = multiply(from_quaternion(1.0, shot.pitch, 0.0, 0.0), from_quaternion(1.0, 0.0, shot.yaw, 0.0))
    axes = transpose(turn)
    half = (identity.values["width"], 0.92, 0.75)
    start = [(row[0] * x + row[1] * y) / h for row, h in zip(axes, half, strict=True)]
    step = [row[2] / h for row, h in zip(axes, half, strict=True)]
    a = step[0] * step[0] + step[1] * step[1] + step[2] * step[2]
    b = start[0] * step[0] + start[1] * step[1] + start[2] * step[2]
    c = start[0] * start[0] + start[1] * start[1] + start[2] * start[2] - 1.0
    hit = b * b - a * c
    depth = (np.sqrt(np.maximum(hit, 0.0)) - b) / a
    point = [(s + depth * d) * h for s, d, h in zip(start, step, half, strict=True)]
    normal = [p / (h * h) for p, h in zip(point, half, strict=True)]
    return x, y, (hit > 0.0).astype(np.float32), point, normal


def _cover(distance: Array, edge: float) -> Array:
    """Return the coverage of a region (where `distance` < 0), with an edge of the given width."""
    return np.minimum(np.maximum(0.5 - distance * (1.0 / edge), 0.0), 1.0)


def _ellipse(u: Array, v: Array, width: float, height: float) -> Array:
    """Return roughly the distance to an ellipse around the origin, negative inside."""
    return (np.sqrt((u * u) * (1.0 / (width * width)) + (v * v) * (1.0 / (height * height))) - 1.0) * height


def _over(color: list[Array], cover: Array, paint: Vec) -> list[Array]:
    return [layer + (tone - layer) * cover for layer, tone in zip(color, paint, strict=True)]


def _paint(identity: Identity, shot: Shot, point: list[Array]) -> list[Array]:
    """Return the reflectance of the head, three layers, from below to above: skin, beard, mouth, eyes, brows, hair."""
    u, v, w = point
    color = _skin(identity, u, v)
    front = (w > 0.0).astype(np.float32)
    color = _mouth(identity, shot, color, u, v, front)
    for side in (-1.0, 1.0):
        color = _eye(identity, shot, color, (u * side - identity.values["eye_apart"]), v, side, front)
    values = identity.values
    for side in (-1.0, 1.0):
        nostril = _ellipse(u * side - 0.6 * values["nose_width"], v - values["nose_end"] - 0.02, 0.026, 0.016)
        color = _over(color, 0.7 * _cover(nostril, 0.03) * front, (0.06, 0.03, 0.02))
    line = values["hairline"] + values["hairline_curve"] * u * u
    crown = np.minimum(v - line, w + 0.12 - values["hair_side"])
    strands = lattice_noise([(u * 18.0).astype(np.float32) + 40.0, (v * 3.0).astype(np.float32) + 40.0])
    dark, warm = values["hair_light"], values["hair_warm"]
    hair = [tone * (0.6 + 0.8 * strands) for tone in (dark, dark * (0.45 + 0.4 * warm), dark * 0.6 * warm)]
    above = _cover(crown, 0.05)
    return [layer + (tone - layer) * above for layer, tone in zip(color, hair, strict=True)]


def _skin(identity: Identity, u: Array, v: Array) -> list[Array]:
    values = identity.values
    light, warm = values["skin_light"], values["skin_warm"]
    draws = Draws(identity.key, "skin")
    shift = draws.uniform(0.0, 200.0), draws.uniform(0.0, 200.0)
    pattern = lattice_noise([(u * 5.0).astype(np.float32) + shift[0], (v * 5.0).astype(np.float32) + shift[1]])
    shade = 1.0 + (pattern - 0.5) * (2.0 * values["blotches"])
    color = [shade * tone for tone in (light, light * warm, light * warm * (0.35 + 0.5 * warm))]
    jaw = _cover(0.3 + 0.5 * u * u - v, 0.12)
    strength = max(0.0, values["beard"]) * 0.8
    hair = values["hair_light"] * 0.7
    color = _over(color, jaw * strength, (hair, hair * 0.7, hair * 0.55))
    if values["mole"] > 0.008:
        mole = _ellipse(u - values["mole_x"], v - values["mole_y"], values["mole"], values["mole"])
        color = _over(color, _cover(mole, 0.02), (light * 0.25, light * 0.12, light * 0.08))
    return color


def _mouth(identity: Identity, shot: Shot, color: list[Array], u: Array, v: Array, front: Array) -> list[Array]:
    values = identity.values
    wide = values["mouth_width"] * (1.0 + 0.18 * shot.smile)
    bent = v - values["mouth_height"] + shot.smile * 0.9 * u * u - 0.05 * shot.smile * 0.3
    shape = np.maximum(1.0 - (u * u) * (1.0 / (wide * wide)), 0.0)
    red, light = values["lip_red"], values["skin_light"]
    tone = (light * (0.85 - 0.1 * red), light * (0.5 - 0.3 * red), light * (0.42 - 0.22 * red))
    upper = np.maximum(-(bent + values["lip_upper"] * shape), bent)
    gap = shot.mouth_open
    lower = np.maximum(gap * shape - bent, bent - (gap + values["lip_lower"]) * shape)
    inside = np.maximum(-bent - 0.008, bent - gap * shape - 0.008)
    here = front * (shape > 0.0)
    color = _over(color, _cover(np.minimum(upper, lower), 0.025) * here, tone)
    return _over(color, _cover(inside, 0.02) * here, (0.05, 0.015, 0.015))


def _eye(
    identity: Identity, shot: Shot, color: list[Array], u: Array, v: Array, side: float, front: Array
) -> list[Array]:
    """Paint an eye and its brow; `u` runs from the eye's centre outwards."""
    values = identity.values
    y = v - values["eye_height"] + values["eye_tilt"] * u
    wide = values["eye_width"]
    high = wide * values["eye_open"]
    lid = _ellipse(u, y, wide, high)
    color = _over(color, _cover(lid - 0.02, 0.03) * front * 0.6, (0.08, 0.05, 0.04))
    opened = _cover(lid, 0.025) * front
    color = _over(color, opened, (0.75, 0.73, 0.7))
    ahead = u - side * shot.gaze * 0.4 * wide
    light, blue = values["iris_light"], values["iris_blue"]
    iris = (light * (1.0 - 0.7 * blue), light * (0.6 + 0.1 * blue), light * (0.25 + 0.9 * blue))
    color = _over(color, _cover(_ellipse(ahead, y, 0.85 * high, 0.85 * high), 0.02) * opened, iris)
    color = _over(color, _cover(_ellipse(ahead, y, 0.4 * high, 0.4 * high), 0.02) * opened, (0.01, 0.01, 0.01))
    rise = v - values["eye_height"] + values["brow_above"] + shot.brow_raise
    arch = rise + values["brow_tilt"] * u + 1.2 * u * u - 0.01
    brow = np.maximum(np.abs(arch) - values["brow_thick"], np.abs(u) - 1.35 * wide)
    hair = values["hair_light"] * 0.6
    return _over(color, _cover(brow, 0.03) * front * 0.9, (hair, hair * 0.7, hair * 0.5))


def _lit(identity: Identity, shot: Shot, point: list[Array], normal: list[Array]) -> Array:
    """Return the light on the head: Lambert's cosine with a nose and eye sockets that bend the normals."""
    u, v, _ = point
    values = identity.values
    ridge = np.maximum(1.0 - (u * u) * (1.0 / (1.7 * values["nose_width"] * values["nose_width"])), 0.0)
    top, end = values["eye_height"], values["nose_end"]
    along = (v - top) * (1.0 / (end - top))
    profile = np.where(along < 1.0, np.maximum(along, 0.0), np.maximum(1.0 - (along - 1.0) * 6.0, 0.0))
    slope_u = -4.0 * u * ridge * profile * (values["nose_bump"] * 6.0)
    slope_v = ridge * ridge * np.where(along < 1.0, 0.35, -1.6) * (profile > 0.0) * values["nose_bump"]
    nu, nv, nw = normal[0] - slope_u, normal[1] - slope_v, normal[2]
    length = np.sqrt(nu * nu + nv * nv + nw * nw)
    turn = multiply(from_quaternion(1.0, shot.pitch, 0.0, 0.0), from_quaternion(1.0, 0.0, shot.yaw, 0.0))
    sun = tuple(sum(turn[row][axis] * shot.light[row] for row in range(3)) for axis in range(3))
    cosine: Array = np.maximum((nu * sun[0] + nv * sun[1] + nw * sun[2]) / length, 0.0)
    lit: Array = cosine * shot.sun + shot.ambient
    return lit


def _backdrop(shot: Shot, x: Array, y: Array) -> list[Array]:
    draws = Draws(shot.key, "backdrop")
    scale = draws.uniform(0.8, 3.0)
    shift = draws.uniform(0.0, 200.0), draws.uniform(0.0, 200.0)
    pattern = lattice_noise([(x * scale).astype(np.float32) + shift[0], (y * scale).astype(np.float32) + shift[1]])
    first, second = (
        [grey + draws.uniform(-0.12, 0.12) for _ in range(3)]
        for grey in (draws.uniform(0.15, 0.6), draws.uniform(0.15, 0.6))
    )
    return [(pattern * (b - a) + a) * shot.sun for a, b in zip(first, second, strict=True)]


def render_non_face(seed: int, number: int, size: int = 64) -> NDArray[np.uint8]:
    """Return a picture without a face, uint8 (size, size, 3): solids, a cloudy pattern, or a head without features."""
    draws = Draws("no face", seed, number)
    kind = draws.integer(0, 2)
    if kind == 0:
        return render(compose(draws.key, 0, "hard", size=(size, size))).image
    shot = draw_shot(seed, number, -1, "hard")
    with np.errstate(all="ignore"):
        identity = Identity({name: draws.uniform(*bounds) for name, bounds in RANGES.items()}, draws.key)
        x, y, inside, point, normal = _head(identity, shot, size)
        layers: Any = [back + 0.0 * y for back in _backdrop(shot, x, y)]
        if kind == 1:
            light = np.maximum(normal[0] * shot.light[0] + normal[1] * shot.light[1] + normal[2] * shot.light[2], 0.0)
            light = light * (shot.sun / math.sqrt(2.0)) + shot.ambient
            blank = _skin(identity, point[0], point[1])
            layers = [s * light * inside + b * (1.0 - inside) for s, b in zip(blank, layers, strict=True)]
    return expose(np.stack(layers).astype(np.float32), SAMPLES, shot.noise, mix(shot.key, "noise"))
