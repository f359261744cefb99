"""Small stereo and depth data sets on disk, for tests of depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_pfm(path: Path, values: np.ndarray, order: str = "<", scale: float = 1.0) -> Path:
    """Write a one-channel PFM, bottom row first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    head = f"Pf\n{width} {height}\n{-scale if order == '<' else scale}\n".encode()
    path.write_bytes(head + values[::-1].astype(f"{order}f4").tobytes())
    return path


def write_png16(path: Path, values: np.ndarray, scale: float = 256.0) -> Path:
    """Write values times `scale` as 16-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(values * scale).astype(np.uint16)).save(path)
    return path


def write_image(path: Path, shape: tuple[int, int], seed: int = 0) -> Path:
    """Write a random RGB image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*shape, 3)).astype(np.uint8)).save(path)
    return path


def disparities(count: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Return maps (H, W) in steps of 1/256 px with unknown pixels (0); sizes differ."""
    rng = np.random.default_rng(seed)
    maps = []
    for index in range(count):
        values = np.rint(rng.uniform(1, 60, (6 + index, 9)) * 256) / 256
        values[rng.random(values.shape) < 0.2] = 0
        maps.append(values.astype(np.float32))
    return maps


def write_stereo_folder(root: Path, maps: list[np.ndarray]) -> Path:
    """Write left/, right/ and disparity/ as PFM, 16-bit PNG and npz in turn."""
    for index, values in enumerate(maps):
        write_image(root / f"left/{index}.png", values.shape, index)
        write_image(root / f"right/{index}.png", values.shape, index + 50)
        write_map(root / "disparity", index, values)
    return root


def write_map(folder: Path, index: int, values: np.ndarray) -> Path:
    """Write a map in the form that its index asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    if index % 3 == 0:
        return write_pfm(folder / f"{index}.pfm", np.where(values == 0, np.inf, values))
    if index % 3 == 1:
        return write_png16(folder / f"{index}.png", values)
    np.savez(folder / f"{index}.npz", disparity=values)
    return folder / f"{index}.npz"
