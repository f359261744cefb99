"""Two rings of points: where they lie, and that no line in x and y parts them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlcvbench.testing import check_dataset
from mlcvbench_classification import mlcvbench_datasets
from mlcvbench_classification.two_rings import RADII, load_two_rings

RINGS = load_two_rings({"width": 0.15}, 0)


def test_rings_lie_at_their_radii_in_all_directions():
    inputs, targets = load_two_rings({"width": 0.0}, 3).splits["train"].arrays()
    points = inputs["image"].reshape(-1, 2) / 127.5 - 1

    assert np.hypot(*points.T) == pytest.approx(RADII[targets["label"]], abs=0.006)  # half a pixel, diagonally
    assert np.abs(points.mean(axis=0)).max() < 0.1


def test_scikit_learn_parts_them_in_polar_coordinates_and_not_in_x_and_y():
    inputs, targets = RINGS.splits["test"].arrays()
    points = inputs["image"].reshape(-1, 2) / 127.5 - 1
    turned = np.column_stack([np.hypot(*points.T), np.arctan2(*points.T[::-1])])

    plain, polar = (LogisticRegression().fit(x, targets["label"]).score(x, targets["label"]) for x in (points, turned))

    assert plain < 0.6
    assert polar == 1.0


def test_the_data_set_keeps_the_contract():
    (spec,) = (spec for spec in mlcvbench_datasets() if spec.name == "two_rings")

    assert [(result.name, result.detail) for result in check_dataset(spec) if result.passed is False] == []
