"""The engine against bare torch loops over the same networks, images and optimizer.

Goal: at least 0.97 of the bare loop's images a second, with checkpoints, for a small CNN (3,500 x 28 x 28, batch 64), a
U-Net (64 x 96 x 96, batch 16) and an embedding with class weights beside it (480 x 48 x 48, batch 32). A step of the
perceptron takes a millisecond, so that every call beside it shows: there it is 0.95. The bare loops do what anybody
would write who wants to see the loss of each epoch (and the accuracy, where a classifier's history has it); they have
their images as floats beforehand and keep no checkpoints. The engine leaves one where writing takes less than a
hundredth of the time since the one before, so that a training of a second may end without any. The ratio is that of the
shortest times of interleaved runs, for whatever else the machine does only makes them longer.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.paths import FIXTURES
from torch import nn
from torch.nn import functional

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench_cnn.small import SmallCNN
from mlcvbench_linear.mlp import MLP
from mlcvbench_training.checkpoint import FILE
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.samples import DenseSamples
from mlcvbench_training.settings import NetworkSettings
from mlcvbench_training.training import train

PAIRS = 7
SETTINGS = NetworkSettings(optimizer="adamw", lr=0.001, schedule="constant")
PEOPLE = 60


@dataclass(frozen=True, slots=True)
class Case:
    """What both loops train on `count` images: the bare one a fresh `build()`, which holds all that is learned.

    `told`: the loss of the images at some indices, and how often it is right or None. `ours` trains by the engine and
    returns the mean loss of the last epoch.
    """

    count: int
    batch: int
    epochs: int
    build: Callable[[], nn.Module]
    told: Callable[[Any, torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]
    ours: Callable[[NetworkSettings, FitContext], float]
    most: float = 2.5
    goal: float = 0.97

    def settings(self) -> NetworkSettings:
        return replace(SETTINGS, batch=self.batch, epochs=self.epochs)


def classifier(name: str) -> Case:
    rng = np.random.default_rng(0)
    count = 3_500
    images = torch.from_numpy(rng.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8))
    examples = Examples(images, torch.from_numpy(rng.integers(0, 10, count)))
    floats, labels = images.float() / 255.0, examples.labels
    problem = Problem("classification", tuple("0123456789"), {"image": InputSpec((28, 28))})

    def build() -> nn.Module:
        torch.manual_seed(0)
        return (SmallCNN(problem, stages=2) if name == "small_cnn" else MLP(problem)).build()

    def told(module: Any, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        logits, wanted = module(floats[chosen]), labels[chosen]
        return functional.cross_entropy(logits, wanted), (logits.detach().argmax(1) == wanted).sum()

    def ours(settings: NetworkSettings, ctx: FitContext) -> float:
        return float(train_network(build(), examples, settings, ctx).history["loss"][-1] or 0)

    if name == "mlp":
        return Case(count, 64, 10, build, told, ours, goal=0.95)
    return Case(count, 64, 1, build, told, ours)


def unet() -> Case:
    rng = np.random.default_rng(0)
    count, side = 64, 96
    images, labels = rng.integers(0, 256, (count, side, side, 3), np.uint8), rng.integers(0, 7, (count, side, side))
    split = ArraySplit("train", {"image": images}, {"label_map": labels.astype(np.uint8)}, ids=names(count))
    problem = Problem("segmentation", tuple("abcdefg"), {"image": InputSpec((side, side, 3))})
    floats, wanted = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels)

    def told(module: Any, chosen: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits = functional.interpolate(module(floats[chosen]), (side, side), mode="bilinear")
        return functional.cross_entropy(logits, wanted[chosen], ignore_index=255), None

    return of_base("unet:UNet", problem, split, told, 16, 2)


def embedding() -> Case:
    rng = np.random.default_rng(0)
    count, side = 480, 48
    images, labels = rng.integers(0, 256, (count, side, side, 3), np.uint8), np.arange(count) % PEOPLE
    split = ArraySplit("train", {"image": images}, {"identity": labels}, ids=names(count))
    problem = Problem("verification", (), {"image": InputSpec((side, side, 3))})
    floats, wanted = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels)

    def told(module: Any, chosen: torch.Tensor) -> tuple[torch.Tensor, None]:
        network, head = module
        return head(network(floats[chosen]), wanted[chosen]), None

    return of_base("arcface:FaceNetwork", problem, split, told, 32, 2, most=50)


def of_base(
    target: str, problem: Problem, split: ArraySplit, told: Any, batch: int, epochs: int, **further: Any
) -> Case:
    """Return the case of a method of the outside package on the base of its kind."""
    module, _, name = target.partition(":")
    model = getattr(importlib.import_module(f"mlcvbench_deep.{module}"), name)(problem)
    samples = DenseSamples.of(split, torch.device("cpu"), multiple=model.MULTIPLE, **model.SAMPLES)

    def parts() -> tuple[nn.Module, nn.Module | None]:
        torch.manual_seed(0)
        return model.build(), model.beside_of(samples)

    def build() -> nn.Module:
        own, beside = parts()
        return own if beside is None else nn.ModuleList([own, beside])

    def ours(settings: NetworkSettings, ctx: FitContext) -> float:
        own, model.beside = parts()
        report = train(own, model.objective(samples, settings), settings, ctx)
        return float(report.history["loss"][-1] or 0)

    return Case(len(split), batch, epochs, build, told, ours, **further)


def names(count: int) -> list[str]:
    return [f"{place}" for place in range(count)]


CASES: dict[str, Callable[[], Case]] = {
    "small_cnn": lambda: classifier("small_cnn"),
    "mlp": lambda: classifier("mlp"),
    "unet": unet,
    "embedding": embedding,
}


def bare_loop(case: Case) -> float:
    """Train as everybody would by hand; return the mean loss of the last epoch."""
    module = case.build()
    optimizer = torch.optim.AdamW(module.parameters(), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay)
    history = []
    for _ in range(case.epochs):
        module.train()
        total, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for chosen in torch.randperm(case.count).split(case.batch):
            loss, right = case.told(module, chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
            if right is not None:
                hits += right
        history.append((total.item() / case.count, hits.item() / case.count))
    return history[-1][0]


def our_loop(case: Case, folder: Path) -> float:
    """Train with the engine; return the mean loss of the last epoch."""
    (folder / FILE).unlink(missing_ok=True)
    ctx = FitContext(seed=0, device=Device(threads=torch.get_num_threads()), checkpoints=folder)
    return case.ours(case.settings(), ctx)


@pytest.mark.parametrize("name", CASES)
def test_the_engine_against_a_bare_torch_loop(
    benchmark: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FIXTURES / "deep_plugin"))
    case = CASES[name]()
    times, losses = [], []
    for _ in range(PAIRS):
        start = time.perf_counter()
        bare = bare_loop(case)
        middle = time.perf_counter()
        losses.append((bare, our_loop(case, tmp_path)))
        times.append((middle - start, time.perf_counter() - middle))
    bare_time, our_time = (min(column) for column in zip(*times, strict=True))

    benchmark.pedantic(our_loop, args=(case, tmp_path), rounds=2)
    benchmark.extra_info["share of the bare loop's images/s"] = round(bare_time / our_time, 4)
    benchmark.extra_info["goal"] = case.goal
    if benchmark.stats is not None:  # None when timing is disabled
        benchmark.extra_info["images/s"] = round(case.epochs * case.count / benchmark.stats.stats.min)

    assert all(np.isfinite(pair).all() for pair in losses)
    assert losses[0][1] < case.most
