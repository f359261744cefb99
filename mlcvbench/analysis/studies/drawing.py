"""The pictures of studies: errors against a setting, and errors decomposed into bias and variance."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from mlcvbench.analysis.studies.planning import Study
from mlcvbench.analysis.studies.running import StudyNumbers
from mlcvbench.analysis.studies.summary import Errors, best_place, error_title, errors_of, lower_is_better
from mlcvbench.figures import (
    DOTTED,
    INK,
    MUTED,
    SMALL,
    Axis,
    Box,
    Canvas,
    Chart,
    Key,
    Scale,
    draw_below,
    rows_height,
    rows_of,
    text_width,
)
from mlcvbench.running.plots import MARKED, TRAINING, VALIDATION

WIDE_RATIO = 20
"""Ratio of the largest to the smallest value from which the scale is logarithmic by default."""
TICKS = 12
"""The most values of which each gets a tick."""
WIDTH, MARGIN = 880, 10
CURVE, AROUND, ROW_HEIGHT = 520, 148, 50
"""Pixels: height of a curve; height around the bars, and of each bar."""


def draw(study: Study, measured: StudyNumbers) -> bytes:
    """Return the picture of a study as a PNG."""
    errors = errors_of(study, measured)
    panel = _draw_curve if study.kind == "capacity" else _draw_parts
    canvas = panel(study, measured, errors)
    file = io.BytesIO()
    canvas.save(file)
    return file.getvalue()


def _draw_curve(study: Study, measured: StudyNumbers, errors: Sequence[Errors]) -> Canvas:
    kept = [index for index, one in enumerate(errors) if one.validation]
    axis = axis_of(study)
    places = [_position(study, axis, index) for index in kept]
    order = sorted(range(len(kept)), key=lambda index: places[index])
    places, shown = [places[index] for index in order], [errors[kept[index]] for index in order]
    best = best_place(errors, lower_is_better=lower_is_better(measured.axis))
    keys = [Key(name, color, "dotted line" if len(kept) <= MARKED else "line") for name, color, _ in _SIDES]
    if any(one.interval is not None for one in shown):
        keys.append(Key("its 95 % interval", VALIDATION, width=1, alpha=0.6))
    keys.append(Key(f"best: {study.labels[best]}", MUTED, dash=DOTTED))
    canvas, area = _paper(CURVE, keys)
    level = _level(axis, places, [study.labels[kept[index]] for index in order], area.width)
    seen = [value for one in shown for value in (*one.train, *one.validation, *(one.interval or ()))]
    scale = Scale.around(np.array(seen))
    chart = Chart(
        canvas,
        area,
        replace(level, name=f"1 / {study.setting}" if axis == "inverse" else study.setting, grid=True),
        Axis(replace(scale, low=min(0.0, scale.low)), error_title(measured.axis), grid=True),
        _title(study, f"error against {study.setting}"),
        _subtitle(study, measured),
    )
    chart.upright(_position(study, axis, best), MUTED, dash=DOTTED)
    for name, color, pick in _SIDES:
        values = [pick(one) for one in shown]
        if any(len(part) > 1 for part in values):
            chart.band(np.array(places), np.array([min(p) for p in values]), np.array([max(p) for p in values]), color)
        for place, one in zip(places, shown, strict=True) if name == "validation" else ():
            if one.interval is not None:
                chart.line(np.array([place, place]), np.array(one.interval), color, 1.3, alpha=0.6)
        dots = 4.0 if len(kept) <= MARKED else 0
        chart.line(np.array(places), np.array([fmean(part) for part in values]), color, dots=dots)
    return canvas


def _paper(height: int, keys: Sequence[Key]) -> tuple[Canvas, Box]:
    """Return a canvas with its keys at the lower edge, and the area above them."""
    rows = rows_of(keys, WIDTH - 2 * MARGIN)
    canvas = Canvas(WIDTH, height)
    bottom = height - MARGIN - rows_height(rows)
    draw_below(canvas, rows, Box(MARGIN, bottom, WIDTH - MARGIN, height))
    return canvas, Box(MARGIN, MARGIN, WIDTH - MARGIN, bottom - MARGIN // 2)


def axis_of(study: Study) -> str:
    """Return the scale of a curve: `linear`, `log`, `inverse` or `names`; `auto` decides by the values."""
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


def _level(axis: str, places: Sequence[float], labels: Sequence[str], width: int) -> Axis:
    """Return the horizontal scale; few values, or names, each get a tick, written upwards where they would touch."""
    scale = Scale.around(np.array(places), log=axis in {"log", "inverse"})
    if axis != "names" and len(places) > TICKS:
        return Axis(scale)
    names = [f"1/{label}" for label in labels] if axis == "inverse" else list(labels)
    apart = np.diff(scale.share(np.array(places))) * width
    halves = np.array([text_width(name, SMALL) / 2 + SMALL / 2 for name in names])
    return Axis(
        scale, ticks=list(zip(places, names, strict=True)), turned=bool((apart < halves[1:] + halves[:-1]).any())
    )


def _draw_parts(study: Study, measured: StudyNumbers, errors: Sequence[Errors]) -> Canvas:
    keys = (
        Key("bias ~ training error", TRAINING, "patch", alpha=0.8),
        Key("validation, each fit", INK, "mark"),
        Key("variance ~ gap", VALIDATION, "patch", alpha=0.55),
    )
    canvas, area = _paper(AROUND + ROW_HEIGHT * len(errors), keys)
    known = [one for one in errors if one.validation]
    ends = [0.0, *(value for one in known for value in (*one.validation, one.bias, one.bias + one.gap))]
    rows = [(float(row), one.label if one.validation else f"{one.label} (failed)") for row, one in enumerate(errors)]
    scale = Scale.around(np.array(ends))
    chart = Chart(
        canvas,
        area,
        Axis(replace(scale, low=min(ends)), error_title(measured.axis), grid=True),
        Axis(Scale(len(errors) - 0.4, -0.6), ticks=rows, bare=True),
        _title(study, "bias and variance"),
        _subtitle(study, measured),
    )
    for row, one in enumerate(errors):
        if one.validation:
            chart.bar(row, 0, one.bias, 0.55, TRAINING, 0.8)
            chart.bar(row, one.bias, one.bias + one.gap, 0.55, VALIDATION, 0.55)
            for value in one.validation:
                x, y = chart.place(value, row)
                canvas.upright(x, y - 7, y + 7, INK)
    return canvas


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


_SIDES: tuple[tuple[str, str, Callable[[Errors], tuple[float, ...]]], ...] = (
    ("training", TRAINING, lambda one: one.train),
    ("validation", VALIDATION, lambda one: one.validation),
)
