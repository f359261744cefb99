"""The canvas that all pictures share: matplotlib without its global state, in one style.

A picture is drawn and saved inside `with plain_style():`, whatever the settings of the machine. Neither dates nor
versions are written into its file, so that equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

INK, MUTED, BLUE, RED, PALE = "#1f2933", "#52606d", "#2166ac", "#b2182b", "#c8d6e5"
DPI = 110
NAME_LENGTH = 18
"""Letters of a class's name that a label holds."""


def plain_style() -> AbstractContextManager[None]:
    """Return the context in which a picture is drawn and saved: matplotlib's own style."""
    import matplotlib.style

    style: AbstractContextManager[None] = matplotlib.style.context("default")
    return style


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """Return an empty figure of so many inches that no window knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, file: Path | IO[bytes], dpi: int = DPI) -> None:
    """Write a figure as a PNG, without the drawing program's version."""
    options: Any = {"Software": None}
    figure.savefig(file, format="png", dpi=dpi, metadata=options)


def bare(axes: Any) -> None:
    """Take away the frame lines that carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def short_name(name: str, length: int = NAME_LENGTH) -> str:
    r"""Return a name that fits a label and holds nothing that matplotlib would typeset as mathematics.

    >>> short_name("a$b"), short_name("a class of many words")
    ('a\\$b', 'a class of many w…')
    """
    plain = name.replace("$", r"\$")
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"


def bars(values: Array, names: Sequence[str], label: str, most: float | None = None) -> Figure:
    """Draw horizontal bars from top to bottom, each with its value; `most`: where the scale of fractions ends."""
    figure = new_figure(6.4, 1.0 + 0.24 * len(values))
    axes = figure.subplots()
    places = range(len(values))
    axes.barh(places, values, color=BLUE, height=0.7)
    limit = most or float(max(values.max(), 1))
    for place, value in enumerate(values.tolist()):
        text = f"{value:.3f}" if most else f"{value}"
        axes.text(value + limit * 0.01, place, text, va="center", fontsize=7, color=INK)
    axes.set_yticks(places, names, fontsize=8)
    axes.set(xlim=(0, limit * 1.1), ylim=(len(values) - 0.4, -0.6))
    axes.set_xlabel(label)
    axes.tick_params(axis="y", length=0)
    bare(axes)
    return figure
