"""The scorer of classification: top-1, top-5, macro F1, negative log-likelihood and calibration error.

Scores are any finite real numbers, larger for likelier classes, and are read as logits: `nll` and `ece` take their
softmax. A method that gives probabilities returns their logarithms, which softmax leaves unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Predictions, Problem, Scorer, Table, Targets, Values
from mlcvbench.errors import DataError
from mlcvbench_classification.ranking import rank_labels

PROTOCOL = "top1/single-crop@1"
ECE_BINS = 15
FEW_CLASSES = 64
"""Up to here, sums by class are one matrix product; beyond, a count a resample is quicker and needs less memory."""
TOLERANCE = "reference-tolerance"
METRICS = (
    MetricSpec("top1", "share of samples whose highest score is the label's; at ties the lowest class index counts"),
    MetricSpec("top5", "share of samples with fewer than five scores before the label's; needs 6 classes or more"),
    MetricSpec("macro_f1", "mean F1 of the classes that occur as label or prediction", provenance=TOLERANCE),
    MetricSpec("nll", "mean of -log softmax(scores)[label]", "nat", False, TOLERANCE),
    MetricSpec("ece", "expected calibration error of the softmax, 15 equal bins", "fraction", False, TOLERANCE),
)
NO_SCORES = "the predictions are labels without scores"


class ClassificationScorer(Scorer):
    """Protocol `top1/single-crop@1`: one prediction an image as it is given, over the data set's class list.

    - `top1`, `top5`: rank of the label by `#(s > s_y) + #(j < y and s_j == s_y)`.
    - `macro_f1`: scikit-learn's `f1_score(average="macro", zero_division=0)`; a class that occurs neither among the
      labels nor the predictions (of a resample) has no F1 and is left out of the mean.
    - `nll`, `ece`: of the softmax in float32; `ece` as torchmetrics' `MulticlassCalibrationError` with 15 bins and
      norm l1, where a confidence of exactly 1 has a bin of its own.

    Predictions that are labels without scores have `top1` and `macro_f1` only.
    """

    protocol_id = PROTOCOL
    metrics = METRICS

    def __init__(self, problem: Problem) -> None:
        self.classes = len(problem.classes)

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return a row a sample: unit, label, prediction, label_rank (-1 unknown), confidence, loss (NaN unknown)."""
        labels = np.asarray(targets["label"]).astype(np.int64)
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.classes:
            outside = labels[(labels < 0) | (labels >= self.classes)][0]
            raise DataError(f"label {outside} is outside the class list; wanted 0 to {self.classes - 1}.")
        columns = {"unit": np.asarray(units, dtype=np.int64), "label": labels}
        if "scores" in predictions:
            ranking = rank_labels(predictions["scores"], labels)
            facts = (ranking.prediction, ranking.rank, ranking.confidence, ranking.loss)
        else:
            unknown = np.full(len(labels), np.nan)
            facts = (predictions["labels"].astype(np.int64), np.full(len(labels), -1), unknown, unknown)
        return Table(columns | dict(zip(("prediction", "label_rank", "confidence", "loss"), facts, strict=True)))

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return every metric, None where `undefined` says why; equal to `summarise_many` with one row, bit for bit."""
        size = int(table["unit"].max()) + 1 if len(table) else 0
        row = np.ones(size) if weights is None else np.asarray(weights, dtype=np.float64)
        many = self.summarise_many(table, row[None])
        return {name: None if np.isnan(values[0]) else float(values[0]) for name, values in many.items()}

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        labels, predicted, unit = table["label"], table["prediction"], table["unit"]
        aligned = len(unit) == weights.shape[1] and np.array_equal(unit, np.arange(len(unit)))
        weights = weights if aligned else weights[:, unit]  # (R, N)
        sums = weights @ self._features(table)  # (R, 4 + bins)
        with np.errstate(invalid="ignore", divide="ignore"):  # no weight at all: 0 / 0 is NaN, undefined
            means = sums[:, 1:] / sums[:, :1]
        many = {
            "top1": means[:, 0],
            "top5": means[:, 1],
            "macro_f1": _macro_f1(weights, labels, predicted, self.classes),
            "nll": means[:, 2],
            "ece": np.abs(means[:, 3:]).sum(axis=1),
        }
        for name in self.undefined(table):
            many[name] = np.full(len(weights), np.nan)
        return many

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that have no value for these rows, each with the reason."""
        if not len(table):
            return dict.fromkeys((metric.name for metric in METRICS), "there are no samples")
        reasons = {}
        if self.classes <= 5:
            reasons["top5"] = f"with {self.classes} classes the label is always among the five highest scores"
        if (table["label_rank"] < 0).any():
            reasons |= dict.fromkeys(("top5", "nll", "ece"), NO_SCORES)
        return reasons

    def _features(self, table: Table) -> Array:
        """Return float64 (N, 4 + bins): 1, right, in top 5, loss; right - confidence in the sample's bin, else 0."""
        right = table["label"] == table["prediction"]
        features = np.zeros((len(table), 4 + ECE_BINS + 1))
        features[:, 0], features[:, 1], features[:, 2] = 1.0, right, table["label_rank"] < 5
        if not np.isnan(table["loss"]).any():
            features[:, 3] = table["loss"]
            bins = confidence_bins(table["confidence"])
            features[np.arange(len(table)), 4 + bins] = right - table["confidence"]
        return features


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


def _macro_f1(weights: Array, labels: Array, predicted: Array, classes: int) -> Array:
    """Return the mean F1 (R,) over the classes with weight among labels or predictions, NaN when there is none."""
    hits = _sum_by_class(weights, np.where(labels == predicted, labels, classes), classes)
    occurrences = _sum_by_class(weights, labels, classes) + _sum_by_class(weights, predicted, classes)
    f1 = class_f1(hits, occurrences)  # (R, C)
    present = np.count_nonzero(occurrences > 0, axis=1)
    with np.errstate(invalid="ignore"):
        mean: Array = np.nansum(f1, axis=1) / present
    return mean


def _sum_by_class(weights: Array, index: Array, classes: int) -> Array:
    """Sum the weights (R, N) of the samples of each class to (R, C); an index of C belongs to no class."""
    if classes <= FEW_CLASSES:
        sums: Array = weights @ (index[:, None] == np.arange(classes)).astype(np.float64)
        return sums
    return np.stack([np.bincount(index, row, classes + 1)[:classes] for row in weights])


SCORERS: Mapping[str, type[ClassificationScorer]] = {PROTOCOL: ClassificationScorer}
"""The scorer of each protocol id."""
