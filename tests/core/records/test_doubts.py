"""What speaks against a record's numbers: an uncertain time has no way to pass for a sure one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import make_record

from mlcvbench.measure.timing.summary import summarise
from mlcvbench.measure.timing.yardstick import Reading, compare
from mlcvbench.records.doubts import UNSTEADY, WIDE, decisive, doubts, is_noisy, is_wide
from mlcvbench.records.schema import CheckInfo, LatencyInfo, YardstickInfo

SECONDS = st.floats(1e-6, 1e3)


def texts(record):
    return [str(doubt) for doubt in doubts(record)]


def timed(low, median, high, *, converged=True, n=11, **parts):
    """Return the latencies of a record: the whole with its interval, and stages by their medians."""
    whole = LatencyInfo(n=n, median=median, p50=median, low=low, high=high, converged=converged)
    return {"end_to_end": whole} | {name: LatencyInfo(n=n, median=value) for name, value in parts.items()}


def test_a_quiet_honest_record_has_nothing_against_it():
    assert doubts(make_record("knn")) == []


def test_a_wide_interval_is_said_with_its_ends():
    record = make_record("knn", latency=timed(0.474e-3, 5.79e-3, 216e-3))

    assert texts(record) == [
        "time uncertain: its 95 % interval is wider than 20 % of it: 474 us to 216 ms around 5.79 ms"
    ]


def test_an_interval_of_the_bound_passes_and_a_wider_one_does_not():
    assert not is_wide(0.9, 1.0999, 1.0)
    assert is_wide(0.9, 1.1001, 1.0)


@given(median=SECONDS, low=st.floats(0, 1), high=st.floats(1, 1e4))
def test_no_time_whose_interval_is_wider_than_a_fifth_goes_without_a_flag(median, low, high):
    record = make_record("knn", latency=timed(low * median, median, high * median))

    assert bool(doubts(record)) == (high * median - low * median > WIDE * median)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.5, 2.0, 5.0])
def test_the_noisier_the_samples_the_surer_the_flag(spread):
    rng = np.random.default_rng(0)
    samples = (1e6 * np.exp(spread * rng.standard_normal(11))).astype(np.int64)

    info = summarise([samples])
    said = texts(make_record("knn", latency={"end_to_end": info}))

    assert info.converged == (spread <= 0.05)
    assert bool(said) == (spread > 0.05)


def test_five_processes_that_disagree_have_not_converged():
    info = summarise([np.full(700, 1_000_000 * (1 + k), np.int64) for k in range(5)])

    assert (info.interval, info.converged) == ("prediction-95", False)


def test_a_stage_that_takes_longer_than_the_whole_is_said():
    record = make_record("knn", latency=timed(0.98e-3, 1e-3, 1.02e-3, forward=2e-3, preprocess=1e-5))

    assert texts(record) == [
        "time contradicts itself: a stage takes longer than the whole call: forward 2 ms, end to end 1 ms"
    ]


def test_a_stage_that_is_nearly_the_whole_is_no_contradiction():
    assert doubts(make_record("knn", latency=timed(0.98e-3, 1e-3, 1.02e-3, forward=1.01e-3))) == []


def test_a_timing_cut_off_by_its_cap_is_said_and_one_that_was_refused_is_not():
    cut = timed(0.98, 1.0, 1.02, converged=False, n=8)
    refused = {"end_to_end": LatencyInfo(n=0, processes=0, converged=False, reason="refused: 2 other processes")}

    assert texts(make_record("knn", latency=cut)) == [
        "timing did not converge: 8 calls were timed before its time was up"
    ]
    assert doubts(make_record("knn", latency=refused)) == []


@given(before=SECONDS, change=st.floats(-0.99, 10), deviation=st.floats(0, 100))
def test_no_deviation_excuses_a_change_of_more_than_thirty_percent(before, change, deviation):
    after = before * (1 + change)

    noisy = is_noisy(before, after, deviation)

    if deviation > UNSTEADY or abs(change) > 3 * UNSTEADY + 1e-9:
        assert noisy
    if deviation <= UNSTEADY and abs(change) < UNSTEADY - 1e-9:
        assert not noisy


def test_an_unsteady_yardstick_is_itself_a_noisy_machine():
    assert compare(Reading(6e-4, 0.46), Reading(6.1e-4, 0.01)).noisy
    assert compare(Reading(6e-4, 0.01), Reading(6.1e-4, 0.46)).noisy


def test_a_record_that_was_stored_as_quiet_is_judged_by_its_numbers():
    old = YardstickInfo(before=6e-4, after=6.1e-4, deviation=0.46, noisy=False)

    assert texts(make_record("knn", yardstick=old)) == [
        "noisy machine while timing: a fixed job took 600 us before and 610 us after it, give or take 46 %"
    ]


def test_a_record_without_the_numbers_is_taken_at_its_word():
    assert texts(make_record("knn", yardstick=YardstickInfo(noisy=True))) == ["noisy machine while timing"]
    assert texts(make_record("knn", yardstick=YardstickInfo(reason="time=off"))) == []


@pytest.mark.parametrize("name", ["timed_equals_scored", "deterministic", "batch_invariant"])
def test_a_check_on_which_the_score_rests_is_decisive(name):
    record = make_record("knn", checks={name: CheckInfo(passed=False, detail="81.0 % of decisions equal")})

    assert str(decisive(record)) == f"honesty check failed: {name}: 81.0 % of decisions equal"
    assert texts(record) == [f"check failed: {name}, so no board ranks it: 81.0 % of decisions equal"]


def test_another_failed_check_is_said_and_decides_nothing():
    record = make_record("knn", checks={"no_replay_cache": CheckInfo(passed=False, detail="3.00 x")})

    assert decisive(record) is None
    assert texts(record) == ["check failed: no_replay_cache: 3.00 x"]


def test_a_check_that_could_not_be_made_is_no_failure():
    record = make_record("knn", checks={"deterministic": CheckInfo(passed=None, detail="needs two samples")})

    assert doubts(record) == []
    assert decisive(record) is None
    assert not is_wide(None, math.inf, 1.0)
