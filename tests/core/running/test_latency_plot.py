"""The histogram of single calls."""

from __future__ import annotations

import numpy as np

from mlcvbench.running.latency_plot import FILE, draw


def calls(count):
    return np.random.default_rng(0).lognormal(14, 0.2, count).astype(np.int64)


def test_the_histogram_names_the_percentiles_that_the_count_supports(tmp_path):
    (plot,) = draw(tmp_path / "plots", {"end_to_end": calls(200)})

    assert plot.alt.startswith("Histogram of 200 calls: p50 1.")
    assert "p99" not in plot.alt
    assert (tmp_path / "plots" / FILE).read_bytes().startswith(b"\x89PNG")


def test_equal_samples_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        draw(tmp_path / name, {"end_to_end": calls(100)})

    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_calls_of_one_length_and_one_slow_call_are_drawn(tmp_path):
    assert draw(tmp_path / "plots", {"end_to_end": np.array([1_000_000] * 20 + [10**9])})


def test_a_handful_of_calls_is_not_drawn(tmp_path):
    assert draw(tmp_path / "plots", {"end_to_end": calls(5)}) == ()
    assert draw(tmp_path / "plots", {}) == ()
    assert not (tmp_path / "plots").exists()
