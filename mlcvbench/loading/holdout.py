"""The samples on which settings are compared: the validation split, or a part of train held out for it.

A hold-out is drawn by `data.seed` alone, so that it is the same whatever is compared on it. Groups (one person, one
scene) stay on one side, and each side has its share of every label where samples have one. What a task kind scores
beyond single samples, such as pairs of faces, it draws from the held-out samples, by the same seed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from mlcvbench.contract import Array, LoadedData, Split
from mlcvbench.errors import DataError, RequestError
from mlcvbench.loading.data import fit_data
from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.config import RunConfig
from mlcvbench.specs import ModelSpec

DEFAULT_SHARE = 0.2
MOST_FOLDS = 20
"""Folds from which a hold-out of labelled samples is assembled: shares are multiples of 1/20, given enough groups."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Data for one comparison: fits learn from `train` and are compared on `split`, which `described` names in
    words.
    """

    data: LoadedData
    train: Split
    split: Split
    described: str

    def for_fit(self, config: RunConfig, spec: ModelSpec) -> LoadedData:
        """Return the data for a candidate's fit: with `split` only where fit itself chooses on it."""
        with_val = fit_data(self._view(self.split), spec, config.fit)
        return self._view(self.split if with_val.val is not None else None)

    def _view(self, val: Split | None) -> LoadedData:
        splits = {"train": self.train, "test": self.data.splits["test"]}
        return replace(self.data, splits=splits if val is None else {**splits, "val": val})


def validation_of(
    data: LoadedData, resolved: Resolved, share: float | None = None, key: str = "select_share"
) -> Validation:
    """Return a run's data with the validation split to compare on, or else a hold-out of the training split.

    DataError when there is no training split, or nothing that can be scored as test is; RequestError when `share`, the
    value of `key`, is given and nothing has to be held out.
    """
    train, val = data.splits.get("train"), data.splits.get("val")
    if train is None or not len(train):
        raise no_training(data)
    if val is not None and len(val):
        if share is not None:
            raise RequestError(f"{key}={share:g} has no effect: data set {data.name!r} has a validation split.")
        return Validation(data, train, *scorable_as_test(data, resolved, val, "val"))
    share = DEFAULT_SHARE if share is None else share
    fitted, held = hold_out(train, share, resolved.config.data_seed)
    described = f"{share:.0%} of train, held out".replace("%", " %")
    return Validation(
        data,
        train.take(fitted, "train/rest"),
        *scorable_as_test(data, resolved, train.take(held, "train/held-out"), described),
    )


def no_training(data: LoadedData) -> DataError:
    """Return the error for data without a training split."""
    return DataError(
        f"data set {data.name!r} has no training split, so no settings can be fitted and compared on it; choose them "
        "on data that have one, and give them here as single values."
    )


def scorable_as_test(data: LoadedData, resolved: Resolved, split: Split, described: str = "") -> tuple[Split, str]:
    """Return a split as the task kind can score it, and its description with what was generated for that.

    DataError when it still lacks some of the targets of test, such as depth that was never measured.
    """
    config = resolved.config
    scorable, made = resolved.task.scorable(split, config.definition.protocol, config.data_seed)
    missing = sorted(set(data.splits["test"].targets()) - set(scorable.targets()))
    if missing:
        raise DataError(
            f"data set {data.name!r}: split {split.name!r} has no {', '.join(missing)}, as test has, so nothing can be "
            "scored and settings cannot be compared on it; add what is missing to the data, or choose by hand on other "
            "data."
        )
    return scorable, f"{described}, {made}" if made else described


def hold_out(split: Split, share: float, seed: int) -> tuple[Array, Array]:
    """Return the indices that are kept and those held out, int64, both ascending; DataError when there is only one
    group.

    About `share` of the samples is held out, in whole groups, stratified by `label` (N,) where the targets have it.
    """
    _, groups = np.unique(split.groups, return_inverse=True)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        raise DataError(f"split {split.name!r} has {count} group of samples; wanted at least 2 to hold some out.")
    labels = np.asarray(split.targets().get("label", ()))
    stratified = labels.shape == (len(split),) and labels.dtype.kind in "iu" and np.unique(labels).size < len(labels)
    if stratified:
        folds = _folds(groups, count, labels, seed)
        taken = max(1, min(round(share * len(folds)), len(folds) - 1))
        held = np.sort(np.concatenate(folds[:taken])).astype(np.int64)
    else:
        order = np.arange(count)
        np.random.RandomState(seed).shuffle(order)
        held = np.flatnonzero(np.isin(groups, order[: max(1, min(round(share * count), count - 1))]))
    return np.setdiff1d(np.arange(len(split)), held), held


def _folds(groups: Array, count: int, labels: Array, seed: int) -> list[Array]:
    """Return the samples in at most MOST_FOLDS parts of whole groups, `groups` (N,) numbered from 0 to `count` - 1."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    numbers = min(MOST_FOLDS, count, int(np.unique(labels, return_counts=True)[1].max()))
    # with one group per sample the plain folds do: the grouped ones take minutes for 60,000 groups
    kind = StratifiedKFold if count == len(groups) else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer samples than folds cannot be in each fold
        maker = kind(numbers, shuffle=True, random_state=seed)
        return [part for _, part in maker.split(groups, labels, groups)]
