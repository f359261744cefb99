"""Samples of a depth data set for viewing: images, coloured maps, and what the other camera cannot see."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Batch, Panel, Problem, Split, Targets, spread
from mlcvbench.errors import DataError
from mlcvbench.figures import colored, shaded
from mlcvbench_depth.scoring import field_of

PALETTES = {"disparity": "turbo", "depth": "turbo_r"}
"""Near is red in both."""
UNITS = {"disparity": "px", "depth": "m"}
UNKNOWN = (217, 221, 226)
HIDDEN = (215, 48, 39)
NEAR, FAR = 1, 99
"""Percentiles of the known values at the ends of the colour scale."""


def preview(split: Split, problem: Problem, count: int) -> list[Panel]:
    """Return the panels of each sample: its images, the ground-truth map, and the pixels that only one camera sees."""
    field = field_of(problem.extra)
    panels: list[Panel] = []
    places = spread(split, count)
    for place, (batch, targets) in zip(places, split.each(lambda place: _read(split, place), places), strict=True):
        panels += _images(split, place, batch)
        if field in targets:
            panels.append(map_panel(field, np.asarray(targets[field][0])))
        if "occluded" in targets and batch is not None:
            panels.append(_hidden(np.asarray(batch.inputs["left"][0]), np.asarray(targets["occluded"][0])))
    return panels


def map_panel(field: str, values: Array) -> Panel:
    """Return a map (H, W), 0 = unknown, in colours from near (red) to far (blue), with its range; unknown is grey."""
    known = values > 0
    if not known.any():
        return Panel(np.full((*values.shape, 3), UNKNOWN, dtype=np.uint8), f"{field}: unknown everywhere")
    low, high = (float(end) for end in np.percentile(values[known], [NEAR, FAR]))
    shown = shaded(np.where(known, values, 0), low, max(high, low + 1e-6), PALETTES[field])
    mapped = np.where(known[..., None], shown, np.array(UNKNOWN, dtype=np.uint8))
    missing = "" if known.all() else f", unknown grey: {1 - known.mean():.0%}"
    return Panel(mapped, f"{field} {low:.1f} to {high:.1f} {UNITS[field]}, near red{missing}")


def _read(split: Split, place: int) -> tuple[Batch | None, Targets]:
    """Return a sample; without images, as when stored predictions are scored, its target alone."""
    try:
        return split.read([place])
    except DataError:
        return None, {name: [column[place]] for name, column in split.targets().items()}


def _images(split: Split, place: int, batch: Batch | None) -> list[Panel]:
    if batch is None:
        return []
    panels: list[Panel] = []
    for kind in ("left", "image", "right"):
        if kind in batch.inputs:
            name = kind if panels else f"{split.ids[place]}{'' if kind == 'image' else f', {kind}'}"
            panels.append(Panel(colored(np.asarray(batch.inputs[kind][0])), name))
    for number, frame in enumerate(np.asarray(batch.inputs["frames"][0]) if "frames" in batch.inputs else ()):
        panels.append(Panel(colored(frame), f"frame {number}"))
    return panels


def _hidden(left: Array, occluded: Array) -> Panel:
    """Return the left image, paled, with the pixels that the right camera does not see in red."""
    paled = (colored(left).astype(np.uint16) + 2 * 255) // 3
    shown = np.where(occluded[..., None], np.array(HIDDEN, dtype=np.uint8), paled.astype(np.uint8))
    return Panel(shown, f"hidden from the right camera: {occluded.mean():.0%}")
