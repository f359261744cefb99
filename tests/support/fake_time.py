"""A clock that only moves when told to, and models that move it: timing tests without waiting and without noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlcvbench.contract import ArraySplit, Batch, Device, Model, Predictions, Problem

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class FakeClock:
    """Nanoseconds that pass only by `advance`."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def advance(self, nanoseconds: float) -> None:
        self.now += int(nanoseconds)


class TimedModel(Model):
    """A model whose stages take what `durations` = (preprocess, forward, postprocess) say, in ns.

    Each is a number or a function of the call's index.
    """

    def __init__(self, clock: FakeClock, *durations: float | Callable[[int], float], device: str = "cpu") -> None:
        super().__init__(Problem("classification", ("a", "b"), {}))
        self.clock, self.durations = clock, durations or (0.0, float(MILLISECOND), 0.0)
        self.device = Device(type=device)
        self.seen: list[str] = []
        self.calls = [0, 0, 0]

    def _spend(self, stage: int, samples: int = 1) -> None:
        duration = self.durations[stage]
        self.clock.advance(duration(self.calls[stage]) if callable(duration) else duration)
        self.calls[stage] += 1

    def preprocess(self, batch: Batch) -> Any:
        self._spend(0)
        self.seen.extend(map(str, batch.ids))
        return np.asarray(batch.inputs["image"])

    def forward(self, inputs: Any) -> Any:
        self._spend(1)
        return inputs

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        self._spend(2)
        bright = outputs.reshape(len(outputs), -1).mean(axis=1, dtype=np.float64) / 255
        return {"scores": np.stack([bright, 1 - bright], axis=1).astype(np.float32)}


def images(count: int, side: int = 4) -> ArraySplit:
    """Return a split of `count` random 8-bit images with two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    return ArraySplit("test", {"image": pixels}, {"labels": np.arange(count) % 2})
