"""Losses of distances against loops over pairs and triplets, the values of the catalogue, and what goes wrong."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlcvbench_networks.embedding.losses import (
    contrastive,
    distances,
    pair_losses,
    semi_hard,
    triplet,
    triplet_semi_hard,
)

LOSSES = [contrastive, lambda points, names: contrastive(points, names, None), triplet_semi_hard]


def batch(seed: int = 0, count: int = 12, identities: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit embeddings float64 (count, 4) and identities int64 (count,)."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    return functional.normalize(points, dim=1), torch.randint(identities, (count,), generator=generator)


def squared(points: torch.Tensor, one: int, other: int) -> float:
    return float(((points[one] - points[other]).numpy() ** 2).sum())


def brute_force_contrastive(points: torch.Tensor, names: torch.Tensor, margin: float | None) -> float:
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for one, other in itertools.combinations(range(len(points)), 2):
        distance = math.sqrt(squared(points, one, other))
        apart = -(distance**2) if margin is None else max(0.0, margin - distance) ** 2
        same = bool(names[one] == names[other])
        kinds[same].append(distance**2 if same else apart)
    return sum(float(np.mean(losses)) if losses else 0.0 for losses in kinds.values()) / 2


def brute_force_triplets(points: torch.Tensor, names: torch.Tensor, margin: float) -> dict[tuple[int, int, int], float]:
    found = {}
    for a, p, n in itertools.product(range(len(points)), repeat=3):
        if a == p or names[a] != names[p] or names[a] == names[n]:
            continue
        near, far = squared(points, a, p), squared(points, a, n)
        if near < far < near + margin:
            found[a, p, n] = near - far + margin
    return found


@pytest.mark.parametrize(
    ("distance", "same", "margin", "wanted"),
    [
        (2.0, False, 1.0, 0.0),  # the course notes' form gives 1
        (0.25, False, 1.0, 0.5625),
        (2.0, True, 1.0, 4.0),
        (2.0, False, None, -4.0),
        (2.0, True, None, 4.0),
    ],
)
def test_a_pair_costs_what_the_catalogue_says(distance, same, margin, wanted):
    assert float(pair_losses(torch.tensor([distance]), torch.tensor([same]), margin)) == wanted


def test_without_a_margin_the_loss_falls_for_ever_as_negatives_fly_apart():
    names = torch.tensor([0, 0, 1, 1])
    points = torch.tensor([[0.0], [0.0], [1.0], [1.0]])

    free = [float(contrastive(scale * points, names, None)) for scale in (1, 10, 100)]
    held = [float(contrastive(scale * points, names, 1.0)) for scale in (1, 10, 100)]

    assert free == [-0.5, -50.0, -5000.0]
    assert held == [0.0, 0.0, 0.0]


@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 6), st.sampled_from([None, 0.5, 1.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_contrastive_is_half_and_half_of_both_kinds_of_pairs(seed, count, identities, margin):
    points, names = batch(seed, count, identities)

    assert float(contrastive(points, names, margin)) == pytest.approx(
        brute_force_contrastive(points, names, margin), abs=1e-12
    )


@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 6), st.sampled_from([0.05, 0.2, 1.0]))
@settings(max_examples=60, deadline=None)
def test_semi_hard_triplets_are_those_that_a_loop_finds(seed, count, identities, margin):
    points, names = batch(seed, count, identities)

    found = brute_force_triplets(points, names, margin)

    assert {tuple(own) for own in semi_hard(points, names, margin).tolist()} == set(found)
    wanted = float(np.mean(list(found.values()))) if found else 0.0
    assert float(triplet_semi_hard(points, names, margin)) == pytest.approx(wanted, abs=1e-12)


def test_the_loss_of_a_batch_is_that_of_its_semi_hard_triplets_and_so_is_the_gradient():
    gradients = []
    for loss in (triplet_semi_hard, lambda own, names: triplet(*own[semi_hard(own, names)].unbind(1))):
        points, names = batch(5)
        loss(points.requires_grad_(), names).backward()
        gradients.append(points.grad)

    torch.testing.assert_close(*gradients)


def test_hard_and_easy_negatives_are_left_out():
    points = torch.tensor([[0.0], [1.0], [0.5], [1.05], [9.0]])
    names = torch.tensor([0, 0, 1, 2, 3])

    triplets = semi_hard(points, names, margin=0.2)

    assert triplets.tolist() == [[0, 1, 3]]  # 0.5 is nearer than the positive at 1, and 9 farther than the margin
    assert float(triplet_semi_hard(points, names, 0.2)) == pytest.approx(1 - 1.05**2 + 0.2, abs=1e-6)


def test_a_negative_exactly_as_far_as_the_positive_or_the_margin_is_not_semi_hard():
    points, names = torch.tensor([[0.0], [1.0], [-1.0], [2.0]]), torch.tensor([0, 0, 1, 2])  # squares of 1 and 4

    assert semi_hard(points, names, margin=3.0).tolist() == []
    assert semi_hard(points, names, margin=3.1).tolist() == [[0, 1, 3], [1, 0, 2]]


@pytest.mark.parametrize(
    ("points", "names"),
    [
        (torch.zeros(4, 3), torch.tensor([0, 0, 1, 1])),  # a network that has collapsed
        (torch.tensor([[0.0, 0], [0.1, 0], [5, 0], [5.1, 0]]), torch.tensor([0, 0, 1, 1])),  # one that is done
        (torch.eye(3), torch.tensor([0, 1, 2])),  # no pair of one identity
        (torch.eye(3), torch.tensor([4, 4, 4])),  # no negative
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)),
    ],
)
def test_without_a_semi_hard_negative_the_loss_is_0_and_its_gradient_zeros(points, names):
    points = points.clone().requires_grad_()
    value = triplet_semi_hard(points, names)
    value.backward()

    assert float(value.detach()) == 0.0
    assert points.grad is not None
    assert torch.equal(points.grad, torch.zeros_like(points))


def test_the_mean_of_triplets_is_over_the_active_ones():
    anchor, positive = torch.zeros(3, 1), torch.ones(3, 1)
    negative = torch.tensor([[1.0], [0.5], [4.0]])

    assert float(triplet(anchor, positive, negative, 0.2)) == pytest.approx((0.2 + 0.95) / 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_embeddings_leave_a_finite_gradient(loss):
    points = torch.ones(5, 3).requires_grad_()
    loss(points, torch.tensor([0, 0, 1, 1, 2])).backward()

    assert points.grad is not None
    assert bool(points.grad.isfinite().all())


def test_distances_keep_the_digits_of_small_ones():
    points = torch.tensor([[1000.0, 0.0], [1000.001, 0.0]])

    assert float(distances(points)[0, 1]) == pytest.approx(0.001, rel=0.03)  # of float32 at 1000, not of its square


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_central_differences(loss):
    points, names = batch(3)

    assert torch.autograd.gradcheck(lambda own: loss(own, names), (points.requires_grad_(),), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32_under_autocast_too(loss):
    points, names = batch(1)
    half = points.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, names)

    assert value.dtype == torch.float32
    assert float(value) == float(loss(half.float(), names))


@pytest.mark.parametrize("loss", LOSSES)
def test_another_number_of_identities_is_refused(loss):
    with pytest.raises(ValueError, match=r"^wanted an identity for each embedding, got \(4,\) for embeddings \(3, 2\)"):
        loss(torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64))
