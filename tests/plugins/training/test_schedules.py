"""Schedules against golden values, formulas and torch's schedulers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from mlcvbench_training.schedules import WARM_START, Schedule
from mlcvbench_training.settings import SCHEDULES, Settings


def factors(name: str, epochs: int = 10, steps_an_epoch: int = 1, **settings: Any) -> list[float]:
    schedule = Schedule(Settings(schedule=name, epochs=epochs, **settings), steps_an_epoch)
    return [schedule.factor(step) for step in range(epochs * steps_an_epoch)]


def torchs(make: Any, count: int) -> list[float]:
    """Return the rates of a torch scheduler from 1."""
    rule = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0, momentum=0.9)
    schedule = make(rule)
    rates = []
    for _ in range(count):
        rates.append(schedule.get_last_lr()[0])
        rule.step()
        schedule.step()
    return rates


def test_a_constant_rate_stays():
    assert factors("constant", 4) == [1.0] * 4


def test_steps_fall_between_epochs_as_torchs_multi_step():
    ours = factors("step", 8, 3, milestones=(0.5, 0.75), gamma=0.1)

    reference = torchs(lambda rule: torch.optim.lr_scheduler.MultiStepLR(rule, [4, 6], 0.1), 8)
    assert ours[::3] == pytest.approx(reference)
    assert ours == pytest.approx([1.0] * 12 + [0.1] * 6 + [0.01] * 6)


def test_a_cosine_is_its_formula_over_epochs_and_its_middle_is_the_mean():
    ours = factors("cosine", 4, 5, final=0.2)

    assert ours[::5] == pytest.approx([0.2 + 0.8 / 2 * (1 + math.cos(math.pi * e / 4)) for e in range(4)])
    assert ours[10] == pytest.approx((1 + 0.2) / 2)
    reference = torchs(lambda rule: torch.optim.lr_scheduler.CosineAnnealingLR(rule, 20, eta_min=0.2), 20)
    assert ours == pytest.approx(reference)


def test_a_line_is_its_formula_and_torchs():
    ours = factors("linear", 5, 2, final=0.1)

    assert ours == pytest.approx([0.1 + 0.9 * (1 - step / 10) for step in range(10)])
    make = torch.optim.lr_scheduler.LinearLR
    assert ours == pytest.approx(torchs(lambda rule: make(rule, 1.0, 0.1, total_iters=10), 10))


def test_a_plateau_falls_as_torchs():
    scores = [0.5, 0.6, 0.6, 0.55, 0.58, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    schedule = Schedule(Settings(schedule="plateau", plateau_patience=2, gamma=0.5, epochs=12), 3)
    rule = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(rule, "max", factor=0.5, patience=2, threshold=0)
    ours, theirs = [], []
    for epoch, score in enumerate(scores):
        ours.append(schedule.factor(3 * epoch))
        theirs.append(rule.param_groups[0]["lr"])
        schedule.end_epoch(score)
        reference.step(score)

    assert ours == pytest.approx(theirs)
    assert ours[-1] == 0.25


def test_a_plateau_goes_on_from_its_state():
    one, other = (Schedule(Settings(schedule="plateau", plateau_patience=0), 1) for _ in range(2))
    for score in (0.5, 0.4):
        one.end_epoch(score)
    other.restore(one.state())
    for schedule in (one, other):
        schedule.end_epoch(0.45)

    assert one.state() == other.state()
    assert other.factor(0) == pytest.approx(0.01)


def test_cycles_restart_as_torchs():
    ours = factors("cyclic", 12, 5, cycles=3, final=0.1)

    make = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts
    assert ours == pytest.approx(torchs(lambda rule: make(rule, 20, eta_min=0.1), 60))


def test_cycles_that_do_not_divide_the_epochs_end_with_whole_epochs():
    ours = factors("cyclic", 10, 4, cycles=3)

    assert [step // 4 for step, rate in enumerate(ours) if rate == 1.0] == [0, 3, 7]
    assert min(ours) > 0


def test_a_warm_up_multiplies_any_schedule():
    warmed, plain = factors("warmup+cosine", 10, 4, warmup=2.5), factors("cosine", 10, 4)

    up = [WARM_START + (1 - WARM_START) * step / 10 for step in range(10)]
    assert warmed[:10] == pytest.approx([a * b for a, b in zip(up, plain, strict=False)])
    assert warmed[10:] == plain[10:]


def test_one_cycle_has_its_golden_values_and_momentum_goes_the_other_way():
    settings = Settings(
        optimizer="momentum", schedule="one_cycle", epochs=11, anneal="linear", div=10, final_div=10, momentum=0.95
    )
    schedule = Schedule(settings, 1)

    rates = [schedule.factor(step) for step in range(11)]
    momenta = [schedule.momentum(step) for step in range(11)]

    assert rates[:5] == pytest.approx([0.1, 0.4913, 0.8826, 0.91, 0.7814], abs=5e-5)
    assert rates[3:] == pytest.approx([0.01 + 0.99 * (10 - step) / 7.7 for step in range(3, 11)])
    assert momenta[:5] == pytest.approx([0.95, 0.9065, 0.863, 0.8591, 0.8721], abs=1e-4)
    assert momenta[3:] == pytest.approx([0.95 - 0.1 * (10 - step) / 7.7 for step in range(3, 11)])


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.85])
def test_one_cycle_never_raises_the_momentum_where_the_rate_is_high(momentum):
    settings = Settings(optimizer="nesterov", schedule="one_cycle", epochs=10, momentum=momentum, momentum_low=0.85)

    assert {Schedule(settings, 1).momentum(step) for step in range(10)} == {momentum}


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_the_way_down_of_one_cycle_begins_where_the_way_up_ends(anneal):
    # Equation 38 of the course notes lets it jump to the first rate (E28).
    rates = factors("one_cycle", 10, 100, anneal=anneal)

    assert max(abs(after - before) for before, after in pairwise(rates)) < 0.01
    assert max(rates) == pytest.approx(1.0, abs=1e-4)
    assert min(rates) == pytest.approx(1 / 25e4)


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")
@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [4, 10, 11, 100])
def test_one_cycle_is_torchs(steps, anneal):
    form = "cos" if anneal == "cosine" else "linear"
    rule = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0, momentum=0.9)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        rule, 1.0, total_steps=steps, anneal_strategy=form, max_momentum=0.9, base_momentum=0.85
    )
    schedule = Schedule(Settings(optimizer="nesterov", epochs=steps, anneal=anneal), 1)
    for step in range(steps):
        assert schedule.factor(step) == pytest.approx(reference.get_last_lr()[0])
        assert schedule.momentum(step) == pytest.approx(rule.param_groups[0]["momentum"])
        if step < steps - 1:
            reference.step()


def test_momentum_does_not_move_under_other_schedules_and_rules():
    for settings in (Settings(optimizer="momentum", schedule="cosine"), Settings(optimizer="adamw")):
        assert {Schedule(settings, 5).momentum(step) for step in range(100)} == {0.9}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_of_one_step_has_a_rate(schedule):
    for epochs in (1, 3):
        assert all(0 < rate <= 1 for rate in factors(schedule, epochs))
