"""What is legal but surely not meant is said of depth and disparity; what is meant is not."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Notice, Problem
from mlcvbench.running.scoring import tabulate
from mlcvbench_depth.scoring import scorer_of
from mlcvbench_depth.task import DepthTask

HEIGHT, WIDTH = 40, 64
PROBLEM = Problem("depth", (), {})


def rows_and_columns():
    return np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def street(seed: int) -> np.ndarray:
    """Depth in metres that falls downwards, with boxes that stand out: no two sides are alike."""
    rng = np.random.default_rng(seed)
    rows, columns = rows_and_columns()
    metres = 40 - rows * 0.8 + columns * 0.1
    for _ in range(6):
        top, left = rng.integers(0, HEIGHT - 10), rng.integers(0, WIDTH - 14)
        metres[top : top + 10, left : left + 14] = rng.uniform(3, 12)
    return metres.astype(np.float32)


def noticed(protocol: str, truth, estimate, **more) -> list[Notice]:
    field = "depth" if protocol.startswith("mono") else "disparity"
    split = ArraySplit("test", {"image": np.zeros((len(truth), 2, 2), np.uint8)}, {field: truth, **more})
    scorer = scorer_of(protocol)
    table = tabulate(scorer, {field: estimate}, split.targets(), len(split))
    return [*scorer.notices(table), *DepthTask().notices({field: estimate}, split, PROBLEM, protocol)]


def codes(*arguments, **more) -> list[str]:
    return [notice.code for notice in noticed(*arguments, **more)]


METRIC, MEDIAN = "mono/full/cap80/metric@1", "mono/full/cap80/median-scale@1"
FITTED, INVERSE = "mono/full/cap80/scale-shift@1", "mono/full/cap80/scale-shift-inverse@1"
STEREO = "stereo/holes-bad@1"
TRUTH = [street(seed) for seed in range(3)]
DISPARITY = [np.float32(200) / one for one in TRUTH]


def noisy(maps, share: float = 0.1, seed: int = 5):
    rng = np.random.default_rng(seed)
    return [(one * np.exp(rng.normal(0, share, one.shape))).astype(np.float32) for one in maps]


@pytest.mark.parametrize(
    ("protocol", "truth", "estimate"),
    [
        (METRIC, TRUTH, TRUTH),
        (METRIC, TRUTH, noisy(TRUTH, 0.3)),
        (METRIC, TRUTH, [np.full_like(one, 12) for one in TRUTH]),
        (METRIC, TRUTH, [one * 2 + 1 for one in noisy(TRUTH, 0.4)]),
        (MEDIAN, TRUTH, [one / 7 for one in TRUTH]),
        (FITTED, TRUTH, [1 + one / 7 for one in TRUTH]),
        (INVERSE, TRUTH, [1 + 7 / one for one in TRUTH]),
        (INVERSE, TRUTH, [np.maximum(0, 7 / one - 0.5) for one in TRUTH]),
        (STEREO, DISPARITY, DISPARITY),
        (STEREO, DISPARITY, noisy(DISPARITY, 0.2)),
        (STEREO, DISPARITY, [one + 1 for one in DISPARITY]),
        (STEREO, DISPARITY, [np.full_like(one, 9) for one in DISPARITY]),
        (STEREO, DISPARITY, [np.zeros_like(one) for one in DISPARITY]),
        (METRIC, TRUTH, [np.random.default_rng(1).uniform(1, 80, one.shape).astype(np.float32) for one in TRUTH]),
    ],
)
def test_nothing_is_said_of_good_bad_and_constant_estimates(protocol, truth, estimate):
    assert noticed(protocol, truth, estimate) == []


@pytest.mark.parametrize("factor", [1.1, 0.256, 1000])
def test_one_factor_between_estimates_and_truth_is_named(factor):
    ((notice),) = noticed(METRIC, TRUTH, [one * np.float32(factor) for one in TRUTH])

    assert notice.code == "one-factor"
    assert notice.text == (
        f"one factor explains the estimates: they are {factor:.4g} times the truth ({factor:.4g} to {factor:.4g} in "
        "nine of ten pixels), which is a unit rather than an error; scale=N divides the numbers of files by N, and "
        "median-scale protocols remove a factor."
    )


def test_disparities_at_half_the_width_are_one_factor_off():
    (notice,) = noticed(STEREO, DISPARITY, [one / 2 for one in DISPARITY])

    assert notice.text == (
        "one factor explains the estimates: they are 0.5 times the truth (0.5 to 0.5 in nine of ten pixels), which is "
        "a unit rather than an error; scale=N divides the numbers of files by N."
    )


def test_noisy_estimates_in_another_unit_are_recognised():
    (notice,) = noticed(METRIC, TRUTH, [one * 1000 for one in noisy(TRUTH)])

    assert notice.code == "another-unit"
    assert notice.text.startswith("0.0% of the estimates lie within a quarter of the truth; divided by ")


@pytest.mark.parametrize(
    ("protocol", "truth", "estimate", "other"),
    [
        (
            METRIC,
            TRUTH,
            [200 / one for one in TRUTH],
            "for inverse depth there is mono/full/cap80/scale-shift-inverse@1",
        ),
        (MEDIAN, TRUTH, [1 / one for one in TRUTH], "for inverse depth there is mono/full/cap80/scale-shift-inverse@1"),
        (FITTED, TRUTH, [1 / one for one in TRUTH], "for inverse depth there is mono/full/cap80/scale-shift-inverse@1"),
        (INVERSE, TRUTH, TRUTH, "for depth there is mono/full/cap80/scale-shift@1"),
        (STEREO, DISPARITY, TRUTH, "this protocol wants disparity, not depth"),
    ],
)
def test_near_and_far_the_wrong_way_round_are_said_with_the_protocol_that_fits(protocol, truth, estimate, other):
    (notice,) = noticed(protocol, truth, noisy(estimate, 0.02))

    assert notice.code == "near-and-far-swapped"
    assert notice.text.endswith(f"{other}.")
    assert ("rise where" if protocol == INVERSE else "fall where") in notice.text


def test_inverse_depth_of_a_road_is_not_taken_for_a_map_upside_down():
    """Turned over, it follows the truth well too, but not as well as with near for far."""
    road = [40 - one for one in (rows_and_columns()[0] * 0.9, rows_and_columns()[0] * 0.8)]

    assert codes(METRIC, road, [1 / one for one in road]) == ["near-and-far-swapped"]


@pytest.mark.parametrize(("axis", "way"), [(1, "left to right"), (0, "upside down")])
@pytest.mark.parametrize(("protocol", "truth"), [(METRIC, TRUTH), (STEREO, DISPARITY)])
def test_mirrored_maps_are_recognised(axis, way, protocol, truth):
    (notice,) = noticed(protocol, truth, [np.flip(one, axis) for one in noisy(truth, 0.05)])

    assert notice.code == "estimates-mirrored"
    assert notice.text.startswith(f"turned {way}, the estimates follow the truth better (rank correlation 0.")


def test_disparities_of_the_right_image_are_recognised():
    estimates = []
    for one in DISPARITY:
        right = np.zeros_like(one)
        rows, columns = rows_and_columns().astype(int)
        for row, column, value in sorted(
            zip(rows.ravel(), columns.ravel(), one.ravel(), strict=True), key=lambda x: x[2]
        ):
            if column >= round(value):
                right[row, column - round(value)] = value
        estimates.append(right)

    (notice,) = noticed(STEREO, DISPARITY, estimates)

    assert notice.code == "disparity-of-the-right-image"
    assert notice.text.endswith("the truth is that of the left one: left and right are swapped.")


def test_estimates_of_zero_and_of_inf_are_counted_with_what_they_count_as():
    estimate = noisy(TRUTH, 0.05)
    estimate[0][:2] = 0
    estimate[1][:, :2] = np.inf

    zero, endless = noticed(METRIC, TRUTH, estimate)

    assert zero == Notice(
        "estimates-of-zero",
        "128 of 7,680 scored pixels (1.7%) have the estimate 0, which counts as 1 mm; there is no way to leave a pixel "
        "out.",
        128,
    )
    assert endless == Notice(
        "estimates-of-inf",
        "80 of 7,680 scored pixels (1.0%) have the estimate inf, which counts as the cap of 80 m.",
        80,
    )
    assert codes(INVERSE, TRUTH, [np.where(one > 25, 0, 9 / one) for one in TRUTH]) == []


def test_images_without_truth_and_truth_that_is_not_scored_are_counted():
    truth = [*TRUTH, np.zeros_like(TRUTH[0])]

    assert noticed(METRIC, truth, noisy(truth, 0.05)) == [
        Notice("images-without-truth", "1 of 4 images have no pixel that is scored and do not count.", 1)
    ]
    (notice,) = noticed("mono/full/cap10/metric@1", TRUTH, noisy(TRUTH, 0.05))
    assert notice.code == "most-truth-left-out"
    assert notice.text.endswith(
        "of the pixels with truth: look whether its cap and crop fit the data, and the truth's unit (data.scale)."
    )


def test_errors_of_few_pixels_are_said_where_holes_are_left_out():
    estimate = [np.where(np.arange(WIDTH) % 4 > 0, 0, one).astype(np.float32) for one in DISPARITY]

    (notice,) = noticed("stereo/cap192/per-image@1", DISPARITY, estimate)

    assert notice == Notice(
        "few-estimates",
        "the errors are those of 25.0% of the scored pixels; the others have no estimate and are left out, which "
        "stereo/holes-bad/cap192/per-image@1 does not allow.",
        5760,
    )
    assert codes(STEREO, DISPARITY, estimate) == []


def test_of_many_images_a_part_is_looked_at_and_said_so():
    truth, estimate = [np.full((2, 3), 9, np.float32)] * 400, [np.float32([[8, 0, 9], [10, 9, 9]])] * 400

    (notice,) = noticed(METRIC, truth, estimate)

    assert notice.text == (
        "50 of 300 scored pixels in the 50 of 400 inspected images (16.7%) have the estimate 0, which counts as 1 "
        "mm; there is no way to leave a pixel out."
    )


def test_pixels_that_one_camera_sees_alone_are_left_out_of_the_counts():
    occluded = [np.arange(WIDTH)[None].repeat(HEIGHT, 0) < 40 for _ in DISPARITY]

    (notice,) = noticed("stereo/noc@1", DISPARITY, noisy(DISPARITY, 0.05), occluded=occluded)

    assert notice.text == (
        "the protocol scores 37.5% of the pixels with truth: look whether its cap and masks of occlusion fit the data, "
        "and the truth's unit (data.scale)."
    )
