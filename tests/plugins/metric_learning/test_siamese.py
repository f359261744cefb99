"""A Siamese network: the contrastive loss, and what its margin is for."""

from __future__ import annotations

import pytest
import torch
from support.embedding import TINY, model_of, photos
from support.fitting import context

from mlcvbench_networks.embedding.losses import contrastive
from mlcvbench_training.sample_batch import SampleBatch

LABELS = torch.arange(8) // 2


def told_by(model, points):
    return model.loss(lambda images: points, SampleBatch({"image": torch.zeros(8, 3, 32, 32)}, labels=LABELS), None)


def test_it_learns_by_the_contrastive_loss_of_all_pairs():
    points = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))

    told = told_by(model_of("siamese", **TINY, margin=0.7), points)

    assert float(told["loss"]) == float(contrastive(points, LABELS, 0.7))


def test_the_history_tells_how_far_pairs_of_both_kinds_are_apart():
    points = LABELS[:, None] * torch.tensor([[3.0, 4.0]]) + (torch.arange(8) % 2)[:, None] * torch.tensor([[0.0, 1.0]])

    told = told_by(model_of("siamese", **TINY), points)

    assert float(told["genuine"]) == pytest.approx(1.0)
    assert float(told["impostors"]) > 5


def test_a_constant_embedding_costs_nothing_without_a_margin_and_the_margin_with_one():
    """Erratum E50: it zeroes the loss without a margin, which is why there is one."""
    constant = torch.ones(8, 4)

    assert float(told_by(model_of("siamese", **TINY, bounded=False), constant)["loss"]) == 0.0
    assert float(told_by(model_of("siamese", **TINY, margin=1.0), constant)["loss"]) == pytest.approx(0.5)


def test_without_a_margin_training_diverges_and_with_one_it_does_not():
    """Erratum E49: pushed without a bound, impostors fly apart for ever."""
    free, held = (model_of("siamese", **TINY, bounded=bounded) for bounded in (False, True))

    losses, apart = (
        [model.fit(photos(), None, context(epochs=30, batch=12, lr=0.02)).history[name] for model in (free, held)]
        for name in ("loss", "impostors")
    )

    assert losses[0][-1] < 1.5 * losses[0][9] < 0
    assert apart[0][-1] > 1.1 * apart[0][9]
    assert losses[1][-1] >= 0
    assert max(apart[1]) <= 2


def test_negatives_beyond_the_margin_are_left_alone():
    """Erratum E49: max(0, m - d)^2, not max(0, (m - d)^2), which pulls them back."""
    points = (LABELS[:, None] * 3.0 + torch.zeros(8, 4)).requires_grad_()

    told_by(model_of("siamese", **TINY, margin=1.0), points)["loss"].backward()

    assert torch.count_nonzero(points.grad) == 0
