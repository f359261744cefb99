"""Cascades over an image: which windows are looked at, and that OpenCV accepts the same ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.cascades import clouds, random_cascade

from mlcvbench_viola_jones.cascade import ScaledCascade, Tables, empty_cascade
from mlcvbench_viola_jones.features import every_feature, look_ups, window_integrals
from mlcvbench_viola_jones.opencv_engine import OpencvCascade
from mlcvbench_viola_jones.opencv_xml import write_xml
from mlcvbench_viola_jones.search import Search, find

IMAGE = Search(24, 24, "image", 1.25, 1.0)
FEATURES = Search(24, 24, "features", 1.25, 1.0)


@pytest.mark.parametrize("size", [(64, 64), (90, 130), (200, 301), (241, 77), (24, 24), (25, 31), (23, 90)])
@pytest.mark.parametrize("counts", [(3, 5, 20, 40), (1, 2), (4,)])
def test_opencv_accepts_the_same_windows_one_by_one(tmp_path, size, counts):
    cascade = random_cascade(*counts)
    write_xml(cascade, tmp_path / "cascade.xml")
    image = clouds(*size)

    theirs = cv2.CascadeClassifier(str(tmp_path / "cascade.xml")).detectMultiScale(image, 1.25, 0)

    ours = find(image, cascade, IMAGE).boxes
    rectangles = np.concatenate([ours[:, :2], ours[:, 2:] - ours[:, :2]], axis=1).astype(int)
    assert sorted(rectangles.tolist()) == sorted(np.asarray(theirs).reshape(-1, 4).tolist())


@pytest.mark.parametrize("counts", [(3, 5, 20, 40), (4,)])
def test_the_engine_of_opencv_gives_our_windows_and_margins_in_order(counts):
    cascade, image = random_cascade(*counts, seed=3), clouds(120, 161)

    ours, theirs = find(image, cascade, IMAGE), OpencvCascade(cascade).find(image, IMAGE)

    assert len(ours.boxes) > 50
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    np.testing.assert_array_equal(ours.margins, theirs.margins)


def test_a_window_in_an_image_is_worth_what_the_patch_is(tmp_path):
    cascade, image = random_cascade(7, limit=-99), clouds(40, 50)
    scaled, tables = ScaledCascade(cascade, 1.0), Tables.of(image)
    places = np.array([y * 51 + x for y, x in ((0, 0), (5, 9), (16, 26))])

    sums = scaled.stage_sums(tables, places, scaled.factors(tables, places), 0)

    patches = np.stack([image[y : y + 24, x : x + 24] for y, x in ((0, 0), (5, 9), (16, 26))])
    np.testing.assert_array_equal(sums, cascade.stage_sums(patches, 0))


@pytest.mark.parametrize("scale", [1.25, 2.0, 3.7])
def test_features_enlarged_on_an_enlarged_image_are_nearly_the_features_on_the_image(scale):
    small = clouds(24, 24, seed=5)
    side = int(np.floor(24 * scale + 0.5))
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    features = every_feature(24, 24)
    some = features.take(np.flatnonzero(features.boxes[:, 0, 2:].min(axis=1) >= 8)[::500])
    integrals, factor = window_integrals(small[None])
    values = (look_ups(some, 24, 24) @ integrals * factor).ravel()

    inside = []
    for row in range(len(some)):
        low, high = (
            empty_cascade(24, 24).with_stage(
                some.take(np.array([row])), np.array([[values[row] + d, 0, 1]], np.float32), 0.5
            )
            for d in (-0.15, 0.15)
        )
        passed = [ScaledCascade(c, scale).passing(Tables.of(large), np.array([0])).places.size for c in (low, high)]
        inside.append(passed == [1, 0])

    assert np.mean(inside) > 0.9


def test_an_even_grey_gives_zero_at_every_scale():
    features = every_feature(24, 24)
    cascade = empty_cascade(24, 24).with_stage(
        features.take(np.arange(0, 162_336, 999)), np.zeros((163, 3), np.float32), 0
    )

    for scale in (1.0, 1.25, 1.7, 4.3):
        scaled = ScaledCascade(cascade, scale)
        areas = (scaled._corners[..., 2:] - scaled._corners[..., :2]).prod(axis=2)
        np.testing.assert_allclose((areas * scaled._weights).sum(axis=1), 0, atol=1e-3)


def test_windows_grow_by_the_factor_and_move_by_the_step_times_the_scale():
    levels = Search(24, 24, "features", 1.5, 2.0).levels(100, 60)

    assert [(one.wide, one.step, one.columns, one.rows) for one in levels] == [
        (24, 2, 19, 39),
        (36, 3, 9, 22),
        (54, 4, 2, 12),
    ]


def test_a_window_without_contrast_is_never_accepted():
    cascade = random_cascade(2, limit=-99)
    flat = np.full((60, 60), 77, np.uint8)
    flat[::2] += 19  # a deviation of 9.5 grey levels

    for search in (IMAGE, FEATURES):
        assert len(find(flat, cascade, search).boxes) == 0
    flat[::2] += 4  # 11.5
    assert len(find(flat, cascade, FEATURES).boxes) > 0


def test_features_are_counted_until_a_stage_refuses():
    image = clouds(60, 60)
    cascade = random_cascade(3, 4)
    first = find(image, random_cascade(3), FEATURES)

    found = find(image, cascade, FEATURES)

    lively = find(image, random_cascade(1, limit=-99), FEATURES)
    assert found.looked_at == sum(level.rows * level.columns for level in FEATURES.levels(60, 60))
    assert found.evaluated == 3 * len(lively.boxes) + 4 * len(first.boxes)
