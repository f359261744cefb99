"""What tests of embedders share: models by name, and photographs of a few people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import ArraySplit, InputSpec, Problem
from mlcvbench.specs import load_target
from mlcvbench_metric_learning import mlcvbench_models
from mlcvbench_metric_learning.one_size import OneSize

SPECS = {(spec.name, spec.kinds[0]): spec for spec in mlcvbench_models()}
TINY = {"size": 32, "dimensions": 8}
SIDE = 32


def problem(side: int | None = SIDE, kind: str = "verification", classes: int = 0) -> Problem:
    names = tuple(f"class{number}" for number in range(classes))
    return Problem(kind, names, {"image": InputSpec((side, side, 3))})


def model_of(name: str, own: Problem | None = None, **params: Any) -> OneSize:
    """Return a method of the family with its declared defaults, changed by `params`."""
    own = own or problem()
    spec = SPECS[name, own.kind]
    declared = {param.name: param.default for param in spec.params}
    model = load_target(spec.target)(own, **declared | params)
    assert isinstance(model, OneSize)
    return model


def photos(people: Sequence[int] = (3, 5, 8, 13), shots: int = 6, side: int = SIDE, seed: int = 0) -> ArraySplit:
    """Return noisy photographs of people, each a pattern of its own; person 3 is the same in every split."""
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.asarray(people, dtype=np.int64), shots)
    images = [pattern(int(person), side) + generator.normal(0, 12, (side, side, 3)) for person in identity]
    column = np.clip(np.stack(images), 0, 255).astype(np.uint8)
    return ArraySplit("train", {"image": column}, {"identity": identity}, groups=identity.astype(str))


def pattern(person: int, side: int = SIDE) -> np.ndarray:
    """Return what all photographs of a person show, float (side, side, 3)."""
    cells = np.random.default_rng(person).integers(30, 226, (4, 4, 3)).astype(np.float64)
    places = np.arange(side) * 4 // side
    return cells[places][:, places]


def multiply_adds(network: Any, side: int, channels: int = 3) -> float:
    """Return those of a network on the meta device for one square image."""
    import torch

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, channels, side, side, device="meta"))
    return counter.get_total_flops() / 2
