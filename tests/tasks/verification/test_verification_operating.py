"""Thresholds: at each the metric that it belongs to comes out, and it is said where it was chosen."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import Outcome, Problem, Table
from mlcvbench_verification.folds import FoldAccuracy
from mlcvbench_verification.operating import breakdowns, operating_points
from mlcvbench_verification.roc import roc_numbers


def pairs(seed=0, count=3000, steps=None):
    """Return similarities, rounded to so many steps where asked, and whether pairs are genuine."""
    generator = np.random.default_rng(seed)
    same = generator.random(count) < 0.4
    similarity = generator.normal(same * 1.5, 1.0)
    return (similarity if steps is None else np.round(similarity * steps) / steps).astype(np.float32), same


def outcome(similarity, same, protocol, fold):
    columns = {"unit": np.arange(len(same)), "similarity": similarity, "same": same, "fold": fold}
    return Outcome({}, {}, None, Problem("verification", (), {}), protocol, Table(columns))


@pytest.mark.parametrize("steps", [None, 4], ids=["all different", "many ties"])
@pytest.mark.parametrize("seed", range(3))
def test_at_the_threshold_of_a_rate_the_metric_comes_out(seed, steps):
    similarity, same = pairs(seed, steps=steps)
    numbers = roc_numbers(similarity, same)

    points = {point.name: point for point in operating_points(similarity, same)}

    assert list(points) == ["FAR 1e-1", "FAR 1e-2", "FAR 1e-3", "equal errors"]
    for exponent in (1, 2, 3):
        point = points[f"FAR 1e-{exponent}"]
        assert point.tar == pytest.approx(numbers[f"tar_at_far_1e-{exponent}"])
        assert point.far <= 10**-exponent
        if point.threshold is not None:
            accepted = similarity >= point.threshold
            assert accepted[same].mean() == pytest.approx(point.tar)
            assert accepted[~same].mean() == pytest.approx(point.far)


def test_at_equal_errors_both_rates_are_nearly_the_eer():
    similarity, same = pairs(count=20_000)

    point = operating_points(similarity, same)[-1]

    assert point.far == pytest.approx(roc_numbers(similarity, same)["eer"], abs=1e-3)
    assert 1 - point.tar == pytest.approx(point.far, abs=1e-3)


def test_thresholds_of_folds_are_those_chosen_on_the_other_folds():
    similarity, same = pairs(count=400)
    fold = np.arange(400) % 4

    first, second = breakdowns(outcome(similarity, same, "pairs/10fold/declared@1", fold))

    assert "chosen on the test pairs themselves" in first.note
    assert "never saw its own pairs" in second.note
    for number, (threshold, accuracy) in enumerate(zip(*(own for _, own in second.columns.values()), strict=True)):
        rest = fold != number
        accepted = similarity >= threshold
        best = max(((similarity[rest] >= value) == same[rest]).mean() for value in similarity[rest])
        assert (accepted[rest] == same[rest]).mean() == pytest.approx(best)
        assert (accepted[~rest] == same[~rest]).mean() == pytest.approx(accuracy)
    mean = FoldAccuracy(similarity, same, fold).mean(np.ones(400))
    assert np.mean(second.columns["accuracy"][1]) == pytest.approx(mean)


def test_without_folds_there_are_none_of_them():
    similarity, same = pairs(count=400)

    found = breakdowns(outcome(similarity, same, "pairs/declared@1", np.full(400, -1)))

    assert [one.title for one in found] == ["Thresholds"]


def test_identification_has_no_threshold():
    table = Table({"unit": np.arange(3), "position": np.array([0, 2, 1])})

    protocol = "identification/closed-set/declared@1"
    assert breakdowns(Outcome({}, {}, None, Problem("verification", (), {}), protocol, table)) == []
