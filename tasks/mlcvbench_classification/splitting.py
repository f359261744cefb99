"""Splits: which samples are for training, validation and test.

Validation samples are always the last block of the training samples, so that a method without a validation set, whose
training and validation samples are joined again, sees the training set in its published order. (Among equally distant
neighbours, k-nearest neighbours depends on that order.)
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Split


def stratified_test(labels: Array, count: int, seed: int) -> tuple[Array, Array]:
    """Return shuffled indices (train, test): `count` test samples, stratified by class.

    Args:
        labels: integer labels (N,).
        count: size of the test part; shares are rounded by largest remainder, so that the total is exact.
        seed: the only source of randomness; equal seeds give equal splits on every machine.

    >>> train, test = stratified_test(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0)
    >>> len(train), sorted(np.array([0, 0, 0, 0, 1, 1])[test].tolist())
    (3, [0, 0, 1])

    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    shares = sizes * count / len(labels)
    quota = np.floor(shares).astype(np.int64)
    quota[np.argsort(quota - shares, kind="stable")[: count - int(quota.sum())]] += 1
    is_test = np.zeros(len(labels), dtype=bool)
    for name, wanted in zip(classes, quota, strict=True):
        is_test[order[labels[order] == name][:wanted]] = True
    return order[~is_test[order]], order[is_test[order]]


def train_and_val(samples: Split, val_count: int) -> dict[str, Split]:
    """Return the splits `train` and `val` of a training set: its last `val_count` samples are `val`.

    A set that is too small is not split.
    """
    cut = len(samples) - val_count
    if val_count <= 0 or cut <= 0:
        return {"train": samples}
    index = np.arange(len(samples))
    return {"train": samples.take(index[:cut], "train"), "val": samples.take(index[cut:], "val")}
