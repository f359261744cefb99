import math
import statistics

import numpy as np
import pytest
from scipy.stats import t as student

from mlcvbench.measure.timing.summary import (
    SUPPORT,
    least_count,
    median_interval,
    percentiles,
    prediction_interval,
    summarise,
)

QUANTILE_OF = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@pytest.mark.parametrize(("name", "count"), SUPPORT.items())
def test_the_support_table_is_the_least_count_with_two_samples_beyond_at_99_percent(name: str, count: int) -> None:
    q = QUANTILE_OF[name]

    def confidence(n: int) -> float:
        return 1 - sum(math.comb(n, k) * (1 - q) ** k * q ** (n - k) for k in (0, 1))

    assert least_count(q) == count
    assert confidence(count) >= 0.99 > confidence(count - 1)


def test_a_percentile_below_its_count_is_null_and_the_reason_names_the_count_it_needs() -> None:
    values, reason = percentiles(np.arange(100, dtype=float))

    assert values["p50"] == 49.5
    assert values["p90"] == pytest.approx(89.1)
    assert values["p95"] is values["p99"] is values["p999"] is None
    assert reason == "100 samples do not support p95 (130), p99 (662), p999 (6636) with 99 % confidence"


def test_enough_samples_give_every_percentile_and_no_reason() -> None:
    values, reason = percentiles(np.arange(6636, dtype=float))

    assert None not in values.values()
    assert reason is None


def test_the_median_interval_uses_exact_binomial_ranks() -> None:
    assert median_interval(np.arange(5)) is None
    assert median_interval(np.arange(6)) == (0.0, 5.0)  # 2 * 2**-6 = 3.1 %
    assert median_interval(np.arange(11)) == (1.0, 9.0)  # 2 * 12 / 2048 = 1.2 %


@pytest.mark.parametrize("count", [11, 64, 1500])
def test_the_median_interval_covers_the_median_at_least_95_percent_of_the_time(count: int) -> None:
    rng = np.random.default_rng(1)
    intervals = [median_interval(rng.standard_exponential(count)) for _ in range(2000)]

    covered = sum(low <= math.log(2) <= high for low, high in filter(None, intervals))

    assert covered >= 0.94 * 2000


def test_the_prediction_interval_covers_a_further_process_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(2)
    medians = rng.normal(100.0, 5.0, size=(4000, 6))

    inside = sum(low <= row[5] <= high for row in medians for low, high in [prediction_interval(row[:5].tolist())])

    assert 0.94 <= inside / 4000 <= 0.96


def test_the_prediction_interval_is_student_t_around_the_mean() -> None:
    low, high = prediction_interval([9.0, 10.0, 11.0, 10.0, 10.0])

    half = 2.77645 * math.sqrt(0.5) * math.sqrt(1.2)
    assert (low, high) == (pytest.approx(10 - half), pytest.approx(10 + half))


def test_every_count_of_processes_has_its_own_quantile() -> None:
    medians = [float(median) for median in range(100, 115)]

    low, high = prediction_interval(medians)

    half = student.ppf(0.975, 14) * statistics.stdev(medians) * math.sqrt(1 + 1 / 15)
    assert (low, high) == (pytest.approx(107 - half), pytest.approx(107 + half))


def test_a_prediction_interval_of_times_never_goes_below_zero() -> None:
    assert prediction_interval([1.0, 9.0])[0] == 0.0
    assert prediction_interval([1.0]) is None


def test_one_process_says_within_process_and_several_predict_a_further_one() -> None:
    rng = np.random.default_rng(3)
    processes = [(1e6 * (1 + 0.1 * k) + rng.integers(0, 1000, 100)).astype(np.int64) for k in range(5)]

    one, five = summarise(processes[:1]), summarise(processes)

    assert (one.interval, one.processes, one.process_medians) == ("within-process", 1, ())
    assert (five.interval, five.processes, five.n) == ("prediction-95", 5, 500)
    assert five.median == pytest.approx(1.2e-3, rel=0.01)
    assert five.high - five.low > 10 * (one.high - one.low)


def test_no_samples_at_all_is_a_reason_not_a_zero() -> None:
    info = summarise([np.array([], dtype=np.int64)], dropped=7)

    assert (info.n, info.median, info.dropped, info.reason) == (0, None, 7, "no sample was kept")
