"""Differences of depth at two points beside a pixel, which do not change when the body moves away.

Shotton et al., "Real-time human pose recognition in parts from single depth images", CVPR 2011, equation 1:

    f(D, p) = D(p + u / D(p)) - D(p + v / D(p))

D is the depth in metres, p a pixel with a measurement, u and v offsets in pixel-metres (rows, columns): divided by the
depth they are pixels, so that an offset always reaches to the same part of a body. A point outside the image or without
a measurement, as all background is when the person is cut out, has the depth `NOWHERE`.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

NOWHERE = np.float32(1000.0)
"""Depth in metres where there is no measurement: large, so that a threshold separates it from every body."""


BLOCK = 64
"""Features that are computed together: what belongs to them stays in the processor's cache."""


def draw_offsets(count: int, reach: float, generator: np.random.Generator) -> Array:
    """Return float32 (count, 2, 2), u and v of each feature as rows and columns, uniform within +-`reach` pixel-metres.

    In every other feature v is zero: the pixel itself is compared with one other point.
    """
    offsets = generator.uniform(-reach, reach, (count, 2, 2)).astype(np.float32)
    offsets[1::2, 1] = 0
    return offsets


def depth_differences(depth: Array, places: Array, offsets: Array) -> Array:
    """Return f as float32 (F, n) for n pixels of a depth image.

    Args:
        depth: float32 (H, W), metres; 0, negative and not finite mean no measurement.
        places: int64 (n,), indices into the flat image; each has a measurement.
        offsets: float32 (F, 2, 2), pixel-metres.

    """
    height, width = depth.shape
    framed = np.full((height + 2, width + 2), NOWHERE, dtype=np.float32)  # a border for all points outside
    framed[1:-1, 1:-1] = np.where(measured(depth), depth, NOWHERE)
    rows, columns = np.divmod(places, width)
    own = depth.reshape(-1)[places]
    nearness = np.float32(1) / own  # (n,)
    differences = np.empty((len(offsets), len(places)), dtype=np.float32)
    for first in range(0, len(offsets), BLOCK):
        block = slice(first, first + BLOCK)
        for one in (0, 1):
            moves = offsets[block, one]
            away = np.any(moves, axis=1)  # a point that is not away is the pixel itself
            index = _moved(rows, moves[away, 0], nearness, height)
            index *= width + 2
            index += _moved(columns, moves[away, 1], nearness, width)
            probed = framed.reshape(-1).take(index)
            if one == 0:
                differences[block][away], differences[block][~away] = probed, own
            else:
                differences[block][away] -= probed
                differences[block][~away] -= own
    return differences


def measured(depth: Array) -> Array:
    """Return where a depth image has a measurement, bool of its shape."""
    known: Array = np.isfinite(depth) & (depth > 0)
    return known


def _moved(start: Array, offset: Array, nearness: Array, side: int) -> Array:
    """Return the nearest pixel after the move, int64 (F, n) in the framed image: 0 and side + 1 are outside."""
    steps = offset[:, None] * nearness  # (F, n), changed in place: there are many
    steps += np.float32(0.5)
    np.floor(steps, out=steps)
    steps += start.astype(np.float32)
    np.maximum(steps, np.float32(-1), out=steps)
    np.minimum(steps, np.float32(side), out=steps)
    moved: Array = steps.astype(np.int64)
    moved += 1
    return moved
