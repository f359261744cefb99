"""Matches detections to annotations like pycocotools' `COCOeval.evaluateImg`, for all images at once.

Detections of a category in an image are processed by descending score; each takes the free annotation with the highest
IoU that reaches the threshold, preferring counted to ignored ones; a crowd can be taken many times. That order is
sequential only within an (image, category) group, so round r decides the r-th detection of every group together, under
all thresholds and area ranges.

Source: Lin et al., Microsoft COCO, ECCV 2014; pycocotools 2.0, cocoeval.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.geometry.ragged import expand, runs_of

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = ((0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10))
"""all, small, medium, large: areas in square pixels, both ends inclusive."""
THRESHOLDS, AREAS = len(IOU_THRESHOLDS), len(AREA_RANGES)
SETTINGS = THRESHOLDS * AREAS
EVERY_SETTING = np.uint64((1 << SETTINGS) - 1)
"""Bit `area * 10 + threshold` of a mask is the outcome under that area range and threshold."""
_NO_SETTING = np.uint64(0)
_PAIRS_AT_ONCE = 1 << 15
_ALL_THRESHOLDS = np.uint64((1 << THRESHOLDS) - 1)
_FIRST_BITS = np.uint64(sum(1 << (area * THRESHOLDS) for area in range(AREAS)))
_REACHED = np.array([((1 << count) - 1) for count in range(THRESHOLDS + 1)], dtype=np.uint64) * _FIRST_BITS
"""By how many thresholds an IoU reaches: the settings with these."""

PairIou = Callable[[Array, Array], Array]
"""IoU of pairs: indices of detections (P,) and of annotations (P,) to float64 (P,)."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections of U images in any order: `unit`, `label` int64 (N,), `score`, `area` float64 (N,)."""

    unit: Array
    label: Array
    score: Array
    area: Array


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations: `unit`, `label` int64 (M,), `area` float64 (M,), `crowd`, `ignored` and `void` bool (M,).

    `crowd`: may be matched many times. `ignored`: does not have to be found, whatever its area. `void`: annotations
    with id 0. pycocotools stores the id of what a detection matched and takes 0 for "nothing", so a detection that
    matches one counts as unmatched.
    """

    unit: Array
    label: Array
    area: Array
    crowd: Array
    ignored: Array
    void: Array


@dataclass(frozen=True, slots=True)
class Matched:
    """The outcome of matching: masks uint64 with one bit per setting.

    `order` (N',): the considered detections, by (unit, label, descending score, index in the input), and `place` (N',):
    their rank in the (unit, label) group. `match`, `ignore` (N',) are in that order: matched to an annotation; left out
    of the count. `taken`, `left_out` (M,): annotations that some detection matched; annotations that do not have to be
    found.
    """

    order: Array
    place: Array
    match: Array
    ignore: Array
    taken: Array
    left_out: Array


def match(detections: Detections, annotations: Annotations, classes: int, most: int, pair_iou: PairIou) -> Matched:
    """Match detections to annotations under all 40 settings.

    `most`: detections per category and image that are considered, the highest scores first.
    """
    ranked = _rank(detections, classes, most)
    left_out = np.where(annotations.ignored, EVERY_SETTING, ranges_missed(annotations.area))
    pairs = _candidates(ranked, annotations.unit * classes + annotations.label, pair_iou)
    state = _State(
        match=np.zeros(len(ranked.order), dtype=np.uint64),
        to_ignored=np.zeros(len(ranked.order), dtype=np.uint64),
        taken=np.zeros(len(annotations.unit), dtype=np.uint64),
    )
    many = np.where(annotations.crowd, EVERY_SETTING, _NO_SETTING)
    kept = np.where(annotations.void, _NO_SETTING, EVERY_SETTING)
    for chosen in _rounds(pairs, ranked.key):
        _decide(chosen, left_out, many, kept, state)
    missed = ranges_missed(detections.area[ranked.order])
    ignore = state.to_ignored | (missed & ~state.match)
    return Matched(ranked.order, ranked.place, state.match, ignore, state.taken, left_out)


def ranges_missed(area: Array) -> Array:
    """Return masks uint64 (N,): the settings whose area range does not contain each area."""
    masks = np.zeros(len(area), dtype=np.uint64)
    for number, (low, high) in enumerate(AREA_RANGES):
        missed = (area < low) | (area > high)
        masks |= missed * (_ALL_THRESHOLDS << np.uint64(number * THRESHOLDS))
    return masks


def unpack(masks: Array) -> Array:
    """Return bool (N, areas, thresholds)."""
    flat = np.unpackbits(masks.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    flags: Array = flat[:, :SETTINGS].reshape(-1, AREAS, THRESHOLDS).astype(bool)
    return flags


def bit(masks: Array, area: int, threshold: int) -> Array:
    """Return bool (N,): the bit of one setting."""
    found: Array = (masks >> np.uint64(area * THRESHOLDS + threshold)) & np.uint64(1) != 0
    return found


def same_at_every_threshold(masks: Array) -> Array:
    """Return bool (N,): which masks are equal at all thresholds, for each area range."""
    same: Array = (masks & _FIRST_BITS) * _ALL_THRESHOLDS == masks
    return same


def stable_order(order: Array, key: Array, largest: int) -> Array:
    """Return `order` sorted stably by non-negative `key` of up to `largest`.

    One pass per 16 bits, each of which numpy sorts by counting.
    """
    for shift in range(0, max(1, int(largest).bit_length()), 16):
        digits = ((key[order] >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
    return order


def descending(values: Array) -> Array:
    """Return the order of descending values, of equal ones the first first, as numpy's stable sort in half its time.

    >>> descending(np.array([1.0, 2.0, 1.0, 2.0])).tolist()
    [1, 3, 0, 2]
    """
    order = np.argsort(-values)
    ranked = values[order]
    run = np.cumsum(np.append(False, ranked[1:] != ranked[:-1]))
    places: Array = np.sort((run << 32) | order) & 0xFFFFFFFF
    return places


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The considered detections, in the order of `Matched.order`.

    `place` (N',): rank in the group; `key` (N',): unit * classes + label; `starts` (G,), `counts` (G,): the groups.
    """

    order: Array
    place: Array
    key: Array
    starts: Array
    counts: Array


def _rank(detections: Detections, classes: int, most: int) -> _Ranked:
    unit, score = detections.unit, detections.score
    in_order = (unit[1:] > unit[:-1]) | ((unit[1:] == unit[:-1]) & (score[1:] <= score[:-1]))
    order = np.arange(len(score)) if in_order.all() else descending(score)  # detectors sort by score
    order = stable_order(order, detections.label, classes)
    order = stable_order(order, unit, int(unit.max(initial=0)))
    key = (unit * classes + detections.label)[order]
    starts, counts = runs_of(key)
    place = (np.arange(len(key)) - np.repeat(starts, counts)).astype(np.int32)
    if counts.max(initial=0) > most:
        seen = place < most
        order, place, key = order[seen], place[seen], key[seen]
        starts, counts = runs_of(key)
    return _Ranked(order, place, key, starts, counts)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs that some threshold accepts, sorted by detection, then with the preferred one last.

    `detection`: the place in the order of the ranking; `accepted`: the settings whose threshold the IoU reaches.
    """

    detection: Array
    annotation: Array
    accepted: Array


def _candidates(ranked: _Ranked, annotation_key: Array, pair_iou: PairIou) -> _Pairs:
    by_key = np.argsort(annotation_key, kind="stable")
    sorted_key = annotation_key[by_key]
    groups = ranked.key[ranked.starts]
    first = np.searchsorted(sorted_key, groups)
    counts = np.searchsorted(sorted_key, groups, side="right") - first
    both = np.flatnonzero(counts)
    owners = expand(ranked.starts[both], ranked.counts[both])
    first, counts = (np.repeat(values[both], ranked.counts[both]) for values in (first, counts))  # one owner each
    parts = [_Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64))]
    for rows in _blocks(counts):
        detection = np.repeat(owners[rows], counts[rows])
        annotation = by_key[expand(first[rows], counts[rows])]
        iou = pair_iou(ranked.order[detection], annotation)
        near = np.flatnonzero(iou >= IOU_THRESHOLDS[0])
        near = near[np.lexsort((iou[near], detection[near]))]  # stable: of equal IoUs the later comes last
        accepted = _REACHED[np.searchsorted(IOU_THRESHOLDS, iou[near], side="right")]
        parts.append(_Pairs(detection[near], annotation[near], accepted))
    return _Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Pairs.__slots__))


def _blocks(counts: Array) -> Iterator[slice]:
    """Yield the owners in blocks whose pairs fit in the caches."""
    block = np.cumsum(counts) // _PAIRS_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    return (slice(first, last) for first, last in pairwise(cuts))


def _rounds(pairs: _Pairs, key: Array) -> Iterator[_Pairs]:
    """Yield the pairs of the first detection of every group, then those of the second, and so on."""
    starts, counts = runs_of(pairs.detection)
    first, sizes = runs_of(key[pairs.detection[starts]])
    turn = np.arange(len(starts)) - np.repeat(first, sizes)
    by_turn = np.argsort(turn, kind="stable")
    for block in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1) if len(turn) else ():
        rows = expand(starts[block], counts[block])
        yield _Pairs(pairs.detection[rows], pairs.annotation[rows], pairs.accepted[rows])


@dataclass(frozen=True, slots=True)
class _State:
    """The settings, so far, in which a detection is matched, or took an annotation that is left out; `taken`: those in
    which an annotation was taken.
    """

    match: Array
    to_ignored: Array
    taken: Array


def _decide(pairs: _Pairs, left_out: Array, many: Array, kept: Array, state: _State) -> None:
    """Let each detection of a round take its annotation in every setting; no two compete for the same one.

    Masks of annotations: `left_out`: where they do not have to be found; `many`: where they can be taken many times;
    `kept`: where who takes them is matched.
    """
    starts, counts = runs_of(pairs.detection)
    free = pairs.accepted & (~state.taken[pairs.annotation] | many[pairs.annotation])
    ignored = left_out[pairs.annotation]
    done = np.zeros(len(starts), dtype=np.uint64)
    for counted in (True, False):  # counted annotations first, whatever the IoU
        allowed = free & (~ignored if counted else ignored)
        for back in range(1, int(counts.max(initial=0)) + 1):  # the preferred pair of a detection is its last
            some = np.flatnonzero(counts >= back)
            pair = starts[some] + counts[some] - back
            won = allowed[pair] & ~done[some]
            done[some] |= won
            detection, annotation = pairs.detection[pair], pairs.annotation[pair]
            state.taken[annotation] |= won
            state.match[detection] |= won & kept[annotation]
            if not counted:
                state.to_ignored[detection] |= won
