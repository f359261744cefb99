"""The numbers behind a detector's metrics: by class and size, kinds of mistakes, confusions, the best confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlcvbench.contract import Array, Breakdown, Outcome, Table
from mlcvbench_detection.analysis.confidence import Confidence, Operating, confidence_of, operating, operating_by_class
from mlcvbench_detection.analysis.curves import is_coco, precision_recall
from mlcvbench_detection.analysis.mistakes import Mistakes, mistakes
from mlcvbench_detection.coco.summary import Curves, count_positives, curves, rank_rows
from mlcvbench_detection.geometry.matching import AREA_RANGES
from mlcvbench_detection.proposal_recall import ProposalRecall, recall_of

Columns = dict[str, tuple[str, Sequence[float | None]]]
MEANS = ("AP", "AP50", "AP75", "AR")
SIZES = ("all", "small", "medium", "large")
"""Names of `AREA_RANGES`."""
LISTED = 20
"""The most confusions that are listed."""
BACKGROUND = "background"
_ANY = 1 << 16
"""More detections than a protocol considers of a class and image."""


def breakdowns(outcome: Outcome) -> list[Breakdown]:
    """Return the breakdowns that the results allow."""
    table, classes = outcome.table, outcome.problem.classes
    own = operating_by_class(table, len(classes))
    wanted = np.array([points.wanted for points in own])
    if not wanted.any():
        return []
    found = [*(_coco_classes(table, classes) if is_coco(table) else _voc_classes(table, classes, wanted))]
    every, faults = operating(table), outcome.once(mistakes)
    chosen = None if every.best is None else outcome.once(confidence_of)
    if chosen is not None:
        found.append(_confidence(classes, every, own, chosen))
    found += [_kinds(faults), _confusions(faults, classes, chosen)]
    proposed = recall_of(outcome.predictions, outcome.targets)
    return found if proposed is None else [*found, _proposals(proposed)]


def _coco_classes(table: Table, classes: Sequence[str]) -> Iterator[Breakdown]:
    ranking = rank_rows(table, len(classes))
    found, wanted = curves(ranking, (_ANY,)), count_positives(ranking)  # (areas, K)
    areas, shown = range(len(AREA_RANGES)), np.flatnonzero(wanted[0]).tolist()
    every = np.array([_means(found, area, wanted[area] > 0) for area in areas])
    columns = _counts("objects", wanted.sum(axis=1))
    note = "Means over the classes that have such an object."
    yield Breakdown("By size", note, "size", SIZES, columns | _numbers(every))
    labels, names = np.eye(len(classes), dtype=bool), [classes[k] for k in shown]
    own = np.array([[_means(found, area, labels[k] & (wanted[area] > 0)) for k in shown] for area in areas])
    columns, note = _counts("objects", wanted[0][shown]), "Classes that have an object to find."
    yield Breakdown("By class", note, "class", names, columns | _numbers(own[0]))
    columns = {}
    for name in ("AP", "AR"):
        for size, means in zip(SIZES[1:], own[1:], strict=True):
            columns[f"{name} {size}"] = ("fraction", _plain(means[:, MEANS.index(name)]))
    yield Breakdown("By class and size", note, "class", names, columns)


def _means(found: Curves, area: int, chosen: Array) -> list[float]:
    """Return the `MEANS` of the chosen classes, bool (K,), in an area range; NaN without a class."""
    if not chosen.any():
        return [np.nan] * len(MEANS)
    precision, recall = found.precision[area][..., chosen], found.recall[area, 0][:, chosen]
    return [float(values.mean()) for values in (precision, precision[0], precision[5], recall)]


def _numbers(means: Array) -> Columns:
    return {name: ("fraction", _plain(means[:, place])) for place, name in enumerate(MEANS)}


def _counts(name: str, values: Array) -> Columns:
    return {name: ("1", [float(value) for value in values.tolist()])}


def _voc_classes(table: Table, classes: Sequence[str], wanted: Array) -> Iterator[Breakdown]:
    average, shown = precision_recall(table, len(classes)).average, np.flatnonzero(wanted).tolist()
    columns: Columns = _counts("objects", wanted[shown]) | {"AP50": ("fraction", _plain(average[shown]))}
    note = "Classes that have an object to find; the area under the curve, also where the protocol takes eleven points."
    yield Breakdown("By class", note, "class", [classes[k] for k in shown], columns)


def _confidence(classes: Sequence[str], every: Operating, own: Sequence[Operating], chosen: Confidence) -> Breakdown:
    named = zip(classes, own, chosen.own, strict=True)
    lines = [("all together", every, chosen.every), *(one for one in named if one[1].wanted)]
    places = [points.at(least) for _, points, least in lines]

    def at(name: str, without: float | None) -> tuple[str, list[float | None]]:
        pairs = zip(lines, places, strict=True)
        return "fraction", [without if at is None else float(getattr(one, name)[at]) for (_, one, _), at in pairs]

    columns: Columns = {
        "confidence": ("1", [least for _, _, least in lines]),
        "precision": at("precision", None),
        "recall": at("recall", 0.0),
        "F1": at("f1", 0.0),
    }
    note = f"Detections below the confidence are dropped; IoU 0.5. {chosen.said}."
    return Breakdown("Best confidence", note, "class", [name for name, _, _ in lines], columns)


def _kinds(faults: Mistakes) -> Breakdown:
    kinds = faults.kinds()
    columns: Columns = _counts("count", np.array([kind.times for kind in kinds.values()]))
    columns["AP50 lost"] = ("fraction", [kind.lost for kind in kinds.values()] if faults.any else [None] * len(kinds))
    note = (
        "As TIDE counts them: how often, and how much AP at IoU 0.5 would rise were these alone put right. Near is an "
        "IoU of 0.1 to 0.5. localisation: near an object of its class; class: on an object of another class; both: "
        "near one of another class; duplicate: on an object that is taken; background: near nothing; missed: an object "
        "that nothing is on or near."
    )
    return Breakdown("Kinds of mistakes", note, "mistake", list(kinds), columns)


def _confusions(faults: Mistakes, classes: Sequence[str], chosen: Confidence | None) -> Breakdown:
    """Return the matrix of few classes, the most frequent confusions of many."""
    names = [*classes, BACKGROUND]
    matrix = faults.confusion(None if chosen is None else chosen.every)
    note = "All detections at IoU 0.5, whatever their class."
    if chosen is not None:
        note = (
            f"Detections with a confidence of {chosen.every:.3g} or more at IoU 0.5, whatever their class. "
            f"{chosen.said}."
        )
    if len(names) <= LISTED:
        columns: Columns = {}
        for place, name in enumerate(names):
            columns |= _counts(name, matrix[:, place])
        return Breakdown("Objects by what they were taken for", note, "object", names, columns)
    pairs = most_confused(matrix, LISTED)
    lines = [f"{names[wanted]} \u2192 {names[got]}" for wanted, got in pairs]
    columns = _counts("count", np.array([matrix[pair] for pair in pairs]))
    return Breakdown("Most frequent confusions", f"Object \u2192 detection. {note}", "confusion", lines, columns)


def _proposals(found: ProposalRecall) -> Breakdown:
    note = (
        "The share of the objects that the first proposals of an image cover, whatever the class; the mean is over IoU "
        f"0.50 to 0.95. An image has {found.proposals:.1f} proposals in the mean."
    )
    columns: Columns = {
        "recall at IoU 0.5": ("fraction", _plain(found.at_half)),
        "mean recall": ("fraction", _plain(found.average)),
    }
    return Breakdown("Recall of the proposals", note, "first", [f"{count}" for count in found.counts], columns)


def most_confused(matrix: Array, most: int) -> list[tuple[int, int]]:
    """Return the places of the largest numbers beside the diagonal, at most `most`, none of them 0."""
    wrong = (matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))).ravel()
    order = np.argsort(-wrong, kind="stable")[:most]
    return [divmod(place, len(matrix)) for place in order[wrong[order] > 0].tolist()]


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values.tolist()]
