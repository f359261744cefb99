"""COCO's metrics under many weightings of the images at once, for bootstrap intervals.

What does not depend on the weights is computed once: the order of the detections, and which of them matter. A detection
that matches nothing under any setting only adds its weight to the number of detections seen; those between two matching
ones form one running sum, shared by all thresholds. The rest follows `summary.curves`, a matrix (resamples, events) at
a time instead of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.coco.summary import EPSILON, RECALLS, Events, Number, Ranking, find_events
from mlcvbench_detection.geometry.interpolation import interpolated_mean
from mlcvbench_detection.geometry.matching import AREAS, THRESHOLDS, unpack

_CELLS = 1 << 18
"""Numbers of a matrix processed at a time: 2 MB, which fit in the cache of a core."""


@dataclass(frozen=True, slots=True)
class _Area:
    """The events of a class that are counted in one area range under some threshold, and what is between them.

    `event` (E,): indices into the class's events. `between` (D,): units of the other detections that are counted, in
    order, and `before` (E,): how many of them come before each event. `counted`, `true` bool (thresholds, E).
    """

    event: Array
    between: Array
    before: Array
    counted: Array
    true: Array


@dataclass(frozen=True, slots=True)
class _Class:
    """One class.

    `group`: its frequency; `unit` (E,): units of its events; `found` float64 (E, recalls x thresholds): events that are
    found within the limit of each number that is a recall;
    `gt_unit` (M,), `gt_wanted` float64 (M, areas): units of its annotations and whether they have to be found;
    `longest`: columns of the widest matrix it needs.
    """

    group: str
    unit: Array
    areas: tuple[_Area, ...]
    found: Array
    gt_unit: Array
    gt_wanted: Array
    longest: int


class Plan:
    """What is common to all weightings of one table; `groups` (K,): the frequency of each class."""

    def __init__(self, ranking: Ranking, numbers: Sequence[Number], groups: Array) -> None:
        events = find_events(ranking)
        wanted = ~unpack(ranking.gt_ignore)[:, :, 0]
        annotated = np.argsort(ranking.gt_category, kind="stable")
        gt_bounds = np.searchsorted(ranking.gt_category[annotated], np.arange(ranking.classes + 1))
        self._numbers = tuple(numbers)
        self._recalls = [(number.area, number.limit) for number in numbers if number.limit is not None]
        self._classes = []
        for label in range(ranking.classes):
            own = annotated[gt_bounds[label] : gt_bounds[label + 1]]
            if wanted[own].any():  # a class without annotations to find never has a precision
                found = _Found(label, str(groups[label]), ranking.gt_unit[own], wanted[own].astype(np.float64))
                self._classes.append(_plan_class(ranking, events, found, self._recalls))

    def summarise(self, weights: Array) -> Array:
        """Return the numbers of each weighting (R, U): float64 (R, numbers), NaN where undefined."""
        groups = ["", *dict.fromkeys(number.group for number in self._numbers if number.group)]
        sums = {group: _Sums.of(len(weights), len(self._recalls)) for group in groups}
        areas = [area for area, _ in self._recalls]
        for one in self._classes:
            own = [sums[group] for group in dict.fromkeys(("", one.group)) if group in sums]
            step = max(1, _CELLS // one.longest)
            for start in range(0, len(weights), step):
                rows = slice(start, start + step)
                _add_class(one, weights[rows], areas, [part.rows(rows) for part in own])
        columns, recalls = [], 0
        with np.errstate(invalid="ignore", divide="ignore"):  # without a class to average 0 / 0 is NaN, undefined
            for number in self._numbers:
                found = sums[number.group]
                total = found.total[:, number.area] if number.limit is None else found.reached[:, recalls]
                recalls += number.limit is not None
                mean = total / found.classes[:, number.area, None]
                columns.append(mean.mean(axis=1) if number.threshold is None else mean[:, number.threshold])
        return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over classes for R weightings: `total` (R, areas, thresholds) of precision, `reached` (R, recalls,
    thresholds) of recall, `classes` (R, areas): how many were summed.
    """

    total: Array
    reached: Array
    classes: Array

    @classmethod
    def of(cls, count: int, recalls: int) -> _Sums:
        return cls(
            np.zeros((count, AREAS, THRESHOLDS)), np.zeros((count, recalls, THRESHOLDS)), np.zeros((count, AREAS))
        )

    def rows(self, rows: slice) -> _Sums:
        return _Sums(self.total[rows], self.reached[rows], self.classes[rows])


@dataclass(frozen=True, slots=True)
class _Found:
    """A class and its annotations: their units (M,), and whether they are to be found, float64 (M, areas)."""

    label: int
    group: str
    gt_unit: Array
    gt_wanted: Array


def _plan_class(ranking: Ranking, events: Events, one: _Found, recalls: Sequence[tuple[int, int]]) -> _Class:
    label = one.label
    rows = slice(ranking.bounds[label], ranking.bounds[label + 1])
    own = slice(events.bounds[label], events.bounds[label + 1])
    row, counted, true = events.row[own], events.counted[own], events.true[own]
    areas = []
    for area in range(AREAS):
        mine = np.flatnonzero(counted[:, area].any(axis=1))
        between = rows.start + np.flatnonzero(events.between[area, rows])
        areas.append(
            _Area(
                event=mine,
                between=ranking.unit[between],
                before=np.searchsorted(between, row[mine]),
                counted=counted[mine, area].T,
                true=true[mine, area].T,
            )
        )
    found = [true[:, area] & (ranking.place[row] < limit)[:, None] for area, limit in recalls]
    return _Class(
        group=one.group,
        unit=ranking.unit[row],
        areas=tuple(areas),
        found=np.concatenate(found, axis=1).astype(np.float64),
        gt_unit=one.gt_unit,
        gt_wanted=one.gt_wanted,
        longest=max(1, rows.stop - rows.start, len(one.gt_unit)),
    )


def _add_class(one: _Class, weights: Array, recall_areas: Sequence[int], sums: Sequence[_Sums]) -> None:
    """Add the precision, recall and presence of one class under the weightings (R, U) to the sums."""
    positives = weights[:, one.gt_unit] @ one.gt_wanted  # (R, areas)
    present = positives > 0
    wanted = np.where(present, positives, np.inf)  # a class without annotations adds 0
    events = weights[:, one.unit]  # (R, E)
    found = (events @ one.found).reshape(len(weights), len(recall_areas), THRESHOLDS)
    for part in sums:
        part.classes[:] += present
        part.reached[:] += found / wanted[:, recall_areas, None]
    for area, plan in enumerate(one.areas):
        if not plan.true.any():
            continue
        running = np.zeros((len(weights), len(plan.between) + 1))
        np.cumsum(weights[:, plan.between], axis=1, out=running[:, 1:])
        before = running[:, plan.before]
        mine = events[:, plan.event]
        for threshold in range(THRESHOLDS):
            true = np.flatnonzero(plan.true[threshold])
            if not len(true):
                continue
            seen = before[:, true] + np.cumsum(mine * plan.counted[threshold], axis=1)[:, true]
            hits = np.cumsum(mine[:, true], axis=1)
            precision = interpolated_mean(hits / (seen + EPSILON), hits / wanted[:, area, None], RECALLS)
            for part in sums:
                part.total[:, area, threshold] += precision
