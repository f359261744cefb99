"""The files of docs/verification.md: `people`, `shoots` and `lfw` with faces, and embeddings of the people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.faces import write_faces


def prepare(folder: Path) -> None:
    """Write images of four people, three each, LFW's names as PNG, and embeddings near a centre a person."""
    write_faces(folder / "people", suffix="{number}.png")
    write_faces(folder / "shoots", suffix="{number}.jpg")
    write_faces(folder / "lfw")
    ids = [f"person{person}/{number}" for person in range(4) for number in (1, 2, 3)]
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(4, 3)).repeat(3, axis=0) + rng.normal(0, 0.5, (12, 3))
    np.savez(folder / "embeddings.npz", embedding=vectors.astype(np.float32), ids=np.array(ids))
