"""The twelve numbers under weights: equal to repeating images, quick and exact enough for bootstrap replicates."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from support.detection import VAL100, Case, official, random_case, read_case, write_case

from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import interval
from mlcvbench_detection.coco.summary import RECALLS
from mlcvbench_detection.geometry.interpolation import area_under_curve, interpolated_mean
from mlcvbench_detection.voc.scoring import ELEVEN


@pytest.fixture(scope="module")
def published() -> Case:
    return read_case(VAL100 / "instances_val2014_100.json", VAL100 / "instances_val2014_fakebbox100_results.json")


def worst_difference(case: Case, weights: np.ndarray) -> float:
    """Return the largest difference between the quick sums and the exact ones over all metrics."""
    table = case.table()
    many = case.scorer.summarise_many(table, weights)
    worst = 0.0
    for row, weight in enumerate(weights):
        for name, value in case.scorer.summarise(table, weight).items():
            assert (value is None) == bool(np.isnan(many[name][row]))
            worst = max(worst, 0.0 if value is None else abs(value - many[name][row]))
    return worst


def test_unit_weights_change_no_bit(published):
    table = published.table()

    assert published.scorer.summarise(table, np.ones(len(published.split))) == published.scorer.summarise(table)


def test_whole_weights_equal_repeating_the_images(tmp_path):
    truth, results = random_case(11, images=5)
    weights = np.array([2, 0, 1, 3, 1])

    repeated, copies = copy.deepcopy({**truth, "images": [], "annotations": []}), []
    next_id = 1
    for image, count in zip(truth["images"], weights, strict=True):
        for number in range(count):
            own = 1000 * image["id"] + number
            repeated["images"].append({**image, "id": own})
            for annotation in truth["annotations"]:
                if annotation["image_id"] == image["id"]:
                    repeated["annotations"].append({**annotation, "image_id": own, "id": next_id})
                    next_id += 1
            copies += [{**result, "image_id": own} for result in results if result["image_id"] == image["id"]]
    case = write_case(tmp_path, truth, results)

    weighted = case.scorer.summarise(case.table(), weights.astype(float))

    assert list(weighted.values()) == pytest.approx(official(repeated, copies), abs=1e-12)


def test_resampled_weights_agree_with_the_exact_sums(published):
    weights = next(iter(bootstrap.resample_weights(published.split.groups, 12, seed=1)))

    assert worst_difference(published, weights) < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_any_weights_agree_with_the_exact_sums(seed, tmp_path):
    case = write_case(tmp_path, *random_case(seed, score_steps=4 if seed % 2 else 0))
    rng = np.random.default_rng(seed)
    weights = np.concatenate([rng.exponential(size=(4, 12)), np.zeros((1, 12)), np.eye(12), np.ones((1, 12))])

    assert worst_difference(case, weights) < 1e-12


def test_masks_have_replicates_too():
    case = read_case(
        VAL100 / "instances_val2014_100.json", VAL100 / "instances_val2014_fakesegm100_results.json", "segm"
    )
    weights = next(iter(bootstrap.resample_weights(case.split.groups, 5, seed=2)))

    assert worst_difference(case, weights) < 1e-12


def test_replicates_of_undefined_metrics_are_nan(tmp_path):
    truth, results = random_case(5)
    truth["annotations"] = []

    case = write_case(tmp_path, truth, results)
    many = case.scorer.summarise_many(case.table(), np.ones((3, 12)))

    assert all(np.isnan(values).all() for values in many.values())


def test_intervals_contain_the_value(published):
    replicates = bootstrap.replicates(published.scorer, published.table(), published.split.groups, n=200, seed=3)
    values = published.scorer.summarise(published.table())

    for name, value in values.items():
        low, high = interval(value, replicates[name], len(published.split))
        assert low is not None
        assert high is not None
        assert low <= value <= high, name


@pytest.mark.parametrize("recalls", [RECALLS, ELEVEN])
def test_interpolated_means_equal_the_definition(recalls):
    rng = np.random.default_rng(0)
    for _ in range(200):
        positives = int(rng.integers(1, 220))
        hits = np.arange(1, int(rng.integers(1, positives + 1)) + 1)
        precision = (hits / (hits + np.cumsum(rng.integers(0, 3, len(hits)))))[None]
        recall = (hits / positives)[None]

        reached = [precision[0][recall[0] >= r] for r in recalls]
        wanted = np.mean([values.max() if len(values) else 0.0 for values in reached])

        assert interpolated_mean(precision, recall, recalls)[0] == pytest.approx(wanted, abs=1e-13)


def test_the_area_under_a_curve_equals_the_definition():
    precision, recall = np.array([[1.0, 0.25, 0.5]]), np.array([[0.25, 0.5, 1.0]])

    assert area_under_curve(precision, recall).tolist() == [0.25 * 1.0 + 0.25 * 0.5 + 0.5 * 0.5]
