"""The loop gives, bit for bit, the weights of the loop that anybody would write by hand with torch's own optimizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import Device, FitContext, InputSpec, Problem
from mlcvbench_cnn.small import SmallCNN
from mlcvbench_linear.mlp import MLP
from mlcvbench_training.augmentation import flip, shift
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
SEED, COUNT, BATCH, EPOCHS, RATE = 5, 105, 16, 3, 0.02
PLAIN = Settings(epochs=EPOCHS, batch=BATCH, lr=RATE, schedule="constant", weight_decay=0.0)
PROBLEM = Problem("classification", tuple("0123"), {"image": InputSpec((12, 12))})
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "small_cnn": lambda: SmallCNN(PROBLEM, width=4).build(),
    "mlp": lambda: MLP(PROBLEM, hidden=(16,), dropout=0.2).build(),
    "linear_softmax": lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 4)),
}
Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def adamw(weights: list[nn.Parameter], others: list[nn.Parameter]) -> torch.optim.Optimizer:
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE)


def sgd_with_l2(weights: list[nn.Parameter], others: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": weights, "weight_decay": 0.001}, {"params": others}], lr=RATE)


def rmsprop(weights: list[nn.Parameter], others: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.RMSprop([*weights, *others], lr=RATE, alpha=0.9)


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return flip(shift(images, generator), 0.5, generator)


def kept(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images


CASES: dict[str, tuple[dict[str, Any], Any, Change, float]] = {
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.01}, adamw, kept, 0.0),
    "sgd, l2, smoothed labels": ({"optimizer": "sgd", "l2": 0.001, "label_smoothing": 0.1}, sgd_with_l2, kept, 0.1),
    "rmsprop, augmentation": ({"optimizer": "rmsprop", "augmentation": "shift", "flip": 0.5}, rmsprop, moved, 0.0),
}


def started(name: str) -> nn.Module:
    with seeded(1, CPU):
        return NETWORKS[name]()


def examples() -> Examples:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (COUNT, 1, 12, 12), dtype=np.uint8))
    return Examples(images, torch.from_numpy(rng.integers(0, 4, COUNT)))


def by_hand(
    module: nn.Module, data: Examples, make: Any, change: Change, smoothing: float
) -> list[tuple[float, float]]:
    """Train as a page of a tutorial would; return mean loss and accuracy of each epoch."""
    parameters = list(module.parameters())
    optimizer = make([p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1])
    generator, seen = torch.Generator().manual_seed(SEED), []
    with seeded(SEED, CPU):
        for _ in range(EPOCHS):
            module.train()
            total, hits = 0.0, 0
            for chosen in torch.randperm(COUNT, generator=generator).split(BATCH):
                inputs, labels = change(data.images[chosen].float() / 255.0, generator), data.labels[chosen]
                logits = module(inputs)
                loss = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += loss.item() * len(chosen)
                hits += int((logits.argmax(1) == labels).sum())
            seen.append((total / COUNT, hits / COUNT))
    return seen


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_loop_trains_exactly_as_a_loop_by_hand(name: str, case: str):
    changes, make, change, smoothing = CASES[case]
    ours, theirs, data = started(name), started(name), examples()

    report = train_network(ours, data, replace(PLAIN, **changes), FitContext(seed=SEED, device=Device()))
    seen = by_hand(theirs, data, make, change, smoothing)

    for (key, tensor), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(tensor, other), key
    assert report.history["loss"] == pytest.approx([loss for loss, _ in seen], rel=1e-12)
    assert report.history["train_accuracy"] == [accuracy for _, accuracy in seen]
