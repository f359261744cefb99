"""Scales of charts: where a value lies between their ends, and round tick values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

Tick = tuple[float, str]
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
DECIMALS = 5
"""With more digits, or from a million on, numbers are written with an exponent where that is shorter."""
ROOM = 0.05
"""Margin at each end as a share of the values' range."""
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale from `low` to `high`, linear or logarithmic; `whole`: ticks at integers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def around(cls, values: Array, *, log: bool = False, whole: bool = False) -> Self:
        """Return a scale that holds all finite values (with `log`, all above 0) with a small margin at both ends."""
        import numpy as np

        known = values.astype(np.float64)
        known = known[np.isfinite(known) & ((known > 0) | (not log))]
        if not len(known):
            return cls(*((0.1, 1.0) if log else (0.0, 1.0)), log, whole)
        low, high = float(known.min()), float(known.max())
        if log:
            factor = (high / low) ** ROOM if high > low else 2.0
            return cls(low / factor, high * factor, log, whole)
        room = ROOM * (high - low) or (0.5 if whole else ROOM * abs(high)) or ROOM
        return cls(low - room, high + room, log, whole)

    def share(self, values: Array) -> Array:
        """Return the positions of values, 0 at the lower end and 1 at the upper, clipped ten lengths away; NaN if not
        finite.
        """
        import numpy as np

        given = values.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.log:
                placed = np.log(given / self.low) / math.log(self.high / self.low)
            else:
                placed = (given - self.low) / (self.high - self.low)
        return np.where(np.isfinite(given), np.clip(placed, -10.0, 11.0), np.nan)

    def ticks(self, most: int) -> list[Tick]:
        """Return at most about `most` round values and their labels."""
        return self._decades(most) if self.log else self._even(max(2, most))

    def small_ticks(self) -> list[float]:
        """Return the minor ticks between the decades of a logarithmic scale of at most eight decades."""
        if not self.log or self.high / self.low > 1e8:
            return []
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        return [n * 10.0**k for k in range(first, last) for n in range(2, 10) if self._holds(n * 10.0**k)]

    def _even(self, most: int) -> list[Tick]:
        raw = (self.high - self.low) / most
        tens = math.floor(math.log10(raw))
        step, tens = next((s * 10.0**tens, tens) for s in STEPS if s * 10.0**tens >= raw * (1 - 1e-9))
        if self.whole and (step < 1 or step % 1):
            step = math.ceil(step)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        values = [n * step for n in range(first, last + 1)]
        largest = max(map(abs, values), default=0.0)
        decimals = next((d for d in range(DECIMALS + 1) if abs(round(step, d) - step) < 1e-6 * step), None)
        if decimals is None or largest >= 1e6:
            digits = math.floor(math.log10(largest or 1)) - tens + 2  # one more digit for steps of 2.5
            return [(value, f"{value:.{max(1, digits)}g}") for value in values]
        return [(value, f"{value + 0.0:,.{decimals}f}") for value in values]

    def _decades(self, most: int) -> list[Tick]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        powers = [k for k in range(first, last + 1) if self._holds(10.0**k)]
        if len(powers) >= 3:
            every = -(-len(powers) // max(2, most))
            return [(10.0**k, power_of_ten(k)) for k in powers if (k - powers[0]) % every == 0]
        for digits in ((1, 2, 5), (1, 2, 3, 5, 7), tuple(range(1, 10))):
            few = [n * 10.0**k for k in range(first, last + 1) for n in digits if self._holds(n * 10.0**k)]
            if len(few) >= 3:
                return [(value, f"{value:.6g}") for value in few]
        return Scale(self.low, self.high)._even(max(2, most // 2))

    def _holds(self, value: float) -> bool:
        return self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)


def power_of_ten(exponent: int) -> str:
    """Return how a power of ten is written.

    >>> power_of_ten(-2), power_of_ten(-6)
    ('0.01', '10⁻⁶')
    """
    return f"{10.0**exponent:g}" if -3 <= exponent <= 4 else f"10{str(exponent).translate(_RAISED)}"
