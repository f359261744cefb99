"""A backbone that learns slower than the rest, or in part not at all."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mlcvbench.contract import Device, FitContext, FitReport
from mlcvbench.errors import RequestError
from mlcvbench_training import training
from mlcvbench_training.frozen import backbone_of
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.optimization import Rule
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
PENALTIES: dict[str, dict[str, float]] = {
    "alone": {"weight_decay": 0.0},
    "with l2": {"weight_decay": 0.0, "l2": 0.3},
    "with decay": {"weight_decay": 0.2},
    "with l1": {"weight_decay": 0.0, "l1": 0.2},
}


class Split(nn.Module):
    """A backbone and a head, each a weight and a bias in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(3, 2, dtype=torch.float64), nn.Linear(2, 1, dtype=torch.float64)


def moved(module: nn.Module, rule: Rule, rates: tuple[float, ...] = (0.1, 0.1, 0.02)) -> None:
    """Make steps down a curved valley, in which no parameter feels another."""
    for rate in rates:
        loss = sum((parameter.square() + 0.1 * parameter.pow(4)).sum() for parameter in module.parameters())
        (rule.scale(rate) * loss).backward()
        rule.step(rate, rule.settings.momentum)


def values(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("optimizer", RULES)
def test_the_backbone_moves_as_under_a_rule_of_its_own_at_its_share_of_the_rate(optimizer: str, penalties: str):
    settings = Settings(optimizer=optimizer, backbone_lr=0.25, **PENALTIES[penalties])
    whole = Split()
    slow, fast = copy.deepcopy(whole.backbone), copy.deepcopy(whole.head)

    moved(whole, Rule(whole, settings, whole.backbone))
    moved(slow, Rule(slow, settings), (0.025, 0.025, 0.005))
    moved(fast, Rule(fast, settings))

    for own, wanted in ((whole.backbone, slow), (whole.head, fast)):
        for value, expected in zip(values(own), values(wanted), strict=True):
            assert torch.allclose(value, expected, rtol=0, atol=1e-12)


def test_a_share_of_one_changes_no_bit():
    settings, weights = Settings(optimizer="momentum", l2=0.1), []
    start = Split()
    for backbone in (True, False):
        module = copy.deepcopy(start)
        moved(module, Rule(module, settings, module.backbone if backbone else None))
        weights.append(values(module))

    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


def test_the_norm_of_a_gradient_is_cut_over_backbone_and_head_together():
    module = Split()
    before = [value.clone() for value in values(module)]
    rule = Rule(module, Settings(optimizer="sgd", weight_decay=0.0, clip=1.0, backbone_lr=0.5), module.backbone)
    (100 * sum(parameter.sum() for parameter in module.parameters())).backward()
    rule.step(1.0, 0.0)

    steps = [now - then for now, then in zip(values(module), before, strict=True)]
    count = sum(step.numel() for step in steps)
    assert steps[0].abs().max().item() == pytest.approx(0.5 / math.sqrt(count), rel=1e-5)  # backbone
    assert steps[2].abs().max().item() == pytest.approx(1 / math.sqrt(count), rel=1e-5)  # head


class Small(nn.Module):
    """A network of images 8 x 8 of which a part is its backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3))
        self.head = nn.Sequential(nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(96, 2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def network(frozen: int = 0) -> Small:
    """Return the network, of whose backbone the first so many layers are frozen."""
    with seeded(1, CPU):
        module = Small()
    module.backbone[:frozen].requires_grad_(False)
    return module


def trained(
    module: nn.Module, folder: Path | None = None, *, stop_after: int = 0, **settings: Any
) -> tuple[nn.Module, FitReport]:
    def progress(done: int, total: int) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (40, 1, 8, 8), generator=generator).to(torch.uint8)
    chosen = replace(Settings(batch=8, epochs=4, lr=0.01), **settings)
    ctx = FitContext(seed=3, device=Device(), checkpoints=folder, progress=progress)
    return module, train_network(module, Examples(images, torch.arange(40) % 2), chosen, ctx)


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("frozen", [0, 2])
@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "adamw"}, {"optimizer": "momentum", "l2": 0.01}, {"optimizer": "nesterov", "average": "ema"}],
    ids=lambda settings: settings["optimizer"],
)
def test_an_interrupted_training_of_a_slow_backbone_ends_with_the_same_bits(
    settings: dict[str, Any], frozen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training, "SAVING_SHARE", math.inf)
    settings = {**settings, "backbone_lr": 0.1}
    whole, _ = trained(network(frozen), **settings)
    with pytest.raises(KeyboardInterrupt):
        trained(network(frozen), tmp_path, stop_after=2, **settings)

    resumed, report = trained(network(frozen), tmp_path, **settings)

    assert report.earlier_seconds > 0
    assert same(resumed, whole)


def test_a_slow_backbone_moves_less_than_one_at_the_whole_rate():
    distances = []
    for share in (1.0, 0.01):
        module, _ = trained(network(), backbone_lr=share)
        distances.append((module.backbone[3].weight - network().backbone[3].weight).norm().item())

    assert distances[1] < distances[0] / 10


def test_the_backbone_of_a_part_of_a_network_is_found():
    module = nn.Sequential(nn.Identity(), network())

    assert backbone_of(module) is module[1].backbone
    assert trained(module, backbone_lr=0.1)[1].epochs == 4


def test_a_network_without_a_backbone_refuses_a_rate_for_it():
    with pytest.raises(RequestError, match=r"^fit\.backbone_lr=0\.1: this network has no backbone\.$"):
        trained(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), backbone_lr=0.1)


@pytest.mark.parametrize("average", ["none", "ema", "swa"])
def test_frozen_layers_and_the_statistics_of_their_norms_stay_as_they_are(average: str):
    module, _ = trained(network(frozen=2), average=average)

    fresh = network()
    assert same(module.backbone[:2], fresh.backbone[:2])
    assert not torch.equal(module.backbone[3].weight, fresh.backbone[3].weight)
    assert not torch.equal(module.head[0].running_mean, fresh.head[0].running_mean)


def test_a_frozen_norm_normalises_in_training_as_in_testing():
    module, seen = network(frozen=2), []
    hook = lambda norm, inputs, outputs: seen.append((norm.training, outputs))  # noqa: E731
    module.backbone[1].register_forward_hook(hook)
    module.head[0].register_forward_hook(hook)

    trained(module, epochs=1)

    assert {training for training, _ in seen[::2]} == {False}
    assert {training for training, _ in seen[1::2]} == {True}
    assert not any(outputs.requires_grad for _, outputs in seen[::2])  # so nothing is computed for its gradient


def test_a_norm_of_which_a_part_learns_follows_the_data():
    module = network()
    module.backbone[1].weight.requires_grad_(False)

    trained(module)

    assert not torch.equal(module.backbone[1].running_mean, network().backbone[1].running_mean)


def test_a_rate_for_a_backbone_of_which_nothing_learns_is_refused():
    module = network()
    module.backbone.requires_grad_(False)

    with pytest.raises(RequestError, match=r"^fit\.backbone_lr=0\.1: all of the backbone is frozen\.$"):
        trained(module, backbone_lr=0.1)
