"""Votes weighted by 1 / distance: scikit-learn and the definition as oracles, exact matches, what they add up to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier
from support.fitting import fitted, problem, scores_of, split

from mlcvbench_knn.knn import KNN, inverse_distances, vote_shares

DISTANCES = [{"p": 1.0}, {"p": 2.0}, {"p": 1.5}, {"distance": "linf"}, {"distance": "cosine"}]
METRICS = {"linf": {"metric": "chebyshev"}, "cosine": {"metric": "cosine"}}


def weighted_scores(train: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int, **params: object):
    model = fitted(KNN(problem(train, classes), weights="distance", **params), split(train, labels))
    return scores_of(model, queries)


def shares_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the shares of the votes (B, C) without the vote that was spread evenly."""
    return (scores.astype(np.float64) * (k + 1) - 1 / scores.shape[1]) / k


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(DISTANCES))
def test_shares_are_the_probabilities_of_scikit_learn_where_the_kth_place_is_not_tied(seed, k, params):
    rng = np.random.default_rng(seed)
    train, queries = (rng.integers(0, 100, (n, 2, 3), dtype=np.uint8) for n in (60, 40))
    if params.get("distance") != "cosine":  # there scikit-learn rounds a distance of zero to about 1e-16
        queries[:5] = train[:5]
    labels = np.arange(60) % 3
    wide = [block.reshape(len(block), -1).astype(np.float64) for block in (train, queries)]

    scores = weighted_scores(train, labels, queries, 3, k=k, **params)

    metric = METRICS.get(params.get("distance"), params)
    oracle = KNeighborsClassifier(k, algorithm="brute", weights="distance", **metric).fit(wide[0], labels)
    distances = np.sort(oracle.kneighbors(wide[1], k + 1)[0], axis=1)
    clear = ~np.isclose(distances[:, k - 1], distances[:, k])
    probabilities = oracle.predict_proba(wide[1])[clear]
    best = np.sort(probabilities, axis=1)
    apart = best[:, -1] - best[:, -2] > 1e-6
    assert np.allclose(shares_of(scores, k)[clear], probabilities, atol=1e-5)
    assert np.array_equal(scores.argmax(axis=1)[clear][apart], oracle.predict(wide[1])[clear][apart])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 3), st.sampled_from(DISTANCES))
def test_weighted_votes_follow_the_definition_on_data_full_of_ties(seed, k, width, params):
    rng = np.random.default_rng(seed)
    train = rng.integers(1, 4, (30, 1, width), dtype=np.uint8)
    queries = rng.integers(1, 4, (7, 1, width), dtype=np.uint8)
    labels = rng.integers(0, 3, 30)

    scores = weighted_scores(train, labels, queries, 3, k=k, **params)

    names = {"linf": ("chebyshev", {}), "cosine": ("cosine", {})}
    name, order = names.get(params.get("distance"), ("minkowski", {"p": params.get("p")}))
    distances = cdist(queries[:, 0].astype(float), train[:, 0].astype(float), name, **order).round(12)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    votes = np.zeros((7, 3))
    for votes_of_query, row, voters in zip(votes, distances, nearest, strict=True):
        matches = [voter for voter in voters if row[voter] == 0]
        for voter in matches or voters:
            votes_of_query[labels[voter]] += 1 if matches else 1 / row[voter]
    shares = votes / votes.sum(axis=1, keepdims=True)
    leaders = shares > shares.max(axis=1, keepdims=True) - 1e-6
    assert np.allclose(shares_of(scores, k), shares, atol=1e-5)
    assert leaders[np.arange(7), scores.argmax(axis=1)].all()


def test_only_exact_matches_vote_where_there_are_some():
    train = np.array([[[5]], [[6]], [[6]], [[5]]], np.uint8)

    scores = weighted_scores(train, np.array([2, 0, 0, 1]), train[:1], 3, k=4)

    assert np.allclose(shares_of(scores, 4), [[0, 0.5, 0.5]])
    assert scores.argmax() == 1


def test_multiples_of_the_query_are_exact_matches_of_cosine():
    train = np.array([[[3, 9]], [[10, 31]], [[10, 31]]], np.uint8)

    scores = weighted_scores(train, np.array([1, 0, 0]), np.array([[[2, 6]]], np.uint8), 2, k=3, distance="cosine")

    assert np.allclose(shares_of(scores, 3), [[0, 1]])


def test_equal_sums_of_weights_go_to_the_lowest_label():
    train = np.array([[[1]], [[3]], [[3]], [[3]]], np.uint8)  # of 0: one vote of 1 against three of 1/3

    for labels, winner in (([1, 0, 0, 0], 0), ([0, 1, 1, 1], 0), ([2, 1, 1, 1], 1)):
        assert weighted_scores(train, np.array(labels), np.zeros((1, 1, 1), np.uint8), 3, k=4).argmax() == winner


def test_equal_weights_give_the_shares_of_uniform_votes():
    labels = np.array([[0, 1, 1, 2, 1], [2, 2, 2, 0, 0]])

    weighted = vote_shares(labels, inverse_distances(np.full(labels.shape, 3.5)), 4)

    assert np.array_equal(weighted, vote_shares(labels, None, 4))


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e200])
def test_shares_are_above_0_and_sum_to_1(distance):
    distances = np.array([[distance, 1.0, 2.0], [distance, distance, distance]])

    scores = vote_shares(np.array([[0, 1, 1], [2, 1, 1]]), inverse_distances(distances), 3)

    assert (scores > 0).all()
    assert np.allclose(scores.sum(axis=1), 1)
