"""Two rings: no line parts them, and one in polar features does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support.fitting import fitted, percent_right, scores_of
from support.runs import config_for

from mlcvbench import runner
from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench.testing import check_dataset
from mlcvbench_linear import mlcvbench_datasets
from mlcvbench_linear.polar import Polar
from mlcvbench_linear.rings import RADII, load_two_rings
from mlcvbench_linear.softmax import LinearSoftmax

RINGS = load_two_rings({"width": 0.15}, 0)


def test_radius_and_angle_are_taken_about_the_middle():
    points = torch.tensor([[0.5, 0.5], [1.0, 0.5], [0.5, 0.0], [0.0, 0.5], [0.2, 0.1]], dtype=torch.float64)

    found = Polar()(points)

    right = [[0, 0], [0.5, 0], [0.5, -math.pi / 2], [0.5, math.pi], [0.5, math.atan2(-0.4, -0.3)]]
    assert found.numpy() == pytest.approx(np.array(right))


def test_the_angle_jumps_where_neighbours_meet_at_the_negative_x_axis():
    above, below = Polar()(torch.tensor([[0.0, 0.501], [0.0, 0.499]]))[:, 1]

    assert float(above - below) == pytest.approx(2 * math.pi, abs=0.01)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_line_parts_the_rings_in_polar_features_only(optimizer):
    train, test = RINGS.splits["train"], RINGS.splits["test"]
    settings = {"optimizer": optimizer, "epochs": 100 if optimizer == "lbfgs" else 20}

    plain, polar = (fitted(LinearSoftmax(RINGS.problem, form), train, **settings) for form in ("pixels", "polar"))

    assert percent_right(plain, test) == pytest.approx(50, abs=8)
    assert percent_right(polar, test) == 100


def test_the_points_themselves_say_the_same_to_scikit_learn():
    inputs, targets = RINGS.splits["test"].arrays()
    points = inputs["image"].reshape(-1, 2) / 127.5 - 1
    turned = np.column_stack([np.hypot(*points.T), np.arctan2(*points.T[::-1])])

    plain, polar = (LogisticRegression().fit(x, targets["label"]).score(x, targets["label"]) for x in (points, turned))

    assert plain < 0.6
    assert polar == 1.0


def test_rings_lie_at_their_radii_in_all_directions():
    inputs, targets = load_two_rings({"width": 0.0}, 3).splits["train"].arrays()
    points = inputs["image"].reshape(-1, 2) / 127.5 - 1

    assert np.hypot(*points.T) == pytest.approx(RADII[targets["label"]], abs=0.006)  # half a pixel, diagonally
    assert np.abs(points.mean(axis=0)).max() < 0.1


def test_a_model_of_polar_features_comes_back_as_it_was(tmp_path):
    images = RINGS.splits["test"].arrays()[0]["image"]
    model = fitted(LinearSoftmax(RINGS.problem, "polar"), RINGS.splits["train"], epochs=20)
    again = LinearSoftmax(RINGS.problem, "polar")

    model.save(tmp_path)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))
    assert scores_of(again, images[:0]).shape == (0, 2)


def test_pictures_are_no_points():
    picture = Problem("classification", ("a", "b"), {"image": InputSpec((8, 8))})

    with pytest.raises(DataError) as error:
        LinearSoftmax(picture, "polar").build()

    assert str(error.value) == (
        "linear_softmax: features=polar takes points, images of 2 values such as data=two_rings; got 64 values."
    )


def test_the_data_set_keeps_the_contract():
    (spec,) = mlcvbench_datasets()

    assert [(result.name, result.detail) for result in check_dataset(spec) if result.passed is False] == []


def test_it_runs_by_name(tmp_path):
    config = config_for("task=classification", "data=two_rings", "model=linear_softmax", "model.features=polar")

    record = runner.execute(config, tmp_path)

    assert record.status == "ok", record.error
    assert record.metrics["top1"].value == 1.0
