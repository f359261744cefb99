"""Scenes by number: `compose(seed, index)` places solids, chooses their looks, and sets light and cameras.

Every decision draws from a random stream named after it, so changing one leaves the others unchanged.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_scenes.camera import Rig, looking
from mlcvbench_scenes.hashing import Draws, mix
from mlcvbench_scenes.scene import Light, Plane, Scene, Thing
from mlcvbench_scenes.shapes import KINDS, Solid, depth_below
from mlcvbench_scenes.textures import FIGURES, Texture
from mlcvbench_scenes.vectors import IDENTITY, Mat, Vec, from_quaternion, unit

Range = tuple[float, float]
Kind = TypeVar("Kind", bound="Level | Cameras")


@dataclasses.dataclass(frozen=True)
class Level:
    """The difficulty of a scene.

    - `solids`: fewest and most solids.
    - `gap`: least free space between two solids' outlines, as a share of their size, seen from the camera; negative
      values let them overlap in the image.
    - `crowd`: how often a solid is placed close before or behind another one as seen from the camera.
    - `noise`: standard deviation of the sensor, in levels of 0..255.
    - `typical`: how often a solid wears the colours and figure that are typical of its kind.
    - `camouflage`: share of the ground's colour in a solid's colours, 0..1.
    - `grain`: least and greatest share of fine texture, which is what stereo can match.
    - `tilted`: how often a solid lies or leans instead of standing.
    - `sun_height`: least and greatest z of the unit vector to the sun: low suns throw long shadows.
    - `brightness`: least and greatest exposure.
    - `size`: least and greatest half size, in metres.
    """

    solids: tuple[int, int]
    gap: float
    crowd: float
    noise: float
    typical: float
    camouflage: float
    grain: Range
    tilted: float
    sun_height: Range
    brightness: Range
    size: Range


LEVELS: dict[str, Level] = {
    "easy": Level((2, 4), 0.15, 0.0, 2.0, 0.9, 0.0, (0.35, 0.5), 0.1, (0.75, 0.95), (0.9, 1.05), (0.34, 0.55)),
    "medium": Level((4, 7), -0.8, 0.35, 5.0, 0.65, 0.2, (0.2, 0.45), 0.35, (0.5, 0.9), (0.65, 1.1), (0.26, 0.5)),
    "hard": Level((8, 14), -1.0, 0.65, 10.0, 0.4, 0.45, (0.08, 0.35), 0.6, (0.35, 0.8), (0.35, 1.15), (0.2, 0.5)),
}


@dataclasses.dataclass(frozen=True)
class Cameras:
    """How cameras stand from scene to scene: least and greatest of each.

    - `height`: metres above the ground.
    - `aim`: height in metres of the point in the image's middle, 3.7 m ahead; it pitches the camera.
    - `focal`: focal length in widths of the image.
    """

    height: Range
    aim: Range
    focal: Range


CAMERAS: dict[str, Cameras] = {
    "alike": Cameras((1.5, 2.1), (0.1, 0.4), (0.95, 0.95)),
    "varied": Cameras((1.0, 2.6), (-1.0, 1.6), (0.7, 1.3)),
}
"""`alike`: at eye height, looking a little down, all with one lens. `varied`: heights from a child's to an arm raised,
pitched up or far down, from wide angle to short telephoto, so that a place in the image says little about distance.
"""
TYPICAL: dict[str, tuple[str, Vec]] = {
    "sphere": ("spots", (0.62, 0.10, 0.08)),
    "box": ("checks", (0.50, 0.30, 0.10)),
    "cylinder": ("stripes", (0.08, 0.20, 0.58)),
    "cone": ("rings", (0.70, 0.50, 0.06)),
    "capsule": ("cloud", (0.12, 0.45, 0.14)),
}
"""The figure and colour that solids of a kind wear most often."""


def compose(
    seed: int,
    index: int = 0,
    level: str | Level = "medium",
    *,
    size: tuple[int, int] = (128, 128),
    kinds: Sequence[str] = KINDS,
    cameras: str | Cameras = "alike",
) -> Scene:
    """Return scene number `index` of a seed; no two (seed, index) share a random number.

    - `level`: `easy`, `medium`, `hard`, or a `Level` of your own.
    - `size`: height and width of the images in pixels.
    - `kinds`: the solids to choose from.
    - `cameras`: `alike`, `varied`, or `Cameras` of your own.

    Raises UnknownNameError for an unknown level, kind or name of cameras, RequestError for an image below 16 x 16
    pixels.
    """
    chosen = level_of(level)
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("solid", kind, KINDS)
    if min(size) < 16 or not kinds:
        raise RequestError(
            f"a scene of {size[0]} x {size[1]} pixels and {len(kinds)} kinds cannot be composed; "
            f"wanted at least 16 x 16 pixels and one kind."
        )
    draws = Draws("scene", seed, index)
    rig = _rig(draws.child("rig"), size, _named("cameras", cameras, CAMERAS))
    planes = _planes(draws.child("planes"), chosen)
    count = draws.child("count").integer(*chosen.solids)
    ground = planes[0].texture.colors[0]
    things: list[Thing] = []
    for number in range(count):
        own = draws.child("solid", number)
        solid = _place(own, chosen, rig, kinds, [thing.solid for thing in things])
        if solid is not None:
            things.append(Thing(solid, _look(own.child("look"), chosen, solid.kind, ground)))
    return Scene(tuple(things), planes, _light(draws.child("light"), chosen), rig, chosen.noise, mix("key", draws.key))


def level_of(level: str | Level) -> Level:
    """Return the level of a name, or one of the caller's own; UnknownNameError lists the names."""
    return _named("level", level, LEVELS)


def _named(what: str, given: str | Kind, known: Mapping[str, Kind]) -> Kind:
    """Return what a name stands for, or one of the caller's own."""
    if not isinstance(given, str):
        return given
    if given not in known:
        raise UnknownNameError(what, given, known)
    return known[given]


def _rig(draws: Draws, size: tuple[int, int], cameras: Cameras) -> Rig:
    position = (0.0, 0.0, draws.uniform(*cameras.height))
    target = (draws.uniform(-0.3, 0.3), 3.7, draws.uniform(*cameras.aim))
    focal = draws.child("focal").uniform(*cameras.focal)
    return Rig(looking(position, target, size, focal * size[1]), baseline=0.25)


def _planes(draws: Draws, level: Level) -> tuple[Plane, Plane]:
    lean = draws.uniform(-0.12, 0.12)
    into = unit((lean, -1.0, 0.0))
    along: Vec = (-into[1], into[0], 0.0)
    grey = _tint(draws.child("ground"), (0.40, 0.38, 0.33), 0.10)
    plain = _tint(draws.child("wall"), (0.50, 0.52, 0.58), 0.12)
    return (
        Plane(
            (0.0, 0.0, 0.0), IDENTITY, _texture(draws.child("floor"), draws.choice(("cloud", "checks")), grey, level)
        ),
        Plane(
            (0.0, draws.uniform(8.0, 10.0), 0.0),
            (along, (0.0, 0.0, 1.0), into),
            _texture(draws.child("back"), draws.choice(("cloud", "stripes")), plain, level),
        ),
    )


def _light(draws: Draws, level: Level) -> Light:
    height = draws.uniform(*level.sun_height)
    flat = math.sqrt(1.0 - height * height)
    side = draws.uniform(0.75, 0.97) * draws.choice((-1.0, 1.0))  # from behind, so that the wall is lit, and aside
    back = math.sqrt(1.0 - side * side)
    direction = unit((side * flat, -back * flat, height))
    bright = draws.uniform(*level.brightness)
    sun, sky = draws.uniform(1.0, 1.3) * bright, draws.uniform(0.22, 0.36) * bright
    warm = draws.uniform(0.0, 0.1)
    return Light(
        direction, (sun * (1.0 + warm), sun, sun * (1.0 - warm)), (sky * (1.0 - warm), sky, sky * (1.0 + warm))
    )


def _place(draws: Draws, level: Level, rig: Rig, kinds: Sequence[str], others: list[Solid]) -> Solid | None:
    """Return a solid on the ground that does not touch the others, or None when a hundred tries find no room."""
    kind = draws.child("kind").choice(kinds)
    size = _size(draws.child("size"), kind, level)
    rotation = _rotation(draws.child("rotation"), kind, level)
    height = depth_below(kind, size, rotation)
    spots = draws.child("place")
    camera = rig.left
    side = 0.9 * 0.5 * camera.width / camera.focal
    for _ in range(100):
        far = 2.5 / (1.0 - spots.uniform(0.0, 0.62))  # evenly in 1/distance, so evenly over the rows of the image
        toward = spots.uniform(-side, side)
        if others and spots.uniform() < level.crowd:
            beside = spots.choice(others).center
            far = max(2.5, beside[1] + spots.uniform(-1.5, 1.5))
            toward = beside[0] / beside[1] + spots.uniform(-0.12, 0.12)
        solid = Solid(kind, size, (toward * far, far, height), rotation)
        if all(_clear(solid, other, level.gap) for other in others):
            return solid
    return None


def _clear(solid: Solid, other: Solid, gap: float) -> bool:
    """Return whether two solids are apart in space, and in the image by `gap` times the sum of their radii."""
    a, b = solid.center, other.center
    reach = solid.radius + other.radius
    flat = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    apart = flat + (a[2] - b[2]) ** 2 >= reach * reach
    seen = abs(a[0] / a[1] - b[0] / b[1]) >= (1.0 + gap) * (solid.radius / a[1] + other.radius / b[1])
    return apart and seen


def _size(draws: Draws, kind: str, level: Level) -> Vec:
    a = draws.uniform(*level.size)
    if kind == "sphere":
        return a, a, a
    if kind == "box":
        return a * draws.uniform(0.6, 1.0), a * draws.uniform(0.6, 1.0), a * draws.uniform(0.6, 1.1)
    if kind == "cylinder":
        return _round(a * draws.uniform(0.55, 0.85), a * draws.uniform(0.8, 1.3))
    if kind == "cone":
        return _round(a * draws.uniform(0.75, 1.0), a * draws.uniform(0.9, 1.3))
    return _round(a * draws.uniform(0.4, 0.6), a * draws.uniform(0.6, 1.0))


def _round(radius: float, half: float) -> Vec:
    return radius, radius, half


def _rotation(draws: Draws, kind: str, level: Level) -> Mat:
    """Return a turn about the vertical, or any rotation for solids that lie or lean."""
    tilted = draws.uniform() < level.tilted
    w, x, y, z = (draws.uniform(-1.0, 1.0) for _ in range(4))
    if kind == "sphere" or tilted:
        return from_quaternion(w + 1e-9, x, y, z)
    return from_quaternion(w + 1e-9, 0.0, 0.0, z)


def _look(draws: Draws, level: Level, kind: str, ground: Vec) -> Texture:
    figure, color = TYPICAL[kind]
    any_figure, any_color = draws.choice(FIGURES), _any_color(draws)
    if draws.uniform() >= level.typical:
        figure, color = any_figure, any_color
    else:
        color = _tint(draws.child("tint"), color, 0.12)
    share = level.camouflage * draws.uniform(0.3, 1.0)
    mixed = tuple(own + (below - own) * share for own, below in zip(color, ground, strict=True))
    return _texture(draws.child("texture"), figure, (mixed[0], mixed[1], mixed[2]), level, scale=4.0)


def _any_color(draws: Draws) -> Vec:
    return draws.uniform(0.05, 0.7), draws.uniform(0.05, 0.7), draws.uniform(0.05, 0.7)


def _tint(draws: Draws, color: Vec, spread: float) -> Vec:
    r, g, b = (min(0.9, max(0.03, c + draws.uniform(-spread, spread))) for c in color)
    return r, g, b


def _texture(draws: Draws, figure: str, color: Vec, level: Level, scale: float = 1.6) -> Texture:
    """Return a texture in a colour and a darker or lighter one."""
    other = draws.choice((0.45, 0.6, 1.5))
    second = tuple(min(0.9, c * other) for c in color)
    offset = draws.uniform(0.0, 256.0), draws.uniform(0.0, 256.0), draws.uniform(0.0, 256.0)
    if figure == "rings":
        offset = 0.0, 0.0, offset[2]
    return Texture(
        figure=figure,
        scale=scale * draws.uniform(0.75, 1.3),
        grain=draws.uniform(*level.grain),
        grain_scale=draws.uniform(7.0, 11.0),
        offset=offset,
        colors=(color, (second[0], second[1], second[2])),
    )
