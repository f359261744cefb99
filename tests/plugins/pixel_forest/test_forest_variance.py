"""What more trees can do: erratum E48 of the notes."""

from __future__ import annotations

import numpy as np
from sklearn.tree import DecisionTreeRegressor

SETS, TREES, SAMPLES = 60, 40, 60


def test_the_mean_of_trees_keeps_the_variance_that_they_share():
    """Trees of bootstrap replicas of one training set are correlated: rho s^2 stays however many there are."""
    rng = np.random.default_rng(0)
    said = np.empty((SETS, TREES))
    for own in said:
        x = rng.random((SAMPLES, 1))
        y = np.sin(6 * x[:, 0]) + 0.5 * rng.normal(size=SAMPLES)
        for place in range(TREES):
            replica = rng.integers(0, SAMPLES, SAMPLES)
            tree = DecisionTreeRegressor(max_depth=5).fit(x[replica], y[replica])
            own[place] = tree.predict([[0.4]])[0]

    whole = said - said.mean()
    variance = (whole**2).mean()
    products = whole.sum(1) ** 2 - (whole**2).sum(1)
    shared = products.sum() / (SETS * TREES * (TREES - 1)) / variance

    assert 0.2 < shared < 0.9
    for count in (1, 5, TREES):
        means = whole[:, : TREES // count * count].reshape(SETS, -1, count).mean(2)
        wanted = shared * variance + (1 - shared) * variance / count
        assert np.isclose((means**2).mean(), wanted, rtol=0.1)
    assert (whole.mean(1) ** 2).mean() > shared * variance
