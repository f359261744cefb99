"""A distance whose weights are learned: sum_k alpha_k |f_k - g_k| of two embeddings f and g, alpha_k >= 0."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

MOST = 20_000
"""Pairs of each kind that are learned from."""
IMAGES = 4000
"""About so many images at most, of people taken at random, have their pairs listed."""
PENALTY = 1e-3
"""Of half the squared weights, beside the mean loss of a pair."""


def pairs_of(identities: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Return pairs of places, int64 (P, 2), and whether each is of one identity, bool (P,).

    As many genuine pairs as impostors, where there are enough of both: all of the rarer kind, up to `MOST`.
    """
    names, owner, counts = np.unique(identities, return_inverse=True, return_counts=True)
    order = generator.permutation(len(names))
    people = order[np.cumsum(counts[order]) - counts[order] < IMAGES]
    places = np.flatnonzero(np.isin(owner, people))
    first, second = (places[half] for half in np.triu_indices(len(places), 1))
    same = owner[first] == owner[second]
    count = min(MOST, int(same.sum()), int((~same).sum()))
    chosen = np.sort(np.concatenate([generator.permutation(np.flatnonzero(kind))[:count] for kind in (same, ~same)]))
    return np.stack([first[chosen], second[chosen]], 1), same[chosen]


def learn_weights(points: Array, identities: Array, generator: np.random.Generator) -> Array:
    """Return alpha, float32 (D,), for points (N, D): those of a logistic regression of pairs.

    The probability that a pair is of one identity is 1 / (1 + exp(distance - b)). Its mean logarithm is concave in
    alpha and b, so that there is one best answer. Weights below 0 would reward differences. All are 1 where there are
    no pairs of both kinds. Taigman et al. (2014, section 4.2); the course notes' sum over k has no k inside (E51).
    """
    from scipy.optimize import minimize

    pairs, same = pairs_of(identities, generator)
    dimensions = points.shape[1]
    if not len(pairs):
        return np.ones(dimensions, dtype=np.float32)
    apart = np.abs(points[pairs[:, 0]].astype(np.float64) - points[pairs[:, 1]])  # (P, D)
    sign = np.where(same, 1.0, -1.0)

    def loss(values: Array) -> tuple[float, Array]:
        alpha, bias = values[:-1], values[-1]
        margin = sign * (bias - apart @ alpha)
        slope = -sign / (1 + np.exp(np.clip(margin, -500, 500))) / len(pairs)
        value = np.logaddexp(0, -margin).mean() + PENALTY / 2 * alpha @ alpha
        return float(value), np.append(-apart.T @ slope + PENALTY * alpha, slope.sum())

    bounds = [(0.0, None)] * dimensions + [(None, None)]
    found = minimize(loss, np.append(np.ones(dimensions), 1.0), jac=True, method="L-BFGS-B", bounds=bounds)
    alpha: Array = found.x[:-1].astype(np.float32)
    return alpha if alpha.any() else np.ones(dimensions, dtype=np.float32)
