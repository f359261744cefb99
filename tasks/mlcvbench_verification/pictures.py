"""People for contact sheets: photographs of each, above a pair of the same person and a pair of two people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from mlcvbench.contract import Array, Panel, Split, spread
from mlcvbench_verification.pairs import Pairs

TILE = 144
"""Most pixels per side of one photograph; smaller ones are enlarged by a whole factor."""
ABREAST = 4
"""Photographs in a row: as many as two pairs have."""
FRAME = 4
PAPER = (255, 255, 255)
SAME, DIFFERENT = (33, 102, 172), (178, 24, 43)
"""Frames of genuine pairs (blue) and of impostor pairs (red), as in the plots of a record."""


def preview(split: Split, count: int) -> list[Panel]:
    """Return one panel per sample: photographs of its person and, below, its pairs of the list, if any."""
    targets = split.targets()
    identity = np.asarray(targets["identity"])
    pairs = cast("Pairs | None", targets.get("pairs"))

    def panel(place: int) -> Panel:
        others = np.flatnonzero((identity == identity[place]) & (np.arange(len(split)) != place))
        rows = [_row(split, [([place, *others[: ABREAST - 1].tolist()], PAPER)])]
        found = [] if pairs is None else _pairs_with(place, pairs, identity)
        caption = f"{split.groups[place]}: {len(others) + 1} photographs"
        if found:
            rows.append(_row(split, [([place, other], color) for other, color in found]))
            caption += "; " + ", ".join(
                f"{split.ids[place]} with {split.ids[other]}: "
                f"{'same person (blue)' if color == SAME else 'two people (red)'}"
                for other, color in found
            )
        return Panel(_joined(rows, axis=0), caption)

    return list(split.each(panel, spread(split, count)))


def _pairs_with(place: int, pairs: Pairs, identity: Array) -> list[tuple[int, tuple[int, int, int]]]:
    """Return the partners of an image in a genuine and an impostor pair, each the last, with their frames' colours."""
    ahead, behind = np.flatnonzero(pairs.first == place), np.flatnonzero(pairs.second == place)
    partners = np.concatenate([pairs.second[ahead], pairs.first[behind]])
    same = pairs.genuine(identity, np.concatenate([ahead, behind]))
    sides = ((partners[same], SAME), (partners[~same], DIFFERENT))
    return [(int(side[-1]), color) for side, color in sides if len(side)]


def _row(split: Split, runs: Sequence[tuple[Sequence[int], tuple[int, int, int]]]) -> Array:
    """Return runs of photographs beside one another, each run within a frame of its colour."""
    framed = []
    for places, color in runs:
        inner = _joined([_tile(np.asarray(split.read([place])[0].inputs["image"][0])) for place in places], axis=1)
        outer = np.empty((inner.shape[0] + 2 * FRAME, inner.shape[1] + 2 * FRAME, 3), dtype=np.uint8)
        outer[:] = color
        outer[FRAME:-FRAME, FRAME:-FRAME] = inner
        framed.append(outer)
    return _joined(framed, axis=1)


def _joined(parts: Sequence[Array], axis: int) -> Array:
    """Return pictures along an axis, smaller ones padded with white."""
    most = max(part.shape[1 - axis] for part in parts)
    filled = []
    for part in parts:
        missing = [(0, 0), (0, 0), (0, 0)]
        missing[1 - axis] = (0, most - part.shape[1 - axis])
        filled.append(np.pad(part, missing, constant_values=255))
    return np.concatenate(filled, axis=axis)


def _tile(image: Array) -> Array:
    """Return uint8 (H, W, 3) of at most `TILE` pixels per side: enlarged by a whole factor, or averaged
    down.
    """
    import cv2

    colored = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    longest = max(colored.shape[:2])
    if longest <= TILE:
        factor = TILE // longest
        return colored.repeat(factor, axis=0).repeat(factor, axis=1)
    wide, high = (max(1, round(side * TILE / longest)) for side in (colored.shape[1], colored.shape[0]))
    small: Array = cv2.resize(colored, (wide, high), interpolation=cv2.INTER_AREA)
    return small
