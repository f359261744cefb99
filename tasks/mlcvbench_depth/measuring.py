"""Errors of disparity and of depth in one image; each map is processed once.

Known pixels are gathered where not all are known; all further steps use only them, in float32 like the usual code, with
sums in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import PredictionError
from mlcvbench_depth.alignment import align
from mlcvbench_depth.protocols import METRIC
from mlcvbench_depth.quantise import STEPS

BAD_PIXELS = (0.5, 1.0, 2.0, 3.0)
D1_PIXELS, D1_SHARE = 3.0, 0.05
DELTA = 1.25
DELTAS = tuple(DELTA**power for power in (1, 2, 3))
NEAREST = 1e-3
"""Metres; nearer truth is not scored, nearer estimates are set to it."""
BLOCK = 8192
"""Values that are added up before their sum is added to the others: those of numpy's own sums, so that bits are too."""
PIXELS_AT_ONCE = 4 * BLOCK
"""Pixels whose errors stay in a core's cache while they are computed."""
_SUMS = ("relative", "relative square", "square", "log", "square of log", "size of log")


class StereoCounts(NamedTuple):
    """Counts of one image: pixels with truth, those with an estimate, and over the latter: sum of errors, pixels in
    error.

    For a filled map the errors are over all pixels with truth.
    """

    known: int
    estimated: int
    error: float
    bad: tuple[int, ...]
    d1: int


def measure_disparity(truth: Array, estimate: Array, *, fill: bool = False) -> StereoCounts:
    """Return the counts of one image.

    Args:
        truth: float32 (H, W) px, 0 = unknown or not scored.
        estimate: uint16 (H, W) in 1/256 px or float32 in px, 0 = none.
        fill: fill holes first, and compute 5 % of the truth, as KITTI's development kit does.

    >>> measure_disparity(np.float32([[10, 10, 0, 100]]), np.uint16([[2560, 0, 9, 25600 - 1024]]))
    StereoCounts(known=3, estimated=2, error=4.0, bad=(1, 1, 1, 1), d1=0)

    """
    _check_size(truth, estimate, "disparity")
    measured = truth > 0
    wanted, got = _kept(measured, truth, estimate)
    known = len(wanted)
    has = got != 0
    estimated = int(np.count_nonzero(has))
    if fill:
        (got,) = _kept(measured, fill_background(to_pixels(estimate)))
    else:
        wanted, got = _kept(has, wanted, got)
    error = np.multiply(got, np.float32(1 / STEPS), dtype=np.float32) if got.dtype == np.uint16 else got.copy()
    np.subtract(error, wanted, out=error)
    np.abs(error, out=error)
    bad = tuple(int(np.count_nonzero(error > limit)) for limit in BAD_PIXELS)
    far = np.flatnonzero(error > D1_PIXELS)
    if fill:  # the kit divides floats and compares with a double, so that exactly 4 px of 80 are an error
        d1 = int(np.count_nonzero(error[far] / wanted[far] > np.float64(D1_SHARE)))
    else:
        d1 = int(np.count_nonzero(error[far] > np.float32(D1_SHARE) * wanted[far]))
    return StereoCounts(known, estimated, float(error.sum(dtype=np.float64)), bad, d1)


def _kept(wanted: Array, *maps: Array) -> list[Array]:
    """Return the values of each map where `wanted`, (P,): of sparse maps gathered, of whole ones without a copy."""
    count = int(np.count_nonzero(wanted))
    if count == wanted.size:
        return [one.ravel() for one in maps]
    place = np.flatnonzero(wanted)
    return [one.ravel()[place] for one in maps]


def every(wanted: Array, count: int, step: int) -> tuple[Array, Array]:
    """Return rows and columns of each `step`-th of the `count` pixels of a map (H, W) that are `wanted`."""
    place = np.arange(0, count, step) if count == wanted.size else np.flatnonzero(wanted)[::step]
    rows, columns = np.divmod(place, wanted.shape[1])
    return rows, columns


def to_pixels(estimate: Array) -> Array:
    """Return a stored estimate as float32 pixels, or metres, 0 = none."""
    if estimate.dtype == np.uint16:
        return estimate.astype(np.float32) / np.float32(STEPS)
    return estimate.astype(np.float32)


def fill_background(disparity: Array) -> Array:
    """Return a disparity map (H, W), 0 = none, without the holes that KITTI's development kit fills; the rest is -1.

    In a row a hole takes the smaller of its two neighbours, the background, or the only one at the border. Rows
    without any estimate above the first and below the last of the others are copies of these; those between stay -1,
    the kit's value for none. Source: `interpolateBackground` in `io_disp.h` of the stereo kits of 2012 and 2015.

    >>> fill_background(np.float32([[0, 0, 0, 0], [0, 5, 0, 3], [0, 0, 0, 0], [4, 0, 0, 0]])).tolist()
    [[5.0, 5.0, 3.0, 3.0], [5.0, 5.0, 3.0, 3.0], [-1.0, -1.0, -1.0, -1.0], [4.0, 4.0, 4.0, 4.0]]
    """
    height, width = disparity.shape
    valid = disparity > 0
    column = np.broadcast_to(np.arange(width), disparity.shape)
    before = np.maximum.accumulate(np.where(valid, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(valid, column, width)[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([disparity, np.full((height, 1), np.inf, np.float32)], axis=1)
    padded[:, :width][~valid] = np.inf  # the last column, which -1 and `width` point to, stands for no neighbour
    row = np.arange(height)[:, None]
    filled = np.minimum(padded[row, before], padded[row, after])
    rows = np.flatnonzero(valid.any(axis=1))
    if not len(rows):
        return np.full_like(disparity, -1)
    filled[: rows[0]], filled[rows[-1] + 1 :] = filled[rows[0]], filled[rows[-1]]
    return np.where(np.isinf(filled), np.float32(-1), filled)


class DepthErrors(NamedTuple):
    """One image: the scored pixels, and its errors over them (NaN when there are none)."""

    pixels: int
    abs_rel: float = np.nan
    sq_rel: float = np.nan
    rmse: float = np.nan
    rmse_log: float = np.nan
    silog: float = np.nan
    log10: float = np.nan
    delta1: float = np.nan
    delta2: float = np.nan
    delta3: float = np.nan


def measure_depth(
    truth: Array, estimate: Array, *, window: tuple[slice, slice], cap: float, scaling: str = METRIC
) -> DepthErrors:
    """Return the errors of one image over the pixels of `window` with `NEAREST` < truth < `cap`.

    Args:
        truth: float32 (H, W) metres, 0 = unknown.
        estimate: float32 (H, W) metres; inf is farther than any cap.
        window: rows and columns that are scored.
        cap: metres; estimates are clipped to [`NEAREST`, `cap`], after scaling.
        scaling: one of `SCALINGS`, what is done to the estimates first (module `alignment`).

    """
    _check_size(truth, estimate, "depth")
    truth, estimate = truth[window], estimate[window]
    wanted, got = _kept(truth > NEAREST, truth, estimate)
    if len(wanted) and wanted.max() >= cap:
        wanted, got = _kept(wanted < cap, wanted, got)
    count = len(wanted)
    if not count:
        return DepthErrors(0)
    got = align(wanted, got, scaling, cap).apply(got)
    sums, inside = np.zeros(len(_SUMS)), np.zeros(len(DELTAS), dtype=np.int64)
    for start in range(0, count, PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        blocks, within = _sums(wanted[part], np.clip(got[part], np.float32(NEAREST), np.float32(cap)))
        for block in blocks:
            sums += block
        inside += within
    mean = dict(zip(_SUMS, (sums / count).tolist(), strict=True))
    return DepthErrors(
        count,
        abs_rel=mean["relative"],
        sq_rel=mean["relative square"],
        rmse=float(np.sqrt(mean["square"])),
        rmse_log=float(np.sqrt(mean["square of log"])),
        silog=float(np.sqrt(max(0.0, mean["square of log"] - mean["log"] ** 2))),
        log10=mean["size of log"] / float(np.log(10)),
        **dict(zip(("delta1", "delta2", "delta3"), (inside / count).tolist(), strict=True)),
    )


def _sums(wanted: Array, got: Array) -> tuple[Array, Array]:
    """Return what is added up over pixels, float64 (blocks, `_SUMS`), and the pixels within each of `DELTAS`, int64.

    `wanted`, `got`: float32 (P,) metres; `got` is overwritten.
    """
    ratio = got / wanted
    inside = np.array([_between(ratio, limit) for limit in DELTAS])
    got -= wanted  # the differences from here on
    relative, logarithm = got / wanted, np.log(ratio)
    sums = (
        _block_sums(np.abs(relative)),
        _block_sums(relative * got),
        _block_sums(got * got),
        _block_sums(logarithm),
        _block_sums(logarithm * logarithm),
        _block_sums(np.abs(logarithm)),
    )
    return np.stack(sums, axis=1), inside


def _block_sums(values: Array) -> Array:
    """Return the sums of float32 (P,) in float64, by `BLOCK` values."""
    whole = len(values) // BLOCK * BLOCK
    sums: Array = values[:whole].reshape(-1, BLOCK).sum(axis=1, dtype=np.float64)
    return sums if whole == len(values) else np.append(sums, values[whole:].sum(dtype=np.float64))


def _between(ratio: Array, limit: float) -> int:
    """Count max(ratio, 1 / ratio) < limit."""
    return int(np.count_nonzero(ratio < np.float32(limit)) - np.count_nonzero(ratio <= np.float32(1 / limit)))


def wrong_size(truth: Array, estimate: Array, field: str) -> str:
    """Return the message that an estimate has another size than its truth."""
    wanted, got = (" x ".join(map(str, one.shape)) for one in (truth, estimate))
    return f"field {field!r}: wanted {wanted} pixels like the truth, got {got}."


def _check_size(truth: Array, estimate: Array, field: str) -> None:
    if truth.shape != estimate.shape:
        raise PredictionError(wrong_size(truth, estimate, field))
