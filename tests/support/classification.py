"""Small classification data for tests."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mlcvbench.contract import ArraySplit, Problem


def problem_of(classes: int | Sequence[str]) -> Problem:
    """Return a problem with so many classes, named by numbers, or with these names."""
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else classes
    return Problem("classification", tuple(names), {})


def split_of(ids: Sequence[str]) -> ArraySplit:
    """Return a split with these ids, blank images and label 0."""
    return ArraySplit(
        "test",
        {"image": np.zeros((len(ids), 2, 2), np.uint8)},
        {"label": np.zeros(len(ids), np.int64)},
        np.array(ids),
    )


def idx_bytes(array: np.ndarray, kind: int = 0x08) -> bytes:
    """Return the IDX file of a uint8 array."""
    header = bytes([0, 0, kind, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def write_idx_folder(folder: Path, train: int = 24, test: int = 6, *, packed: bool = False, prefix: str = "") -> Path:
    """Write an MNIST-like folder of 4x5 images in three classes."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("t10k", test)):
        files = {
            f"{name}-images-idx3-ubyte": rng.integers(0, 256, (count, 4, 5), dtype=np.uint8),
            f"{name}-labels-idx1-ubyte": (np.arange(count) % 3).astype(np.uint8),
        }
        for file, array in files.items():
            data = idx_bytes(array)
            path = folder / f"{prefix}{file}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def write_image_folder(folder: Path, counts: dict[str, int], size: tuple[int, int] = (5, 4)) -> Path:
    """Write random PNG files: `counts` maps class folders (or train/CLASS) to how many; `size` is (width, height)."""
    rng = np.random.default_rng(1)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
    return folder
