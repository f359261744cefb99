"""From costs to disparities: the best level, whether it can be trusted, and where between levels it lies.

Maps are int16 sixteenths of a pixel, `HOLE` where nothing is trusted, as OpenCV has them.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

STEPS = 16
ROWS = 4
"""Whose costs are looked at together: they stay in the processor's cache."""
CHECKED_ROWS = 32
"""Whose matches are checked together; there is less to know of them."""
HOLE = np.int16(-STEPS)


def winners(costs: Array, uniqueness: int, consistency: int) -> Array:
    """Return the disparities (H, columns) of costs (levels, H, columns): winner takes all, then the checks.

    The least cost wins, of equal ones the smallest disparity. `uniqueness`: a match is not trusted when a level that is
    not next to it costs less than so many percent more: c (100 - uniqueness) < 100 least. `consistency`: nor when the
    right image's pixel is matched, at less cost, to one whose disparity is farther than that, -1 = not checked.
    Between levels it lies at the minimum of the parabola through the costs at d - 1, d and d + 1.
    """
    height = costs.shape[1]
    strips = [_of_rows(costs[:, top : top + ROWS], uniqueness) for top in range(0, height, ROWS)]
    found, best, least = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    if consistency >= 0:
        for top in range(0, height, CHECKED_ROWS):
            rows = slice(top, top + CHECKED_ROWS)
            found[rows][_inconsistent(found[rows], best[rows], least[rows], consistency)] = HOLE
    return found


def _of_rows(costs: Array, uniqueness: int) -> tuple[Array, Array, Array]:
    """Return the disparities of a few rows, the best level of each pixel and its cost, each (rows, columns)."""
    own = np.ascontiguousarray(costs.swapaxes(0, 1))  # (rows, levels, columns)
    best, near = _best(own)
    inner = (best > 0) & (best < len(costs) - 1)
    found = (STEPS * best + np.where(inner, _parabola(*near.astype(np.int32)), 0)).astype(np.int16)
    if uniqueness:
        found[_has_rivals(own, best, near, uniqueness)] = HOLE
    return found, best, near[1]


def _best(costs: Array) -> tuple[Array, Array]:
    """Return the best level of each pixel of costs (rows, levels, columns), int32, and its costs below, at and above.

    The costs are (3, rows, columns); beyond the range a cost is that of its end.
    """
    rows, levels, columns = costs.shape
    least = np.minimum.reduce(costs, axis=1)
    # the first level that costs the least: the largest of numbers that fall with the level
    rank = np.arange(levels, 0, -1, dtype=_counting(levels))[:, None]
    best: Array = levels - np.maximum.reduce((costs == least[:, None]).view(np.uint8) * rank, axis=1).astype(np.int32)
    line, pixels = costs.reshape(-1), np.arange(columns) + levels * columns * np.arange(rows)[:, None]
    beside = np.maximum(best - 1, 0), np.minimum(best + 1, levels - 1)
    below, above = (line[pixels + columns * level] for level in beside)
    return best, np.stack([below, least, above])


def _counting(levels: int) -> type[np.unsignedinteger]:
    """Return the smallest type that counts levels."""
    return np.uint8 if levels < 256 else np.uint16


def _has_rivals(costs: Array, best: Array, near: Array, uniqueness: int) -> Array:
    """Return where another level than the best one and its neighbours costs nearly as little, bool (rows, columns)."""
    levels = costs.shape[1]
    bound = -(-100 * near[1].astype(np.int64) // max(100 - uniqueness, 1))
    bound = bound.clip(max=np.iinfo(costs.dtype).max).astype(costs.dtype)
    counting = _counting(levels)
    rivals = np.add.reduce((costs < bound[:, None]).view(np.uint8), axis=1, dtype=counting)
    below, least, above = (near < bound).astype(counting)
    rivalled: Array = rivals > least + below * (best > 0) + above * (best < levels - 1)
    return rivalled


def _parabola(below: Array, least: Array, above: Array) -> Array:
    """Return where the parabola through three costs is least, in sixteenths from the middle.

    Rounded as OpenCV does: half a sixteenth is added, and what is left is cut off toward the middle.
    """
    bend = np.maximum(below + above - 2 * least, 1)
    over = (below - above) * STEPS + bend
    cut: Array = np.sign(over) * (np.abs(over) // (2 * bend))
    return cut


def _inconsistent(found: Array, best: Array, least: Array, consistency: int) -> Array:
    """Return which trusted matches the right image's pixels do not confirm, bool (H, columns).

    A pixel of the right image belongs to the cheapest of the matches that lead to it, of equal ones the rightmost. A
    disparity between two levels is confirmed when either of them is.
    """
    (height, width), reach = found.shape, int(best.max(initial=0)) + 1
    wide = width + reach + 1  # columns of the right image, from -reach on, and one beyond
    columns = np.arange(width, dtype=np.int32)
    starts = np.arange(height, dtype=np.int32)[:, None] * wide + columns + reach
    chosen = found != HOLE
    bits = reach.bit_length()
    # least for the cheapest match, of equal ones for the rightmost; its last bits are the level
    rank = ((least.astype(np.int64) * width - columns) << bits) | best
    none = np.iinfo(np.int64).max
    first = np.full(height * wide, none)
    np.minimum.at(first, (starts - best)[chosen].astype(np.intp), rank[chosen])
    other = np.where(first < none, first & ((1 << bits) - 1), -1).astype(np.int32)
    denied: Array = chosen
    for level in (found // STEPS, -(-found // STEPS)):
        there = other[starts - level]
        denied = denied & (there >= 0) & (np.abs(there - level) > consistency)
    return denied


def median3(maps: Array) -> Array:
    """Return the median of 3x3 pixels of a map (H, W), whose border is repeated; holes count as their number."""
    wide = np.pad(maps, 1, mode="edge")
    height, width = maps.shape
    columns = [wide[:, shift : shift + width] for shift in range(3)]
    # sort each row of three, then the median of the largest low, the median middle and the least high
    low, middle, high = _sorted(*columns)
    parts = [[part[shift : shift + height] for shift in range(3)] for part in (low, middle, high)]
    most = np.maximum(np.maximum(*parts[0][:2]), parts[0][2])
    least = np.minimum(np.minimum(*parts[2][:2]), parts[2][2])
    return _sorted(most, _sorted(*parts[1])[1], least)[1]


def _sorted(first: Array, second: Array, third: Array) -> tuple[Array, Array, Array]:
    small, large = np.minimum(first, second), np.maximum(first, second)
    middle = np.minimum(large, third)
    return np.minimum(small, middle), np.maximum(small, middle), np.maximum(large, third)


def without_speckles(maps: Array, window: int, step: int) -> Array:
    """Return a map without blobs of fewer than `window` pixels; inside a blob, neighbours differ by `step` at most."""
    if not window:
        return maps
    import cv2

    kept = np.ascontiguousarray(maps)
    cv2.filterSpeckles(kept, int(HOLE), window, STEPS * step)
    return kept


def filled(maps: Array) -> Array:
    """Return a map whose holes have the smaller of the two nearest disparities in their row: what is behind.

    A row without any copies the nearest one above, or below; a map without any is 0.
    """
    known = maps >= 0
    width = maps.shape[1]
    places = np.arange(width)
    last = np.maximum.accumulate(np.where(known, places, -1), axis=1)
    following = np.minimum.accumulate(np.where(known, places, width)[:, ::-1], axis=1)[:, ::-1]
    largest = np.iinfo(maps.dtype).max
    wide = np.pad(maps, ((0, 0), (1, 1)), constant_values=largest)
    best = np.minimum(np.take_along_axis(wide, last + 1, 1), np.take_along_axis(wide, following + 1, 1))
    rows = np.flatnonzero(known.any(axis=1))
    if not len(rows):
        return np.zeros_like(maps)
    nearest = rows[np.abs(rows[None] - np.arange(len(maps))[:, None]).argmin(axis=1)]
    whole: Array = best[nearest]
    return whole
