"""Textures: a number in [0, 1] for every point of a surface, from lattice noise and simple figures.

Solids are carved out of a texture in space, so it has no seams; flat surfaces use two coordinates.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.hashing import hash32, mix
from mlcvbench_scenes.vectors import Vec

Floats = NDArray[np.float32]
FIGURES = ("cloud", "stripes", "checks", "spots", "rings")
PERIOD = {2: 256, 3: 32}
"""The period of the noise in cells."""


@dataclasses.dataclass(frozen=True)
class Texture:
    """A figure in two colours with fine grain over it.

    `scale` and `grain_scale` are cells per metre, `offset` shifts the noise (in cells), `grain` is the share of the
    fine noise in 0..1, `colors` are linear reflectances.
    """

    figure: str
    scale: float
    grain: float
    grain_scale: float
    offset: Vec
    colors: tuple[Vec, Vec]


def paint(texture: Texture, point: Sequence[Floats], pixel: Floats) -> Floats:
    """Return the mix of the two colours, float32 in [0, 1], at points given by two or three coordinates in metres.

    `pixel` is the width of a pixel there, in metres: grain finer than that is faded out instead of flickering.
    """
    cells = [axis * texture.scale + shift for axis, shift in zip(point, texture.offset, strict=False)]
    value = _figure(texture.figure, cells)
    if texture.grain:
        fine = [axis * texture.grain_scale + shift for axis, shift in zip(point, texture.offset[::-1], strict=False)]
        grain = lattice_noise(fine)
        grain -= 0.5
        strength = 1.5 - texture.grain_scale * pixel
        np.maximum(strength, 0.0, out=strength)
        np.minimum(strength, 1.0, out=strength)
        strength *= 2.0 * texture.grain
        grain *= strength
        value = value * (1.0 - texture.grain) + (0.5 * texture.grain)
        value += grain
        np.maximum(value, 0.0, out=value)
        np.minimum(value, 1.0, out=value)
    return value


def _figure(name: str, cells: list[Floats]) -> Floats:
    if name == "checks":
        return _checks(cells)
    if name == "stripes":
        return _wave(cells[0] + cells[1] * 0.3)
    if name == "rings":
        return _wave(np.sqrt(cells[0] * cells[0] + cells[1] * cells[1]) * np.float32(2.0))
    noise = lattice_noise(cells)
    if name == "spots":
        noise -= 0.5
        noise *= 6.0
        noise += 0.5
        return np.minimum(np.maximum(noise, 0.0), 1.0)
    return noise


def _checks(cells: list[Floats]) -> Floats:
    total: Floats = np.floor(cells[0])
    for axis in cells[1:]:
        total = total + np.floor(axis)
    half: Floats = total * 0.5
    half -= np.floor(half)
    return half * 2.0


def _wave(x: Floats) -> Floats:
    """Return bands with soft edges: a triangle wave of period 1, steepened and cut to [0, 1]."""
    x = x - np.floor(x)
    x -= 0.5
    np.abs(x, out=x)
    x *= 6.0
    x -= 1.0
    return np.minimum(np.maximum(x, 0.0), 1.0)


def lattice_noise(cells: Sequence[Floats]) -> Floats:
    """Return value noise, float32 in [0, 1): random numbers at the integer points, smoothly joined.

    - `cells`: two or three coordinates, float32 of one shape.
    """
    period = PERIOD[len(cells)]
    table = _lattice(len(cells))
    index: Any = 0
    weights = []
    for axis in cells:
        whole = np.floor(axis)
        part = axis - whole
        weights.append(part * part * (3.0 - 2.0 * part))
        index = index * (period + 1) + (whole.astype(np.int64) & (period - 1))
    corners: list[Floats] = []
    strides = [(period + 1) ** power for power in reversed(range(len(cells)))]
    for corner in range(1 << (len(cells) - 1)):
        step = sum(stride for bit, stride in enumerate(reversed(strides[:-1])) if corner >> bit & 1)
        pair = table[step:].take(index)
        value = pair.imag * weights[-1]
        value += pair.real
        corners.append(value)
    for weight in reversed(weights[:-1]):
        corners = [low + (high - low) * weight for low, high in zip(corners[::2], corners[1::2], strict=True)]
    return corners[0]


@functools.cache
def _lattice(axes: int) -> NDArray[np.complex64]:
    """Return a flat table of (value, next value along the last axis minus value); one more cell closes the period."""
    period = PERIOD[axes]
    words = hash32(period**axes, mix("lattice", axes))
    values = ((words >> np.uint32(8)).astype(np.float32) * np.float32(1.0 / (1 << 24))).reshape((period,) * axes)
    values = np.pad(values, [(0, 1)] * axes, mode="wrap")
    table = np.zeros(values.shape, dtype=np.complex64)
    table.real = values
    table.imag[..., :-1] = values[..., 1:] - values[..., :-1]
    table.flags.writeable = False
    flat: NDArray[np.complex64] = table.reshape(-1)
    return flat
