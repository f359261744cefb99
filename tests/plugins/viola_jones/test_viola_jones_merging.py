"""Many windows around an object become one detection, as OpenCV groups them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mlcvbench_viola_jones.merging import groups_of, merge
from mlcvbench_viola_jones.truths import boxes_in, median_shape, windows_of


def around(rng, x, y, side, count, spread):
    """Return `count` boxes near a square."""
    corner = np.array([x, y]) + rng.integers(-spread, spread + 1, (count, 2))
    sides = side + rng.integers(-spread, spread + 1, (count, 1))
    return np.concatenate([corner, corner + sides], axis=1).astype(float)


def test_sets_and_their_means_are_those_of_opencv():
    rng = np.random.default_rng(0)
    boxes = np.concatenate(
        [
            around(rng, 20, 30, 40, 9, 3),
            around(rng, 120, 30, 60, 5, 4),
            around(rng, 60, 150, 24, 2, 1),
            [[200, 200, 230, 230]],
        ]
    )
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(int)

    theirs, count = cv2.groupRectangles(rectangles.tolist(), 1, 0.2)

    ours = merge(boxes, np.zeros(len(boxes)), neighbours=2, most=1.0)
    assert ours.windows.tolist() == [9, 5, 2] == sorted(count, reverse=True)
    order = np.argsort(-np.asarray(count).ravel())
    means = np.concatenate([ours.boxes[:, :2], ours.boxes[:, 2:] - ours.boxes[:, :2]], axis=1)
    np.testing.assert_allclose(means, np.asarray(theirs)[order], atol=0.51)


def test_a_chain_of_like_windows_is_one_set():
    boxes = np.array([[x, 0, x + 20, 20] for x in (0.0, 4, 8, 12, 17)])

    assert groups_of(boxes).tolist() == [0, 0, 0, 0, 1]
    assert groups_of(np.zeros((0, 4))).tolist() == []


def test_more_windows_and_larger_margins_score_higher():
    boxes = np.array([[0.0, 0, 20, 20], [1, 0, 21, 20], [100, 0, 120, 20], [200, 0, 220, 20]])

    merged = merge(boxes, np.array([0.5, 0.7, 1.0, 0.2]), neighbours=1, most=0.3)

    assert merged.scores.tolist() == pytest.approx([np.log(2) + 0.6, 1.0, 0.2])
    assert merged.boxes[0].tolist() == [0.5, 0, 20.5, 20]
    assert merge(boxes, np.ones(4), neighbours=2, most=0.3).windows.tolist() == [2]


def test_of_overlapping_detections_the_better_one_stays():
    boxes = np.array([[0.0, 0, 20, 20], [0, 0, 20, 30]])  # not alike; IoU 2/3

    assert merge(boxes, np.array([1.0, 2.0]), 1, 0.6).boxes.tolist() == [[0, 0, 20, 30]]
    assert len(merge(boxes, np.array([1.0, 2.0]), 1, 0.7).boxes) == 2


def test_boxes_come_back_from_their_windows():
    boxes = np.array([[10.0, 20, 30, 60], [0, 0, 8, 16]])

    shape = median_shape(boxes, 1.3)

    np.testing.assert_allclose(boxes_in(windows_of(boxes, 1.3), shape), boxes, atol=1e-12)
    assert median_shape(np.zeros((0, 4)), 1.0).tolist() == [1, 1]
