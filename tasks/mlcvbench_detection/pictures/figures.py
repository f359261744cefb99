"""What the pictures of a detection record share: the canvas, the file, the names of classes.

Drawn with matplotlib's Agg canvas, without dates or versions in the file, so that equal figures give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2933"
NAME_LENGTH = 18


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure without the drawing program's version, so that equal figures give equal bytes."""
    options: Any = {"Software": None}
    figure.savefig(path, dpi=110, metadata=options)


def short_name(name: str) -> str:
    """Return a class name that fits a label and holds nothing that matplotlib would typeset as mathematics."""
    plain = name.replace("$", r"\$")
    return plain if len(plain) <= NAME_LENGTH else plain[: NAME_LENGTH - 1] + "\u2026"
