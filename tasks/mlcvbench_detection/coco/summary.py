"""COCO's precision and recall from match rows: the arrays of pycocotools' `COCOeval.accumulate`, bit for bit.

Only detections that match something can raise precision or recall, so the curves are evaluated only there; what lies
between two of them is a count. All counts are integers for unit weights, so the order of summation does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlcvbench.contract import Array, Table
from mlcvbench_detection.geometry.matching import (
    AREAS,
    THRESHOLDS,
    bit,
    descending,
    same_at_every_threshold,
    stable_order,
    unpack,
)

RECALLS = np.linspace(0.0, 1.0, 101)
EPSILON = np.spacing(1)
DETECTION, ANNOTATION = 0, 1
"""Values of the column `kind`."""


@dataclass(frozen=True, slots=True)
class Number:
    """One metric of a protocol: a mean over classes, over recalls for precision, and over thresholds unless it has one.

    `area`: index into `AREA_RANGES`; `threshold`: index into `IOU_THRESHOLDS`; `limit`: for recall, the most detections
    per category and image. `group`: over the classes of this frequency only.
    """

    name: str
    summary: str
    area: int = 0
    threshold: int | None = None
    limit: int | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Curves:
    """What COCO averages, -1 where a category has no annotation to find.

    `precision` float64 (areas, thresholds, 101 recalls, K) for all considered detections; `recall` float64 (areas,
    limits, thresholds, K) for up to each of `limits` detections per category and image.
    """

    limits: tuple[int, ...]

    precision: Array
    recall: Array


@dataclass(frozen=True, slots=True)
class Ranking:
    """The rows of a table in matching order.

    Detections by (category, descending score, image, rank): `unit`, `category`, `score`, `place`, `match`, `ignore`;
    category k has rows `bounds[k]:bounds[k + 1]`. Annotations, `gt_unit`, `gt_category`, `gt_ignore`, in any order.
    """

    unit: Array
    score: Array
    place: Array
    match: Array
    ignore: Array
    bounds: Array
    gt_unit: Array
    gt_category: Array
    gt_ignore: Array

    @property
    def classes(self) -> int:
        """Number of categories K."""
        return len(self.bounds) - 1


def rank_rows(table: Table, classes: int) -> Ranking:
    """Return the ranking of a table sorted by (unit, rank)."""
    found = stable_order(np.flatnonzero(table["kind"] == DETECTION), table["category"], classes)
    bounds = np.searchsorted(table["category"][found], np.arange(classes + 1))
    score = table["score"][found]
    for first, last in pairwise(bounds.tolist()):  # class by class, which takes half the time of all at once
        order = descending(score[first:last])
        found[first:last], score[first:last] = found[first:last][order], score[first:last][order]
    annotated = np.flatnonzero(table["kind"] == ANNOTATION)
    return Ranking(
        unit=table["unit"][found],
        score=score,
        place=table["place"][found],
        match=table["match"][found],
        ignore=table["ignore"][found],
        bounds=bounds,
        gt_unit=table["unit"][annotated],
        gt_category=table["category"][annotated],
        gt_ignore=table["ignore"][annotated],
    )


@dataclass(frozen=True, slots=True)
class Events:
    """The detections that match something under some setting, and what is between them.

    `row` (E,): their indices in the ranking; `bounds` (K + 1,): the events of each class; `counted`, `true` bool
    (E, areas, thresholds): not ignored; a true positive. `between` bool (areas, N): other detections that are counted,
    equally at all thresholds.
    """

    row: Array
    bounds: Array
    counted: Array
    true: Array
    between: Array


def find_events(ranking: Ranking) -> Events:
    """Return the events of a ranking."""
    event = (ranking.match != 0) | ~same_at_every_threshold(ranking.ignore)
    row = np.flatnonzero(event)
    counted = ~unpack(ranking.ignore[row])
    between = np.stack([~bit(ranking.ignore, area, 0) & ~event for area in range(AREAS)])
    return Events(row, np.searchsorted(row, ranking.bounds), counted, counted & unpack(ranking.match[row]), between)


def curves(ranking: Ranking, limits: tuple[int, ...] = (), weights: Array | None = None) -> Curves:
    """Return the precision and recall arrays; `weights` float64 (U,): how often each unit counts."""
    events, classes = find_events(ranking), ranking.classes
    weight = np.ones(len(events.row)) if weights is None else weights[ranking.unit[events.row]]
    positives = count_positives(ranking, weights)
    category = np.repeat(np.arange(classes), np.diff(events.bounds))
    within = [ranking.place[events.row] < most for most in limits]
    precision = np.full((AREAS, THRESHOLDS, len(RECALLS), classes), -1.0)
    recall = np.full((AREAS, len(limits), THRESHOLDS, classes), -1.0)
    for area in range(AREAS):
        present = positives[area] > 0
        wanted = np.where(present, positives[area], np.inf)
        before = _seen_before(ranking, events.between[area], weights)
        for threshold in range(THRESHOLDS):
            hits = np.flatnonzero(events.true[:, area, threshold])
            own, bounds = category[hits], np.searchsorted(hits, events.bounds)
            counted = np.append(0.0, np.cumsum(weight * events.counted[:, area, threshold]))
            seen = before[events.row[hits]] + counted[hits + 1]
            seen -= (before[ranking.bounds] + counted[events.bounds])[own]
            true = np.arange(1.0, len(hits) + 1) - bounds[own] if weights is None else _up_to(weight[hits], bounds)
            points = recall_points(true, seen, wanted, bounds)
            precision[area, threshold][:, present] = points[:, present]
            for limit, inside in enumerate(within):
                some = hits[inside[hits]]
                reached = np.bincount(category[some], weight[some], classes) / wanted
                recall[area, limit, threshold, present] = reached[present]
    return Curves(limits, precision, recall)


def _seen_before(ranking: Ranking, between: Array, weights: Array | None) -> Array:
    """Return float64 (N + 1,): how many of the detections `between` come before each index of the ranking."""
    seen = np.zeros(len(between) + 1)
    np.cumsum(between if weights is None else weights[ranking.unit] * between, out=seen[1:])
    return seen


def _up_to(weight: Array, bounds: Array) -> Array:
    """Return the sums of weights (H,) up to and with each, from the first of its class on.

    Class by class: a difference of longer sums is rounded, and a recall of exactly 0.5, say, then missed.
    """
    return np.concatenate([np.cumsum(weight[first:last]) for first, last in pairwise(bounds.tolist())])


def recall_points(true: Array, seen: Array, positives: Array, bounds: Array) -> Array:
    """Return the interpolated precision of each class at `RECALLS`, float64 (101, K).

    `true`, `seen` float64 (H,): true positives, and all counted detections, of a class up to and with each true
    positive; class k has those of `bounds[k]:bounds[k + 1]`. `positives` (K,): its annotations to find.
    """
    own = np.repeat(np.arange(len(positives)), np.diff(bounds))
    envelope = (true / (seen + EPSILON))[::-1].copy()
    for last, first in pairwise((len(true) - bounds[::-1]).tolist()):
        np.maximum.accumulate(envelope[last:first], out=envelope[last:first])
    reached = RECALLS.searchsorted(true / positives[own], side="right")  # how many of the recalls
    cells = np.bincount(own * (len(RECALLS) + 1) + reached, minlength=len(positives) * (len(RECALLS) + 1))
    below = cells.reshape(len(positives), -1)[:, :-1].cumsum(axis=1)  # the true positives before each recall
    place = bounds[:-1, None] + below
    found: Array = np.append(envelope[::-1], 0.0)[np.where(place < bounds[1:, None], place, len(true))]
    return found.T


def count_positives(ranking: Ranking, weights: Array | None = None) -> Array:
    """Return float64 (areas, K): the annotations to find in each area range."""
    weight = np.ones(len(ranking.gt_unit)) if weights is None else weights[ranking.gt_unit]
    return np.stack(
        [
            np.bincount(ranking.gt_category, weight * ~bit(ranking.gt_ignore, area, 0), ranking.classes)
            for area in range(AREAS)
        ]
    )


def summarise_curves(found: Curves, numbers: Sequence[Number], groups: Array) -> list[float | None]:
    """Return the metrics, None where no category has an annotation to find; `groups` (K,): the frequency of each class.

    Like pycocotools, `numpy.mean` over what is not -1, in the order (threshold, recall, category).
    """
    values = []
    for number in numbers:
        if number.limit is not None:
            chosen = found.recall[number.area, found.limits.index(number.limit)]
        else:
            chosen = found.precision[number.area]
            chosen = chosen if number.threshold is None else chosen[number.threshold]
        chosen = chosen[..., groups == number.group] if number.group else chosen
        values.append(_mean(chosen[chosen > -1]))
    return values


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None
