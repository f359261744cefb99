"""The scorer of classification: accuracy by rank and by class, negative log-likelihood and calibration error.

`scores` are any finite real numbers, larger for likelier classes, and are interpreted as logits: `nll` and `ece` take
their softmax. `probabilities` are used unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Predictions, Problem, Table, Targets, VectorizedScorer
from mlcvbench.errors import DataError
from mlcvbench_classification.ranking import TINY, rank_labels, rank_probabilities
from mlcvbench_classification.sums import CountsByGroup, SumsByBin, SumsByClass, SumsByGroup, worth_keeping

PROTOCOL = "top1/single-crop@2"
FIRST_PROTOCOL = "top1/single-crop@1"
ECE_BINS = 15
TOLERANCE = "reference-tolerance"
_SHARED = (
    MetricSpec("top1", "share of samples whose highest score is the label's; at ties the lowest class index counts"),
    MetricSpec("top5", "share of samples with fewer than five scores before the label's; needs 6 classes or more"),
    MetricSpec("macro_f1", "mean F1 of the classes that occur as label or prediction", provenance=TOLERANCE),
)
METRICS = (
    *_SHARED,
    MetricSpec(
        "nll",
        f"mean of -log probability of the label; a given probability is at least {TINY:.3g}, so at most "
        f"{-np.log(TINY):.2f} per sample",
        "nat",
        False,
        TOLERANCE,
    ),
    MetricSpec(
        "ece",
        "expected calibration error: mean gap of accuracy and confidence in 15 equal bins [k/15, (k+1)/15), the last "
        "with 1",
        "fraction",
        False,
        TOLERANCE,
    ),
    MetricSpec("balanced_accuracy", "mean over the classes with labels of the share found", provenance=TOLERANCE),
    MetricSpec("weighted_f1", "mean F1 of the classes, weighted by their labels", provenance=TOLERANCE),
)
FIRST_METRICS = (
    *_SHARED,
    MetricSpec("nll", "mean of -log softmax(scores)[label]", "nat", False, TOLERANCE),
    MetricSpec("ece", "expected calibration error of the softmax, 15 equal bins", "fraction", False, TOLERANCE),
)
NO_SCORES = "the predictions are labels without scores"


class ClassificationScorer(VectorizedScorer):
    """Protocol `top1/single-crop@2`: one prediction per image as it is given, over the data set's class list.

    - `top1`, `top5`: rank of the label by `#(s > s_y) + #(j < y and s_j == s_y)`.
    - `macro_f1`: scikit-learn's `f1_score(average="macro", zero_division=0)`; a class that occurs neither among the
      labels nor the predictions (of a resample) has no F1 and is left out of the mean. `weighted_f1`: that of
      `average="weighted"`. `balanced_accuracy`: scikit-learn's `balanced_accuracy_score`.
    - `nll`, `ece`: of the probabilities, or of the softmax of scores in float32. `ece` as in Guo et al., On Calibration
      of Modern Neural Networks, ICML 2017, with 15 bins closed on the left, the last on both sides (np.histogram).

    Predictions that are labels without scores have `top1`, `macro_f1`, `balanced_accuracy` and `weighted_f1` only.
    """

    protocol_id = PROTOCOL
    metrics: tuple[MetricSpec, ...] = METRICS
    bins = ECE_BINS

    def __init__(self, problem: Problem) -> None:
        self.classes = len(problem.classes)

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return a row per sample: unit, label, prediction, label_rank (-1 unknown), confidence, loss (NaN unknown)."""
        labels = np.asarray(targets["label"]).astype(np.int64)
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.classes:
            outside = labels[(labels < 0) | (labels >= self.classes)][0]
            raise DataError(f"label {outside} is outside the class list; wanted 0 to {self.classes - 1}.")
        columns = {"unit": np.asarray(units, dtype=np.int64), "label": labels}
        if "labels" in predictions:
            unknown = np.full(len(labels), np.nan)
            facts = (predictions["labels"].astype(np.int64), np.full(len(labels), -1), unknown, unknown)
        else:
            facts = self.ranked(predictions, labels)
        return Table(columns | dict(zip(("prediction", "label_rank", "confidence", "loss"), facts, strict=True)))

    def ranked(self, predictions: Predictions, labels: Array) -> tuple[Array, Array, Array, Array]:
        """Return prediction, label_rank, confidence and loss of each sample."""
        if "probabilities" in predictions:
            return rank_probabilities(predictions["probabilities"], labels)
        return rank_labels(predictions["scores"], labels)

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        return self.by_counts(table)(weights)

    def by_counts(self, table: Table, group_of: Array | None = None) -> Callable[[Array], dict[str, Array]]:
        of_row = table["unit"] if group_of is None else group_of[table["unit"]]
        groups = None if group_of is None else int(group_of.max(initial=-1)) + 1
        by_class, over_bins = _by_class(table, self.classes, of_row, groups), self._over_bins(table, of_row, groups)
        undefined = self.undefined(table)

        def summarise(weights: Array) -> dict[str, Array]:
            found = by_class(weights)
            overall, gaps = over_bins(weights)
            total = found.labelled.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):  # without weight 0 / 0 is NaN, undefined
                many = {
                    "top1": found.hits.sum(axis=1) / total,
                    "top5": overall[:, 0] / total,
                    "macro_f1": _macro_f1(found),
                    "nll": overall[:, 1] / total,
                    "ece": np.abs(gaps / total[:, None]).sum(axis=1),
                    "balanced_accuracy": _balanced_accuracy(found),
                    "weighted_f1": _weighted_f1(found),
                }
            nothing = np.full(len(weights), np.nan)
            return {metric.name: nothing if metric.name in undefined else many[metric.name] for metric in self.metrics}

        return summarise

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that have no value for these rows, each with the reason."""
        if not len(table):
            return dict.fromkeys((metric.name for metric in self.metrics), "there are no samples")
        reasons = {}
        if self.classes <= 5:
            reasons["top5"] = f"with {self.classes} classes the label is always among the five highest scores"
        if (table["label_rank"] < 0).any():
            reasons |= dict.fromkeys(("top5", "nll", "ece"), NO_SCORES)
        return reasons

    def _over_bins(self, table: Table, of_row: Array, groups: int | None) -> SumsByBin | SumsByGroup:
        """Return the function that sums top-5 hits, losses, and correct - confidence per confidence bin.

        `of_row` (N,): the unit of each row, or its group where there are `groups`.
        """
        right, known = table["label"] == table["prediction"], not np.isnan(table["loss"]).any()
        loss, gap, bin_of = (np.zeros(len(table)), np.zeros(len(table)), np.zeros(len(table), dtype=np.int64))
        if known:
            loss, gap = table["loss"], right - table["confidence"]
            bin_of = np.minimum(confidence_bins(table["confidence"]), self.bins - 1)
        overall = np.column_stack([table["label_rank"] < 5, loss])
        if groups is not None and worth_keeping(self.bins, groups, len(table)):
            return SumsByGroup(overall, gap, bin_of, of_row, self.bins, groups)
        return SumsByBin(overall, gap, bin_of, of_row, self.bins)


def confidence_bins(confidence: Array) -> Array:
    """Return the bin 0..15 of each confidence: [0, 1/15), [1/15, 2/15) ... [14/15, 1), and 15 for exactly 1.

    >>> confidence_bins(np.array([0.05, 0.5, 0.99, 1.0])).tolist()
    [0, 7, 14, 15]
    """
    edges = np.linspace(0, 1, ECE_BINS + 1, dtype=np.float32)
    return np.searchsorted(edges, confidence.astype(np.float32), side="right") - 1


def confusion_matrix(table: Table, classes: int) -> Array:
    """Return int64 (C, C): how many samples of each label (row) got each prediction (column)."""
    joint: Array = np.bincount(table["label"] * classes + table["prediction"], minlength=classes * classes)
    return joint.reshape(classes, classes)


def class_f1(true_positives: Array, occurrences: Array) -> Array:
    """Return F1 = 2 TP / (labels + predictions) of each class, NaN where the class does not occur."""
    with np.errstate(invalid="ignore"):
        f1: Array = 2 * true_positives / occurrences
    return f1


class _ByClass(NamedTuple):
    """Weights of each class under each row of weights (R, C): correct predictions, labels and predictions."""

    hits: Array
    labelled: Array
    predicted: Array

    def f1(self) -> Array:
        """Return F1 of each class, NaN where it does not occur."""
        return class_f1(self.hits, self.labelled + self.predicted)


def _by_class(table: Table, classes: int, of_row: Array, groups: int | None) -> Callable[[Array], _ByClass]:
    """Return the function that gives weights per class under any weights of the units (R, U), or of the `groups`.

    `of_row` (N,): the unit or the group of each row.
    """
    labels, predicted = table["label"], table["prediction"]
    right, wrong = np.flatnonzero(labels == predicted), np.flatnonzero(labels != predicted)
    if groups is not None and worth_keeping(3 * classes, groups, len(table)):
        lists = [(labels[right], of_row[right]), (labels, of_row), (predicted, of_row)]
        counts = CountsByGroup(lists, classes, groups)
        return lambda weights: _ByClass(*counts(weights))
    hit = SumsByClass(labels[right], of_row[right], classes)
    missed = SumsByClass(labels[wrong], of_row[wrong], classes)
    mistaken = SumsByClass(predicted[wrong], of_row[wrong], classes)

    def found(weights: Array) -> _ByClass:
        hits = hit(weights)
        return _ByClass(hits, hits + missed(weights), hits + mistaken(weights))

    return found


def _macro_f1(found: _ByClass) -> Array:
    """Return the mean F1 (R,) over the classes with weight among labels or predictions, NaN when there is none."""
    present = np.count_nonzero(found.labelled + found.predicted > 0, axis=1)
    with np.errstate(invalid="ignore"):
        mean: Array = np.nansum(found.f1(), axis=1) / present
    return mean


def _weighted_f1(found: _ByClass) -> Array:
    """Return the mean F1 (R,) of the classes weighted by their labels, NaN without labels."""
    with np.errstate(invalid="ignore"):
        mean: Array = np.nansum(found.f1() * found.labelled, axis=1) / found.labelled.sum(axis=1)
    return mean


def _balanced_accuracy(found: _ByClass) -> Array:
    """Return the mean recall (R,) over the classes with weight among the labels, NaN when there is none."""
    with np.errstate(invalid="ignore"):
        recall = found.hits / found.labelled
        mean: Array = np.nansum(recall, axis=1) / np.count_nonzero(found.labelled > 0, axis=1)
    return mean


class FirstScorer(ClassificationScorer):
    """Protocol `top1/single-crop@1`, kept for what was published under it.

    Probabilities become logarithms, whose softmax in float32 loses the last bit, so that round ones may fall into the
    bin below; a confidence of exactly 1 has its own bin, as in torchmetrics' `MulticlassCalibrationError`.
    """

    protocol_id = FIRST_PROTOCOL
    metrics = FIRST_METRICS
    bins = ECE_BINS + 1

    def ranked(self, predictions: Predictions, labels: Array) -> tuple[Array, Array, Array, Array]:
        if "probabilities" in predictions:
            return rank_labels(np.log(np.maximum(predictions["probabilities"], TINY)), labels)
        return super().ranked(predictions, labels)


SCORERS: Mapping[str, type[ClassificationScorer]] = {PROTOCOL: ClassificationScorer, FIRST_PROTOCOL: FirstScorer}
"""The scorer of each protocol id."""
ABOUT: Mapping[str, str] = {
    PROTOCOL: "One prediction per image as it is given; means over the images, and over classes where stated.",
    FIRST_PROTOCOL: "As above, kept for what was published under it: probabilities go through a logarithm and a "
    "softmax, and a confidence of exactly 1 has its own bin.",
}
"""Descriptions of the protocols for `mlcvbench info classification`."""
