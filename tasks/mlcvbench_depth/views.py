"""Maps as a protocol scores them: unscored pixels have no truth, and estimates are filled, scaled and clipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Outcome
from mlcvbench_depth.alignment import Alignment, align
from mlcvbench_depth.measuring import NEAREST, fill_background, to_pixels
from mlcvbench_depth.protocols import FILLED, MonoRules, crop_window, is_stereo, parse_mono, parse_stereo
from mlcvbench_depth.scoring import scored_disparity


class View(NamedTuple):
    """Float32 (H, W) in pixels or metres: `truth` 0 where nothing is scored, `estimate` 0 where there is none.

    `alignment`: what was done to the estimate.
    """

    truth: Array
    estimate: Array
    alignment: Alignment = Alignment()


def view_of(outcome: Outcome, unit: int) -> View:
    """Return truth and estimate of an image as the protocol of the outcome compares them."""
    if not is_stereo(outcome.protocol):
        return _depth_view(outcome, unit)
    rules = parse_stereo(outcome.protocol)
    truth, estimate = outcome.targets["disparity"][unit], to_pixels(outcome.predictions["disparity"][unit])
    if rules.holes == FILLED:
        estimate = np.maximum(fill_background(estimate), np.float32(0))
    return View(scored_disparity(rules, truth, outcome.targets, unit), estimate)


def scored_depth(rules: MonoRules, truth: Array) -> Array:
    """Return the truth of an image with 0 where a protocol scores nothing."""
    window, scored = crop_window(rules.crop, *truth.shape), np.zeros_like(truth)
    inside = truth[window]
    scored[window] = np.where((inside > NEAREST) & (inside < rules.cap), inside, np.float32(0))
    return scored


def _depth_view(outcome: Outcome, unit: int) -> View:
    rules = parse_mono(outcome.protocol)
    truth = scored_depth(rules, outcome.targets["depth"][unit])
    estimate, scored = outcome.predictions["depth"][unit].astype(np.float32), truth > 0
    alignment = align(truth[scored], estimate[scored], rules.scaling, rules.cap) if scored.any() else Alignment()
    aligned = np.clip(alignment.apply(estimate), np.float32(NEAREST), np.float32(rules.cap))
    has = (estimate > 0) | alignment.fitted  # a fit treats 0 like any other number
    return View(truth, np.where(has, aligned, np.float32(0)), alignment)
