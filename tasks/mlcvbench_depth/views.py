"""Maps as a protocol scores them: unscored pixels have no truth, and estimates are filled, scaled and clipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Outcome
from mlcvbench_depth.alignment import Alignment, align
from mlcvbench_depth.measuring import NEAREST, fill_background, to_pixels
from mlcvbench_depth.protocols import FILLED, METRIC, MonoRules, crop_window, is_stereo, parse_mono, parse_stereo
from mlcvbench_depth.scoring import scored_disparity


@dataclass(frozen=True, slots=True)
class View:
    """An image as it is compared: its truth, float32 (H, W) in pixels or metres, 0 where nothing is scored.

    `alignment`: what is done to the estimates, `cap`: the metres they are clipped to, None for disparities.
    """

    truth: Array
    stored: Array
    alignment: Alignment = field(default_factory=Alignment)
    cap: float | None = None

    def estimate(self, where: Any = ...) -> Array:
        """Return the estimates at an index of the map, float32, 0 where there is none; of all pixels if not given."""
        estimate = to_pixels(self.stored[where])
        if self.cap is None:
            return estimate
        aligned = np.clip(self.alignment.apply(estimate), np.float32(NEAREST), np.float32(self.cap))
        has = (estimate > 0) | self.alignment.fitted  # a fit treats 0 like any other number
        return np.where(has, aligned, np.float32(0))


def view_of(outcome: Outcome, unit: int) -> View:
    """Return truth and estimate of an image as the protocol of the outcome compares them."""
    if not is_stereo(outcome.protocol):
        return _depth_view(outcome, unit)
    rules = parse_stereo(outcome.protocol)
    truth, stored = outcome.targets["disparity"][unit], outcome.predictions["disparity"][unit]
    if rules.holes == FILLED:
        stored = np.maximum(fill_background(to_pixels(stored)), np.float32(0))
    return View(scored_disparity(rules, truth, outcome.targets, unit), stored)


def scored_depth(rules: MonoRules, truth: Array) -> Array:
    """Return the truth of an image with 0 where a protocol scores nothing."""
    window = crop_window(rules.crop, *truth.shape)
    inside = truth[window]
    if inside.shape == truth.shape and truth.min() > NEAREST and truth.max() < rules.cap:
        return truth
    scored = np.zeros_like(truth)
    scored[window] = np.where((inside > NEAREST) & (inside < rules.cap), inside, np.float32(0))
    return scored


def _depth_view(outcome: Outcome, unit: int) -> View:
    rules = parse_mono(outcome.protocol)
    truth, stored = scored_depth(rules, outcome.targets["depth"][unit]), outcome.predictions["depth"][unit]
    scored = truth > 0
    if rules.scaling == METRIC or not scored.any():
        return View(truth, stored, cap=rules.cap)
    alignment = align(truth[scored], to_pixels(stored[scored]), rules.scaling, rules.cap)
    return View(truth, stored, alignment, rules.cap)
