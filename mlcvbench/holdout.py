"""The samples that decide between settings: the validation split, or a part of train held out for it.

A hold-out is drawn by `data.seed` alone, so that it is the same whatever is compared on it. Groups (one person, one
scene) stay on one side, and each side has its share of every label where samples have one.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from mlcvbench import assembly
from mlcvbench.config import RunConfig
from mlcvbench.contract import Array, LoadedData, Split
from mlcvbench.errors import DataError, RequestError
from mlcvbench.specs import ModelSpec

DEFAULT_SHARE = 0.2
MOST_FOLDS = 20
"""Folds a hold-out is put together from: shares are whole twentieths where there are as many groups."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Data for one comparison: fits learn from `train`, and `judge` decides. `described` names it in words."""

    data: LoadedData
    train: Split
    judge: Split
    described: str

    def for_fit(self, config: RunConfig, spec: ModelSpec) -> LoadedData:
        """Return the data as a candidate's fit must see them: the judge only where fit itself chooses on it."""
        with_val = assembly.fit_data(self._view(self.judge), spec, config.fit)
        return self._view(self.judge if with_val.val is not None else None)

    def _view(self, val: Split | None) -> LoadedData:
        splits = {"train": self.train, "test": self.data.splits["test"]}
        return replace(self.data, splits=splits if val is None else {**splits, "val": val})


def judged(data: LoadedData, data_seed: int, share: float | None = None, key: str = "select_share") -> Judged:
    """Return the validation split of a data set as the judge, or a hold-out of its training split.

    DataError when there is nothing to learn from, or nothing that can be scored as test is; RequestError when `share`,
    the value of `key`, is given and nothing has to be held out.
    """
    train, val = data.splits.get("train"), data.splits.get("val")
    if train is None or not len(train):
        raise DataError(f"data set {data.name!r} has no training split, so there is nothing to compare settings on.")
    if val is not None:
        if share is not None:
            raise RequestError(f"{key}={share:g} has no effect: data set {data.name!r} has a validation split.")
        _check_scored(data, val)
        return Judged(data, train, val, "val")
    _check_scored(data, train)
    share = DEFAULT_SHARE if share is None else share
    fitted, held = hold_out(train, share, data_seed)
    described = f"{share:.0%} of train, held out".replace("%", " %")
    return Judged(data, train.take(fitted, "train/rest"), train.take(held, "train/held-out"), described)


def _check_scored(data: LoadedData, split: Split) -> None:
    """Refuse a split without some of the targets of test, such as the pairs of faces that a protocol compares."""
    missing = sorted(set(data.splits["test"].targets()) - set(split.targets()))
    if missing:
        raise DataError(
            f"data set {data.name!r}: split {split.name!r} has no {', '.join(missing)}, as test has, "
            "so its samples cannot be scored and settings not compared on them."
        )


def hold_out(split: Split, share: float, seed: int) -> tuple[Array, Array]:
    """Return the indices that stay and those that are held out, int64, both rising; DataError when there is one group.

    About `share` of the samples is held out: whole groups, and of every label where the targets have `label` (N,).
    """
    _, groups = np.unique(split.groups, return_inverse=True)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        raise DataError(f"split {split.name!r} has {count} group of samples; wanted at least 2 to hold some out.")
    labels = np.asarray(split.targets().get("label", ()))
    stratified = labels.shape == (len(split),) and labels.dtype.kind in "iu" and np.unique(labels).size < len(labels)
    folds = _folds(groups, count, labels if stratified else None, seed)
    taken = max(1, min(round(share * len(folds)), len(folds) - 1))
    held = np.sort(np.concatenate(folds[:taken])).astype(np.int64)
    return np.setdiff1d(np.arange(len(split)), held), held


def _folds(groups: Array, count: int, labels: Array | None, seed: int) -> list[Array]:
    """Return the samples in at most MOST_FOLDS parts of whole groups, `groups` (N,) numbered from 0 to `count` - 1."""
    from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    if labels is None:
        chosen = KFold(min(MOST_FOLDS, count), shuffle=True, random_state=seed).split(np.arange(count))
        return [np.flatnonzero(np.isin(groups, part)) for _, part in chosen]
    most = int(np.unique(labels, return_counts=True)[1].max())
    kind = StratifiedKFold if count == len(groups) else StratifiedGroupKFold  # the second takes minutes for 60,000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer samples than folds cannot be in each
        maker = kind(min(MOST_FOLDS, count, most), shuffle=True, random_state=seed)
        return [part for _, part in maker.split(groups, labels, groups)]
