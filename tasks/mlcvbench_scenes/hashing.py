"""Random numbers as hashes of their purpose: without shared state, so one object's draws never affect another's.

Everything is integer arithmetic and one exact conversion, so the numbers are the same on any processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(*parts: int | str) -> int:
    """Return a 64-bit hash of a path of names and integers (SplitMix64's finaliser, Steele et al. 2014, chained).

    >>> mix("scene", 1) == mix("scene", 1), mix("scene", 1) == mix("scene", 2)
    (True, False)
    """
    state = 0
    for part in parts:
        for number in part.encode() if isinstance(part, str) else (part,):
            state = _scramble(((state ^ (number & _WORD)) + _GOLDEN) & _WORD)
        state = _scramble((state + len(str(part))) & _WORD)
    return state


def _scramble(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
    return value ^ (value >> 31)


class Draws:
    """A stream of numbers that belongs to one path, for example `Draws(seed, "object", 3)`."""

    def __init__(self, *path: int | str) -> None:
        self.key = mix(*path)
        self._count = 0

    def child(self, *path: int | str) -> Draws:
        """Return the stream of a path below this one; it does not depend on what was drawn here."""
        return Draws(self.key, *path)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        self._count += 1
        word = _scramble((self.key + self._count * _GOLDEN) & _WORD)
        return low + (high - low) * ((word >> 11) / 9007199254740992.0)

    def integer(self, low: int, high: int) -> int:
        """Return an integer in low..high, both included."""
        return low + int(self.uniform(0.0, float(high - low + 1)))

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, each as likely as the others."""
        return options[self.integer(0, len(options) - 1)]


def hash32(count: int, key: int) -> NDArray[np.uint32]:
    """Return `count` hashes uint32 of 0, 1, 2, ... under a 64-bit key (lowbias32 of C. Wellons, two keyed rounds)."""
    words = np.arange(count, dtype=np.uint32)
    words ^= np.uint32(key & 0xFFFFFFFF)
    shifted = np.empty_like(words)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 0x9E3779B1)):
        np.right_shift(words, np.uint32(shift), out=shifted)
        words ^= shifted
        words *= np.uint32(factor)
        if shift == 15:
            words += np.uint32(key >> 32)
    np.right_shift(words, np.uint32(15), out=shifted)
    words ^= shifted
    return words


def bell(shape: tuple[int, ...], key: int) -> NDArray[np.float32]:
    """Return noise of mean 0 and standard deviation 1, float32: the sum of a hash's four bytes, nearly normal.

    Its tails end at 3.5 standard deviations.
    """
    count = 1
    for side in shape:
        count *= side
    words = hash32(count, key)
    pairs: NDArray[Any] = (words & np.uint32(0x00FF00FF)) + ((words >> np.uint32(8)) & np.uint32(0x00FF00FF))
    total = (pairs & np.uint32(0xFFFF)) + (pairs >> np.uint32(16))
    noise = total.astype(np.float32)
    noise -= np.float32(510.0)
    noise *= np.float32(1.0 / 147.80055)
    return noise.reshape(shape)
