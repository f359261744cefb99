"""Pictures of a depth record: maps beside their truth with errors, and how the errors are distributed.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import BLUE, INK, bare, new_figure, plain_style, save
from mlcvbench_depth.alignment import Alignment
from mlcvbench_depth.measuring import DELTA
from mlcvbench_depth.protocols import FILLED, is_stereo, parse_stereo
from mlcvbench_depth.views import view_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 3
"""So many of the worst and so many of the best images."""
SIDE = 640
"""Longest side of a drawn map, pixels."""
CURVE_IMAGES = 50
CURVE_PIXELS = 200_000
UNKNOWN, HOLE, NONE = "#d9dde2", "#111418", "#3f9fd8"
NAME_LENGTH = 40


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
    with plain_style():
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
    """Return float32 (H, W): |error| in px, or max(p / t, t / p) - 1; NaN where not scored, inf where not estimated."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(estimate - truth) if field == "disparity" else np.maximum(estimate / truth, truth / estimate) - 1
    error[estimate <= 0] = np.inf
    error[truth <= 0] = np.nan
    return error


def draw_errors(outcome: Outcome, units: Array) -> tuple[Figure, str]:
    """Draw the share of scored pixels whose error is larger than a threshold, over the threshold."""
    field = field_of(outcome)
    chosen = units[:: max(1, len(units) // CURVE_IMAGES)].tolist()
    errors = []
    for unit in chosen:
        view = view_of(outcome, unit)
        error = errors_of(field, view.truth, view.estimate)
        known = error[~np.isnan(error)]
        errors.append(known[:: max(1, len(known) * len(chosen) // CURVE_PIXELS)])
    values = np.sort(np.concatenate(errors))
    limits = np.geomspace(0.05, 64, 200) if field == "disparity" else np.geomspace(0.005, 4, 200)
    share = 1 - np.searchsorted(values, limits, side="right") / len(values)
    holes = float(np.isinf(values).mean())
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    axes.plot(limits, share, color=BLUE, linewidth=1.6)
    axes.set(xscale="log", xlim=(limits[0], limits[-1]), ylim=(0, 1), ylabel="share of scored pixels")
    axes.xaxis.set_major_formatter("{x:g}")
    marks = (0.5, 1, 2, 3) if field == "disparity" else tuple(DELTA**k - 1 for k in (1, 2, 3))
    names = ("0.5", "1", "2", "3") if field == "disparity" else ("\u03b41", "\u03b42", "\u03b43")
    for mark, name in zip(marks, names, strict=True):
        axes.axvline(mark, color=INK, linewidth=0.6, linestyle=":")
        axes.text(mark, 1.01, name, ha="center", va="bottom", fontsize=7, color=INK)
    if holes:
        axes.axhline(holes, color=INK, linewidth=0.8, linestyle="--")
        axes.text(limits[0], holes + 0.01, f" no estimate: {holes:.1%}", fontsize=7, color=INK)
    unit = "error larger than, pixels" if field == "disparity" else "max(p / t, t / p) - 1 larger than"
    axes.set_xlabel(unit)
    bare(axes)
    middle = float(np.median(values))
    said = f"{middle:.3g}" if np.isfinite(middle) else "no estimate"
    return figure, f"Share of scored pixels whose error exceeds a threshold; the median error is {said}."


class _Shown:
    """What is drawn of an image: itself, the truth, the estimate on the same scale, and where it errs."""

    def __init__(self, outcome: Outcome, error: Mapping[int, float]) -> None:
        self._outcome, self._error = outcome, error
        self._field, self._split = field_of(outcome), outcome.split

    def draw(self, units: Sequence[int]) -> tuple[Figure, str]:
        """Draw one row an image."""
        height, width = self._outcome.predictions[self._field][units[0]].shape
        figure = new_figure(13, min(2.9, 0.4 + 3.0 * height / width) * len(units), layout="compressed")
        grid = figure.subplots(len(units), 4, squeeze=False)
        for row, unit in zip(grid, units, strict=True):
            self._draw_row(figure, row, unit)
        kind = "share of pixels over 2 px" if self._field == "disparity" else "mean relative error"
        values = ", ".join(f"{self._error[unit]:.3f}" for unit in units)
        return figure, f"Image, measured {self._field}, estimate and error; {kind}: {values}."

    def _draw_row(self, figure: Figure, row: Any, unit: int) -> None:
        from matplotlib.colors import to_rgba

        view = view_of(self._outcome, unit)
        step = max(1, -(-max(view.truth.shape) // SIDE))
        truth, guess = view.truth[::step, ::step], view.estimate[::step, ::step]
        error = errors_of(self._field, truth, guess)
        image = self._image(unit, step)
        name = str(self._split.ids[unit])
        row[0].set_title(name[-NAME_LENGTH:], fontsize=8, color=INK, parse_math=False)
        if image is not None:
            row[0].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        low, high = np.quantile(truth[truth > 0], [0.01, 0.99]) if (truth > 0).any() else (0.0, 1.0)
        scale = {"vmin": float(low), "vmax": float(max(high, low + 1e-6)), "interpolation": "nearest"}
        near = "turbo" if self._field == "disparity" else "turbo_r"
        row[1].imshow(np.ma.masked_less_equal(truth, 0), cmap=_palette(near, UNKNOWN), **scale)
        shown = row[2].imshow(np.ma.masked_less_equal(guess, 0), cmap=_palette(near, HOLE), **scale)
        figure.colorbar(shown, ax=row[2], fraction=0.05, pad=0.02).ax.tick_params(labelsize=6)
        most = 4.0 if self._field == "disparity" else DELTA**3 - 1
        colors = np.where(np.isinf(error)[..., None], to_rgba(NONE), to_rgba(UNKNOWN))
        row[3].imshow(colors, interpolation="nearest")
        red = np.ma.masked_invalid(error)
        wrong = row[3].imshow(red, cmap=_palette("magma", "none"), vmin=0, vmax=most, interpolation="nearest")
        figure.colorbar(wrong, ax=row[3], fraction=0.05, pad=0.02, extend="max").ax.tick_params(labelsize=6)
        unit_name = "px" if self._field == "disparity" else "m"
        scaled = _said(view.alignment)
        row[1].set_title(f"truth ({unit_name}), grey: not scored", fontsize=8, color=INK)
        row[2].set_title(f"estimate{scaled} ({unit_name}), black: none", fontsize=8, color=INK)
        what = "error (px)" if self._field == "disparity" else "max(p / t, t / p) - 1"
        row[3].set_title(f"{what}, blue: no estimate" if np.isinf(error).any() else what, fontsize=8, color=INK)
        for axes in row:
            axes.set_axis_off()

    def _image(self, unit: int, step: int) -> Array | None:
        """Return the (left) image, or None when the split has no images."""
        try:
            inputs = self._split.read(np.array([unit]))[0].inputs
        except DataError:
            return None
        column = inputs["left"] if "left" in inputs else inputs["image"]
        return np.asarray(column[0])[::step, ::step]


def _said(alignment: Alignment) -> str:
    """Return in words what was done to an estimate before it was scored."""
    if alignment.fitted:
        return ", scale and shift fitted" if alignment.farthest is None else ", scale and shift of 1 / depth fitted"
    return "" if alignment.scale == 1 else f", times {alignment.scale:.3g}"


def _palette(name: str, masked: str) -> Any:
    """Return a colour map that shows masked pixels in a colour of its own."""
    from matplotlib import colormaps

    return colormaps[name].with_extremes(bad=masked)


def _save(figure: Figure, alt: str, folder: Path, file: str, title: str) -> Plot:
    save(figure, folder / file)
    return Plot(file, title, alt)
