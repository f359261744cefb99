"""The label images and predictions of docs/segmentation.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.label_folders import write_palette_png, write_png

ROAD, CAR, VOID = (128, 64, 128), (64, 0, 128), (0, 0, 0)


def prepare(folder: Path) -> None:
    """Write the folders that the page names: streets, VOC2012, lesions and camera, each with its predictions."""
    _pair(folder, "streets", "a", [[2, 2, 2, 2], [0, 0, 1, 1], [0, 0, 0, 255], [0, 0, 0, 255]],
          [[2, 2, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]])  # fmt: skip
    _pair(folder, "lesions", "a", [[0, 0, 0, 0], [0, 0, 255, 255]], [[0, 0, 0, 0], [0, 1, 1, 1]])
    for index in range(2):
        write_png(folder / f"all-ground/test-0000{index}.png", np.zeros((128, 128), np.uint8))
        write_png(folder / f"all-head/test-0000{index}.png", np.zeros((96, 96), np.uint8))
    _pair(folder, "lesions", "b", [[0, 0, 255, 255]], [[0, 0, 0, 0]])
    lists = folder / "VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_000001\n")
    values = np.kron(np.arange(21), np.ones((4, 4), int)).astype(np.uint8)
    colors = [(index, 2 * index, 3 * index) for index in range(21)]
    write_palette_png(folder / "VOC2012/SegmentationClass/2007_000001.png", values, colors)
    write_palette_png(folder / "voc-predicted/2007_000001.png", values, colors)
    labels, guesses = np.array([[0, 0, 0, 1], [0, 0, 1, 2]]), np.array([[0, 0, 0, 1], [0, 0, 0, 1]])
    palette = np.array([ROAD, CAR, VOID], np.uint8)
    write_png(folder / "camera/labels/a.png", palette[labels])
    write_png(folder / "camera-numbers/a.png", guesses.astype(np.uint8))
    write_png(folder / "camera-colours/a.png", palette[guesses])


def _pair(folder: Path, name: str, image: str, label: list[list[int]], guess: list[list[int]]) -> None:
    write_png(folder / f"{name}/labels/{image}.png", np.array(label, np.uint8))
    write_png(folder / f"{name}-predicted/{image}.png", np.array(guess, np.uint8))
