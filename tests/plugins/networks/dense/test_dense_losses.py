"""Losses of label maps against numpy by hand and torch's own; unknown pixels, and maps of nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlcvbench_networks.dense.losses import cross_entropy, dice

LOSSES = [cross_entropy, dice, lambda scores, labels: cross_entropy(scores, labels, weights=torch.tensor([1.0, 2, 3]))]


def example(seed: int = 0, unknown: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores float64 (2, 3, 4, 5) and labels uint8 (2, 4, 5)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (2, 4, 5)).astype(np.uint8)
    labels[rng.random(labels.shape) < unknown] = 255
    return torch.from_numpy(rng.normal(size=(2, 3, 4, 5))), torch.from_numpy(labels)


def brute_force_dice(scores: torch.Tensor, labels: torch.Tensor) -> float:
    shares = np.exp(scores.numpy())
    shares /= shares.sum(1, keepdims=True)
    ratios = []
    for label in range(shares.shape[1]):
        hit = own = truth = 0.0
        for image, row, column in np.argwhere(labels.numpy() != 255):
            share = shares[image, label, row, column]
            own += share
            if labels[image, row, column] == label:
                hit, truth = hit + share, truth + 1
        if truth:
            ratios.append(2 * hit / (own + truth))
    return 1 - float(np.mean(ratios)) if ratios else 0.0


def test_nothing_told_apart_costs_ln_of_the_classes():
    labels = torch.tensor([[[0, 1], [255, 3]]])

    assert float(cross_entropy(torch.zeros(1, 4, 2, 2), labels)) == pytest.approx(math.log(4))


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64)])
def test_cross_entropy_is_torchs_where_something_is_known(weights):
    scores, labels = example()

    wanted = functional.cross_entropy(scores, labels.long(), weight=weights, ignore_index=255)

    assert float(cross_entropy(scores, labels, weights=weights)) == pytest.approx(float(wanted), rel=1e-12)
    assert math.isnan(functional.cross_entropy(scores, torch.full((2, 4, 5), 255), ignore_index=255))


@given(st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_dice_is_what_counting_pixel_by_pixel_gives(seed, unknown):
    scores, labels = example(seed, unknown)

    assert float(dice(scores, labels)) == pytest.approx(brute_force_dice(scores, labels), abs=1e-12)


def test_dice_is_0_for_the_truth_1_for_its_opposite_and_a_half_for_half():
    labels = torch.tensor([[[0, 0], [1, 1]]])
    truth = functional.one_hot(labels, 2).movedim(3, 1) * 200.0

    assert float(dice(truth, labels)) == pytest.approx(0)
    assert float(dice(truth.flip(1), labels)) == pytest.approx(1)
    assert float(dice(torch.zeros(1, 2, 2, 2), labels)) == pytest.approx(0.5)


def test_a_class_that_the_batch_lacks_has_no_ratio_but_what_it_takes_is_missing_elsewhere():
    labels = torch.zeros(1, 2, 2, dtype=torch.uint8)
    wrong, right = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    wrong[:, 2], right[:, 0] = 200.0, 200.0

    assert float(dice(right, labels)) == pytest.approx(0)
    assert float(dice(wrong, labels)) == pytest.approx(1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 3, 4, 5)])
def test_without_a_known_pixel_a_loss_is_0_and_its_gradient_zeros(loss, shape):
    scores = torch.full(shape, 3.0).requires_grad_()
    value = loss(scores, torch.full((shape[0], 4, 5), 255, dtype=torch.uint8))
    value.backward()

    assert float(value.detach()) == 0.0
    assert scores.grad is not None
    assert torch.equal(scores.grad, torch.zeros(shape))


@pytest.mark.parametrize("loss", LOSSES)
def test_unknown_pixels_count_nowhere(loss):
    scores, labels = example()
    changed = torch.where((labels == 255)[:, None], scores + 5, scores).requires_grad_()
    value = loss(changed, labels)
    value.backward()

    assert float(value.detach()) == pytest.approx(float(loss(scores, labels)))
    assert changed.grad is not None
    assert bool((changed.grad.movedim(1, 3)[labels == 255] == 0).all())


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_central_differences(loss):
    scores, labels = example(1)

    assert torch.autograd.gradcheck(lambda s: loss(s, labels), (scores.requires_grad_(),))


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss):
    scores, labels = example()
    half = scores.bfloat16()

    assert loss(half, labels).dtype == torch.float32
    assert float(loss(half, labels)) == float(loss(half.float(), labels))


@pytest.mark.parametrize("loss", LOSSES)
def test_another_value_may_mean_unknown(loss):
    if loss is LOSSES[2]:
        loss = cross_entropy
    scores, labels = example()
    other = labels.long()
    other[other == 255] = -1

    assert float(loss(scores, other, ignore=-1)) == float(loss(scores, labels))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_label_that_is_no_class_and_a_map_of_another_size_are_refused(loss):
    scores, labels = example()

    with pytest.raises((IndexError, RuntimeError), match=r"out of bounds|Class values must be smaller"):
        loss(scores, torch.full_like(labels, 3))
    with pytest.raises(ValueError, match=r"^wanted tensors of one shape, got scores \(2, 4, 5\), labels \(2, 4, 1\)"):
        loss(scores, labels[..., :1])
    with pytest.raises(ValueError, match=r"^wanted scores \(B, C, H, W\), got \(2, 3, 4\)\.$"):
        loss(scores[..., 0], labels)
