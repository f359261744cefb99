"""From raw durations to a record's values: the percentiles that the count supports, and a valid interval.

A percentile is given only when, with 99 % confidence, at least two samples lie beyond it (Wilks' second order): the
count then supports the number. The spread within one process understates that between processes 5 to 12 times, so only
medians of several fresh processes give an interval that may be compared.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

from mlcvbench.contract.batch import Array
from mlcvbench.records.doubts import is_wide
from mlcvbench.records.schema import LatencyInfo
from mlcvbench.stats.intervals import LEVEL, t_quantile

SUPPORT = {"p50": 11, "p75": 24, "p90": 64, "p95": 130, "p99": 662, "p999": 6636}
"""Least sample count for each percentile."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The percentiles that a record keeps."""
NS = 1e-9


def least_count(quantile: float, confidence: float = 0.99) -> int:
    """Return the least n for which two or more of n samples exceed the quantile with the given confidence.

    >>> least_count(0.99)
    662
    """
    count = 2
    while 1 - quantile**count - count * (1 - quantile) * quantile ** (count - 1) < confidence:
        count += 1
    return count


def percentiles(samples: Array) -> tuple[dict[str, float | None], str | None]:
    """Return the supported percentiles of `samples` (N,) in their unit, None for the others, and the reason for
    these.
    """
    count = len(samples)
    values = {
        name: float(np.quantile(samples, quantile)) if count >= SUPPORT[name] else None
        for name, quantile in QUANTILES.items()
    }
    missing = [f"{name} ({SUPPORT[name]})" for name, value in values.items() if value is None]
    if not missing:
        return values, None
    return values, f"{count} samples do not support {', '.join(missing)} with 99 % confidence"


def median_interval(samples: Array) -> tuple[float, float] | None:
    """Return the 95 % order-statistic interval of the median, None below 6 samples.

    Exact binomial ranks up to 1,000 samples, the normal approximation beyond.
    """
    count = len(samples)
    if count < 6:
        return None
    ordered = np.sort(samples)
    rank = _lower_rank(count)
    return float(ordered[rank - 1]), float(ordered[count - rank])


def _lower_rank(count: int) -> int:
    """Return the largest 1-based rank k with P(Binomial(count, 1/2) < k) at most 2.5 %."""
    if count > 1000:
        return max(1, math.floor(count / 2 - 0.979982 * math.sqrt(count)))
    below, rank = 0.0, 0
    while True:
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            return max(1, rank)
        rank += 1


def prediction_interval(medians: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % prediction interval for one further process: mean +- t(n-1) s sqrt(1 + 1/n); None for one.

    >>> [round(bound, 3) for bound in prediction_interval([1.0, 1.1, 0.9, 1.0, 1.0])]
    [0.785, 1.215]
    """
    count = len(medians)
    if count < 2:
        return None
    mean = statistics.fmean(medians)
    half = t_quantile((1 + LEVEL) / 2, count - 1) * statistics.stdev(medians) * math.sqrt(1 + 1 / count)
    return max(0.0, mean - half), mean + half


def summarise(
    processes: Sequence[Array],
    *,
    batch: int = 1,
    clock: str = "perf_counter_ns",
    host_bound: bool | None = None,
    dropped: int = 0,
    converged: bool = True,
) -> LatencyInfo:
    """Return one stage's record from the durations (int64 ns) of each process that timed it.

    With several processes the median is that of the process medians and the interval predicts a further process;
    with one the interval is that of the median and is marked `within-process`. A stage whose interval is too wide to be
    useful (`doubts.is_wide`) has not converged, however long it was timed.
    """
    kept = [np.asarray(samples, dtype=np.int64) for samples in processes if len(samples)]
    if not kept:
        return LatencyInfo(n=0, processes=0, dropped=dropped, converged=False, reason="no sample was kept")
    pooled = np.concatenate(kept)
    seconds = pooled * NS
    medians = tuple(float(np.median(samples)) * NS for samples in kept)
    quantiles, reason = percentiles(seconds)
    if len(medians) > 1:
        interval, kind = prediction_interval(medians), "prediction-95"
    else:
        interval, kind = median_interval(seconds), "within-process"
    middle = statistics.median(medians)
    low, high = interval or (None, None)
    return LatencyInfo(
        batch=batch,
        n=len(pooled),
        processes=len(kept),
        median=middle,
        mean=float(seconds.mean()),
        std=float(seconds.std(ddof=1)) if len(pooled) > 1 else None,
        low=low,
        high=high,
        interval=kind if interval else None,
        min=float(seconds.min()),
        process_medians=medians if len(medians) > 1 else (),
        clock=clock,
        host_bound=host_bound,
        dropped=dropped,
        converged=converged and not is_wide(low, high, middle),
        reason=reason,
        **quantiles,
    )
