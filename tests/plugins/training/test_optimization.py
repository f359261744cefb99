"""Update rules against golden iterates (f = x^2, x0 = 1, lr = 0.1, three steps), schedules against formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mlcvbench_training.optimization import build_optimizer, rate_factor
from mlcvbench_training.settings import SCHEDULES, Settings, fit_params


def iterates(optimizer: str, weight_decay: float = 0.0) -> list[float]:
    """Return three steps on x^2 for a matrix parameter, which weight decay applies to."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    rule = build_optimizer(module, Settings(optimizer=optimizer, lr=0.1, weight_decay=weight_decay))
    values = []
    for _ in range(3):
        rule.zero_grad()
        module.weight.square().sum().backward()
        rule.step()
        values.append(module.weight.item())
    return values


@pytest.mark.parametrize(
    ("optimizer", "golden"),
    [
        ("sgd", [0.8, 0.64, 0.512]),
        ("momentum", [0.8, 0.46, 0.062]),
        ("adam", [0.9000000005, 0.8004122287, 0.7015862729]),
        ("adamw", [0.9000000005, 0.8004122287, 0.7015862729]),
    ],
)
def test_update_rules_make_their_golden_steps(optimizer, golden):
    assert iterates(optimizer) == pytest.approx(golden, abs=1e-6)


def test_decay_is_an_l2_gradient_in_sgd_and_decoupled_in_adamw():
    assert iterates("sgd", weight_decay=0.5)[0] == pytest.approx(1 - 0.1 * (2 + 0.5))
    assert iterates("adamw", weight_decay=0.5)[0] == pytest.approx(1 - 0.1 * 0.5 - 0.1, abs=1e-6)


def test_biases_and_norm_parameters_are_not_decayed():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))

    groups = build_optimizer(module, Settings(weight_decay=0.1)).param_groups

    assert [(group["weight_decay"], [tuple(p.shape) for p in group["params"]]) for group in groups] == [
        (0.1, [(2, 1, 3, 3)]),
        (0.0, [(2,), (2,), (2,)]),
    ]


def test_a_constant_rate_stays_and_a_cosine_falls_by_its_formula():
    assert [rate_factor("constant", step, 4) for step in range(4)] == [1.0] * 4
    assert [rate_factor("cosine", step, 4) for step in range(4)] == pytest.approx(
        [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    )


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")
@pytest.mark.parametrize("steps", [4, 10, 11, 100])
def test_one_cycle_is_torchs(steps):
    module = nn.Linear(1, 1)
    rule = torch.optim.SGD(module.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(rule, max_lr=1.0, total_steps=steps, cycle_momentum=False)
    torchs = [schedule.get_last_lr()[0]]
    for _ in range(steps - 1):
        rule.step()
        schedule.step()
        torchs.append(schedule.get_last_lr()[0])

    ours = [rate_factor("one_cycle", step, steps) for step in range(steps)]

    assert ours == pytest.approx(torchs)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_of_one_step_has_a_rate(schedule):
    assert 0 < rate_factor(schedule, 0, 1) <= 1
    assert all(0 < rate_factor(schedule, step, 3) <= 1 for step in range(3))


def test_declared_settings_are_those_of_the_loop():
    defaults = Settings(lr=0.5)

    declared = {param.name: param.default for param in fit_params(defaults)}

    assert declared == {name: getattr(defaults, name) for name in Settings.__slots__}
    assert "augmentation" not in {param.name for param in fit_params(defaults, without=("augmentation",))}


def test_settings_come_from_the_request_and_else_from_the_method():
    assert Settings.of({"lr": 0.1, "patience": 3}, Settings(lr=1.0, epochs=7)) == Settings(lr=0.1, epochs=7)
