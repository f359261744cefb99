"""What a contact sheet shows of a classification data set."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import ArraySplit, Problem
from mlcvbench_classification.task import ClassificationTask

PROBLEM = Problem("classification", ("cat", "dog"), {})


def test_a_panel_is_the_image_with_class_and_id():
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    split = ArraySplit("test", {"image": images}, {"label": np.array([0, 1, 1])}, ids=["a", "b", "c"])

    panels = ClassificationTask().preview(split, PROBLEM, 2)

    assert [panel.caption for panel in panels] == ["cat · a", "dog · c"]
    np.testing.assert_array_equal(panels[1].image, np.stack([images[2]] * 3, axis=2))


def test_colours_stay_and_vectors_are_no_pictures():
    colors = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    labels = {"label": np.array([0, 1])}

    shown = ClassificationTask().preview(ArraySplit("test", {"image": colors}, labels), PROBLEM, 9)
    none = ClassificationTask().preview(ArraySplit("test", {"image": colors[:, 0, :, 0]}, labels), PROBLEM, 9)

    np.testing.assert_array_equal(np.stack([panel.image for panel in shown]), colors)
    assert none == []
