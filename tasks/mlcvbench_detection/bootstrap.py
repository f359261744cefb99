"""COCO's twelve numbers under many weightings of the images at once, for bootstrap intervals.

What does not depend on the weights is worked out once: the order of the detections, and which of them matter. A
detection that matches nothing under any setting only adds its weight to the number of detections seen; those between
two that match are one running sum, shared by all thresholds. The rest follows `summary.curves`, a matrix (resamples,
events) at a time instead of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.interpolation import interpolated_mean
from mlcvbench_detection.matching import AREAS, THRESHOLDS, unpack
from mlcvbench_detection.summary import DETECTION_LIMITS, EPSILON, RECALLS, Events, Ranking, find_events

_CELLS = 1 << 18
"""Numbers of a matrix that is worked on at a time: 2 MB, which stays in the cache of a core."""
_RECALL_SETTINGS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))
"""(area, limit) of COCO's six recalls."""


@dataclass(frozen=True, slots=True)
class _Area:
    """The events of a class that are counted in one area range under some threshold, and what lies between them.

    `event` (E,): places among the class's events. `between` (D,): units of the other detections that are counted, in
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

    `unit` (E,): units of its events; `found` float64 (E, 6 x thresholds): events that are found within each limit;
    `gt_unit` (M,), `gt_wanted` float64 (M, areas): units of its annotations and whether they are to be found;
    `longest`: columns of the widest matrix it needs.
    """

    unit: Array
    areas: tuple[_Area, ...]
    found: Array
    gt_unit: Array
    gt_wanted: Array
    longest: int


class Plan:
    """What is the same for every weighting of one table."""

    def __init__(self, ranking: Ranking) -> None:
        events = find_events(ranking)
        wanted = ~unpack(ranking.gt_ignore)[:, :, 0]
        annotated = np.argsort(ranking.gt_category, kind="stable")
        gt_bounds = np.searchsorted(ranking.gt_category[annotated], np.arange(ranking.classes + 1))
        self._classes = []
        for label in range(ranking.classes):
            own = annotated[gt_bounds[label] : gt_bounds[label + 1]]
            if wanted[own].any():  # a class without annotations to find has no precision under any weighting
                gt_wanted = wanted[own].astype(np.float64)
                self._classes.append(_plan_class(ranking, events, label, ranking.gt_unit[own], gt_wanted))

    def summarise(self, weights: Array) -> Array:
        """Return the twelve numbers of each weighting (R, U): float64 (R, 12), NaN where undefined."""
        total = np.zeros((len(weights), AREAS, THRESHOLDS))
        reached = np.zeros((len(weights), len(_RECALL_SETTINGS), THRESHOLDS))
        classes = np.zeros((len(weights), AREAS))
        for one in self._classes:
            step = max(1, _CELLS // one.longest)
            for start in range(0, len(weights), step):
                rows = slice(start, start + step)
                _add_class(one, weights[rows], total[rows], reached[rows], classes[rows])
        with np.errstate(invalid="ignore", divide="ignore"):  # no class to average: 0 / 0 is NaN, undefined
            precision = total / classes[:, :, None]
            recall = reached / classes[:, [area for area, _ in _RECALL_SETTINGS], None]
        columns = [precision[:, 0].mean(axis=1), precision[:, 0, 0], precision[:, 0, 5]]
        columns += [precision[:, area].mean(axis=1) for area in (1, 2, 3)]
        columns += [recall[:, place].mean(axis=1) for place in range(len(_RECALL_SETTINGS))]
        return np.stack(columns, axis=1)


def _plan_class(ranking: Ranking, events: Events, label: int, gt_unit: Array, gt_wanted: Array) -> _Class:
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
    within = [ranking.place[row] < DETECTION_LIMITS[limit] for _, limit in _RECALL_SETTINGS]
    found = [true[:, area] & inside[:, None] for (area, _), inside in zip(_RECALL_SETTINGS, within, strict=True)]
    return _Class(
        unit=ranking.unit[row],
        areas=tuple(areas),
        found=np.concatenate(found, axis=1).astype(np.float64),
        gt_unit=gt_unit,
        gt_wanted=gt_wanted,
        longest=max(1, rows.stop - rows.start, len(gt_unit)),
    )


def _add_class(one: _Class, weights: Array, total: Array, reached: Array, classes: Array) -> None:
    """Add the precision, recall and presence of one class under the weightings (R, U) to the sums."""
    positives = weights[:, one.gt_unit] @ one.gt_wanted  # (R, areas)
    present = positives > 0
    classes += present
    wanted = np.where(present, positives, np.inf)  # a class without annotations adds 0
    events = weights[:, one.unit]  # (R, E)
    found = (events @ one.found).reshape(len(weights), len(_RECALL_SETTINGS), THRESHOLDS)
    reached += found / wanted[:, [area for area, _ in _RECALL_SETTINGS], None]
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
            total[:, area, threshold] += interpolated_mean(
                hits / (seen + EPSILON), hits / wanted[:, area, None], RECALLS
            )
