"""Update rules against golden iterates (f = x^2, x0 = 1, lr = 0.1, three steps), penalties against their formulas."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from mlcvbench_training.optimization import Rule
from mlcvbench_training.settings import Settings

STILL = Settings(weight_decay=0.0)


def one_weight() -> nn.Linear:
    """Return a matrix parameter of one entry, 1 in float64, which decay and penalties apply to."""
    module = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(module.weight)
    return module


def iterates(optimizer: str, rates: tuple[float, ...] = (0.1, 0.1, 0.1), **settings: Any) -> list[float]:
    """Return the weight after each step on its square."""
    module = one_weight()
    given = {"weight_decay": 0.0, "lr": 0.1, **settings}
    rule = Rule(module, Settings(optimizer=optimizer, **given))
    values = []
    for rate in rates:
        (rule.scale(rate) * module.weight.square().sum()).backward()
        rule.step(rate, rule.settings.momentum)
        values.append(module.weight.item())
    return values


@pytest.mark.parametrize(
    ("optimizer", "golden"),
    [
        ("gd", [0.8, 0.64, 0.512]),
        ("sgd", [0.8, 0.64, 0.512]),
        ("online_gd", [0.8, 0.64, 0.512]),
        ("momentum", [0.8, 0.46, 0.062]),
        ("nesterov", [0.62, 0.2224, -0.108352]),
        ("adagrad", [0.9, 0.8331035268, 0.7804561814]),
        ("rmsprop", [0.683772239, 0.4988706135, 0.3691805603]),
        ("adam", [0.9000000005, 0.8004122287, 0.7015862729]),
        ("adamw", [0.9000000005, 0.8004122287, 0.7015862729]),
    ],
)
def test_update_rules_make_their_golden_steps(optimizer, golden):
    assert iterates(optimizer) == pytest.approx(golden, rel=0, abs=1e-9)


def test_nesterovs_parameters_are_where_the_gradient_is_taken_and_map_to_the_notes_sequence():
    module = one_weight()
    rule = Rule(module, Settings(optimizer="nesterov", weight_decay=0.0))
    places = []
    for _ in range(3):
        (rule.scale(0.1) * module.weight.square().sum()).backward()
        rule.step(0.1, 0.9)
        velocity = -rule.optimizer.state[module.weight]["momentum_buffer"]
        places.append((module.weight - 0.9 * velocity).item())

    assert places == pytest.approx([0.8, 0.496, 0.17792], rel=0, abs=1e-9)


def test_momentum_keeps_its_velocity_when_the_rate_falls_where_torchs_would_slow_down():
    module = one_weight()
    torchs = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for rate in (0.1, 0.1, 0.01):
        torchs.param_groups[0]["lr"] = rate
        torchs.zero_grad()
        module.weight.square().sum().backward()
        torchs.step()

    assert module.weight.item() == pytest.approx(0.4202, abs=1e-4)
    assert iterates("momentum", (0.1, 0.1, 0.01))[-1] == pytest.approx(0.1448, rel=0, abs=1e-9)


def slopes(optimizer: str, count: int, **settings: Any) -> list[float]:
    """Return how far each step goes down a line of slope 1, lr 0.1."""
    module = one_weight()
    rule = Rule(module, Settings(optimizer=optimizer, weight_decay=0.0, **settings))
    places = [1.0]
    for _ in range(count):
        (rule.scale(0.1) * module.weight.sum()).backward()
        rule.step(0.1, 0.9)
        places.append(module.weight.item())
    return [before - after for before, after in pairwise(places)]


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov"])
def test_momentum_multiplies_a_steady_step_by_1_over_1_minus_beta(optimizer):
    assert slopes(optimizer, 300)[-1] == pytest.approx(0.1 / (1 - 0.9))


def test_the_steps_of_adagrad_only_shrink_where_those_of_rmsprop_do_not():
    assert slopes("adagrad", 50) == pytest.approx([0.1 / math.sqrt(t) for t in range(1, 51)])
    assert slopes("rmsprop", 200)[-1] == pytest.approx(0.1)


def test_a_root_has_its_epsilon_outside():
    (first,) = slopes("rmsprop", 1, beta=0.75, eps=0.5)  # torch's and the notes' form; TensorFlow's is inside

    assert first == pytest.approx(0.1 / (math.sqrt(0.25) + 0.5))
    assert first != pytest.approx(0.1 / math.sqrt(0.25 + 0.5))


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [("sgd", 0), ("momentum", 1), ("nesterov", 1), ("adagrad", 1), ("rmsprop", 1), ("adam", 2), ("adamw", 2)],
)
def test_a_rule_remembers_so_many_numbers_a_parameter(optimizer, copies):
    module = nn.Linear(30, 20)
    rule = Rule(module, Settings(optimizer=optimizer))
    module(torch.ones(1, 30)).sum().backward()
    rule.step(0.1, 0.9)

    stored = sum(tensor.numel() for tensor in rule.state().values() if tensor.numel() > 1)
    assert stored == copies * (30 * 20 + 20)  # with weights and gradients: Adam x4, momentum x3


def test_momentum_stands_a_rate_of_zero():
    assert iterates("momentum", (0.1, 0.0, 0.1)) == pytest.approx([0.8, 0.62, 0.334], abs=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "setting", "value", "first_two"),
    [
        ("momentum", "momentum", 0.5, [0.8, 0.54]),
        ("nesterov", "momentum", 0.5, [0.7, 0.44]),
        ("nesterov", "momentum", 0.0, [0.8, 0.64]),
        ("rmsprop", "beta", 0.5, [0.858578645, 0.749413846]),
        ("rmsprop", "eps", 1.0, [0.877485177, 0.780915388]),
        ("adagrad", "eps", 2.0, [0.950000000, 0.910072482]),
        ("adam", "eps", 2.0, [0.950000000, 0.900707220]),
        ("adam", "beta1", 0.0, [0.900000000, 0.805391617]),
        ("adam", "beta2", 0.5, [0.900000000, 0.798625464]),
    ],
)
def test_each_rule_honours_its_settings(optimizer, setting, value, first_two):
    assert iterates(optimizer, **{setting: value})[:2] == pytest.approx(first_two, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam"])
def test_l2_is_a_penalty_in_the_gradient(optimizer):
    module = one_weight()
    rule = Rule(module, Settings(optimizer=optimizer, lr=0.1, weight_decay=0.0))
    expected = []
    for _ in range(3):
        (module.weight.square().sum() + 0.5 / 2 * module.weight.square().sum()).backward()
        rule.step(0.1, 0.9)
        expected.append(module.weight.item())

    assert iterates(optimizer, l2=0.5) == pytest.approx(expected, rel=1e-6)


def test_l2_is_the_same_penalty_under_momentum_when_the_rate_changes():
    # v = -0.1 * 2.5 = -0.25; then v = 0.9 v - 0.01 * 2.5 * 0.75
    assert iterates("momentum", (0.1, 0.01), l2=0.5) == pytest.approx([0.75, 0.75 - 0.225 - 0.01875], abs=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
def test_weight_decay_is_decoupled_whatever_the_rule(optimizer):
    plain, decayed = iterates(optimizer)[0], iterates(optimizer, weight_decay=0.5)[0]

    assert decayed == pytest.approx(plain - 0.1 * 0.5, abs=1e-6)


def test_weight_decay_is_l2_for_plain_sgd_only():
    assert iterates("sgd", weight_decay=0.5) == pytest.approx(iterates("sgd", l2=0.5))
    assert iterates("momentum", weight_decay=0.5)[1] != pytest.approx(iterates("momentum", l2=0.5)[1])
    assert iterates("adam", weight_decay=0.5)[0] != pytest.approx(iterates("adam", l2=0.5)[0])


def test_adamw_is_torchs_to_the_last_bit():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(20, 20, bias=False), nn.Linear(20, 20, bias=False)
    theirs.load_state_dict(ours.state_dict())
    rule = Rule(ours, Settings(optimizer="adamw", weight_decay=0.1))
    adamw = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.1)
    for rate in (0.1, 0.03, 0.001):
        inputs = torch.randn(8, 20)
        adamw.param_groups[0]["lr"] = rate
        adamw.zero_grad()
        for module in (ours, theirs):
            module(inputs).square().mean().backward()
        rule.step(rate, 0.9)
        adamw.step()

    assert torch.equal(ours.weight, theirs.weight)


def test_l1_reaches_zero_exactly_and_stays_there():
    module = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 0.01]]))
    rule = Rule(module, Settings(optimizer="sgd", weight_decay=0.0, l1=0.5))
    for _ in range(3):
        (0.5 * (module.weight - torch.tensor([[2.0, 0.1]])).square()).sum().backward()
        rule.step(0.5, 0.9)

    assert module.weight[0, 1].item() == 0.0
    assert module.weight[0, 0].item() == pytest.approx(2 - 0.5 - 0.5 * 0.5**3)  # the minimum is at 2 - l1


def test_biases_and_norm_parameters_are_neither_decayed_nor_penalised():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = [parameter.clone() for parameter in module.parameters()]
    rule = Rule(module, Settings(optimizer="sgd", weight_decay=0.1, l1=0.1, l2=0.1))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    rule.step(0.5, 0.9)

    changed = [not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True)]
    assert changed == [True, False, False, False]


def test_frozen_parameters_stay():
    module = nn.Linear(2, 2)
    module.weight.requires_grad_(False)
    weight = module.weight.clone()
    rule = Rule(module, STILL)
    module(torch.ones(1, 2)).sum().backward()
    rule.step(0.1, 0.9)

    assert torch.equal(module.weight, weight)
    assert module.bias.grad is None


@pytest.mark.parametrize(
    ("optimizer", "golden"),
    [
        ("sgd", [0.9, 0.8, 0.7]),  # the gradient 2 x is cut to 1
        ("momentum", [0.9, 0.71, 0.439]),  # v = 0.9 v - 0.1
        ("nesterov", [0.81, 0.539, 0.1951]),
    ],
)
def test_a_gradient_is_cut_to_the_largest_norm_before_the_rule_sees_it(optimizer: str, golden: list[float]) -> None:
    assert iterates(optimizer, clip=1.0) == pytest.approx(golden, abs=1e-5)


def test_the_norm_is_that_of_all_parameters_together() -> None:
    module = nn.Linear(2, 1)
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    rule = Rule(module, Settings(optimizer="sgd", weight_decay=0.0, clip=6.5))
    (module.weight @ torch.tensor([3.0, 4.0]) + 12 * module.bias).sum().backward()  # its gradient has length 13

    rule.step(1.0, 0.0)

    assert module.weight.flatten().tolist() == pytest.approx([-1.5, -2.0], abs=1e-5)
    assert module.bias.item() == pytest.approx(-6.0, abs=1e-5)


def test_a_small_gradient_is_left_as_it_is() -> None:
    assert iterates("sgd", clip=10.0) == iterates("sgd")
