"""Rendered faces: people who are in one split only, several photographs of each, and pairs in ten folds like LFW's.

By default 300 people test, eight photographs each: all 8,400 genuine pairs and as many impostor pairs. Many pairs per
person matter as much as many people: with five photographs the intervals are half as wide again. One core renders about
250 photographs of 64 x 64 pixels per second; they are cached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, InputSpec, LoadedData, Problem
from mlcvbench_scenes.cached import Arrays, kept
from mlcvbench_scenes.dataset import BLOCK, FIRST_NUMBER
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_face
from mlcvbench_verification.drawing_pairs import FOLDS, draw_folds
from mlcvbench_verification.pairs import Pairs
from mlcvbench_verification.split import FaceArrays


@dataclasses.dataclass(frozen=True)
class _Album:
    """Which photographs: `shots` each of `people` people, from number `first` on."""

    seed: int
    level: str
    size: int
    shots: int
    first: int
    people: int

    @property
    def owner(self) -> Array:
        """The number of the person of each photograph, int64 (N,); photographs of one person stand together."""
        return np.repeat(np.arange(self.first, self.first + self.people, dtype=np.int64), self.shots)


def load_faces(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return rendered faces with the splits train, val and test; `data_seed` says which people, shots and pairs.

    Inputs `image` uint8 (size, size, 3); targets `identity`, of the test split also `pairs`; groups are people. Person
    7 of a split stays the same whatever the counts are. Person p of the test split is in fold p mod 10.
    """
    seed, shots, size = int(data_seed), int(params["shots"]), int(params["size"])
    splits = {}
    for name, first in FIRST_NUMBER.items():
        album = _Album(seed, str(params["level"]), size, shots, first, int(params[name]))
        if not album.people:
            continue
        people = np.array([f"{name}-{number:05d}" for number in range(album.people)])
        ids = [f"{person}-{shot}" for person in people for shot in range(shots)]
        pairs = draw_pairs(album.people, shots, seed) if name == "test" else None
        splits[name] = FaceArrays(name, _photographs(album), album.owner, ids, people.repeat(shots), pairs)
    problem = Problem("verification", (), {"image": InputSpec((size, size, 3))}, {})
    return LoadedData("faces", "1", problem, splits)


def draw_pairs(people: int, shots: int, seed: int) -> Pairs:
    """Return the pairs of `people` with `shots` images each, sorted by person, in ten folds as `draw_folds` says.

    >>> pairs = draw_pairs(people=20, shots=2, seed=0)
    >>> pairs.first[:2].tolist(), pairs.second[:2].tolist(), pairs.fold.tolist()[:4]
    ([0, 20], [1, 21], [0, 0, 0, 0])
    """
    return draw_folds(np.arange(people).repeat(shots), FOLDS, seed)


def _photographs(album: _Album) -> Array:
    """Return the photographs of an album, uint8 (N, size, size, 3), in blocks of people from the cache."""
    blocks = []
    for start in range(album.first, album.first + album.people, BLOCK):
        people = min(BLOCK, album.first + album.people - start)
        block = dataclasses.replace(album, first=start, people=people)
        blocks.append(kept("faces", dataclasses.asdict(block), lambda own=block: _draw(own))["image"])  # type: ignore[misc]
    return np.concatenate(blocks)


def _draw(album: _Album) -> Arrays:
    images = [
        render_face(draw_identity(album.seed, person), draw_shot(album.seed, person, shot, album.level), album.size)
        for person in range(album.first, album.first + album.people)
        for shot in range(album.shots)
    ]
    return {"image": np.stack(images)}
