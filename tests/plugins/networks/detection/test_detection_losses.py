"""Losses of detectors against values of the catalogue and plain sums, their gradients against central differences."""

from __future__ import annotations

import math

import pytest
import torch
from support.boxes import nobody, random_boxes
from torch.autograd import gradcheck  # central differences in float64

from mlcvbench_networks.detection.assignment import BACKGROUND, LEFT_OUT, HeatMap, heat_map
from mlcvbench_networks.detection.losses import focal, giou, heat_map_focal, smooth_l1

GENERATOR = torch.Generator().manual_seed(0)
CLASSES = torch.tensor([2, BACKGROUND, LEFT_OUT, 0, BACKGROUND])
LOGITS = torch.randn(5, 3, generator=GENERATOR, dtype=torch.float64)
BOXES = random_boxes(2, seed=1, side=20)
TARGET = heat_map(BOXES, torch.tensor([0, 1]), nobody(BOXES), 2, (5, 7), 4)


@pytest.mark.parametrize(("logit", "value"), [(0.0, 0.0433217), (2.0, 0.00045089), (-2.0, 0.41251954)])
def test_focal_has_the_values_of_the_catalogue(logit, value) -> None:
    assert float(focal(torch.tensor([[logit]], dtype=torch.float64), torch.tensor([0]))) == pytest.approx(
        value, rel=2e-6
    )


def test_focal_is_the_sum_of_its_formula_by_the_number_of_objects() -> None:
    total = 0.0
    for logits, label in zip(LOGITS.tolist(), CLASSES.tolist(), strict=True):
        for place, logit in enumerate(logits):
            p = 1 / (1 + math.exp(-logit))
            if label == place:
                total -= 0.25 * (1 - p) ** 2 * math.log(p)
            elif label != LEFT_OUT:
                total -= 0.75 * p**2 * math.log(1 - p)

    assert float(focal(LOGITS, CLASSES)) == pytest.approx(total / 2)


def test_focal_without_gamma_and_alpha_is_cross_entropy() -> None:
    one = torch.nn.functional.one_hot(torch.tensor([1, 2]), 3).double()

    plain = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS[:2], one, reduction="sum")

    assert float(focal(LOGITS[:2], torch.tensor([1, 2]), alpha=0.5, gamma=0)) == pytest.approx(float(plain) / 4)


def test_heat_map_focal_is_the_sum_of_its_formula_by_the_number_of_peaks() -> None:
    logits = torch.randn(2, 5, 7, generator=GENERATOR, dtype=torch.float64)
    total = 0.0
    for logit, y in zip(logits.flatten().tolist(), TARGET.values.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        total -= (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)

    assert float(heat_map_focal(logits, TARGET)) == pytest.approx(total / 2)
    batch = HeatMap(*(torch.stack((part, part)) for part in TARGET))
    assert float(heat_map_focal(torch.stack((logits, logits)), batch)) == pytest.approx(total / 2)


def test_cells_that_are_not_counted_cost_nothing() -> None:
    logits = torch.randn(2, 5, 7, generator=GENERATOR, dtype=torch.float64, requires_grad=True)
    counted = TARGET.counted.clone()
    counted[1, :2] = TARGET.values[1, :2] == 1

    heat_map_focal(logits, HeatMap(TARGET.values, counted)).backward()

    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, counted)


def test_wild_logits_give_finite_losses_and_gradients() -> None:
    for loss in (
        lambda logits: focal(logits, torch.tensor([0, BACKGROUND])),
        lambda logits: heat_map_focal(logits, HeatMap(torch.tensor([[1.0], [0.5]]), torch.ones(2, 1) == 1)),
    ):
        logits = torch.tensor([[-200.0], [200.0]], requires_grad=True)
        loss(logits).backward()

        assert torch.isfinite(logits.grad).all()


def test_smooth_l1_is_a_parabola_up_to_beta_and_a_line_beyond() -> None:
    values = torch.tensor([[0.1, -0.5, 2.0]], dtype=torch.float64)
    nil = torch.zeros_like(values)

    assert float(smooth_l1(values, nil, 1, beta=0.5)) == pytest.approx(0.01 + 0.25 + 1.75)
    assert float(smooth_l1(values, nil, 2)) == pytest.approx((0.005 + 0.125 + 1.5) / 2)
    assert float(smooth_l1(values, nil, 1, beta=0)) == pytest.approx(2.6)


def test_giou_of_boxes_side_by_side_is_known() -> None:
    ours = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]], dtype=torch.float64)
    theirs = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [30, 0, 40, 10]], dtype=torch.float64)

    assert [float(giou(a[None], b[None], 1)) for a, b in zip(ours, theirs, strict=True)] == pytest.approx(
        [0.0, 1 - 1 / 3, 1 + 20 / 40], abs=1e-8
    )


LOSSES = {
    "focal": lambda logits: focal(logits, CLASSES),
    "heat_map_focal": lambda logits: heat_map_focal(
        logits, HeatMap(TARGET.values.double().flatten()[:15].reshape(5, 3), torch.rand(5, 3) > -1)
    ),
    "smooth_l1": lambda values: smooth_l1(values, torch.full_like(values, 0.2), 3, beta=0.5),
    "giou": lambda values: giou(random_boxes(3, seed=8) + values.flatten()[:12].reshape(3, 4), random_boxes(3), 3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_central_differences(name) -> None:
    assert gradcheck(LOSSES[name], LOGITS.clone().requires_grad_())


NOTHING = {
    "focal": lambda outputs: focal(outputs, torch.full((len(outputs),), LEFT_OUT)),
    "heat_map_focal": lambda outputs: heat_map_focal(
        outputs, HeatMap(torch.zeros(outputs.shape), torch.zeros(outputs.shape) == 1)
    ),
    "smooth_l1": lambda outputs: smooth_l1(outputs[:0], torch.zeros(0, 4), 0),
    "giou": lambda outputs: giou(outputs[:0], torch.zeros(0, 4), 0),
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_nothing_counts_the_loss_and_its_gradient_are_nil(name, count, dtype) -> None:
    outputs = torch.ones(count, 4, dtype=dtype, requires_grad=True)

    value = NOTHING[name](outputs)
    value.backward()

    assert (value.dtype, value.item()) == (torch.float32, 0.0)
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[0.0] * 4] * count


def test_an_image_without_objects_costs_what_its_background_costs() -> None:
    empty = heat_map(BOXES[:0], torch.zeros(0, dtype=torch.int64), nobody(BOXES[:0]), 1, (2, 2), 4)

    assert float(heat_map_focal(torch.zeros(1, 2, 2), empty)) == pytest.approx(4 * 0.25 * math.log(2))
    assert float(focal(torch.zeros(2, 1), torch.full((2,), BACKGROUND))) == pytest.approx(2 * 0.75 * 0.25 * math.log(2))
