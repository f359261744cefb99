"""Small synthetic data for each task kind: quick to learn, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Batch, Column, InputSpec, LoadedData, Problem, Split
from mlcvbench.registry import Registry
from mlcvbench.specs import load_target
from mlcvbench.specs.values import complete

CLASSES = ("disc", "bars", "checks")
SIZES = {"train": 48, "val": 12, "test": 12}


def classification(shape: tuple[int, ...] = (28, 28), seed: int = 0) -> LoadedData:
    """Return images of three noisy textures: uint8 (N, H, W) or (N, H, W, 3), labels 0 to 2 in turn."""
    generator = np.random.default_rng(seed)
    splits: dict[str, Split] = {}
    for name, count in SIZES.items():
        labels = np.arange(count, dtype=np.int64) % len(CLASSES)
        images = np.stack([_texture(int(label), shape, generator) for label in labels])  # (N, H, W[, 3])
        ids = [f"{name}-{index:03d}" for index in range(count)]
        splits[name] = ArraySplit(name, {"image": images}, {"label": labels}, ids=ids)
    problem = Problem("classification", CLASSES, {"image": InputSpec(shape)})
    return LoadedData("toy", "1", problem, splits)


def _texture(label: int, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 <= (min(height, width) / 3) ** 2
    pattern = (disc, y // 2 % 2 == 0, (y // 4 + x // 4) % 2 == 0)[label]
    grey = np.where(pattern, 190, 60) + generator.integers(-40, 41, size=(height, width))  # (H, W)
    image = grey if len(shape) == 2 else np.stack([grey, 255 - grey, grey // 2], axis=-1)
    return np.clip(image, 0, 255).astype(np.uint8)


TOYS: dict[str, Callable[..., LoadedData]] = {"classification": classification}
"""Task kind -> function that makes toy data from an image shape and a seed."""


def toy_data(kind: str, shape: tuple[int, ...] = (28, 28), seed: int = 0) -> LoadedData | None:
    """Return toy data of a task kind with splits train, val and test, or None when the kit has none for it."""
    maker = TOYS.get(kind)
    return maker(shape, seed) if maker is not None else None


def installed_data(kind: str, needs: Collection[str], registry: Registry) -> LoadedData | None:
    """Return the first samples of the first data set of a task kind that loads without settings and has the needed
    inputs.
    """
    for entry in registry.datasets(kind):
        spec = entry.spec
        if set(needs) <= set(spec.provides) and not any(param.required for param in spec.params):
            data: LoadedData = load_target(spec.target)(complete(spec.params, {}), 0)
            return replace(
                data, splits={n: s.take(np.arange(min(len(s), SIZES.get(n, 0)))) for n, s in data.splits.items()}
            )
    return None


def odd_pixels(batch: Batch) -> dict[str, Batch]:
    """Return copies of a batch with extreme pixels, by description: all 0, all 255, 0 or 255 at random."""
    generator = np.random.default_rng(1)
    makers: dict[str, Callable[[Array], Array]] = {
        "black images": np.zeros_like,
        "white images": lambda array: np.full_like(array, 255),
        "black and white noise": lambda array: generator.choice(np.array([0, 255], array.dtype), array.shape),
    }
    return {
        name: replace(batch, inputs={kind: _mapped(make, column) for kind, column in batch.inputs.items()})
        for name, make in makers.items()
    }


def _mapped(make: Callable[[Array], Array], column: Column) -> Column:
    return [make(item) for item in column] if isinstance(column, list) else make(column)
