"""When two predictions of the same samples count as equal: bit for bit, or up to a different order of summation.

The honesty checks of a run and the conformance kit share this rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mlcvbench.contract.batch import Array, Column, Predictions

NEAR, DECISIONS = 1e-4, 0.999
"""Numbers agree within |a - b| <= NEAR (1 + |b|), and at least this share of the samples has the same decision."""
NO_STEPS: Mapping[str, float] = MappingProxyType({})


@runtime_checkable
class Decides(Protocol):
    """What is predicted for a sample and says itself when another one decides the same."""

    def alike(self, other: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two predictions agree: the largest gap, samples with equal decisions, all samples, and a wrong shape."""

    gap: float
    alike: int
    total: int
    misshapen: str = ""

    @property
    def share(self) -> float:
        """The share of samples with equal decisions; 1 without samples."""
        return self.alike / self.total if self.total else 1.0

    @property
    def passed(self) -> bool:
        """Whether they count as the same."""
        return not self.misshapen and self.gap <= NEAR and self.share >= DECISIONS

    def __str__(self) -> str:
        return self.misshapen or f"largest difference {self.gap:.1e}, {100 * self.share:.1f} % of decisions equal"


def same_bytes(one: Predictions, other: Predictions) -> bool:
    """Return whether two predictions are equal bit for bit."""
    return one.keys() == other.keys() and all(
        len(one[name]) == len(other[name]) and not differing_rows(one[name], other[name]) for name in one
    )


def differing_rows(one: Column, other: Column) -> int:
    """Return how many samples of two columns are not equal bit for bit."""
    return sum(not _equal(left, right) for left, right in zip(one, other, strict=True))


def agreement(alone: Predictions, together: Predictions, steps: Mapping[str, float] = NO_STEPS) -> Agreement:
    """Compare predictions in batches of one with those in larger ones.

    The gap is |a - b| / (1 + |b|) over the float columns; inf equals inf and nothing else, NaN equals nothing. The
    decision of a sample is the argmax of its `scores` or `probabilities` where it has one row of them, else every
    integer it holds. Integers of a column in `steps` are numbers rounded to such a step, whose gap begins a step
    apart, for what is next to nothing may be rounded to neighbours; their decision is where they are 0. A type of a
    task kind may say by a method `alike` when two of it are one decision, as masks do.
    """
    worst, alike, total = 0.0, 0, 0
    if alone.keys() != together.keys():
        return Agreement(np.inf, 0, 0, f"columns {', '.join(sorted(alone))} alone and {', '.join(sorted(together))}")
    for name in sorted(together):
        for left, right in zip(alone[name], together[name], strict=True):
            if isinstance(right, Decides):
                total, alike = total + 1, alike + right.alike(left)
                continue
            one, other = _array(left), _array(right)
            if one.shape != other.shape:
                shapes = f"{name!r} has shape {one.shape} alone and {other.shape} in a batch"
                return Agreement(np.inf, alike, total, shapes)
            total += 1
            if name in steps and other.dtype.kind in "iu":
                alike += np.array_equal(one == 0, other == 0)
                one, other = _rounded_alike(one * steps[name], other * steps[name], steps[name])
            else:
                alike += _same_decision(name, one, other)
            if other.dtype.kind == "f" and other.size:
                worst = max(worst, _largest_gap(one, other))
    return Agreement(worst, alike, total)


def _equal(left: Any, right: Any) -> bool:
    """Return whether two predictions of a sample are equal; NaN equals NaN here, since it did not change."""
    if not _holds_arrays(left) and not _holds_arrays(right):
        return bool(left == right)
    one, other = _array(left), _array(right)
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc" and other.dtype.kind in "fc")


def _holds_arrays(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or is_dataclass(value)


def _array(value: Any) -> Array:
    """Return what is predicted for a sample as an array; a type of a task kind, such as masks, by its parts in a
    row.
    """
    if is_dataclass(value):
        return np.concatenate([np.ravel(getattr(value, part.name)) for part in fields(value)])
    return np.asarray(value)


def _largest_gap(one: Array, other: Array) -> float:
    with np.errstate(invalid="ignore"):
        gap = np.where(one == other, 0.0, np.abs(one - other) / (1.0 + np.abs(other)))
    return float(np.where(np.isnan(gap), np.inf, gap).max())


def _rounded_alike(one: Array, other: Array, step: float) -> tuple[Array, Array]:
    """Return numbers as floats, those of `one` nearer to `other` by a step, or equal within it."""
    away = one - other
    return other + np.sign(away) * np.maximum(np.abs(away) - step, 0.0), other


def _same_decision(name: str, one: Array, other: Array) -> bool:
    if name in {"scores", "probabilities"} and one.ndim == 1 and one.size:
        return bool(np.argmax(one) == np.argmax(other))
    return other.dtype.kind == "f" or np.array_equal(one, other)
