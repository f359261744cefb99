"""Horizontal bar charts with values: scores per class, errors per kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlcvbench.figures.canvas import BLUE, Box, Canvas
from mlcvbench.figures.chart import GAP, Axis, Chart
from mlcvbench.figures.lettering import TINY
from mlcvbench.figures.scales import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

WIDTH, ROW = 704, 26
AROUND = 72
"""Pixels above and below the bars."""
MARGIN = 8


def bars(values: Array, names: Sequence[str], label: str, most: float | None = None) -> Canvas:
    """Draw horizontal bars from top to bottom, each with its value; `most`: the upper end of the scale of fractions."""
    limit = most or float(max(values.max(), 1))
    canvas = Canvas(WIDTH, AROUND + ROW * len(values))
    rows = [(float(place), name) for place, name in enumerate(names)]
    chart = Chart(
        canvas,
        Box(MARGIN, MARGIN, WIDTH - MARGIN, canvas.box.height - MARGIN),
        Axis(Scale(0, limit * 1.1, whole=most is None), label),
        Axis(Scale(len(values) - 0.4, -0.6), ticks=rows, bare=True),
    )
    for place, value in enumerate(values.tolist()):
        chart.bar(place, 0, value, 0.7, BLUE)
        x, y = chart.place(value, place)
        canvas.text(x + GAP, y, f"{value:.3f}" if most else f"{value}", TINY)
    return canvas
