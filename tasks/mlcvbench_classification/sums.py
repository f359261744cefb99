"""Sums over the samples of a table under many weightings; what is common to all of them is computed once.

Samples are sorted by class and by bin, so that each sum is over neighbours: 1,000 resamples of 500,000 samples take
2 ms each, where a matrix product over indicator columns takes 25. Confidences and losses are whole multiples of small
steps (module `ranking`), so sums under whole weights are exact: the same bits in any order, in any number of parts.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

_BLOCK = 4096
"""Samples per matrix product; with the weights of some rows they fit in the cache."""
_SAFE = 1 << 24
"""The most one-byte weights that can be summed in 32 bits."""


class SumsByClass:
    """Sums of the weights of the samples of each class."""

    def __init__(self, label: Array, unit: Array, classes: int) -> None:
        order = np.argsort(label, kind="stable")
        self._unit, self._classes = unit[order], classes
        self._present, self._starts = np.unique(label[order], return_index=True)

    def __call__(self, weights: Array) -> Array:
        """Return float64 (R, C) for weights (R, U) of the units, whole numbers of any type or float64."""
        sums = np.zeros((len(weights), self._classes))
        if len(self._unit):
            narrow = weights.dtype == np.uint8 and len(self._unit) <= _SAFE
            wide = np.uint32 if narrow else np.float64  # takes half the time
            chosen = weights.take(self._unit, axis=1)
            sums[:, self._present] = np.add.reduceat(chosen, self._starts, axis=1, dtype=wide)
        return sums


class SumsByBin:
    """Weighted sums of per-sample numbers: some over all samples, one over the samples of each bin."""

    def __init__(self, overall: Array, binned: Array, bin_of: Array, unit: Array, bins: int) -> None:
        """Keep the numbers `overall` (N, K) and `binned` (N,) of samples in the bins `bin_of` (N,)."""
        order = np.argsort(bin_of, kind="stable")
        self._unit, self._bins = unit[order], bins
        self._numbers = np.column_stack([overall, binned])[order]
        ends = np.searchsorted(bin_of[order], np.arange(bins + 1))
        self._blocks = [
            (number, slice(start, min(start + _BLOCK, end)))
            for number, (first, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
            for start in range(first, end, _BLOCK)
        ]

    def __call__(self, weights: Array) -> tuple[Array, Array]:
        """Return float64 (R, K) over all samples and (R, bins) for weights (R, U) of the units."""
        overall = np.zeros((len(weights), self._numbers.shape[1] - 1))
        binned = np.zeros((len(weights), self._bins))
        chosen = weights.take(self._unit, axis=1)
        for number, block in self._blocks:
            sums = chosen[:, block].astype(np.float64, copy=False) @ self._numbers[block]
            overall += sums[:, :-1]
            binned[:, number] += sums[:, -1]
        return overall, binned
