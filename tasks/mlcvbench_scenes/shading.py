"""Light on surfaces: Lambert's cosine from the sun, a sky that is brighter above, and sharp shadows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.scene import FIRST_SOLID, Light, Plane, Scene, Thing
from mlcvbench_scenes.shapes import Numbers, Solid, ball_tangents, enter, facing, to_frame
from mlcvbench_scenes.textures import paint
from mlcvbench_scenes.vectors import Vec, add, apply, dot, subtract
from mlcvbench_scenes.visibility import Frame, View, Window, clip_window, frame_of, solid_frame

Array = NDArray[Any]
UP: Vec = (0.0, 0.0, 1.0)
_CLEAR = 1e-3
"""A shadow ray starts this far from its surface, in metres."""


def radiance(scene: Scene, views: list[View], samples: int) -> list[Array]:
    """Return linear light, float32 (3, H, W), of each view; views may have been met in float64."""
    background = np.array(scene.light.sky, dtype=np.float32)[:, None]
    colors = [np.repeat(background, view.depth.size, axis=1) for view in views]
    shaded = [shadows(scene, view, samples).ravel() for view in views]
    for number in range(FIRST_SOLID + len(scene.things)):
        where = [_samples_of(view, number) for view in views]
        if not any(map(len, where)):
            continue
        points, pixel = _points(scene, number, views, where)
        dark = np.concatenate([shade[index] for shade, index in zip(shaded, where, strict=True)])
        if number < FIRST_SOLID:
            light = _on_plane(scene.planes[number], points, pixel, dark, scene.light)
        else:
            light = _on_thing(scene.things[number - FIRST_SOLID], points, pixel, dark, scene.light)
        start = 0
        for color, index in zip(colors, where, strict=True):
            for channel in range(3):
                color[channel][index] = light[channel][start : start + len(index)]
            start += len(index)
    return [color.reshape(3, *view.depth.shape) for color, view in zip(colors, views, strict=True)]


def _samples_of(view: View, number: int) -> Array:
    """Return the flat indices of the samples that show a surface."""
    if number < FIRST_SOLID:
        return np.flatnonzero(view.surface == number)
    window = view.windows[number - FIRST_SOLID]
    if window is None:
        return np.empty(0, dtype=np.int64)
    rows, columns = np.nonzero(view.surface[window] == number)
    flat: Array = (rows + window[0].start) * view.surface.shape[1] + (columns + window[1].start)
    return flat


def _points(scene: Scene, number: int, views: list[View], where: list[Array]) -> tuple[list[Array], Array]:
    """Return three coordinates in the surface's own frame and the width of a pixel in metres, over all views."""
    parts: list[list[Array]] = [[], [], [], []]
    for view, index in zip(views, where, strict=True):
        frame = _frame(scene, number, view)
        rows, columns = np.divmod(index, view.depth.shape[1])
        depth = view.depth.ravel()[index].astype(np.float32)
        rays = frame.rays(view.across[0].astype(np.float32)[columns], view.down[:, 0].astype(np.float32)[rows])
        for part, origin, ray in zip(parts, frame.origin, rays, strict=False):
            part.append(ray * depth + origin)
        parts[3].append(depth * (1.0 / view.camera.focal))
    joined = [np.concatenate(part) for part in parts]
    return joined[:3], joined[3]


def _frame(scene: Scene, number: int, view: View) -> Frame:
    if number < FIRST_SOLID:
        plane = scene.planes[number]
        axes = plane.axes
        inverse = tuple(zip(*axes, strict=True))
        return frame_of(plane.point, inverse, view.camera)  # type: ignore[arg-type] # a transposed 3x3 matrix
    solid = scene.things[number - FIRST_SOLID].solid
    return frame_of(solid.center, solid.rotation, view.camera)


def _on_plane(plane: Plane, points: list[Array], pixel: Array, dark: Array, light: Light) -> list[Array]:
    normal = plane.axes[2]
    sun = max(0.0, dot(normal, light.direction))
    lit = np.where(dark, np.float32(0.0), np.float32(sun))
    return _reflect(plane.texture.colors, paint(plane.texture, points[:2], pixel), lit, _sky(dot(normal, UP)), light)


def _on_thing(thing: Thing, points: list[Array], pixel: Array, dark: Array, light: Light) -> list[Array]:
    solid = thing.solid
    lit, up = facing(solid, (points[0], points[1], points[2]), (to_frame(solid, light.direction), to_frame(solid, UP)))
    lit = np.where(dark, np.float32(0.0), np.maximum(lit, 0.0))
    return _reflect(thing.texture.colors, paint(thing.texture, points, pixel), lit, _sky(up), light)


def _sky(up: Any) -> Any:
    """Return the share of the sky that a surface sees, with some light from below; `up` is its normal's z."""
    return 0.65 + 0.35 * up


def _reflect(colors: tuple[Vec, Vec], mix: Array, lit: Array, sky: Any, light: Light) -> list[Array]:
    return [
        (mix * (second - first) + first) * (lit * sun + sky * above)
        for first, second, sun, above in zip(*colors, light.sun, light.sky, strict=True)
    ]


def shadows(scene: Scene, view: View, samples: int) -> NDArray[np.bool_]:
    """Return where a solid stands between a sample's surface and the sun, bool (H, W)."""
    dark = np.zeros(view.depth.shape, dtype=np.bool_)
    for number, thing in enumerate(scene.things):
        window = _shadow_window(thing.solid, scene.light.direction, view, samples)
        if window is None:
            continue
        rows, columns = window
        hidden = _hides_sun(thing.solid, scene.light.direction, view, rows, columns)
        hidden &= view.surface[window] != number + FIRST_SOLID
        dark[window] |= hidden
    return dark


def _shadow_window(solid: Solid, sun: Vec, view: View, samples: int) -> Window | None:
    """Return the samples a solid's shadow can touch: those around a ball at its place and one where the shadow ends."""
    reach = (solid.center[2] + solid.radius) / sun[2]
    bounds = []
    for center in (solid.center, add(solid.center, sun, -reach)):
        seen = apply(view.camera.rotation, subtract(center, view.camera.position))
        bounds.append(ball_tangents(seen, solid.radius))
    first, last = bounds
    if first is None or last is None:
        return clip_window(None, view.camera, view.depth.shape, samples)
    both = (min(first[0], last[0]), min(first[1], last[1]), max(first[2], last[2]), max(first[3], last[3]))
    return clip_window(both, view.camera, view.depth.shape, samples)


def _hides_sun(solid: Solid, sun: Vec, view: View, rows: slice, columns: slice) -> NDArray[np.bool_]:
    across, down = view.across[:, columns].astype(np.float32), view.down[rows].astype(np.float32)
    depth = view.depth[rows, columns].astype(np.float32)
    frame = solid_frame(solid, view.camera)
    rays: Numbers = (across, down, 1.0) if solid.kind == "sphere" else frame.rays(across, down)
    point = tuple(ray * depth + start for ray, start in zip(rays, frame.origin, strict=True))
    toward = apply(view.camera.rotation, sun) if solid.kind == "sphere" else to_frame(solid, sun)
    t = enter(solid, point, toward)
    hidden: NDArray[np.bool_] = (t > _CLEAR) & (t < np.inf)
    return hidden
