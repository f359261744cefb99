"""Rows of some validation samples, on which a task chooses thresholds that are then applied to the test samples."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import HeldOut, Notice, Scorer
from mlcvbench.errors import scrub
from mlcvbench.running.costs import Measured
from mlcvbench.running.predicting import predict
from mlcvbench.running.record_draft import Draft
from mlcvbench.running.scoring import tabulate

MOST, LEAST, PART = 100, 20, 4
"""At most 100 samples, and one for four of the test split, so that predicting them costs little beside it; of fewer
than 20 no threshold is chosen."""


def rows(draft: Draft, subject: Measured, scorer: Scorer) -> HeldOut | None:
    """Return the rows of the first validation samples that the fit did not train on; None where there are too few."""
    split = subject.fitted.held_out
    count = min(0 if split is None else len(split), MOST, len(subject.test) // PART)
    if split is None or count < LEAST:
        return None
    some = split.take(np.arange(count))

    def make() -> HeldOut:
        size = some.batch_size(draft.subject.config.batch_size, takes_lists=subject.fitted.ragged)
        predictions = predict(subject.fitted.model, some, subject.task, subject.problem, size)
        return HeldOut(tabulate(scorer, predictions, some.targets(), count), count)

    def without(why: str) -> None:
        text = f"Validation samples could not be predicted ({scrub(why)}); thresholds are chosen on the test samples."
        draft.remark(Notice("no-validation", text))

    return draft.attempt(make, without)
