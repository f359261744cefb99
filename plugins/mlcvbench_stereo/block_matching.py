"""Block matching: the window of the right image that is most like the one around a pixel of the left image.

Sums of absolute differences, or of bits of census transforms, over a square window; the best disparity of each pixel is
taken by itself. Scharstein and Szeliski, "A Taxonomy and Evaluation of Dense Two-Frame Stereo Correspondence
Algorithms" (2002), section 4, has the steps: cost, aggregation over the window, winner takes all, refinement.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Problem
from mlcvbench_stereo.cost_volume import window_costs
from mlcvbench_stereo.matcher import Matcher, blank_beside, channels_first
from mlcvbench_stereo.pixel_costs import COSTS
from mlcvbench_stereo.winners import HOLE, winners, without_speckles


def block_matching(problem: Problem, **params: Any) -> Matcher:
    """Return the search of our own, or OpenCV's."""
    if params["search"] == "own":
        return BlockMatching(problem, **params)
    from mlcvbench_stereo import opencv

    return opencv.BlockMatching(problem, **params)


class BlockMatching(Matcher):
    """Winner takes all over window costs; then uniqueness, the left-right check and a parabola between levels."""

    name = "block_matching"

    def match(self, left: Array, right: Array) -> Array:
        params = self.params
        cost = COSTS[params["cost"]](channels_first(left), channels_first(right), self.disparities)
        fits = cost.largest * params["block"] ** 2 <= np.iinfo(np.int16).max
        costs = window_costs(cost, params["block"], np.int16 if fits else np.int32)
        found = winners(costs, params["uniqueness"], params["consistency"])
        found = blank_beside(found, HOLE, self.disparities)
        return without_speckles(found, params["speckle_window"], params["speckle_range"])
