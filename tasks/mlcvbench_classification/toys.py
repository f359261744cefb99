"""Toy data for the conformance kit: images of three noisy textures."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Column, InputSpec, LoadedData, Problem, Split
from mlcvbench.testing.drawing import SHAPES, pattern
from mlcvbench.testing.toy import FEW, SIZES

PLAIN = (28, 28)


def toys(needs: Collection[str]) -> dict[str, LoadedData]:
    """Return images with labels 0 to 2 in turn, uint8 (H, W) or (H, W, 3); none for other inputs than images."""
    if not set(needs) <= {"image"}:
        return {}
    return {
        "toy": textures(PLAIN, SIZES),
        "1x1 images": textures((1, 1), SIZES),
        "images of 9x31": textures((9, 31), SIZES),
        "colour images": textures((*PLAIN, 3), SIZES),
        "images of unequal size": textures((None, None), FEW),
    }


def textures(shape: tuple[int | None, ...], sizes: Mapping[str, int]) -> LoadedData:
    """Return images of one shape, or of unequal ones where its lengths are None."""
    generator = np.random.default_rng(0)
    splits: dict[str, Split] = {}
    for name, count in sizes.items():
        labels = np.arange(count, dtype=np.int64) % len(SHAPES)
        ragged = None in shape
        shapes = [(20 + row % 4, 30 - row % 5) if ragged else tuple(map(int, shape)) for row in range(count)]  # type: ignore[arg-type]
        images = [_texture(int(label), one, generator) for label, one in zip(labels, shapes, strict=True)]
        column: Column = images if ragged else np.stack(images)  # (N, H, W[, 3])
        splits[name] = ArraySplit(
            name, {"image": column}, {"label": labels}, ids=[f"{name}-{index:03d}" for index in range(count)]
        )
    return LoadedData("toy", "1", Problem("classification", SHAPES, {"image": InputSpec(shape)}), splits)


def _texture(label: int, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    size = (shape[0], shape[1])
    grey = np.where(pattern(label, size), 190, 60) + generator.integers(-40, 41, size=size)  # (H, W)
    image = grey if len(shape) == 2 else np.stack([grey, 255 - grey, grey // 2], axis=-1)
    return np.clip(image, 0, 255).astype(np.uint8)
