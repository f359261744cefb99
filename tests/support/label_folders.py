"""Small label-image data sets on disk, for tests of segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("sky", "road", "car")


def write_png(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    """Write an array as PNG; `mode` "P" gives it a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    image.save(path)
    return path


def label_maps(count: int = 3, seed: int = 0, shape: tuple[int, int] = (6, 8)) -> list[np.ndarray]:
    """Return random label maps of three classes with some ignored pixels; sizes differ."""
    rng = np.random.default_rng(seed)
    maps = []
    for index in range(count):
        label = rng.integers(0, 3, (shape[0] + index, shape[1])).astype(np.uint8)
        label[rng.random(label.shape) < 0.1] = 255
        maps.append(label)
    return maps


def write_label_folder(root: Path, labels: list[np.ndarray], *, images: bool = True) -> Path:
    """Write `labels/0.png ...`, `images/0.jpg ...` and `classes.txt` below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for index, label in enumerate(labels):
        write_png(root / f"labels/{index}.png", label, "P" if index % 2 else None)
        if images:
            pixels = np.random.default_rng(index).integers(0, 255, (*label.shape, 3)).astype(np.uint8)
            write_png(root / f"images/{index}.png", pixels)
    return root


def write_predictions(folder: Path, labels: list[np.ndarray], seed: int = 1) -> list[np.ndarray]:
    """Write one random prediction a label map and return them."""
    rng = np.random.default_rng(seed)
    maps = []
    for index, label in enumerate(labels):
        guess = np.where(rng.random(label.shape) < 0.7, np.minimum(label, 2), rng.integers(0, 3, label.shape))
        maps.append(guess.astype(np.uint8))
        write_png(folder / f"{index}.png", maps[-1])
    return maps


def write_palette_png(path: Path, array: np.ndarray, colors: Sequence[Sequence[int]]) -> Path:
    """Write an array as PNG whose values have these colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    image.putpalette([level for color in colors for level in color])
    image.save(path)
    return path


def write_labelled(root: Path, classes: Sequence[str], labels: Sequence[np.ndarray], label_map: str = "") -> Path:
    """Write `labels/0.png ...` as they are, `classes.txt` and, when given, `label_map.csv` below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    if label_map:
        (root / "label_map.csv").write_text(label_map)
    for index, label in enumerate(labels):
        write_png(root / f"labels/{index}.png", label)
    return root


def write_each(folder: Path, maps: Sequence[np.ndarray]) -> Path:
    """Write `0.png ...` and return their folder."""
    for index, one in enumerate(maps):
        write_png(folder / f"{index}.png", one)
    return folder


def mean_iou(labels: Sequence[np.ndarray], guesses: Sequence[np.ndarray], classes: int) -> float:
    """Return the mean IoU of class indices by its definition, pixels of 255 and above left out."""
    label, guess = (np.concatenate([one.ravel() for one in maps]) for maps in (labels, guesses))
    label, guess = label[label < 255], guess[label < 255]
    iou = [((label == k) & (guess == k)).sum() / ((label == k) | (guess == k)).sum() for k in range(classes)]
    return float(np.mean(iou))
