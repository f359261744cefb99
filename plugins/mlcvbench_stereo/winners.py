"""From costs to disparities: the best level, whether it can be trusted, and where between levels it lies.

Maps are int16 sixteenths of a pixel, `HOLE` where nothing is trusted, as OpenCV has them.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

STEPS = 16
ROWS = 16
"""That are looked at together."""
HOLE = np.int16(-STEPS)


def winners(costs: Array, uniqueness: int, consistency: int) -> Array:
    """Return the disparities (H, columns) of costs (levels, H, columns): winner takes all, then the checks.

    The least cost wins, of equal ones the smallest disparity. `uniqueness`: a match is not trusted when a level that is
    not next to it costs less than so many percent more: c (100 - uniqueness) < 100 least. `consistency`: nor when the
    right image's pixel is matched, at less cost, to one whose disparity is farther than that, -1 = not checked.
    Between levels it lies at the minimum of the parabola through the costs at d - 1, d and d + 1.
    """
    height = costs.shape[1]
    return np.concatenate(
        [_of_rows(costs[:, top : top + ROWS], uniqueness, consistency) for top in range(0, height, ROWS)]
    )


def _of_rows(costs: Array, uniqueness: int, consistency: int) -> Array:
    """Return the disparities of a few rows: what is known of them stays in the processor's cache."""
    levels, height, width = costs.shape
    best, maps = np.empty((height, width), np.int32), np.empty((3, height, width), costs.dtype)
    trusted = np.ones((height, width), bool)
    for row in range(height):
        own = np.ascontiguousarray(costs[:, row])
        best[row], maps[:, row] = _best(own)
        if uniqueness:
            trusted[row] = ~_has_rivals(own, best[row], maps[:, row], uniqueness)
    inner = (best > 0) & (best < levels - 1)
    below, least, above = maps.astype(np.int32)
    found = (STEPS * best + np.where(inner, _parabola(below, least, above), 0)).astype(np.int16)
    found[~trusted] = HOLE
    if consistency >= 0:
        found[_inconsistent(found, best, maps[1], consistency)] = HOLE
    return found


def _best(costs: Array) -> tuple[Array, Array]:
    """Return the best level of each pixel of a row (levels, columns), and the costs (3, columns) below, at and above.

    Beyond the range a cost is that of its end.
    """
    levels, columns = len(costs), np.arange(costs.shape[1])
    least = np.minimum.reduce(costs, axis=0)
    # the first level that costs the least: the largest of numbers that fall with the level
    rank = np.arange(levels, 0, -1, dtype=np.uint8 if levels < 256 else np.uint16)[:, None]
    best: Array = levels - np.maximum.reduce((costs == least) * rank, axis=0).astype(np.intp)
    near = costs[np.maximum(best - 1, 0), columns], least, costs[np.minimum(best + 1, levels - 1), columns]
    return best, np.stack(near)


def _has_rivals(costs: Array, best: Array, near: Array, uniqueness: int) -> Array:
    """Return where another level than the best one and its neighbours costs nearly as little, bool (columns,)."""
    levels = len(costs)
    bound = -(-100 * near[1].astype(np.int64) // max(100 - uniqueness, 1))
    bound = bound.clip(max=np.iinfo(costs.dtype).max).astype(costs.dtype)
    counting = np.uint8 if levels < 256 else np.uint16
    rivals = np.add.reduce((costs < bound).view(np.uint8), axis=0, dtype=counting)
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
    width, reach = found.shape[1], int(best.max(initial=0)) + 1
    wide = width + reach + 1  # columns of the right image, from -reach on, and one beyond
    starts = np.arange(len(found), dtype=np.int32)[:, None] * wide + np.arange(width, dtype=np.int32) + reach
    chosen = np.flatnonzero(found != HOLE)
    # of several that are written to one place the last stays: the cheapest, of those the rightmost
    order = chosen[np.argsort(-least.reshape(-1)[chosen], kind="stable")]
    other = np.full(len(found) * wide, -1, np.int32)
    other[(starts - best).reshape(-1)[order]] = best.reshape(-1)[order]
    denied: Array = np.ones(found.shape, bool)
    for level in (found // STEPS, -(-found // STEPS)):
        there = other[starts - level]
        denied &= (there >= 0) & (np.abs(there - level) > consistency)
    denied &= found != HOLE
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
