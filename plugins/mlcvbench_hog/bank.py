"""All templates' linear classifiers, applied to every window of a pyramid at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_hog.features import CHANNELS, Level
from mlcvbench_hog.templates import Template


@dataclass(frozen=True, slots=True)
class Found:
    """Windows above a score: `boxes` float64 (n, 4) x1 y1 x2 y2, `scores` float32 (n,), `template` int64 (n,).

    `level`, `row`, `column` int64 (n,) say where in the pyramid.
    """

    boxes: Array
    scores: Array
    template: Array
    level: Array
    row: Array
    column: Array

    def take(self, index: Array) -> Found:
        """Return chosen windows."""
        return Found(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


class Bank:
    """Templates with weights w, float32 (features,) each, and biases b: a window x scores w . x + b."""

    def __init__(self, templates: Sequence[Template], weights: Sequence[Array], biases: Array, cell: int) -> None:
        self.templates, self.weights, self.biases, self.cell = tuple(templates), tuple(weights), biases, cell
        parts = [w.reshape(-1, CHANNELS) for w in weights]
        self._matrix = np.concatenate(parts) if parts else np.zeros((0, CHANNELS), np.float32)  # (blocks, 36)

    @property
    def blocks(self) -> int:
        """Blocks of all templates together: each costs 36 multiply-adds at every place of the pyramid."""
        return len(self._matrix)

    @staticmethod
    def alone() -> AbstractContextManager[Any]:
        """Keep the matrix library to one thread inside the block: on products this thin more only wait.

        Threads that search at once need it around all of them, since it ends for all when it ends for one.
        """
        return _blas().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]

    def maps(self, level: Level) -> list[Array]:
        """Return the scores float32 of each template's windows, by the block they begin at."""
        rows, columns, _ = level.blocks.shape
        flat = level.blocks.reshape(-1, CHANNELS)
        with self.alone():
            products = (self._matrix @ flat.T).reshape(-1, rows, columns)  # one a block of a template and place
        maps, first = [], 0
        for template, bias in zip(self.templates, self.biases, strict=True):
            height, width, _ = template.shape
            out = np.full((max(0, rows - height + 1), max(0, columns - width + 1)), bias, dtype=np.float32)
            if out.size:
                for place in range(height * width):
                    down, right = divmod(place, width)
                    out += products[first + place, down : down + out.shape[0], right : right + out.shape[1]]
            maps.append(out)
            first += height * width
        return maps

    def search(self, levels: Iterable[Level], threshold: float) -> Found:
        """Return the windows of a pyramid that score more than `threshold`, best first."""
        parts: list[tuple[Array, ...]] = []
        for number, level in enumerate(levels):
            for index, scores in enumerate(self.maps(level)):
                row, column = np.nonzero(scores > threshold)
                boxes = self.templates[index].boxes(row, column, level.scale, self.cell)
                same = np.ones(len(row), dtype=np.int64)
                parts.append((boxes, scores[row, column], same * index, same * number, row, column))
        if not parts:
            return Found(np.zeros((0, 4)), np.zeros(0, np.float32), *(np.zeros(0, np.int64) for _ in range(4)))
        found = Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return found.take(np.argsort(-found.scores, kind="stable"))


@functools.cache
def _blas() -> Any:
    """Return the control of the matrix library's threads; to find the library takes a while."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
