"""Boundary F equals its definition, computed by brute force over all pairs of pixels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlcvbench.contract import Problem
from mlcvbench_segmentation.boundary import boundary_pixels, boundary_scores
from mlcvbench_segmentation.scoring import SegmentationScorer


def brute_boundary(label, classes):
    found = set()
    height, width = label.shape
    for y, x in itertools.product(range(height), range(width)):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                here, there = label[y, x], label[y + dy, x + dx]
                if here < classes and there < classes and here != there:
                    found.add((y, x, int(here)))
    return found


def brute_scores(label, guess, classes, tolerance):
    masked = np.where(label < classes, guess, 255)
    radius = tolerance * math.hypot(*label.shape)
    scores = []
    for c in range(classes):
        truth = [(y, x) for y, x, k in brute_boundary(label, classes) if k == c]
        found = [(y, x) for y, x, k in brute_boundary(masked, classes) if k == c]
        if not truth and not found:
            scores.append(np.nan)
        elif not truth or not found:
            scores.append(0.0)
        else:
            p = np.mean([min(math.dist(a, b) for b in truth) <= radius for a in found])
            r = np.mean([min(math.dist(a, b) for b in found) <= radius for a in truth])
            scores.append(2 * p * r / (p + r) if p + r else 0.0)
    return np.array(scores)


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 2, 255])),
    arrays(np.uint8, (6, 8), elements=st.integers(0, 2)),
    st.sampled_from([0.0, 0.1, 0.15, 0.5]),
)
def test_scores_equal_brute_force(label, guess, tolerance):
    scores = boundary_scores(label, guess, 3, tolerance)

    assert scores == pytest.approx(brute_scores(label, guess, 3, tolerance), abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 2, 255])),
            arrays(np.uint8, (6, 8), elements=st.integers(0, 2)),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["skip", "zero"]),
)
def test_the_metric_is_the_mean_over_images_and_then_over_classes(pairs, absent):
    """The fourth class never occurs: `absent-skip` leaves it out of the mean, `absent-zero` counts it as 0."""
    scorer = SegmentationScorer(f"miou/ignore255/absent-{absent}/bf0.75@1", Problem("segmentation", tuple("abcd"), {}))
    labels, guesses = [label for label, _ in pairs], [guess for _, guess in pairs]
    by_image = np.array([brute_scores(label, guess, 4, 0.0075) for label, guess in pairs])
    by_class = [float(np.mean(column[~np.isnan(column)])) for column in by_image.T if not np.isnan(column).all()]
    wanted = None
    if by_class:
        wanted = pytest.approx(sum(by_class) / (4 if absent == "zero" else len(by_class)), abs=1e-12)

    table = scorer.rows({"label_map": guesses}, {"label_map": labels}, np.arange(len(pairs)))

    assert scorer.summarise(table)["boundary_f"] == wanted


def test_equal_maps_have_f_one_and_uniform_ones_have_none():
    label = np.zeros((5, 5), np.uint8)
    label[2:] = 1

    assert boundary_scores(label, label, 3, 0.0075)[:2].tolist() == [1.0, 1.0]
    assert np.isnan(boundary_scores(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), 2, 0.0075)).all()


def test_a_shift_within_the_tolerance_costs_nothing():
    label, guess = np.zeros((40, 30), np.uint8), np.zeros((40, 30), np.uint8)
    label[20:], guess[21:] = 1, 1

    assert boundary_scores(label, guess, 2, 1 / 50).tolist() == [1.0, 1.0]
    assert boundary_scores(label, guess, 2, 0.9 / 50).tolist() == [0.0, 0.0]


def test_edges_of_ignored_regions_are_no_boundary():
    label = np.array([[0, 0, 255, 1, 1]], np.uint8)

    assert not boundary_pixels(label, 2).any()
