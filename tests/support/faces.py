"""Small face data sets, in memory and on disk, for tests of verification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from support.paths import FIXTURES

from mlcvbench_verification.pairs import Pairs, all_pairs
from mlcvbench_verification.split import FaceSplit

PROTOCOL = FIXTURES / "lfw_protocol/pairs.txt"


def people(count: int = 12, each: int = 4) -> list[str]:
    """Return the person of each image: `each` images of `count` people."""
    return [f"person{index // each:02d}" for index in range(count * each)]


def face_split(count: int = 12, each: int = 4, folds: int = 0) -> FaceSplit:
    """Return a split of names with all pairs, in `folds` folds when given."""
    names = people(count, each)
    pairs = all_pairs(len(names))
    if folds:
        pairs = Pairs(pairs.first, pairs.second, (np.arange(len(pairs)) % folds).astype(np.int16))
    return FaceSplit("test", [f"{name}/{i}" for i, name in enumerate(names)], names, None, pairs)


def embeddings(split: FaceSplit, noise: float = 0.8, size: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """Return embeddings around a centre a person, compared by cosine."""
    rng = np.random.default_rng(seed)
    identity = np.asarray(split.targets()["identity"])
    centres = rng.normal(size=(identity.max() + 1, size))
    values = centres[identity] + noise * rng.normal(size=(len(identity), size))
    return {"embedding": values.astype(np.float32), "distance": np.full(len(identity), "cosine")}


def write_faces(root: Path, count: int = 4, each: int = 3, suffix: str = "{name}_{number:04d}.png") -> Path:
    """Write images `root/<person>/<person>_0001.png` ..."""
    rng = np.random.default_rng(0)
    for person in range(count):
        name = f"person{person}"
        base = rng.integers(0, 255, (12, 10, 3))
        for number in range(1, each + 1):
            path = root / name / suffix.format(name=name, number=number)
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(base + rng.integers(-30, 30, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path)
    return root
