"""The picture of a timing: how long single calls took, end to end at batch 1, and where the percentiles lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.history_plot import INK, TRAINING, VALIDATION
from mlcvbench.measure.summary import percentiles
from mlcvbench.records.schema import PlotInfo

FILE, HEADLINE = "latency.png", "end_to_end"
FEWEST = 8
"""Calls below which a histogram says nothing."""
BINS = 60
SHOWN = 0.995
"""The axis ends at this quantile or 1.5 times the median; what lies beyond is counted in the corner."""


def draw(folder: Path, samples: Mapping[str, Array]) -> tuple[PlotInfo, ...]:
    """Draw the end-to-end samples, nanoseconds int64 (N,), into `folder`; nothing when there are hardly any."""
    calls = np.asarray(samples.get(HEADLINE, ()), np.float64).ravel() / 1e6
    if len(calls) < FEWEST:
        return ()
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    end = max(float(np.quantile(calls, SHOWN)), 1.5 * float(np.median(calls)))
    beyond = int((calls > end).sum())
    known = {name: value for name, value in percentiles(calls)[0].items() if value is not None and name != "p90"}
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(6.4, 3.0), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.hist(calls[calls <= end], bins=min(BINS, max(10, len(calls) // 4)), color=TRAINING, alpha=0.75)
        for name, value in known.items():
            if value <= end:
                axes.axvline(value, color=VALIDATION, linewidth=1.2)
                axes.annotate(f" {name}", (value, 0.98), xycoords=("data", "axes fraction"), va="top", color=VALIDATION)
        more = f"; {beyond} more beyond {end:.3g} ms" if beyond else ""
        axes.set_title(f"{len(calls):,} calls, end to end, batch 1{more}", fontsize=10, color=INK)
        axes.set_xlabel("milliseconds a call")
        axes.set_ylabel("calls")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / FILE, dpi=110, metadata={"Software": None})
    said = ", ".join(f"{name} {value:.3g} ms" for name, value in known.items())
    return (
        PlotInfo(
            file=FILE, title="Latency", alt=f"Histogram of {len(calls):,} calls: {said or 'too few for percentiles'}."
        ),
    )
