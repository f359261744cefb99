"""How fast a forest of arrays classifies the pixels of an image, beside scikit-learn's own in the same run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mlcvbench_pixel_forest.forest import from_sklearn

PIXELS, FEATURES, TREES = 128 * 128, 36, 16


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.slow
def test_classifying_the_pixels_of_an_image_beside_scikit_learn(benchmark):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PIXELS, FEATURES)).astype(np.float32)
    labels = 3 * (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0) + (rows[:, 3] > 0.5)
    grown = RandomForestClassifier(TREES, max_depth=14, min_samples_leaf=2, random_state=0, n_jobs=1).fit(rows, labels)
    forest, columns = from_sklearn(grown, 5), np.ascontiguousarray(rows.T)

    ours = benchmark.pedantic(lambda: forest.probabilities(columns), rounds=5, warmup_rounds=1)
    theirs = median(seconds(lambda: grown.predict_proba(rows)) for _ in range(5))

    benchmark.extra_info["scikit-learn, seconds"] = theirs
    np.testing.assert_array_equal(ours[:, grown.classes_], grown.predict_proba(rows))
