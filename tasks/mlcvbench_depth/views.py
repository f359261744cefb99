"""Maps as a protocol scores them: what is left out has no truth, and estimates are filled, scaled and clipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Outcome
from mlcvbench_depth.measuring import NEAREST, fill_background, median_factor, to_pixels
from mlcvbench_depth.protocols import FILLED, STEREO_RULES, crop_window, parse_mono
from mlcvbench_depth.scoring import OCCLUDED, seen_truth


class View(NamedTuple):
    """Float32 (H, W) in pixels or metres: `truth` 0 where nothing is scored, `estimate` 0 where there is none.

    `factor`: what the estimate was multiplied with.
    """

    truth: Array
    estimate: Array
    factor: float = 1.0


def view_of(outcome: Outcome, unit: int) -> View:
    """Return truth and estimate of an image as the protocol of the outcome compares them."""
    rules = STEREO_RULES.get(outcome.protocol)
    if rules is None:
        return _depth_view(outcome, unit)
    truth, estimate = outcome.targets["disparity"][unit], to_pixels(outcome.predictions["disparity"][unit])
    if rules.seen_only:
        truth = seen_truth(truth, outcome.targets[OCCLUDED], unit)
    if rules.holes == FILLED:
        estimate = np.maximum(fill_background(estimate), np.float32(0))
    return View(truth, estimate)


def _depth_view(outcome: Outcome, unit: int) -> View:
    rules = parse_mono(outcome.protocol)
    truth, estimate = outcome.targets["depth"][unit], outcome.predictions["depth"][unit].astype(np.float32)
    scored = np.zeros(truth.shape, dtype=bool)
    scored[crop_window(rules.crop, *truth.shape)] = True
    scored &= (truth > NEAREST) & (truth < rules.cap)
    factor = np.float32(1)
    if rules.median_scale and scored.any():
        factor = median_factor(truth[scored], estimate[scored])
    scaled = np.clip(estimate * factor, np.float32(NEAREST), np.float32(rules.cap))
    return View(np.where(scored, truth, np.float32(0)), np.where(estimate > 0, scaled, np.float32(0)), float(factor))
