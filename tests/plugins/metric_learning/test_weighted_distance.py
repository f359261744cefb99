"""The learned L1 distance: weights are those of the best logistic regression, and none is below 0."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_metric_learning import weighted_distance
from mlcvbench_metric_learning.weighted_distance import PENALTY, learn_weights, pairs_of
from mlcvbench_verification.similarity import pair_similarity


def people(dimensions=4, each=6, count=8, seed=0):
    """Return points of which only the first two numbers tell people apart, and whose they are."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(count), each)
    points = generator.normal(0, 1, (len(owner), dimensions))
    points[:, :2] = generator.normal(0, 3, (count, 2))[owner] + generator.normal(0, 0.3, (len(owner), 2))
    return points.astype(np.float32), owner


def test_numbers_that_tell_people_apart_weigh_and_others_do_not():
    alpha = learn_weights(*people(), np.random.default_rng(0))

    assert (alpha[:2] > 0.5).all()
    assert (alpha[2:] < 0.2).all()
    assert (alpha >= 0).all()


def test_the_weights_are_those_of_the_smallest_loss():
    points, owner = people(dimensions=3)
    pairs, same = pairs_of(owner, np.random.default_rng(0))
    apart = np.abs(points[pairs[:, 0]] - points[pairs[:, 1]])

    def loss(alpha, bias):
        probability = 1 / (1 + np.exp(apart @ alpha - bias))
        return -np.log(np.where(same, probability, 1 - probability)).mean() + PENALTY / 2 * alpha @ alpha

    alpha = learn_weights(points, owner, np.random.default_rng(0))

    biases = np.linspace(0, 20, 401)
    best = min(loss(alpha, bias) for bias in biases)
    generator = np.random.default_rng(1)
    others = [np.maximum(alpha + generator.normal(0, 0.1, 3), 0) for _ in range(40)]
    assert best <= min(loss(other, bias) for other in others for bias in biases) + 1e-3


def test_the_sum_is_over_differences_of_one_number_each():
    """Erratum E51: sum_k alpha_k |f_k - g_k|, component k of both embeddings."""
    points, alpha = np.array([[1.0, 4.0, 2.0], [3.0, 1.0, 2.5]]), np.array([0.5, 2.0, 1.0])

    similarity = pair_similarity((alpha * points).astype(np.float32), np.array([0]), np.array([1]), "l1")

    assert -similarity[0] == pytest.approx(0.5 * 2 + 2.0 * 3 + 1.0 * 0.5)


def test_half_of_the_pairs_are_genuine():
    pairs, same = pairs_of(np.array([0, 0, 0, 1, 2]), np.random.default_rng(0))

    assert same.sum() == (~same).sum() == 3
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_without_pairs_of_both_kinds_all_numbers_weigh_alike():
    assert learn_weights(np.eye(3), np.array([4, 4, 4]), np.random.default_rng(0)).tolist() == [1, 1, 1]


def test_of_many_images_some_people_have_all_of_their_pairs_listed(monkeypatch):
    monkeypatch.setattr(weighted_distance, "IMAGES", 12)

    pairs, same = pairs_of(np.repeat(np.arange(50), 4), np.random.default_rng(0))

    assert same.sum() == 3 * 6
    assert len(np.unique(pairs)) == 12
