"""Pictures of a verification record: ROC, DET, the distributions of similarity, the worst pairs, and CMC.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Plot, Split, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import (
    BLUE,
    DASHED,
    DOTTED,
    INK,
    PALE,
    RED,
    SMALL,
    TINY,
    Axis,
    Box,
    Canvas,
    Chart,
    Key,
    Scale,
    Tile,
    colored,
    draw_tiles,
    fitted,
)

POINTS = 2000
"""The most operating points of a drawn curve."""
SHOWN = 6
TILE = 160
"""Most pixels of a side of an image."""
MOST_RANKS = 100
WIDTH, HEIGHT, MARGIN = 594, 484, 8
"""Pixels of a chart, and around it."""


class Curve(NamedTuple):
    """Shares at thresholds from the highest to the lowest."""

    far: Array
    frr: Array


def draw(folder: Path, split: Split, table: Table) -> list[Plot]:
    """Write the pictures as PNG into `folder` and return what they are."""
    if not len(table):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Plot] = []
    if "position" in table.columns:
        return [_save(*draw_cmc(table["position"]), folder, "cmc.png", "CMC: who is it?")]
    similarity, same = table["similarity"], table["same"]
    curve = curve_of(similarity, same)
    drawn.append(_save(*draw_roc(curve, int((~same).sum())), folder, "roc.png", "ROC"))
    drawn.append(_save(*draw_det(curve), folder, "det.png", "DET: false rejects against false accepts"))
    drawn.append(_save(*draw_histogram(similarity, same), folder, "similarity.png", "Similarity of pairs"))
    worst = draw_worst(split, table)
    if worst is not None:
        drawn.append(_save(*worst, folder, "worst.png", "Worst pairs"))
    return drawn


def curve_of(similarity: Array, same: Array) -> Curve:
    """Return the operating points, thinned to those that matter on logarithmic axes."""
    genuine, impostor = np.sort(similarity[same]), np.sort(similarity[~same])
    ranks = np.unique(np.geomspace(1, len(impostor), POINTS).astype(np.int64))
    refused = np.unique(np.geomspace(1, len(genuine), POINTS).astype(np.int64)) - 1
    thresholds = np.unique(np.concatenate([impostor[len(impostor) - ranks], genuine[refused], genuine[::-1][refused]]))[
        ::-1
    ]
    far = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    frr = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    return Curve(np.concatenate([[0.0], far]), np.concatenate([[1.0], frr]))


def draw_roc(curve: Curve, impostors: int) -> tuple[Canvas, str]:
    """Draw TAR over FAR, logarithmic, down to one false accept."""
    lowest = float(10.0 ** np.floor(np.log10(1 / impostors)))
    keys = [Key("chance", INK, dash=DOTTED, width=1.5)]
    chart = _chart(Axis(_decades(lowest), "false accept rate"), Axis(Scale(0, 1.005), "true accept rate"), keys)
    chance = np.geomspace(lowest, 1, 100)
    chart.line(chance, chance, INK, 1.5, DOTTED)
    chart.upright(1 / impostors, INK, dash=DASHED)
    chart.canvas.text_upwards(
        chart.place(1 / impostors, 0)[0] + 9, chart.inside.top + 4, "one false accept", TINY, end=True
    )
    far, tar = np.maximum(curve.far, lowest), 1 - curve.frr
    chart.line(np.repeat(far, 2)[1:], np.repeat(tar, 2)[:-1], BLUE)  # steps: the share holds until the next point
    place = int(np.searchsorted(curve.far, 0.01, side="right")) - 1
    return (
        chart.canvas,
        f"True accepts against false accepts; {1 - curve.frr[place]:.3f} of genuine pairs at 1 % false accepts.",
    )


def draw_det(curve: Curve) -> tuple[Canvas, str]:
    """Draw FRR over FAR on logarithmic axes with the line of equal errors."""
    inside = (curve.far > 0) & (curve.frr > 0)
    far, frr = curve.far[inside], curve.frr[inside]
    low = float(10 ** np.floor(np.log10(min(far.min(), frr.min())))) if len(far) else 0.1
    keys = [Key("equal errors", INK, dash=DOTTED, width=1.5)] if len(far) else []
    chart = _chart(Axis(_decades(low), "false accept rate"), Axis(_decades(low), "false reject rate"), keys)
    if len(far):
        chart.line(np.array([low, 1]), np.array([low, 1]), INK, 1.5, DOTTED)
        chart.line(far, frr, BLUE)
        equal = max(low, float(curve.far[np.argmin(np.abs(curve.far - curve.frr))]))
        chart.dot(equal, equal, INK)
        x, y = chart.place(equal, equal)
        right = x < chart.inside.right - 50
        chart.canvas.text(x + 8 if right else x - 8, y, f"{equal:.3g}", SMALL, anchor="lm" if right else "rm")
    else:
        chart.canvas.text(*chart.inside.middle, "no threshold makes both kinds of error", SMALL, anchor="mm")
    place = int(np.argmin(np.abs(curve.far - curve.frr)))
    return chart.canvas, f"False rejects against false accepts; both are about {curve.far[place]:.3f} at equal errors."


def _decades(lowest: float) -> Scale:
    """Return the scale of rates up to 1; of one decade at least, where the lowest is 1 itself."""
    return Scale(min(lowest, 0.1), 1, log=True)


def _chart(x: Axis, y: Axis, keys: Sequence[Key] = ()) -> Chart:
    canvas = Canvas(WIDTH, HEIGHT)
    return Chart(canvas, Box(MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), x, y, keys=keys)


def draw_histogram(similarity: Array, same: Array) -> tuple[Canvas, str]:
    """Draw the distributions of similarity of genuine and impostor pairs."""
    low, high = float(similarity.min()), float(similarity.max())
    edges = np.linspace(low, high if high > low else low + 1, 61)
    sides = [
        (np.histogram(similarity[chosen], edges)[0] / max(1, int(chosen.sum())), Key(text, color, "patch", alpha=alpha))
        for chosen, color, alpha, text in (
            (~same, PALE, 1.0, f"impostor, {int((~same).sum())} pairs"),
            (same, BLUE, 0.65, f"genuine, {int(same.sum())} pairs"),
        )
    ]
    highest = max(float(heights.max()) for heights, _ in sides)
    shares = Axis(Scale(0, 1.05 * highest if highest > 0 else 1.0), "share of pairs")
    chart = _chart(Axis(Scale.around(edges), "similarity"), shares, [key for _, key in sides])
    for heights, key in sides:
        chart.steps(edges, heights, key.color, key.alpha)
    middle = float(np.median(similarity[same])), float(np.median(similarity[~same]))
    return chart.canvas, f"Similarity of genuine (median {middle[0]:.3g}) and impostor pairs (median {middle[1]:.3g})."


def draw_worst(split: Split, table: Table) -> tuple[Canvas, str] | None:
    """Draw the least similar genuine and the most similar impostor pairs; None when there are no images."""
    similarity, same = table["similarity"], table["same"]
    kinds = []
    for name, chosen, sign in (("genuine", np.flatnonzero(same), 1), ("impostor", np.flatnonzero(~same), -1)):
        values = sign * similarity[chosen]
        few = chosen[np.argpartition(values, min(SHOWN, len(values)) - 1)[:SHOWN]]
        kinds.append((name, few[np.lexsort((few, sign * similarity[few]))]))
    rows: list[list[Tile]] = []
    try:
        for name, pairs in kinds:
            for side in ("unit", "other"):
                heads = [[f"{name} {similarity[row]:.3f}"] if side == "unit" else [] for row in pairs.tolist()]
                color = INK if name == "genuine" else RED
                rows.append([_tile(split, *one, color) for one in zip(table[side][pairs].tolist(), heads, strict=True)])
    except DataError:
        return None
    title = "Each column: the two images of a pair. Above one person's, below two people's."
    canvas = draw_tiles(rows, title=title, side=TILE, size=TINY)
    return canvas, f"The {len(kinds[0][1])} least similar genuine and {len(kinds[1][1])} most similar impostor pairs."


def _tile(split: Split, place: int, head: list[str], color: str) -> Tile:
    image = colored(np.asarray(split.read(np.array([place]))[0].inputs["image"][0]))
    return Tile(fitted(image, TILE, TILE), [*head, str(split.ids[place]).rpartition("/")[2]], color)


def draw_cmc(position: Array) -> tuple[Canvas, str]:
    """Draw the share of probes found among the first k of the gallery, over k."""
    most = int(min(MOST_RANKS, max(10, position.max() + 1)))
    share = np.cumsum(np.bincount(np.minimum(position, most), minlength=most + 1))[:most] / len(position)
    ranks = Axis(Scale(1, most, whole=True), "rank k")
    chart = _chart(ranks, Axis(Scale(0, 1.02), "share of probes found"))
    chart.line(np.arange(1, most + 1), share, BLUE, dots=2.5)
    return chart.canvas, f"Share of {len(position)} probes whose person is among the first k; {share[0]:.3f} at rank 1."


def _save(canvas: Canvas, alt: str, folder: Path, file: str, title: str) -> Plot:
    canvas.save(folder / file)
    return Plot(file, title, alt)
