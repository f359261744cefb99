"""ArcFace against its definition by angles, beyond pi, in half precision and far from its class."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlcvbench_networks.embedding.arcface import ArcFace, arcface_logits

AXES = torch.eye(2, dtype=torch.float64)
FIRST = torch.tensor([0])


def at(degrees: float, margin: float = 0.5) -> float:
    """Return the logit, with s = 1, of the true class at an angle."""
    angle = math.radians(degrees)
    embedding = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    return float(arcface_logits(embedding, AXES, FIRST, 1.0, margin)[0, 0])


def test_60_degrees_have_the_logit_of_the_catalogue():
    assert at(60, margin=0.0) == pytest.approx(0.5)
    assert at(60) == pytest.approx(0.023597, abs=5e-7)


@given(st.integers(0, 10**6), st.floats(1, 64), st.floats(0, 1.5))
@settings(max_examples=50, deadline=None)
def test_logits_are_cosines_of_angles_with_the_margin_added_to_the_true_one(seed, scale, margin):
    rng = np.random.default_rng(seed)
    embeddings, weight, labels = rng.normal(size=(6, 3)), rng.normal(size=(4, 3)), rng.integers(0, 4, 6)
    angles = np.arccos(
        (embeddings / np.linalg.norm(embeddings, axis=1)[:, None])
        @ (weight / np.linalg.norm(weight, axis=1)[:, None]).T
    )
    wanted = np.cos(angles)
    for place, label in enumerate(labels):
        angle = angles[place, label]
        beyond = angle + margin > math.pi
        wanted[place, label] = math.cos(angle) - margin * math.sin(margin) if beyond else math.cos(angle + margin)

    logits = arcface_logits(*map(torch.from_numpy, (embeddings, weight, labels)), scale, margin)

    assert logits.numpy() == pytest.approx(scale * wanted, abs=1e-5 * scale)


@pytest.mark.parametrize("margin", [0.2, 0.5, 1.0])
def test_turning_away_from_the_own_class_lowers_the_logit_all_the_way(margin):
    logits = [at(degrees, margin) for degrees in np.linspace(0, 180, 721)]

    assert all(later < earlier for earlier, later in itertools.pairwise(logits))


def test_cos_of_the_sum_alone_would_rise_again_beyond_pi_and_an_easy_margin_jump_at_90_degrees():
    plain = [math.cos(math.radians(degrees) + 0.5) for degrees in (155, 180)]
    easy = [math.cos(math.radians(89.9) + 0.5), math.cos(math.radians(90.1))]

    assert plain[1] > plain[0]
    assert at(180) < at(155)
    assert easy[1] > easy[0] + 0.4
    assert at(90.1) < at(89.9)


@pytest.mark.parametrize("degrees", [0, 180])
def test_an_embedding_on_its_axis_has_a_finite_gradient(degrees):
    embedding = torch.tensor([[math.cos(math.radians(degrees)), 0.0]]).requires_grad_()
    arcface_logits(embedding, AXES.float(), FIRST).sum().backward()

    assert embedding.grad is not None
    assert bool(embedding.grad.isfinite().all())


def test_an_embedding_of_zeros_has_a_finite_loss_and_gradient():
    head, embedding = ArcFace(4, 3), torch.zeros(2, 4, requires_grad=True)
    loss = head(embedding, torch.tensor([0, 2]))
    loss.backward()

    assert bool(loss.isfinite())
    assert embedding.grad is not None
    assert bool(embedding.grad.isfinite().all())


def test_length_counts_neither_in_embeddings_nor_in_weights_and_there_is_no_bias():
    generator = torch.Generator().manual_seed(0)
    embeddings, weight = torch.randn(5, 3, generator=generator), torch.randn(4, 3, generator=generator)
    labels = torch.tensor([0, 1, 2, 3, 0])

    torch.testing.assert_close(
        arcface_logits(7 * embeddings, weight * torch.tensor([[0.1], [2], [30], [1]]), labels),
        arcface_logits(embeddings, weight, labels),
        atol=1e-4,
        rtol=1e-5,
    )
    assert [name for name, _ in ArcFace(3, 4).named_parameters()] == ["weight"]


def test_the_loss_is_the_cross_entropy_of_the_logits_and_0_of_no_embedding():
    head = ArcFace(3, 4, scale=16.0, margin=0.3).double()
    embeddings = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0])

    logits = arcface_logits(embeddings, head.weight, labels, 16.0, 0.3)
    assert torch.allclose(head(embeddings, labels), functional.cross_entropy(logits, labels))
    empty = head(embeddings[:0], labels[:0])
    empty.backward()
    assert float(empty.detach()) == 0.0


def test_without_a_margin_it_is_a_softmax_over_cosines():
    head = ArcFace(3, 4, scale=8.0, margin=0.0)
    embeddings, labels = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    cosines = functional.cosine_similarity(embeddings[:, None], head.weight[None], dim=2)

    torch.testing.assert_close(head(embeddings, labels), functional.cross_entropy(8 * cosines, labels))


def test_gradients_are_those_of_central_differences():
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(6, 3, dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    weight[0] = -embeddings.detach()[0] + 0.01  # beyond pi - m, too
    weight.requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 1, 2])

    def loss(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(arcface_logits(points, rows, labels, 8.0), labels)

    assert torch.autograd.gradcheck(loss, (embeddings, weight))


def test_half_precision_and_autocast_leave_it_in_float32():
    head = ArcFace(16, 4)
    embeddings, labels = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    half = embeddings.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head(half, labels)

    assert loss.dtype == torch.float32
    assert torch.equal(loss, head(half.float(), labels))
