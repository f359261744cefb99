"""Interprets a live model's output by the settings for reading files, so that both follow one rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import OverrideError
from mlcvbench_classification.class_order import said_order


def interpreted(predictions: Any, settings: Mapping[str, Any], classes: Sequence[str]) -> Any:
    """Return predictions, not checked yet, with their scores named and their columns in the order of the data set.

    OverrideError for `values=` with labels, or with probabilities that are named as such.
    """
    if not isinstance(predictions, dict):
        return predictions
    said, order = settings.get("values"), said_order(settings, classes)
    if said is not None and "scores" not in predictions:
        field = next(iter(predictions), "nothing")
        if field != said:
            raise OverrideError(f"values={said} has no effect: the model gives {field}, not scores.")
    field = "probabilities" if said == "probabilities" else "scores"
    named = {field if name == "scores" else name: column for name, column in predictions.items()}
    if order is None:
        return named
    return {name: _in_order(np.asarray(column), order.labels, order.columns) for name, column in named.items()}


def _in_order(column: Array, labels: Array, columns: Array) -> Array:
    """Return scores (B, C) with the columns of the data set, or labels (B,) as its labels; other shapes unchanged."""
    if column.ndim == 2 and column.shape[1] == len(columns):
        return column[:, columns]
    if column.ndim == 1 and column.dtype.kind in "iu" and len(column):
        inside = (column >= 0) & (column < len(labels))
        return np.where(inside, labels[np.where(inside, column, 0)], column)
    return column
