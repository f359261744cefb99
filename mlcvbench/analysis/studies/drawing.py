"""The pictures of studies: errors against a setting, and errors taken apart into bias and variance."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mlcvbench.analysis.studies.planning import Study
from mlcvbench.analysis.studies.running import StudyNumbers
from mlcvbench.analysis.studies.summary import Errors, best_place, error_title, errors_of, lower_is_better
from mlcvbench.figures import INK, MUTED, bare, new_figure, plain_style, save
from mlcvbench.running.plots import MARKED, TRAINING, VALIDATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE_RATIO = 20
"""The largest over the smallest value from which a picture takes a logarithmic scale by itself."""
TICKS = 12
"""Values up to which each is a tick."""
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8}


def draw(study: Study, measured: StudyNumbers) -> bytes:
    """Return the picture of a study as a PNG."""
    errors = errors_of(study, measured)
    size = (6.4, 4.0) if study.kind == "capacity" else (7.2, 1.9 + 0.42 * len(errors))
    panel = _draw_curve if study.kind == "capacity" else _draw_parts
    return _png(size, lambda axes: panel(axes, study, measured, errors))


def _draw_curve(axes: Axes, study: Study, measured: StudyNumbers, errors: Sequence[Errors]) -> None:
    kept = [index for index, one in enumerate(errors) if one.validation]
    axis = axis_of(study)
    places = [_position(study, axis, index) for index in kept]
    order = sorted(range(len(kept)), key=lambda index: places[index])
    places, shown = [places[index] for index in order], [errors[kept[index]] for index in order]
    for name, color, pick in _SIDES:
        values = [pick(one) for one in shown]
        means = [fmean(part) for part in values]
        axes.plot(
            places, means, color=color, linewidth=1.6, marker="o" if len(kept) <= MARKED else "", ms=4, label=name
        )
        if name == "validation":
            _bars(axes, places, shown, color)
        if any(len(part) > 1 for part in values):
            axes.fill_between(places, [min(p) for p in values], [max(p) for p in values], color=color, alpha=0.15, lw=0)
    best = best_place(errors, lower_is_better=lower_is_better(measured.axis))
    axes.axvline(
        _position(study, axis, best), color=MUTED, linewidth=1, linestyle=":", label=f"best: {study.labels[best]}"
    )
    _scale(axes, axis, places, [study.labels[kept[index]] for index in order])
    axes.set_xlabel(f"1 / {study.setting}" if axis == "inverse" else study.setting)
    axes.set_ylabel(error_title(measured.axis))
    axes.set_ylim(bottom=min(0.0, *axes.get_ylim()))
    _dress(axes, _title(study, f"error against {study.setting}"), _subtitle(study, measured))
    axes.grid(alpha=0.25)
    axes.figure.legend(**LEGEND, loc="outside lower center", ncols=4)


def _bars(axes: Axes, places: Sequence[float], shown: Sequence[Errors], color: str) -> None:
    """Draw the interval of each validation error."""
    kept = [(place, *one.interval) for place, one in zip(places, shown, strict=True) if one.interval is not None]
    if kept:
        where, low, high = zip(*kept, strict=True)
        axes.vlines(where, low, high, color=color, linewidth=1, alpha=0.6, label="its 95 % interval")


def axis_of(study: Study) -> str:
    """Return the scale of a curve: `linear`, `log`, `inverse` or `names`; `auto` looks at the values."""
    asked: str = study.own["axis"]
    if asked != "auto":
        return asked
    numbers = [v for v in study.values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(study.values):
        return "names"
    wide = min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE_RATIO
    return "log" if wide else "linear"


def _position(study: Study, axis: str, index: int) -> float:
    if axis == "names":
        return float(index)
    return 1 / study.values[index] if axis == "inverse" else float(study.values[index])


def _scale(axes: Axes, axis: str, places: Sequence[float], labels: Sequence[str]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    if axis in {"log", "inverse"}:
        axes.set_xscale("log")
    if axis == "names" or len(places) <= TICKS:
        names = [f"1/{label}" for label in labels] if axis == "inverse" else list(labels)
        axes.set_xticks(list(places), names, fontsize=8, rotation=30 if max(map(len, names)) > 8 else 0)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_parts(axes: Axes, study: Study, measured: StudyNumbers, errors: Sequence[Errors]) -> None:
    rows = [(len(errors) - 1 - index, one) for index, one in enumerate(errors)]
    for row, one in rows:
        if one.validation:
            axes.barh(row, one.bias, height=0.55, color=TRAINING, alpha=0.8, label="bias ~ training error")
            axes.barh(row, one.gap, left=one.bias, height=0.55, color=VALIDATION, alpha=0.55, label="variance ~ gap")
            axes.plot(
                one.validation, [row] * len(one.validation), "|", color=INK, ms=9, mew=1, label="validation, each fit"
            )
    axes.set_yticks(
        [row for row, _ in rows], [one.label if one.validation else f"{one.label} (failed)" for _, one in rows]
    )
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.set_ylim(-0.6, len(errors) - 0.4)
    axes.set_xlabel(error_title(measured.axis))
    _dress(axes, _title(study, "bias and variance"), _subtitle(study, measured))
    axes.grid(axis="x", alpha=0.25)
    marks = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one of each
    wanted = sorted(marks)  # bias, validation, variance
    axes.figure.legend([marks[name] for name in wanted], wanted, **LEGEND, loc="outside lower center", ncols=3)


def _title(study: Study, what: str) -> str:
    config = study.jobs[0].config
    models = {job.config.model for job in study.jobs}
    name = f"{config.model} on " if len(models) == 1 else ""
    return f"{name}{config.definition.name}: {what}"


def _subtitle(study: Study, measured: StudyNumbers) -> str:
    validation = f"scored on {measured.axis.n:,} samples ({measured.axis.validation})"
    seeds = len({job.config.seed for job in study.jobs})
    if study.kind == "capacity":
        return f"{validation}; mean and range of {seeds} seeds" if seeds > 1 else validation
    drawn = "bootstraps of the training samples" if study.own["by"] == "bootstrap" else "seeds"
    return f"{validation}; {study.own['repeats']} {drawn}"


def _dress(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left", pad=20)
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    bare(axes)


def _png(size: tuple[float, float], panel: Callable[[Axes], None]) -> bytes:
    with plain_style():
        figure = new_figure(*size)
        panel(figure.add_subplot())
        file = io.BytesIO()
        save(figure, file, dpi=130)
    return file.getvalue()


_SIDES: tuple[tuple[str, str, Callable[[Errors], tuple[float, ...]]], ...] = (
    ("training", TRAINING, lambda one: one.train),
    ("validation", VALIDATION, lambda one: one.validation),
)
