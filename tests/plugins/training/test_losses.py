"""The losses against their formulas and torch's, their gradients against central differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mlcvbench_training.losses import loss_of
from mlcvbench_training.settings import LOSSES, Settings

SCORES = torch.tensor([[2.0, 1.0, 0.0]], dtype=torch.float64)
FIRST = torch.tensor([0])


def value(scores: torch.Tensor, labels: torch.Tensor, loss: str = "cross_entropy", smoothing: float = 0.0) -> float:
    return float(loss_of(Settings(loss=loss, label_smoothing=smoothing))(scores, labels))


def test_cross_entropy_and_its_smoothed_form_have_the_values_of_the_catalogue():
    assert value(SCORES, FIRST) == pytest.approx(0.407606, abs=5e-7)
    assert value(SCORES, FIRST, smoothing=0.1) == pytest.approx(0.507606, abs=5e-7)


def test_ten_classes_that_nothing_tells_apart_cost_ln_10():
    assert value(torch.zeros(4, 10), torch.arange(4)) == pytest.approx(math.log(10), abs=1e-6)


def test_cross_entropy_takes_logits_for_of_probabilities_it_would_never_be_small():
    sure = torch.tensor([[1.0, 0.0, 0.0]])

    assert value(sure, FIRST) == pytest.approx(math.log(1 + 2 / math.e), abs=1e-6)
    assert value(100 * sure, FIRST) == pytest.approx(0.0, abs=1e-6)


def test_smoothing_gives_the_true_class_its_share_of_the_rest():
    share = 0.1
    target = torch.full((1, 3), share / 3, dtype=torch.float64)
    target[0, 0] += 1 - share

    assert target[0, 0] == pytest.approx(1 - share + share / 3)
    assert value(SCORES, FIRST, smoothing=share) == pytest.approx(-float((target * SCORES.log_softmax(1)).sum()))


def test_smoothing_has_its_minimum_at_finite_logits_where_plain_cross_entropy_goes_on_falling():
    share, classes = 0.1, 4
    gap = math.log((1 - share + share / classes) / (share / classes))
    labels = torch.zeros(1, dtype=torch.int64)

    def at(logit: float, smoothing: float) -> float:
        return value(functional.pad(torch.tensor([[logit]]), (0, classes - 1)), labels, smoothing=smoothing)

    assert at(gap, share) < min(at(gap - 0.2, share), at(gap + 0.2, share))
    assert at(gap + 0.2, 0.0) < at(gap, 0.0)


def test_squared_and_norm_are_the_length_of_the_error_and_no_mean_over_classes():
    scores, labels = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([1, 0])

    assert value(scores, labels, "squared") == pytest.approx((9 + 9 + 0) / 2)
    assert value(scores, labels, "norm") == pytest.approx(math.sqrt(18) / 2)
    onehot = functional.one_hot(labels, 2).float()
    assert value(scores, labels, "squared") == pytest.approx(2 * float(functional.mse_loss(scores, onehot)))
    rmse = math.sqrt(value(scores, labels, "squared"))  # what the notes call their equation 7 (E3)
    assert value(scores, labels, "norm") != pytest.approx(rmse)


def test_the_gradient_of_the_norm_is_of_length_1_and_nil_where_the_error_is():
    scores = torch.tensor([[0.6, 0.0], [1.0, 0.0]], requires_grad=True)
    loss_of(Settings(loss="norm"), "sum")(scores, torch.tensor([0, 0])).backward()

    assert scores.grad is not None
    assert scores.grad.norm(dim=1).tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_sum_is_the_mean_times_the_number_of_images(loss):
    scores, labels = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3

    total = float(loss_of(Settings(loss=loss), "sum")(scores, labels))

    assert total == pytest.approx(7 * value(scores, labels, loss), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_central_differences(loss, smoothing):
    scores = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels = torch.tensor([0, 3, 1, 1, 2])
    chosen = loss_of(Settings(loss=loss, label_smoothing=smoothing))

    assert torch.autograd.gradcheck(lambda s: chosen(s, labels), (scores,))
