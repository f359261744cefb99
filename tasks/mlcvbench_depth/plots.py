"""Pictures of a depth record: maps beside their truth with errors, and how the errors are distributed.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import (
    BLUE,
    DASHED,
    DOTTED,
    INK,
    MUTED,
    TINY,
    Axis,
    Box,
    Canvas,
    Chart,
    Colors,
    Scale,
    Tile,
    averaged,
    colored,
    draw_tiles,
    enlarged,
    enlargement,
    line_height,
    shaded,
    thinning,
)
from mlcvbench_depth.alignment import Alignment
from mlcvbench_depth.measuring import DELTA, every
from mlcvbench_depth.protocols import FILLED, is_stereo, parse_stereo
from mlcvbench_depth.views import view_of

SHOWN = 3
"""So many of the worst and so many of the best images."""
HIGH, WIDE = 300, 420
"""Most pixels of a drawn map; larger ones are subsampled, smaller ones enlarged, by integer factors."""
CURVE_IMAGES = 16
"""The curve of errors is drawn from at most twice this many images, which are decoded for it."""
CURVE_PIXELS = 200_000
UNKNOWN, HOLE, NONE = (217, 221, 226), (17, 20, 24), (63, 159, 216)
NAME_LENGTH = 40
MARGIN = 8


def draw(folder: Path, outcome: Outcome) -> list[Plot]:
    """Write the pictures as PNG into `folder` and return what they are; maps are read one at a time."""
    table = outcome.table
    quality = _error_of(table, outcome.protocol)
    units = table["unit"][~np.isnan(quality)]
    if not len(units):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    order = units[np.argsort(-quality[~np.isnan(quality)], kind="stable")]
    worst, best = order[:SHOWN], order[::-1][: max(0, min(SHOWN, len(order) - SHOWN))]
    shown = _Shown(outcome, dict(zip(table["unit"].tolist(), quality.tolist(), strict=True)))
    drawn: list[Plot] = []
    for chosen, file, title in ((worst, "worst.png", "Worst images"), (best, "best.png", "Best images")):
        if len(chosen):
            name = title if len(order) > 1 else "The image"
            drawn.append(_save(*shown.draw(chosen.tolist()), folder, file, name))
    drawn.append(_save(*draw_errors(outcome, units), folder, "errors.png", "Errors"))
    return drawn


def _error_of(table: Table, protocol: str) -> Array:
    """Return the error of each image by which they are sorted: share over 2 px (holes count), or abs_rel."""
    if "abs_rel" in table.columns:
        return table["abs_rel"]
    holes = 0 if parse_stereo(protocol).holes == FILLED else table["known"] - table["estimated"]
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Array = (table["bad_2"] + holes) / table["known"]
    return share


def field_of(outcome: Outcome) -> str:
    """Return what is drawn, `disparity` or `depth`."""
    return "disparity" if is_stereo(outcome.protocol) else "depth"


def errors_of(field: str, truth: Array, estimate: Array) -> Array:
    """Return float32, shaped as both: |error| in px, or max(p / t, t / p) - 1; NaN not scored, inf not estimated."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(estimate - truth) if field == "disparity" else np.maximum(estimate / truth, truth / estimate) - 1
    error[estimate <= 0] = np.inf
    error[truth <= 0] = np.nan
    return error


def draw_errors(outcome: Outcome, units: Array) -> tuple[Canvas, str]:
    """Draw the share of scored pixels whose error is larger than a threshold, over the threshold."""
    field = field_of(outcome)
    chosen = units[:: max(1, len(units) // CURVE_IMAGES)].tolist()
    few = "" if len(chosen) == len(units) else f", {len(chosen)} of {len(units)} images"
    errors = []
    for unit in chosen:
        view = view_of(outcome, unit)
        scored = view.truth > 0
        count = int(np.count_nonzero(scored))
        where = every(scored, count, max(1, count * len(chosen) // CURVE_PIXELS))
        errors.append(errors_of(field, view.truth[where], view.estimate(where)))
    values = np.sort(np.concatenate(errors))
    limits = np.geomspace(0.05, 64, 200) if field == "disparity" else np.geomspace(0.005, 4, 200)
    share = 1 - np.searchsorted(values, limits, side="right") / len(values)
    holes = float(np.isinf(values).mean())
    marks = (0.5, 1, 2, 3) if field == "disparity" else tuple(DELTA**k - 1 for k in (1, 2, 3))
    names = ("0.5", "1", "2", "3") if field == "disparity" else ("\u03b41", "\u03b42", "\u03b43")
    unit = "error larger than, pixels" if field == "disparity" else "max(p / t, t / p) - 1 larger than"
    canvas = Canvas(616, 418)
    area = Box(MARGIN, MARGIN + line_height(TINY), canvas.box.right - MARGIN, canvas.box.bottom - MARGIN)
    ends = float(limits[0]), float(limits[-1])
    chart = Chart(canvas, area, Axis(Scale(*ends, log=True), unit), Axis(Scale(0, 1), f"share of scored pixels{few}"))
    for mark, name in zip(marks, names, strict=True):
        chart.upright(mark, MUTED, dash=DOTTED)
        canvas.text(chart.place(mark, 1)[0], chart.inside.top - 2, name, TINY, anchor="mb")
    if holes:
        chart.level(holes, INK, dash=DASHED)
        left, y = chart.place(ends[0], holes)
        canvas.text(left + 6, max(y - 3, chart.inside.top + line_height(TINY)), f"no estimate: {holes:.1%}", TINY,
                    anchor="lb")  # fmt: skip
    chart.line(limits, share, BLUE)
    middle = float(np.median(values))
    said = f"{middle:.3g}" if np.isfinite(middle) else "no estimate"
    return canvas, f"Share of scored pixels whose error exceeds a threshold; the median error is {said}."


class _Shown:
    """The drawings of an image: itself, the truth, the estimate on the same scale, and its errors."""

    def __init__(self, outcome: Outcome, error: Mapping[int, float]) -> None:
        self._outcome, self._error = outcome, error
        self._field, self._split = field_of(outcome), outcome.split

    def draw(self, units: Sequence[int]) -> tuple[Canvas, str]:
        """Draw one row per image."""
        kind = "share of pixels over 2 px" if self._field == "disparity" else "mean relative error"
        values = ", ".join(f"{self._error[unit]:.3f}" for unit in units)
        canvas = draw_tiles([self._row(unit) for unit in units], size=TINY)
        return canvas, f"Image, measured {self._field}, estimate and error; {kind}: {values}."

    def _row(self, unit: int) -> list[Tile]:
        view = view_of(self._outcome, unit)
        height, width = view.truth.shape
        step, factor = thinning(height, width, HIGH, WIDE), enlargement(height, width, HIGH, WIDE)
        shown = np.s_[::step, ::step]
        truth, guess = view.truth[shown], view.estimate(shown)
        error = errors_of(self._field, truth, guess)
        low, high = (float(v) for v in np.quantile(truth[truth > 0], [0.01, 0.99])) if (truth > 0).any() else (0.0, 1.0)
        near = Colors("turbo" if self._field == "disparity" else "turbo_r", Scale(low, max(high, low + 1e-6)))
        most = 4.0 if self._field == "disparity" else DELTA**3 - 1
        wrong = Colors("magma", Scale(0, most), open_ended=True)
        unit_name = "px" if self._field == "disparity" else "m"
        missing = np.isinf(error)
        what = "error (px)" if self._field == "disparity" else "max(p / t, t / p) - 1"
        what += ", blue: no estimate" if missing.any() else ""
        said, unlike = f"estimate{_said(view.alignment)}", f"({unit_name}), black: none"
        estimate = [f"{said} {unlike}"] if view.alignment == Alignment() else [said, unlike]
        none = np.where(missing[..., None], NONE, UNKNOWN)
        pictures = (
            (_mapped(truth, near, truth > 0, UNKNOWN), [f"truth ({unit_name}), grey: not scored"], None),
            (_mapped(guess, near, guess > 0, HOLE), estimate, near),
            (_mapped(error, wrong, np.isfinite(error), none), [what], wrong),
        )
        maps = [Tile(enlarged(picture, factor), words, colors=colors) for picture, words, colors in pictures]
        image, name = self._image(unit, step), str(self._split.ids[unit])[-NAME_LENGTH:]
        return [Tile(None if image is None else enlarged(image, factor), [name]), *maps]

    def _image(self, unit: int, step: int) -> Array | None:
        """Return the (left) image, or None when the split has no images."""
        try:
            inputs = self._split.read(np.array([unit]))[0].inputs
        except DataError:
            return None
        column = inputs["left"] if "left" in inputs else inputs["image"]
        return colored(averaged(np.asarray(column[0]), step))


def _said(alignment: Alignment) -> str:
    """Describe what was done to an estimate before it was scored."""
    if alignment.fitted:
        return ", scale and shift fitted" if alignment.farthest is None else ", scale and shift of 1 / depth fitted"
    return "" if alignment.scale == 1 else f", times {alignment.scale:.3g}"


def _mapped(values: Array, colors: Colors, known: Array, other: ArrayLike) -> Array:
    """Return a map in its colours, unknown pixels in another one."""
    scale = colors.scale
    shown = shaded(np.where(known, values, 0), scale.low, scale.high, colors.palette)
    mapped: Array = np.where(known[..., None], shown, np.asarray(other, dtype=np.uint8))
    return mapped


def _save(canvas: Canvas, alt: str, folder: Path, file: str, title: str) -> Plot:
    canvas.save(folder / file)
    return Plot(file, title, alt)
