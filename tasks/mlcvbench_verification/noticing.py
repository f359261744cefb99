"""What in scored pairs is valid but probably not intended: reversed or thresholded values, few pairs or folds."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Notice, Table
from mlcvbench_verification.roc import roc_numbers

LOOKED_AT = 200_000
"""The most pairs inspected; of more, evenly spaced ones."""
FEW = 100
"""Least number of pairs of a kind; with fewer, one pair changes a rate by over 0.01."""
TEN = 10


def notices_of_pairs(table: Table, *, folded: bool) -> list[Notice]:
    """Return notices about the scored pairs of a whole split, the most serious first."""
    step = max(1, len(table) // LOOKED_AT)
    similarity, same = table["similarity"][::step], table["same"][::step]
    return [*_values(similarity, same), *_counts(table, folded=folded)]


def _values(similarity: Array, same: Array) -> list[Notice]:
    different = np.unique(similarity)
    if len(different) == 1:
        text = f"all pairs have the same similarity, {different[0]:g}: the metrics are meaningless."
        return [Notice("all-equal", text, len(similarity))]
    found = []
    auc, genuine = roc_numbers(similarity, same)["auc"], int(np.count_nonzero(same))
    chance = _deviation(genuine, len(same) - genuine)
    if auc < 0.5 - 2 * chance:
        found.append(
            Notice(
                "looks-reversed",
                f"genuine pairs are less similar than impostor pairs (AUC {auc:.2%}): if the values are distances, say "
                "value=distance, and value=similarity if they are not; embeddings may be meant for another distance.",
            )
        )
    if len(different) == 2:
        found.append(
            Notice(
                "two-values",
                "the pairs have only two different similarities, as after a threshold, so that the curve has one "
                "point; hand in the values before the threshold.",
            )
        )
    return found


def _deviation(genuine: int, rivals: int) -> float:
    """Return the standard deviation of the AUC of uninformative values (Mann and Whitney 1947)."""
    return float(np.sqrt((genuine + rivals + 1) / (12 * genuine * rivals))) if genuine and rivals else np.inf


def _counts(table: Table, *, folded: bool) -> list[Notice]:
    found, genuine = [], int(np.count_nonzero(table["same"]))
    rivals = len(table) - genuine
    fewest = min(genuine, rivals)
    if 0 < fewest < FEW:
        found.append(
            Notice(
                "few-pairs",
                f"there are {genuine:,} genuine and {rivals:,} impostor pairs: one pair is worth {1 / fewest:.1%} of a "
                "rate, and a false accept rate of 1e-k takes 10^k impostor pairs.",
                fewest,
            )
        )
    folds = len(np.unique(table["fold"])) if folded else TEN
    if folds != TEN:
        text = f"accuracy_10fold is the mean over {folds} folds, not ten; so many are in the list of pairs."
        found.append(Notice("folds-not-ten", text, folds))
    return found
