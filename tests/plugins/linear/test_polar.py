"""Two rings: no line parts them, and one in polar features does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.fitting import fitted, percent_right, scores_of
from support.runs import config_for

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench.running import stages
from mlcvbench_classification.two_rings import load_two_rings
from mlcvbench_linear.polar import Polar
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


def test_it_runs_by_name(tmp_path):
    config = config_for("task=two_rings", "model=linear_softmax", "model.features=polar")

    record = stages.execute(config, tmp_path)

    assert record.status == "ok", record.error
    assert record.metrics["top1"].value == 1.0
