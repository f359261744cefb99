"""Depth and stereo metrics equal the usual code and their definitions, on random and degenerate maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlcvbench.contract import Problem
from mlcvbench.errors import DataError, PredictionError, UnknownNameError
from mlcvbench.running.scoring import tabulate
from mlcvbench_depth.measuring import measure_depth, measure_disparity
from mlcvbench_depth.protocols import MONO_PROTOCOLS, SCALINGS, crop_window, parse_mono
from mlcvbench_depth.quantise import store_depth, store_disparity
from mlcvbench_depth.scoring import scorer_of

PROBLEM = Problem("depth", (), {}, {"field": "disparity"})
FULL = (slice(None), slice(None))


def usual_stereo(truth, estimate, *, holes_are_bad):
    """The definition, pixel by pixel in float64."""
    known, has = truth > 0, (truth > 0) & (estimate > 0)
    error = np.abs(estimate.astype(float) - truth)
    scored = known if holes_are_bad else has
    wrong = lambda test: ((test | ~has) & scored).sum() / scored.sum() if scored.any() else None  # noqa: E731
    return {
        "density": has.sum() / known.sum() if known.any() else None,
        "epe": error[has].mean() if has.any() else None,
        **{f"bad_{n.replace('.', '_')}": wrong(error > float(n)) for n in ("0.5", "1", "2", "3")},
        "d1": wrong((error > 3) & (error > np.float64(np.float32(0.05)) * truth)),
    }


def marigolds_fit(pred, gt):
    """align_depth_least_square: a design matrix of the estimates and ones, and numpy's solver."""
    design = np.concatenate([pred[:, None], np.ones((len(pred), 1))], axis=1)
    scale, shift = np.linalg.lstsq(design, gt, rcond=None)[0]
    return pred * scale + shift


def midas_fit(pred, gt, cap):
    """compute_scale_and_shift and BadPixelMetric of MiDaS: normal equations, then 1 / max(d, 1 / cap)."""
    a_00, a_01, a_11 = np.sum(pred * pred), np.sum(pred), float(len(pred))
    b_0, b_1 = np.sum(pred / gt), np.sum(1 / gt)
    det = a_00 * a_11 - a_01 * a_01
    scale, shift = (a_11 * b_0 - a_01 * b_1) / det, (-a_01 * b_0 + a_00 * b_1) / det
    return 1 / np.maximum(scale * pred + shift, 1 / cap)


def usual_depth(truth, estimate, cap=80.0, *, scaling="metric"):
    """compute_errors of monodepth2, as everybody copies it."""
    mask = (truth > 1e-3) & (truth < cap)
    gt, pred = truth[mask].astype(float), estimate[mask].astype(float)
    if scaling == "median-scale":
        pred = pred * (np.median(gt) / np.median(pred))
    elif scaling == "scale-shift":
        pred = marigolds_fit(pred, gt)
    elif scaling == "scale-shift-inverse":
        pred = midas_fit(pred, gt, cap)
    pred = np.clip(pred, 1e-3, cap)
    thresh = np.maximum(gt / pred, pred / gt)
    logs = np.log(pred) - np.log(gt)
    return {
        "abs_rel": np.mean(np.abs(gt - pred) / gt),
        "sq_rel": np.mean((gt - pred) ** 2 / gt),
        "rmse": np.sqrt(np.mean((gt - pred) ** 2)),
        "rmse_log": np.sqrt(np.mean(logs**2)),
        "silog": np.sqrt(max(0.0, np.mean(logs**2) - np.mean(logs) ** 2)),
        "log10": np.mean(np.abs(np.log10(pred) - np.log10(gt))),
        **{f"delta{k}": (thresh < 1.25**k).mean() for k in (1, 2, 3)},
    }


steps = arrays(np.uint16, (4, 5), elements=st.sampled_from([0, 1, 128, 256, 512, 768, 1024, 5120, 6000, 65535]))


@settings(deadline=None, max_examples=120)
@given(steps, steps, st.booleans())
def test_stereo_metrics_equal_their_definition(truth, estimate, holes_are_bad):
    truth = truth.astype(np.float32) / 256
    protocol = "stereo/holes-bad@1" if holes_are_bad else "stereo/all@1"
    scorer = scorer_of(protocol)

    table = scorer.rows({"disparity": [estimate]}, {"disparity": [truth]}, np.arange(1))

    wanted = usual_stereo(truth, estimate / 256, holes_are_bad=holes_are_bad)
    assert scorer.summarise(table) == pytest.approx(wanted, abs=1e-7)


def test_floats_beyond_255_pixels_score_like_steps():
    truth = np.float32([[300.0, 10.0, 0.0]])

    counts = measure_disparity(truth, np.float32([[304.0, 0.0, 5.0]]))

    assert (counts.known, counts.estimated, counts.error) == (2, 1, 4.0)
    assert (counts.bad, counts.d1) == ((1, 1, 1, 1), 0)


@pytest.mark.parametrize("protocol", ["stereo/all@1", "stereo/holes-bad@1"])
def test_a_map_without_estimates_has_density_zero_and_no_epe(protocol):
    scorer = scorer_of(protocol)
    truth, estimate = np.full((3, 3), 5, np.float32), np.zeros((3, 3), np.uint16)

    values = scorer.summarise(scorer.rows({"disparity": [estimate]}, {"disparity": [truth]}, np.arange(1)))

    assert (values["density"], values["epe"]) == (0.0, None)
    assert values["bad_2"] == (1.0 if protocol == "stereo/holes-bad@1" else None)
    table = scorer.rows({"disparity": [estimate]}, {"disparity": [truth]}, np.arange(1))
    assert scorer.undefined(table)["epe"] == "no known pixel has an estimate"


def test_a_map_without_known_pixels_has_no_metrics():
    scorer = scorer_of("stereo/all@1")
    nothing = np.zeros((3, 3), np.float32)

    values = scorer.summarise(scorer.rows({"disparity": [nothing]}, {"disparity": [nothing]}, np.arange(1)))

    assert set(values.values()) == {None}


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SCALINGS))
def test_depth_errors_equal_the_usual_code(seed, scaling):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 100, (9, 11)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.3] = 0
    estimate = (np.maximum(truth, 1) * np.exp(rng.normal(0, 0.4, truth.shape))).astype(np.float32)
    if scaling == "scale-shift-inverse":
        estimate = 1 / estimate

    errors = measure_depth(truth, estimate, window=FULL, cap=80.0, scaling=scaling)

    wanted = usual_depth(truth, estimate, scaling=scaling)
    assert errors._asdict() == pytest.approx(wanted | {"pixels": ((truth > 1e-3) & (truth < 80)).sum()}, rel=2e-5)


@pytest.mark.parametrize("shape", [(1, 1), (64, 128), (301, 403)])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_depth_errors_have_the_bits_of_sums_over_whole_maps(shape, share):
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 70, shape).astype(np.float32)
    estimate = (truth * rng.lognormal(0, 0.2, shape)).astype(np.float32)
    truth[rng.random(shape) > share] = 0
    scored = truth > 0

    errors = measure_depth(truth, estimate, window=np.s_[:, :], cap=80.0)

    wanted, got = truth[scored], np.clip(estimate[scored], np.float32(1e-3), np.float32(80))
    ratio, difference = got / wanted, got - wanted
    sums = [np.abs(difference / wanted), difference / wanted * difference, np.abs(np.log(ratio))]
    means = [float(values.sum(dtype=np.float64)) / len(wanted) for values in sums]
    assert [errors.abs_rel, errors.sq_rel, errors.log10] == [*means[:2], means[2] / float(np.log(10))]
    assert errors.rmse == float(np.sqrt(float((difference * difference).sum(dtype=np.float64)) / len(wanted)))
    assert errors.delta1 == np.count_nonzero((ratio < 1.25) & (ratio > np.float32(0.8))) / len(wanted)


@pytest.mark.parametrize(("truth", "estimate"), [(4.0, 5.0), (5.0, 4.0), (16.0, 25.0), (25.0, 16.0), (64.0, 125.0)])
def test_a_ratio_of_exactly_the_limit_is_not_within_it(truth, estimate):
    errors = measure_depth(
        np.full((1, 1), truth, np.float32),
        np.full((1, 1), estimate, np.float32),
        window=FULL,
        cap=200.0,
    )

    inside = [errors.delta1, errors.delta2, errors.delta3]
    limit = {5: 0, 25: 1, 125: 2}[int(max(truth, estimate))]
    assert inside == [0.0] * (limit + 1) + [1.0] * (2 - limit)


def test_a_perfect_estimate_has_no_error():
    truth = np.random.default_rng(0).uniform(1, 50, (5, 5)).astype(np.float32)

    errors = measure_depth(truth, truth, window=FULL, cap=80.0, scaling="median-scale")

    assert errors == (25, 0, 0, 0, 0, 0, 0, 1, 1, 1)


def test_silog_of_a_constant_factor_is_zero_and_median_scaling_takes_it_away():
    truth = np.random.default_rng(0).uniform(1, 30, (9, 9)).astype(np.float32)

    plain = measure_depth(truth, truth * 2, window=FULL, cap=80.0)
    scaled = measure_depth(truth, truth * 2, window=FULL, cap=80.0, scaling="median-scale")

    assert plain.silog == pytest.approx(0, abs=1e-4)
    assert plain.rmse_log == pytest.approx(np.log(2), rel=1e-6)
    assert scaled.abs_rel == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("scaling", "relative"),
    [
        ("scale-shift", lambda metres: 0.02 * metres + 0.3),
        ("scale-shift", lambda metres: 5 - 0.01 * metres),
        ("scale-shift-inverse", lambda metres: 37 / metres + 0.5),
        ("scale-shift-inverse", lambda metres: 1 - 0.5 / metres),
    ],
)
def test_a_fit_takes_scale_and_shift_away(scaling, relative):
    truth = np.random.default_rng(0).uniform(2, 70, (20, 60)).astype(np.float32)

    errors = measure_depth(truth, relative(truth), window=FULL, cap=80.0, scaling=scaling)

    assert errors.abs_rel == pytest.approx(0, abs=1e-4)
    assert errors.delta1 == 1


def test_a_constant_estimate_is_fitted_by_the_mean():
    truth = np.float32([[2, 4, 12]])

    errors = measure_depth(truth, np.ones((1, 3), np.float32), window=FULL, cap=80.0, scaling="scale-shift")

    assert errors.abs_rel == pytest.approx(np.mean([4 / 2, 2 / 4, 6 / 12]))


def test_what_a_fit_of_inverse_depth_puts_behind_infinity_counts_as_the_cap():
    truth, estimate = np.float32([1, 50, 50]), np.float32([9, 1, 0])
    line = np.polyfit(estimate, 1 / truth, 1)

    errors = measure_depth(truth[None], estimate[None], window=FULL, cap=80.0, scaling="scale-shift-inverse")

    assert np.polyval(line, 0) < 0
    metres = np.array([1 / np.polyval(line, 9), 1 / np.polyval(line, 1), 80])
    assert errors.abs_rel == pytest.approx(np.mean(np.abs(metres - truth) / truth), rel=1e-4)


@pytest.mark.parametrize("scaling", ["metric", "median-scale"])
def test_an_estimate_of_inf_counts_as_the_cap(scaling):
    truth = np.float32([[10, 20, 30, 79]])
    far = np.float32([[11, 19, 33, np.inf]])

    errors = measure_depth(truth, far, window=FULL, cap=80.0, scaling=scaling)

    assert errors == measure_depth(truth, np.where(np.isinf(far), 1e6, far), window=FULL, cap=80.0, scaling=scaling)
    if scaling == "metric":
        assert errors == measure_depth(truth, np.minimum(far, 80), window=FULL, cap=80.0)


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ("median-scale", "the median estimate is inf, so it cannot be scaled to the truth's."),
        ("scale-shift", "3 scored estimates are inf; scale and shift are fitted to finite numbers only."),
        ("scale-shift-inverse", "3 scored estimates are inf; scale and shift are fitted to finite numbers only."),
    ],
)
def test_what_cannot_be_scaled_is_refused(scaling, said):
    truth = np.float32([[1, 2, 3, 4]])

    with pytest.raises(PredictionError) as caught:
        measure_depth(truth, np.float32([[1, np.inf, np.inf, np.inf]]), window=FULL, cap=80.0, scaling=scaling)

    assert str(caught.value) == f"field 'depth': {said}"


def test_metrics_are_means_over_images_not_over_pixels():
    scorer = scorer_of("mono/full/cap80/metric@1")
    truth = [np.full((1, 1), 10, np.float32), np.full((10, 10), 10, np.float32), np.zeros((2, 2), np.float32)]
    estimate = [np.full((1, 1), 20, np.float32), np.full((10, 10), 10, np.float32), np.ones((2, 2), np.float32)]

    values = scorer.summarise(scorer.rows({"depth": estimate}, {"depth": truth}, np.arange(3)))

    assert values["abs_rel"] == 0.5
    assert values["delta1"] == 0.5


def test_crop_and_cap_leave_pixels_out():
    truth = np.full((100, 200), 10, np.float32)
    truth[60] = 90
    inside = crop_window("garg", 100, 200)

    errors = measure_depth(truth, truth, window=inside, cap=80.0)

    assert inside == (slice(40, 99), slice(7, 192))
    assert errors.pixels == (59 - 1) * 185
    assert crop_window("nyu", 480, 640) == (slice(45, 471), slice(41, 601))


PUBLISHED_CROPS = {
    "full": lambda h, w: (0, h, 0, w),
    "garg": lambda h, w: (0.40810811 * h, 0.99189189 * h, 0.03594771 * w, 0.96405229 * w),
    "eigen": lambda h, w: (0.3324324 * h, 0.91351351 * h, 0.0359477 * w, 0.96405229 * w),
    "nyu": lambda h, w: (45 / 480 * h, 471 / 480 * h, 41 / 640 * w, 601 / 640 * w),
}


@pytest.mark.parametrize("protocol", MONO_PROTOCOLS)
def test_every_protocol_equals_the_usual_code_over_its_crop_and_cap(protocol):
    """Means over images of monodepth2's code; one image has constant depth, one nothing known inside the crop."""
    crop, cap, scaling = protocol.removeprefix("mono/").removesuffix("@1").split("/")
    rng = np.random.default_rng(3)
    truth = [rng.uniform(0.5, 100, (40, 60 + i)).astype(np.float32) for i in range(5)]
    truth[2][:] = 7
    for one in truth:
        one[rng.random(one.shape) < 0.3] = 0
    truth[3][:] = 0
    estimate = [(np.maximum(t, 1) * np.exp(rng.normal(0, 0.4, t.shape))).astype(np.float32) for t in truth]
    wanted = []
    for one, other in zip(truth, estimate, strict=True):
        top, bottom, left, right = (int(bound) for bound in PUBLISHED_CROPS[crop](*one.shape))
        inside = (slice(top, bottom), slice(left, right))
        if one[inside].any():
            limit = float(cap.removeprefix("cap"))
            wanted.append(usual_depth(one[inside], other[inside], limit, scaling=scaling))
    scorer = scorer_of(protocol)

    values = scorer.summarise(tabulate(scorer, {"depth": estimate}, {"depth": truth}, 5))

    assert len(wanted) == 4
    assert values == pytest.approx({name: np.mean([one[name] for one in wanted]) for name in values}, rel=2e-5)


def test_median_scaling_of_an_empty_estimate_is_refused():
    scorer = scorer_of("mono/full/cap80/median-scale@1")
    one = np.ones((2, 2), np.float32)

    with pytest.raises(PredictionError) as caught:
        scorer.rows({"depth": [one * 0]}, {"depth": [one]}, np.arange(1))

    assert str(caught.value) == (
        "sample 0 of the split: field 'depth': the median estimate is 0, so it cannot be scaled to the truth's."
    )


def random_maps(count=11):
    rng = np.random.default_rng(4)
    truth = [rng.uniform(0, 60, (5, 6 + i % 2)).astype(np.float32) for i in range(count)]
    estimate = [store_disparity(t + rng.uniform(0, 4, t.shape).astype(np.float32), "") for t in truth]
    return estimate, truth


@pytest.mark.parametrize("protocol", ["stereo/all@1", "stereo/holes-bad@1", "mono/full/cap50/median-scale@1"])
def test_shards_one_two_and_seven_give_the_same_bits(protocol):
    scorer = scorer_of(protocol)
    estimate, truth = random_maps()
    field = "disparity" if protocol.startswith("stereo") else "depth"
    estimate = estimate if field == "disparity" else [e.astype(np.float32) for e in estimate]

    values = [scorer.summarise(tabulate(scorer, {field: estimate}, {field: truth}, 11, shards=k)) for k in (1, 2, 7)]

    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize(
    "protocol",
    [
        "stereo/holes-bad@1",
        "stereo/all/per-image@1",
        "stereo/holes-bad/cap20/per-image@1",
        "mono/full/cap50/metric@1",
        "mono/full/cap50/scale-shift@1",
    ],
)
def test_a_weight_of_two_counts_an_image_twice(protocol):
    scorer = scorer_of(protocol)
    estimate, truth = random_maps(3)
    field = "disparity" if protocol.startswith("stereo") else "depth"
    estimate = estimate if field == "disparity" else [e.astype(np.float32) for e in estimate]
    table = tabulate(scorer, {field: estimate}, {field: truth}, 3)
    again = [1, 1, 2]

    weighted = scorer.summarise(table, np.array([0.0, 2.0, 1.0]))

    repeated = {field: [estimate[i] for i in again]}, {field: [truth[i] for i in again]}
    assert weighted == pytest.approx(scorer.summarise(tabulate(scorer, *repeated, 3)), rel=1e-12)
    assert scorer.summarise(table) == scorer.summarise(table, np.ones(3))


def test_a_scorer_wants_its_own_field():
    one = np.ones((2, 2), np.float32)

    with pytest.raises(PredictionError) as caught:
        scorer_of("stereo/all@1").rows({"depth": [one]}, {"disparity": [one]}, np.arange(1))
    with pytest.raises(DataError) as other:
        scorer_of("mono/full/cap80/metric@1").rows({"depth": [one]}, {"disparity": [one]}, np.arange(1))

    assert str(caught.value) == "protocol 'stereo/all@1' wants predictions of 'disparity', got depth."
    assert str(other.value) == "protocol 'mono/full/cap80/metric@1' wants targets of 'depth', got disparity."


def test_a_map_of_another_size_is_refused():
    with pytest.raises(PredictionError) as caught:
        measure_disparity(np.ones((2, 3), np.float32), np.ones((3, 2), np.uint16))

    assert str(caught.value) == "field 'disparity': wanted 2 x 3 pixels like the truth, got 3 x 2."


def test_any_whole_number_of_metres_may_be_the_cap_and_nonsense_offers_the_nearest():
    assert parse_mono("mono/eigen/cap25/metric@1").cap == 25.0
    with pytest.raises(UnknownNameError) as caught:
        scorer_of("mono/gark/cap80/median-scale@1")
    said = "unknown depth protocol 'mono/gark/cap80/median-scale@1'. Did you mean 'mono/garg/cap80/median-scale@1'"
    assert str(caught.value).startswith(said)


def test_depths_of_inf_and_beyond_float32_are_stored_as_inf():
    assert store_depth(np.array([[1.5, np.inf, 1e300]]), "").tolist() == [[1.5, np.inf, np.inf]]


@settings(deadline=None, max_examples=60)
@given(arrays(np.float32, (3, 4), elements=st.floats(0, 255, width=32)))
def test_disparities_are_rounded_to_a_256th_and_estimates_stay_estimates(values):
    stored = store_disparity(values, "")

    assert stored.dtype == np.uint16
    assert np.abs(stored / 256 - values).max() <= 1 / 256
    assert np.array_equal(stored == 0, values == 0)
    assert np.array_equal(store_disparity(stored, ""), stored)


def test_large_disparities_stay_floats():
    assert store_disparity(np.float64([[256.5, 0.1]]), "").dtype == np.float32


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[1.0]], "x: wanted floats in metres, got list."),
        (np.ones((2, 2), np.int64), "x: wanted floats in metres, got dtype int64."),
        (np.ones((2, 2, 1)), "x: wanted an array (H, W), got shape (2, 2, 1)."),
        (np.array([[1.0, np.nan]]), "x: wanted numbers from 0 upwards, inf for beyond the cap, got nan."),
        (np.array([[1.0, -np.inf]]), "x: wanted numbers from 0 upwards, inf for beyond the cap, got -inf."),
        (np.array([[1.0, -2.0]]), "x: wanted numbers from 0 upwards, inf for beyond the cap, got -2.0."),
    ],
)
def test_bad_maps_are_refused(value, said):
    with pytest.raises(PredictionError) as caught:
        store_depth(value, "x")

    assert str(caught.value) == said
