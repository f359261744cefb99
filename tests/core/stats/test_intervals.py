"""Intervals from a value and its replicates: scales, bounds, bias, seeds, differences, what is withheld."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats as reference

from mlcvbench.stats.intervals import difference, interval, p_value, t_quantile, t_share

NOTHING = (None, None)


def around(value: float, error: float, n: int = 4000, seed: int = 0) -> np.ndarray:
    """Return replicates of exactly this mean and standard deviation."""
    draws = np.random.default_rng(seed).standard_normal(n)
    return value + error * (draws - draws.mean()) / draws.std(ddof=1)


def test_a_fraction_has_the_logit_interval_of_its_standard_error():
    error = 0.02 * np.sqrt(99 / 100)  # what 100 groups show of a standard error of 0.02

    low, high = interval(0.9, around(0.9, error), groups=100)

    half = reference.t.ppf(0.975, 99) * 0.02 / (0.9 * 0.1)
    wanted = 1 / (1 + np.exp(-(np.log(9) + np.array([-half, half]))))
    assert (low, high) == pytest.approx(wanted, rel=1e-9)


def test_a_magnitude_has_the_log_interval():
    low, high = interval(2.0, around(2.0, 0.1), groups=10_000, fraction=False)

    half = 1.96 * 0.1 / 2
    assert (low, high) == pytest.approx((2 * np.exp(-half), 2 * np.exp(half)), rel=1e-3)


def test_what_can_be_negative_has_a_plain_interval():
    low, high = interval(0.01, around(0.01, 0.1), groups=10_000, fraction=False)

    assert (low, high) == pytest.approx((0.01 - 0.196, 0.01 + 0.196), abs=1e-3)


def test_a_share_that_leaves_0_to_1_is_taken_for_a_magnitude():
    replicates = around(0.95, 0.1)

    assert replicates.max() > 1
    assert interval(0.95, replicates, groups=50) == interval(0.95, replicates, groups=50, fraction=False)


@pytest.mark.parametrize(("value", "trials"), [(0.5, 100), (0.9, 200), (0.98, 400), (0.03, 300)])
def test_proportions_come_close_to_the_exact_interval(value, trials):
    right = round(value * trials)
    draws = np.random.default_rng(1).binomial(trials, value, 4000) / trials

    low, high = interval(value, draws, groups=trials)

    exact = reference.binomtest(right, trials).proportion_ci(method="exact")
    width = exact.high - exact.low
    assert low == pytest.approx(exact.low, abs=0.12 * width)
    assert high == pytest.approx(exact.high, abs=0.12 * width)


def test_a_bias_widens_the_side_it_points_to_and_no_other():
    low, high = interval(0.6, around(0.6, 0.02), groups=500)
    lower, same = interval(0.6, around(0.61, 0.02), groups=500)
    same_low, higher = interval(0.6, around(0.59, 0.02), groups=500)

    assert (same, same_low) == pytest.approx((high, low), rel=1e-12)
    assert low - lower == pytest.approx(0.01, abs=1e-3)
    assert higher - high == pytest.approx(0.01, abs=1e-3)


@pytest.mark.parametrize("groups", [2, 30, 797])
def test_nothing_wrong_in_any_group_is_not_certainty(groups):
    low, high = interval(1.0, np.ones(1000), groups)
    mirrored = interval(0.0, np.zeros(1000), groups)

    exact = reference.binomtest(groups, groups).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, 1.0), rel=1e-9)
    assert mirrored == pytest.approx((1 - low, 0.0)[::-1], rel=1e-9)


def test_a_value_all_but_at_its_bound_has_an_interval_of_the_size_of_its_spread():
    low, high = interval(4e-10, np.abs(around(0.0, 0.008)), groups=1000)

    assert low == pytest.approx(0, abs=4e-10)
    assert 0.016 < high < 0.06


def test_a_constant_off_the_bounds_is_its_own_interval():
    assert interval(0.25, np.full(100, 0.25), groups=9) == (0.25, 0.25)
    assert interval(3.0, np.full(100, 3.0), groups=9, fraction=False) == (3.0, 3.0)
    assert interval(0.0, np.zeros(100), groups=9, fraction=False) == (0.0, 0.0)


def test_what_cannot_be_told_is_withheld():
    draws = around(0.5, 0.1, 1000)

    assert interval(0.5, draws, groups=1) == NOTHING
    assert interval(None, draws, groups=9) == NOTHING
    assert interval(0.5, np.full(1000, np.nan), groups=9) == NOTHING
    assert interval(0.5, np.where(np.arange(1000) < 60, np.nan, draws), groups=9) == NOTHING
    assert interval(0.5, np.where(np.arange(1000) < 40, np.nan, draws), groups=9) != NOTHING


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 3.3, 9, 100, 5000.5, 1e7])
def test_quantiles_of_student_are_those_of_scipy(freedom):
    assert t_quantile(0.975, freedom) == pytest.approx(reference.t.ppf(0.975, freedom), rel=1e-7)


@settings(max_examples=200, deadline=None)
@given(
    value=st.floats(0, 1),
    mean=st.floats(0, 1),
    spread=st.floats(0, 1),
    groups=st.integers(2, 2000),
    fraction=st.booleans(),
)
def test_an_interval_holds_its_value_and_stays_where_values_can_be(value, mean, spread, groups, fraction):
    draws = np.clip(np.random.default_rng(0).normal(mean, spread, 50), 0, 1)

    low, high = interval(value, draws, groups, fraction=fraction)

    assert 0 <= low <= value <= high
    assert not fraction or high <= 1


def test_few_seeds_that_differ_widen_the_interval_and_equal_ones_do_not():
    replicates = around(0.9, 0.01)

    alone = interval(0.9, replicates, groups=500)
    equal = interval(0.9, replicates, groups=500, seeds=[0.9, 0.9, 0.9])
    unlike = interval(0.9, replicates, groups=500, seeds=[0.885, 0.9, 0.915])

    assert equal == alone
    assert unlike.high - unlike.low > 1.4 * (alone.high - alone.low)


def test_a_paired_difference_is_tighter_than_two_intervals():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(1000)
    a, b = 0.89 + 0.01 * common, 0.9 + 0.01 * common + 0.001 * rng.standard_normal(1000)

    low, high = difference(0.01, a, b, groups=500)

    assert 0.007 < low < 0.01 < high < 0.013
    assert interval(0.9, b, 500).low < interval(0.89, a, 500).high


def test_equal_runs_differ_by_nothing():
    draws = around(0.5, 0.1)

    assert difference(0.0, draws, draws, groups=10) == (0.0, 0.0)
    assert difference(0.0, draws, draws, groups=None) == (0.0, 0.0)


def test_replicates_of_unlike_length_are_not_paired():
    with pytest.raises(ValueError, match=r"^paired replicates: wanted equal lengths, got 3 and 4\.$"):
        difference(0.1, np.zeros(3), np.zeros(4), groups=9)


@pytest.mark.parametrize("freedom", [1, 2.5, 9, 796, 1e6, 1e9])
@pytest.mark.parametrize("t", [0.0, 0.5, 1.96, 4.0, 30.0])
def test_the_share_of_students_t_is_scipys(t: float, freedom: float):
    assert t_share(t, freedom) == pytest.approx(reference.t.cdf(t, freedom), abs=1e-9)


@given(
    value=st.floats(-0.1, 0.1),
    bias=st.floats(-0.05, 0.05),
    error=st.floats(1e-4, 0.1),
    groups=st.integers(2, 5000) | st.none(),
)
@settings(deadline=None)
def test_a_p_below_a_twentieth_says_that_the_interval_excludes_no_difference(value, bias, error, groups):
    first, second = np.zeros(1000), around(value + bias, error, n=1000)

    low, high = difference(value, first, second, groups)
    p = p_value(value, first, second, groups)

    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-6:
        assert (p < 0.05) == (low > 0 or high < 0)


def test_the_p_of_a_difference_of_means_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(3)
    first = rng.normal(0.80, 0.1, 60)
    second = first + rng.normal(0.02, 0.06, 60)
    drawn = rng.integers(0, 60, (20_000, 60))

    p = p_value(float((second - first).mean()), first[drawn].mean(axis=1), second[drawn].mean(axis=1), groups=60)

    assert p == pytest.approx(reference.ttest_rel(second, first).pvalue, rel=0.1)


def test_a_difference_that_no_resample_moves_is_certain_and_none_is_no_difference():
    flat = np.full(1000, 0.5)

    assert p_value(0.1, flat, flat + 0.1, groups=100) == 0.0
    assert p_value(0.0, flat, flat, groups=100) == 1.0


def test_without_an_interval_there_is_no_p():
    undefined = np.full(1000, np.nan)

    assert p_value(0.1, undefined, undefined, groups=100) is None
    assert p_value(None, np.zeros(1000), np.ones(1000), groups=100) is None
    assert p_value(0.1, np.zeros(1000), around(0.1, 0.01, n=1000), groups=1) is None
