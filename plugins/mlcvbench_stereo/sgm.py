"""Semi-global matching (Hirschmüller 2008): window costs, and what a step in disparity costs along several directions.

`scan_paths` has the equations. C is Birchfield and Tomasi's difference over a block, the sum of absolute differences or
census, not mutual information as in the paper. With the default cost the map is that of OpenCV's StereoSGBM to the last
sixteenth of a pixel, in modes of 4, 5 and 8 directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Problem
from mlcvbench_stereo.cost_volume import window_costs
from mlcvbench_stereo.matcher import Matcher, blank_beside, channels_first, check_penalties, grey
from mlcvbench_stereo.pixel_costs import COSTS
from mlcvbench_stereo.scan_paths import DIRECTIONS, Penalties, largest_sum, path_sums
from mlcvbench_stereo.winners import HOLE, filled, median3, winners, without_speckles


def semi_global_matching(problem: Problem, **params: Any) -> Matcher:
    """Return the search of our own, or OpenCV's."""
    if params["search"] == "own":
        return SemiGlobalMatching(problem, **params)
    from mlcvbench_stereo import opencv

    return opencv.SemiGlobalMatching(problem, **params)


class SemiGlobalMatching(Matcher):
    """Winner takes all over sums of path costs; then the checks, a parabola, a median and no small blobs."""

    name = "sgm"

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        self.ways = DIRECTIONS[params["mode"]]
        self.directions = len(self.ways)
        self.penalties = Penalties(*check_penalties(params, self.channels), params["edges"])
        self._costs: Array | None = None
        self._sums: Array | None = None

    def match(self, left: Array, right: Array) -> Array:
        params = self.params
        cost = COSTS[params["cost"]](channels_first(left), channels_first(right), self.disparities)
        largest = largest_sum(cost.largest * params["block"] ** 2, self.directions, self.penalties)
        dtype = np.int16 if largest <= np.iinfo(np.int16).max else np.int32
        # kept from image to image: memory that is new to the process takes as long to come as it takes to fill
        self._costs = window_costs(cost, params["block"], dtype, self._costs)
        self._sums = path_sums(self._costs, self.ways, self.penalties, grey(left)[:, self.disparities :], self._sums)
        found = winners(self._sums, params["uniqueness"], params["consistency"])
        found = median3(blank_beside(found, HOLE, self.disparities))
        found = without_speckles(found, params["speckle_window"], params["speckle_range"])
        if params["fill"]:
            found[:, self.disparities :] = filled(found[:, self.disparities :])
        return found
