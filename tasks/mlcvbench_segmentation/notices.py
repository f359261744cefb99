"""Notices from the pixel counts of a split: what is valid but probably not intended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlcvbench.contract import Array, Notice, Table

MOST_IGNORED = 0.2
"""A larger share of unscored pixels gives a notice: it is more than borders and rare objects make up."""
_LISTED = 5


def notices(table: Table, classes: Sequence[str], *, sparse: bool) -> list[Notice]:
    """Return notices about the rows of a whole split.

    Classes without a labelled pixel, labels that look like masks of 0 and 255, many unscored pixels (unless the data
    are `sparse` by design), labelled classes that are never predicted.
    """
    labelled, predicted = (np.bincount(table["rank"], table[name], len(classes)) for name in ("labelled", "predicted"))
    ignored, scored = int(table["ignored"].sum()), int(labelled.sum())
    if not scored:
        return []
    return [
        *_of_labels(labelled > 0, ignored / (ignored + scored), classes, sparse=sparse),
        *_of_predictions(labelled > 0, predicted > 0, classes),
    ]


def _of_labels(present: Array, share: float, classes: Sequence[str], *, sparse: bool) -> Iterator[Notice]:
    absent = [name for name, there in zip(classes, present, strict=True) if not there]
    if len(classes) == 2 and present[0] and absent and share:
        yield Notice(
            "masks-of-0-and-255",
            f"no pixel is labelled {absent[0]} and {share:.1%} are not scored; if the labels are masks of 0 and 255, "
            f"say data.label_map=FILE with the lines 0,{classes[0]} and 255,{absent[0]}.",
            1,
        )
        return
    if absent:
        yield Notice(
            "classes-without-labels",
            f"{len(absent)} of {len(classes)} classes have no labelled pixel: {_listed(absent)}; check the "
            "class list, data.label_map and data.ignore.",
            len(absent),
        )
    if share > MOST_IGNORED and not sparse:
        yield Notice(
            "many-pixels-ignored",
            f"{share:.1%} of the pixels are not scored, more than {MOST_IGNORED:.0%}; check data.ignore and "
            "data.label_map.",
        )


def _of_predictions(labelled: Array, predicted: Array, classes: Sequence[str]) -> Iterator[Notice]:
    if np.count_nonzero(predicted) == 1 and np.count_nonzero(labelled) > 1:
        (only,) = np.flatnonzero(predicted).tolist()
        yield Notice("one-class-predicted", f"every scored pixel is predicted as {classes[only]}.", 1)
        return
    never = [name for name, there, found in zip(classes, labelled, predicted, strict=True) if there and not found]
    if never:
        yield Notice(
            "classes-never-predicted",
            f"{len(never)} of {np.count_nonzero(labelled)} labelled classes are never predicted: {_listed(never)}.",
            len(never),
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
