"""Toy data for the conformance kit: people are coarse patterns, photographs of them have noise and light."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as numbers

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Column, InputSpec, LoadedData, Problem, Split, Targets
from mlcvbench.testing.toy import FEW, SIZES
from mlcvbench_verification.drawing_pairs import draw_folds

PLAIN = (64, 64)
COARSE = 6
"""Cells of a person's pattern in each direction."""


@dataclass(frozen=True, slots=True)
class _Toy:
    """What is drawn: `shapes` of one photograph after another, and how many photographs a person has, in turn."""

    sizes: Mapping[str, int]
    shapes: Sequence[tuple[int, int]] = (PLAIN,)
    shots: Sequence[int] = (4,)


def toys(needs: Collection[str]) -> dict[str, LoadedData]:
    """Return colour photographs of people, no person in two splits; none for other inputs than images."""
    if not set(needs) <= {"image"}:
        return {}
    made = {
        "toy": _Toy(SIZES),
        "images of 16x16": _Toy(FEW, ((16, 16),)),
        "images of 37x61": _Toy(FEW, ((37, 61),)),
        "people with one photograph": _Toy(FEW, shots=(1, 1, 4)),
        "a single person to learn from": _Toy(FEW, shots=(12, 3, 3)),
        "images of unequal size": _Toy(FEW, ((64, 64), (50, 41), (37, 61))),
    }
    return {name: _load(toy) for name, toy in made.items()}


class PairedArrays(ArraySplit):
    """Photographs in memory with the pairs of all of them, which belong to no single sample."""

    def targets(self) -> Targets:
        owner = np.unique(self.groups, return_inverse=True)[1]
        return {**super().targets(), "pairs": draw_folds(owner, 1, seed=0)}  # type: ignore[dict-item]


def _load(toy: _Toy) -> LoadedData:
    generator, people = np.random.default_rng(0), numbers()
    shots = (toy.shots[turn % len(toy.shots)] for turn in numbers())
    splits: dict[str, Split] = {}
    for name, count in toy.sizes.items():
        owners: list[int] = []
        while len(owners) < count:
            owners += [next(people)] * min(next(shots), count - len(owners))
        images = [_photograph(owner, toy.shapes[row % len(toy.shapes)], generator) for row, owner in enumerate(owners)]
        column: Column = np.stack(images) if len(toy.shapes) == 1 else images
        ids = [f"{name}-{index:03d}" for index in range(count)]
        kind = PairedArrays if name == "test" else ArraySplit
        identity = np.array(owners, dtype=np.int64)
        groups = np.array([f"person-{owner:03d}" for owner in owners])
        splits[name] = kind(name, {"image": column}, {"identity": identity}, ids=ids, groups=groups)
    size = toy.shapes[0] if len(toy.shapes) == 1 else (None, None)
    return LoadedData("toy", "1", Problem("verification", (), {"image": InputSpec((*size, 3))}), splits)


def _photograph(person: int, size: tuple[int, int], generator: np.random.Generator) -> Array:
    """Return uint8 (H, W, 3): the pattern of a person, brighter or darker, with noise."""
    cells = np.random.default_rng(person).integers(40, 216, size=(COARSE, COARSE, 3))
    rows, columns = (np.arange(side) * COARSE // side for side in size)
    image = cells[rows][:, columns] * generator.uniform(0.8, 1.1) + generator.normal(0, 8, size=(*size, 3))
    return np.clip(image, 0, 255).astype(np.uint8)
