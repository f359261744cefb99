"""What in predictions and labels is valid but probably not intended, found in a few passes over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlcvbench.contract import Array, Notice, Predictions
from mlcvbench_classification.class_order import shown
from mlcvbench_classification.scoring import FIRST_PROTOCOL, PROTOCOL
from mlcvbench_classification.values import likeness

SUPERSEDED = (
    f"protocol {FIRST_PROTOCOL} is kept for what was published under it: its ece gives a confidence of exactly 1 a bin "
    f"of its own and takes probabilities through a logarithm, which moves round ones a bin down; use {PROTOCOL}."
)


def read_scores(scores: Array, subject: str) -> tuple[str, list[Notice]]:
    """Return whether unnamed scores are read as `logits` or `probabilities`, and the notices about it.

    `subject` begins the sentence: `the scores of p.csv`. There is no notice where the reading is unambiguous.
    """
    like = likeness(scores)
    read_as = "probabilities" if like.probable else "logits"
    if not like.bounded or like.clear or not like.rows:
        return read_as, []
    sums = f"{like.off} of {like.rows} rows sum to other than 1 (from {like.low:.4g} to {like.high:.4g})"
    if like.probable:
        text = (
            f"{subject} were read as probabilities that were rounded for printing: {sums}; each row was scaled to sum "
            "to 1. Say values=probabilities, or values=logits."
        )
        return read_as, [Notice("probabilities-assumed", text, like.off)]
    text = (
        f"{subject} were read as logits, though all lie in [0, 1]: {sums}. Say values=logits, or give probabilities "
        "that sum to 1."
    )
    return read_as, [Notice("logits-assumed", text, like.off)]


def misread_scores(predictions: Predictions) -> list[Notice]:
    """Return notices where a model's `scores`, which are read as logits, look like probabilities."""
    if "scores" not in predictions:
        return []
    like = likeness(predictions["scores"])
    if not like.probable:
        return []
    text = (
        f"all {like.rows} rows of scores lie in [0, 1] and sum to 1, as probabilities do, but scores are read as "
        "logits: nll and ece take their softmax. Say values=probabilities, or return 'probabilities' instead."
    )
    return [Notice("scores-look-like-probabilities", text, like.rows)]


def find_doubts(predictions: Predictions, labels: Array, classes: Sequence[str], protocol: str) -> list[Notice]:
    """Return notices about checked predictions of samples with these labels (N,)."""
    notices = [Notice("protocol-superseded", SUPERSEDED)] if protocol == FIRST_PROTOCOL else []
    notices += _odd_labels(labels, classes)
    if "labels" in predictions:
        predicted = predictions["labels"]
    else:
        (scores,) = predictions.values()
        notices += _odd_scores(scores)
        predicted = scores.argmax(axis=1)
    count = len(predicted)
    if count > 1 and (predicted == predicted[0]).all() and (labels != labels[0]).any():
        text = f"all {count} samples were predicted to be {classes[int(predicted[0])]!r}."
        notices.append(Notice("one-class-predicted", text, count))
    return notices


def _odd_labels(labels: Array, classes: Sequence[str]) -> list[Notice]:
    if len(labels) < 2:
        return []
    counts = np.bincount(labels, minlength=len(classes))
    if np.count_nonzero(counts) == 1:
        text = f"all {len(labels)} samples have the label {classes[int(labels[0])]!r}, so most metrics mean little."
        return [Notice("labels-all-one-class", text, len(labels))]
    missing = [classes[label] for label in np.flatnonzero(counts == 0).tolist()]
    if not missing:
        return []
    text = f"{len(missing)} of {len(classes)} classes have no sample in the test set: {shown(missing)}."
    return [Notice("classes-without-samples", text, len(missing))]


def _odd_scores(scores: Array) -> list[Notice]:
    """Return notices where scores (N, C) take one value, or are decisions written as 0 and 1, or -1 and 1."""
    if len(scores) < 2 or scores.shape[1] < 2:
        return []
    low, high = scores.min(), scores.max()
    if low == high:
        text = f"all scores are {low:g}, so at ties the first class is predicted everywhere."
        return [Notice("scores-all-equal", text, len(scores))]
    if low in (0, -1) and high == 1 and ((scores == low) | (scores == high)).all():
        text = (
            f"scores take two values only, {low:g} and {high:g}, as decisions do: top5, nll and ece then mean nothing. "
            "Give the scores before they were decided, or labels."
        )
        return [Notice("scores-of-two-values", text, len(scores))]
    return []
