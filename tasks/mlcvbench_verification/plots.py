"""Pictures of a verification record: ROC, DET, the distributions of similarity, the worst pairs, and CMC.

Equal results give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Plot, Split, Table
from mlcvbench.errors import DataError
from mlcvbench.figures import BLUE, INK, PALE, RED, bare, new_figure, plain_style, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 2000
"""A curve is drawn through at most so many operating points."""
SHOWN = 6
MOST_RANKS = 100
NAME_LENGTH = 26


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
    with plain_style():
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


def draw_roc(curve: Curve, impostors: int) -> tuple[Figure, str]:
    """Draw TAR over FAR, logarithmic, down to one false accept."""
    figure = new_figure(5.4, 4.4)
    axes = figure.subplots()
    lowest = 10.0 ** np.floor(np.log10(1 / impostors))
    axes.plot(np.maximum(curve.far, lowest), 1 - curve.frr, color=BLUE, linewidth=1.6, drawstyle="steps-post")
    chance = np.geomspace(lowest, 1, 100)
    axes.plot(chance, chance, color=INK, linestyle=":", linewidth=0.9, label="chance")
    axes.axvline(1 / impostors, color=INK, linewidth=0.7, linestyle="--")
    axes.text(1 / impostors, 0.98, " one false accept", fontsize=7, color=INK, rotation=90, va="top")
    axes.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.005), xlabel="false accept rate", ylabel="true accept rate")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    bare(axes)
    place = int(np.searchsorted(curve.far, 0.01, side="right")) - 1
    return (
        figure,
        f"True accepts against false accepts; {1 - curve.frr[place]:.3f} of genuine pairs at 1 % false accepts.",
    )


def draw_det(curve: Curve) -> tuple[Figure, str]:
    """Draw FRR over FAR on logarithmic axes with the line of equal errors."""
    figure = new_figure(4.8, 4.6)
    axes = figure.subplots()
    inside = (curve.far > 0) & (curve.frr > 0)
    far, frr = curve.far[inside], curve.frr[inside]
    if len(far):
        low = float(10 ** np.floor(np.log10(min(far.min(), frr.min()))))
        axes.plot(far, frr, color=BLUE, linewidth=1.6)
        axes.plot([low, 1], [low, 1], color=INK, linestyle=":", linewidth=0.9, label="equal errors")
        axes.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1))
        equal = max(low, float(curve.far[np.argmin(np.abs(curve.far - curve.frr))]))
        axes.plot([equal], [equal], marker="o", markersize=4, color=INK)
        axes.text(equal * 1.3, equal, f"{equal:.3g}", fontsize=8, color=INK, ha="left", va="center")
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    else:
        axes.text(0.5, 0.5, "no threshold makes both kinds of error", ha="center", transform=axes.transAxes, fontsize=9)
    axes.set(xlabel="false accept rate", ylabel="false reject rate")
    bare(axes)
    place = int(np.argmin(np.abs(curve.far - curve.frr)))
    return figure, f"False rejects against false accepts; both are about {curve.far[place]:.3f} at equal errors."


def draw_histogram(similarity: Array, same: Array) -> tuple[Figure, str]:
    """Draw the distributions of similarity of genuine and impostor pairs."""
    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    low, high = float(similarity.min()), float(similarity.max())
    edges = np.linspace(low, high if high > low else low + 1, 61)
    for chosen, color, name in ((~same, PALE, "impostor"), (same, BLUE, "genuine")):
        heights = np.histogram(similarity[chosen], edges)[0] / max(1, int(chosen.sum()))
        alpha = 1.0 if name == "impostor" else 0.65
        axes.stairs(heights, edges, fill=True, color=color, alpha=alpha, label=f"{name}, {int(chosen.sum())} pairs")
    axes.set(xlabel="similarity", ylabel="share of pairs")
    axes.legend(frameon=False, fontsize=8)
    bare(axes)
    middle = float(np.median(similarity[same])), float(np.median(similarity[~same]))
    return figure, f"Similarity of genuine (median {middle[0]:.3g}) and impostor pairs (median {middle[1]:.3g})."


def draw_worst(split: Split, table: Table) -> tuple[Figure, str] | None:
    """Draw the least similar genuine and the most similar impostor pairs; None when there are no images."""
    similarity, same = table["similarity"], table["same"]
    kinds = []
    for name, chosen, sign in (("genuine", np.flatnonzero(same), 1), ("impostor", np.flatnonzero(~same), -1)):
        values = sign * similarity[chosen]
        few = chosen[np.argpartition(values, min(SHOWN, len(values)) - 1)[:SHOWN]]
        kinds.append((name, few[np.lexsort((few, sign * similarity[few]))]))
    figure = new_figure(1.75 * SHOWN, 7.7)
    figure.suptitle(
        "Each column: the two images of a pair. Above one person's, below two people's.", fontsize=9, color=INK
    )
    grid = figure.subplots(4, SHOWN, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    try:
        for kind, (name, rows) in enumerate(kinds):
            for column, row in enumerate(rows.tolist()):
                both = [int(table["unit"][row]), int(table["other"][row])]
                for side, place in enumerate(both):
                    axes = grid[2 * kind + side][column]
                    image = np.asarray(split.read(np.array([place]))[0].inputs["image"][0])
                    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                    label = str(split.ids[place]).rpartition("/")[2][-NAME_LENGTH:]
                    title = f"{name} {similarity[row]:.3f}\n{label}" if side == 0 else label
                    axes.set_title(title, fontsize=6.5, color=INK if kind == 0 else RED, parse_math=False)
    except DataError:
        return None
    return figure, f"The {len(kinds[0][1])} least similar genuine and {len(kinds[1][1])} most similar impostor pairs."


def draw_cmc(position: Array) -> tuple[Figure, str]:
    """Draw the share of probes found among the first k of the gallery, over k."""
    from matplotlib.ticker import MaxNLocator

    most = int(min(MOST_RANKS, max(10, position.max() + 1)))
    share = np.cumsum(np.bincount(np.minimum(position, most), minlength=most + 1))[:most] / len(position)
    figure = new_figure(5.4, 4.0)
    axes = figure.subplots()
    axes.plot(np.arange(1, most + 1), share, color=BLUE, linewidth=1.6, marker="o", markersize=2.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlim=(1, most), ylim=(0, 1.02), xlabel="rank k", ylabel="share of probes found")
    bare(axes)
    return figure, f"Share of {len(position)} probes whose person is among the first k; {share[0]:.3f} at rank 1."


def _save(figure: Figure, alt: str, folder: Path, file: str, title: str) -> Plot:
    save(figure, folder / file)
    return Plot(file, title, alt)
