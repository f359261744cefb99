"""Scores of small predictions by the readers of segmentation, and messages about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcvbench.errors import MlcvbenchError
from mlcvbench.running import scoring
from mlcvbench_segmentation.folder import load_label_folder
from mlcvbench_segmentation.task import SegmentationTask

PROTOCOL = "miou/ignore255/absent-skip@1"


def maps(classes: int, seed: int, count: int = 3) -> list[np.ndarray]:
    """Return label maps of class indices, blocks of 4 x 4 pixels."""
    rng = np.random.default_rng(seed)
    return [np.kron(rng.integers(0, classes, (4, 5)), np.ones((4, 4), int)).astype(np.uint8) for _ in range(count)]


def noisy(labels: list[np.ndarray], classes: int) -> list[np.ndarray]:
    """Return predictions of which four pixels in five are right."""
    rng = np.random.default_rng(9)
    pairs = [(one, rng.random(one.shape) < 0.8, rng.integers(0, classes, one.shape)) for one in labels]
    return [np.where(right, one, other).astype(np.uint8) for one, right, other in pairs]


def miou(root: Path, out: Path, **settings: Any) -> float:
    """Return the score of predictions as they are read with these settings; `label_map` is one of the data."""
    params = {"root": str(root)} | {name: settings.pop(name) for name in ("label_map",) if name in settings}
    data = load_label_folder(params, 0)
    task, test = SegmentationTask(), data.splits["test"]
    external = task.read_external(out, test, data.problem, settings)
    scorer = task.scorer(PROTOCOL, data.problem)
    value = scorer.summarise(scoring.tabulate(scorer, external.predictions, test.targets(), len(test)))["miou"]
    assert value is not None
    return value


def message(action: Any) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)
