"""The picture of a timing: how long single calls took, end to end at batch 1, and where the percentiles lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.figures import BLUE, INK, RED, bare, new_figure, plain_style, save
from mlcvbench.measure.timing.summary import percentiles
from mlcvbench.records.schema import PlotInfo
from mlcvbench.records.stages import HEADLINE

FILE = "latency.png"
FEWEST = 8
"""Calls below which a histogram says nothing."""
BINS = 60
STYLES = {"p50": "-", "p75": "--", "p95": "-.", "p99": ":", "p999": ":"}


def draw(folder: Path, samples: Mapping[str, Array]) -> tuple[PlotInfo, ...]:
    """Draw the end-to-end samples, nanoseconds int64 (N,), into `folder`; nothing when there are hardly any."""
    calls = np.asarray(samples.get(HEADLINE, ()), np.float64).ravel() / 1e6
    if len(calls) < FEWEST:
        return ()
    from matplotlib.ticker import NullFormatter

    folder.mkdir(exist_ok=True)
    known = {name: value for name, value in percentiles(calls)[0].items() if value is not None and name in STYLES}
    low, high = float(calls.min()) * 0.95, float(calls.max()) * 1.05
    with plain_style():
        figure = new_figure(6.4, 3.0)
        axes = figure.add_subplot()
        axes.hist(calls, bins=list(np.geomspace(low, high, BINS)), color=BLUE, alpha=0.75)
        for name, value in known.items():
            axes.axvline(value, color=RED, linewidth=1.3, linestyle=STYLES[name], label=f"{name} {value:.3g} ms")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:.3g}")
        axes.xaxis.set_minor_formatter("{x:.3g}" if high / low < 12 else NullFormatter())
        axes.tick_params(axis="x", which="minor", labelsize=7)
        axes.set_title(f"{len(calls):,} calls, end to end, batch 1", fontsize=10, color=INK)
        axes.set_xlabel("milliseconds a call, on a logarithmic scale")
        axes.set_ylabel("calls")
        bare(axes)
        if known:
            axes.legend(frameon=False, fontsize=8, loc="upper right")
        save(figure, folder / FILE)
    said = ", ".join(f"{name} {value:.3g} ms" for name, value in known.items())
    return (
        PlotInfo(
            file=FILE, title="Latency", alt=f"Histogram of {len(calls):,} calls: {said or 'too few for percentiles'}."
        ),
    )
