"""The picture of a fit: loss, accuracy and learning rate over the epochs, drawn from the history in its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.figures import BLUE, INK, RED, bare, new_figure, plain_style, save
from mlcvbench.records.schema import PlotInfo

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "history.png"
PANELS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("loss", lambda name: "loss" in name),
    ("accuracy", lambda name: "accuracy" in name),
    ("learning rate", lambda name: name == "lr"),
)
TRAINING, VALIDATION = BLUE, RED
MARKED = 40
"""Epochs up to which each is marked with a dot."""


def draw(folder: Path, history: Mapping[str, Sequence[float]]) -> tuple[PlotInfo, ...]:
    """Draw what the history has of the three panels into `folder` and describe it; nothing when it has none."""
    chosen = [(title, [name for name in history if wanted(name) and history[name]]) for title, wanted in PANELS]
    panels = [(title, names) for title, names in chosen if names]
    if not panels:
        return ()
    folder.mkdir(exist_ok=True)
    with plain_style():
        figure = new_figure(3.6 * len(panels), 3.0)
        for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, title, {name: history[name] for name in names})
        save(figure, folder / FILE)
    ends = ", ".join(f"{name} {history[name][-1]:.4g}" for _, names in panels for name in names)
    epochs = max(len(history[name]) for _, names in panels for name in names)
    return (PlotInfo(file=FILE, title="History of the fit", alt=f"The fit over {epochs} epochs; it ends with {ends}."),)


def _draw_panel(axes: Axes, title: str, columns: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, values in columns.items():
        color = VALIDATION if name.startswith("val") else TRAINING
        label = "validation" if name.startswith("val") else "training"
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, color=color, linewidth=1.5, marker="." if len(values) <= MARKED else "", label=label)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(alpha=0.25)
    bare(axes)
    if len(columns) > 1:
        axes.legend(frameon=False, fontsize=8)
