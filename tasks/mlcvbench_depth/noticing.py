"""What in estimates and truth is valid but probably not intended: units, signs, sides, holes and unscored pixels.

A sample of the images is inspected, each in a sample of its scored pixels, so that this is cheap compared with scoring.
Nothing here changes a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice, Predictions, Split, spread
from mlcvbench.files.lazy_columns import values_at
from mlcvbench_depth.measuring import DELTA, every, to_pixels
from mlcvbench_depth.protocols import (
    FITTED,
    FITTED_INVERSE,
    METRIC,
    MonoRules,
    StereoRules,
    is_stereo,
    parse_mono,
    parse_stereo,
)
from mlcvbench_depth.scoring import OCCLUDED, scored_disparity
from mlcvbench_depth.views import scored_depth

IMAGES, PIXELS = 50, 2_000
"""Number of inspected images, and of scored pixels in each."""
LEAST = 30
"""Pixels of an image from which an order or a factor is estimated."""
SAME_FACTOR = 0.01
"""Relative spread of the middle nine tenths of estimate / truth within which they are one factor."""
ALONG = 0.5
"""Mean rank correlation from which an order counts as found."""


class Look(NamedTuple):
    """One inspected image: counts of pixels, and sampled values (P,) of truth and estimate at the same pixels.

    `known`: pixels with truth; `scored`: those that the protocol scores; `none`, `endless`: of these with an estimate
    of 0 and inf. `turned`: estimates at the mirrored places, left to right and upside down. `beside`: for disparity,
    estimates at the place of the right image.
    """

    known: int
    scored: int
    none: int
    endless: int
    truth: Array
    estimate: Array
    turned: tuple[Array, Array]
    beside: Array | None


def look(predictions: Predictions, split: Split, protocol: str) -> list[Notice]:
    """Return notices about predictions of depth or disparity, the most serious first."""
    seen = _Seen(list(_looks(predictions, split, protocol)), len(split), protocol)
    return [notice for notice in (*_orders(seen), *_units(seen), *_counts(seen)) if notice is not None]


class _Seen(NamedTuple):
    """The inspected images, the number of all images, and the protocol."""

    looks: Sequence[Look]
    images: int
    protocol: str

    @property
    def rules(self) -> StereoRules | MonoRules:
        return parse_stereo(self.protocol) if is_stereo(self.protocol) else parse_mono(self.protocol)

    def total(self, name: str) -> int:
        """Return a count over all inspected images."""
        return sum(int(getattr(one, name)) for one in self.looks)

    @property
    def where(self) -> str:
        """Return the remark for a number that was counted in some of the images only."""
        return (
            "" if len(self.looks) == self.images else f" in the {len(self.looks)} of {self.images:,} inspected images"
        )


def _looks(predictions: Predictions, split: Split, protocol: str) -> Iterator[Look]:
    field = "disparity" if is_stereo(protocol) else "depth"
    places, targets = spread(split, IMAGES), split.targets()
    rules = parse_stereo(protocol) if is_stereo(protocol) else parse_mono(protocol)
    seen_only = isinstance(rules, StereoRules) and rules.seen_only
    masks = values_at(targets[OCCLUDED], places) if seen_only else repeat(None)
    truths, estimates = (values_at(columns[field], places) for columns in (targets, predictions))
    for place, truth, stored, mask in zip(places, truths, estimates, masks, strict=False):
        if isinstance(rules, StereoRules):
            scored = scored_disparity(rules, truth, targets, place, mask)
        else:
            scored = scored_depth(rules, truth)
        yield _look_at(truth, scored, stored, stereo=isinstance(rules, StereoRules))


def _look_at(truth: Array, scored: Array, stored: Array, *, stereo: bool) -> Look:
    wanted = scored > 0
    count = int(np.count_nonzero(wanted))
    values = stored if count == wanted.size else stored[wanted]
    rows, columns = every(wanted, count, max(1, count // PIXELS))

    def at(rows: Array, columns: Array) -> Array:
        return to_pixels(stored[rows, columns])

    truths = scored[rows, columns]
    beside = None
    if stereo:
        other = columns - np.rint(truths).astype(np.int64)
        beside = np.where(other >= 0, at(rows, np.maximum(other, 0)), np.float32(0))
    return Look(
        int(np.count_nonzero(truth > 0)),
        count,
        count - int(np.count_nonzero(values)),
        int(np.count_nonzero(np.isinf(values))),
        truths,
        at(rows, columns),
        (at(rows, truth.shape[1] - 1 - columns), at(truth.shape[0] - 1 - rows, columns)),
        beside,
    )


def _orders(seen: _Seen) -> Iterator[Notice | None]:
    """Return the notice that the order of estimates is that of another map: flipped, of the other image, or inverted.

    Among several such explanations the one that fits the truth best is given.
    """
    sign = -1.0 if seen.protocol.endswith(f"/{FITTED_INVERSE}@1") else 1.0
    plain = _mean_order([(one.truth, sign * one.estimate) for one in seen.looks])
    if plain is None:
        return
    orders = {"swapped": -plain}
    for side, name in ((0, "left to right"), (1, "upside down")):
        turned = _mean_order([(one.truth, sign * one.turned[side]) for one in seen.looks])
        orders[name] = plain if turned is None else turned
    best = max(orders, key=lambda name: orders[name])
    if not (orders[best] > ALONG and 1 - orders[best] < (1 - plain) / 2):
        yield _other_image(seen)
    elif best == "swapped":
        yield Notice("near-and-far-swapped", f"{_swapped(seen, plain * sign)}.")
    else:
        yield Notice(
            "estimates-mirrored",
            f"turned {best}, the estimates follow the truth better (rank correlation {orders[best]:.2f} instead of "
            f"{plain:.2f}); check how the maps were written.",
        )


def _swapped(seen: _Seen, order: float) -> str:
    said = f"estimates {'fall' if order < 0 else 'rise'} where the truth rises (rank correlation {order:.2f})"
    rules = seen.rules
    if isinstance(rules, StereoRules):
        return f"{said}: near and far are swapped; this protocol wants disparity, not depth"
    other = FITTED if rules.scaling == FITTED_INVERSE else FITTED_INVERSE
    meant = "relative inverse depth" if other == FITTED else "depth"
    got = "depth" if other == FITTED else "inverse depth"
    return (
        f"{said}: near and far are swapped; this protocol wants {meant}, and for {got} there is "
        f"{seen.protocol.rpartition('/')[0]}/{other}@1"
    )


def _other_image(seen: _Seen) -> Notice | None:
    """Return the notice that disparities fit the right image better than the left one."""
    own, other = [], []
    for one in seen.looks:
        if one.beside is not None:
            both = (one.estimate > 0) & (one.beside > 0)
            own.append(np.minimum(np.abs(one.estimate[both] - one.truth[both]), 10))
            other.append(np.minimum(np.abs(one.beside[both] - one.truth[both]), 10))
    if not own or not sum(map(len, own)):
        return None
    errors = [float(np.concatenate(part).mean()) for part in (own, other)]
    if errors[0] < 0.5 or errors[1] > errors[0] / 2:
        return None
    return Notice(
        "disparity-of-the-right-image",
        f"read as disparities of the right image, the estimates err by {errors[1]:.2f} px instead of {errors[0]:.2f}; "
        "the truth is that of the left one: left and right are swapped.",
    )


def _mean_order(pairs: Sequence[tuple[Array, Array]]) -> float | None:
    """Return the mean rank correlation over images, None where none of them has an order."""
    found = []
    for truth, estimate in pairs:
        has = (estimate != 0) & np.isfinite(estimate)
        if np.count_nonzero(has) < LEAST:
            continue
        ranks = [_rank(values[has]) for values in (truth, estimate)]
        if all(rank.max() for rank in ranks):
            found.append(float(np.corrcoef(ranks)[0, 1]))
    return float(np.mean(found)) if found else None


def _rank(values: Array) -> Array:
    """Return the rank of each value among the different ones, float64."""
    _, place = np.unique(values, return_inverse=True)
    return place.astype(np.float64)


def _units(seen: _Seen) -> Iterator[Notice | None]:
    """Return the notice that one factor separates estimates and truth, where the protocol does not remove it."""
    rules = seen.rules
    if isinstance(rules, MonoRules) and rules.scaling != METRIC:
        return
    ratios = []
    for one in seen.looks:
        has = (one.estimate > 0) & np.isfinite(one.estimate)
        ratios.append(one.estimate[has].astype(np.float64) / one.truth[has])
    ratio = np.concatenate(ratios) if ratios else np.empty(0)
    if len(ratio) < LEAST:
        return
    low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95]).tolist()
    way = "scale=N divides the numbers of files by N"
    if not isinstance(rules, StereoRules):
        way += ", and median-scale protocols remove a factor"
    if (high - low) / middle < SAME_FACTOR and abs(middle - 1) > SAME_FACTOR:
        yield Notice(
            "one-factor",
            f"one factor explains the estimates: they are {middle:.4g} times the truth ({low:.4g} to {high:.4g} in "
            f"nine of ten pixels), which is a unit rather than an error; {way}.",
        )
        return
    before, after = (float(((DELTA * part > 1) & (part < DELTA)).mean()) for part in (ratio, ratio / middle))
    if before < 0.05 and after > 0.5:
        yield Notice(
            "another-unit",
            f"{before:.1%} of the estimates lie within a quarter of the truth; divided by {middle:.4g}, their median "
            f"ratio to it, {after:.1%} would: they may be in another unit; {way}.",
        )


def _counts(seen: _Seen) -> Iterator[Notice | None]:
    """Return notices about unscored pixels and replaced values."""
    rules, scored, known = seen.rules, seen.total("scored"), seen.total("known")
    if known and scored < known / 2:
        means = "cap and crop" if isinstance(rules, MonoRules) else "cap and masks of occlusion"
        yield Notice(
            "most-truth-left-out",
            f"the protocol scores {scored / known:.1%} of the pixels with truth{seen.where}: look whether its {means} "
            "fit the data, and the truth's unit (data.scale).",
            known - scored,
        )
    none, endless = seen.total("none"), seen.total("endless")
    if isinstance(rules, MonoRules):
        if none and rules.scaling != FITTED_INVERSE:
            as_what = "1 mm" if rules.scaling != FITTED else "0 m in the fit"
            yield Notice(
                "estimates-of-zero",
                f"{none:,} of {scored:,} scored pixels{seen.where} ({none / scored:.1%}) have the estimate 0, which "
                f"counts as {as_what}; there is no way to leave a pixel out.",
                none,
            )
        if endless:
            yield Notice(
                "estimates-of-inf",
                f"{endless:,} of {scored:,} scored pixels{seen.where} ({endless / scored:.1%}) have the estimate inf, "
                f"which counts as the cap of {rules.cap:g} m.",
                endless,
            )
