"""Occlusion maps (Zeiler and Fergus, ECCV 2014, section 4.2): where a grey square lowers the score of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array


@dataclass(frozen=True, slots=True)
class Occlusion:
    """The score of the whole image, and how much of it is lost with a square of `window` pixels over it.

    `drops`: float64 (P, Q), score of the whole image minus that with the square at (`tops`[p], `lefts`[q]); negative
    where hiding something helps.
    """

    score: float
    drops: Array
    tops: Array
    lefts: Array
    window: int
    size: tuple[int, int]

    def by_pixel(self) -> Array:
        """Return the mean drop over the squares that cover each pixel, (H, W)."""
        sums, covers = np.zeros(self.size), np.zeros(self.size)
        for p, top in enumerate(self.tops):
            for q, left in enumerate(self.lefts):
                square = np.s_[top : top + self.window, left : left + self.window]
                sums[square] += self.drops[p, q]
                covers[square] += 1
        return sums / covers


def occlude(score: Callable[[Array], Array], image: Array, window: int, step: int, batch: int = 64) -> Occlusion:
    """Slide a square of `window` pixels over uint8 `image` (H, W) or (H, W, 3) by `step` and score each picture.

    `score` maps images (N, H, W[, 3]) to numbers (N,) and gets at most `batch` at once. The square has the image's mean
    colour, so that it adds no brightness; the last one of a row or column is flush with the border. ValueError when the
    square is larger than the image, or the step larger than the square, which would leave pixels out.
    """
    height, width = image.shape[:2]
    if not 1 <= step <= window <= min(height, width):
        raise ValueError(f"wanted 1 <= step <= window <= {min(height, width)}, got step {step} and window {window}")
    tops, lefts = _starts(height, window, step), _starts(width, window, step)
    grey = np.round(image.reshape(height * width, -1).mean(axis=0)).astype(image.dtype)
    grey = grey[0] if image.ndim == 2 else grey
    places = [(top, left) for top in tops for left in lefts]
    whole = float(score(image[None])[0])
    found = []
    for first in range(0, len(places), batch):
        block = places[first : first + batch]
        pictures = np.repeat(image[None], len(block), axis=0)
        for picture, (top, left) in zip(pictures, block, strict=True):
            picture[top : top + window, left : left + window] = grey
        found.append(np.asarray(score(pictures), dtype=np.float64))
    drops = whole - np.concatenate(found).reshape(len(tops), len(lefts))
    return Occlusion(whole, drops, tops, lefts, window, (height, width))


def _starts(size: int, window: int, step: int) -> Array:
    """Return where squares begin along an axis.

    >>> _starts(10, 4, 4).tolist()
    [0, 4, 6]
    """
    starts = np.arange(0, size - window + 1, step)
    return starts if starts[-1] == size - window else np.append(starts, size - window)
