"""Block matching and semi-global matching as OpenCV implements them: `model.search=opencv`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mlcvbench.contract import Array, Device, Problem
from mlcvbench.errors import RequestError
from mlcvbench_stereo.matcher import Matcher, check_penalties


class _OpenCVMatcher(Matcher):
    """One of OpenCV's matchers, with as many threads as the device has."""

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        self._matcher = self._make()

    @abstractmethod
    def _make(self) -> Any:
        """Return OpenCV's matcher with the method's settings."""

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def match(self, left: Array, right: Array) -> Array:
        found: Array = self._matcher.compute(left, right)
        return found


class BlockMatching(_OpenCVMatcher):
    """OpenCV's StereoBM: sums of absolute differences over a window, with its default pre- and post-filters; grey."""

    name = "block_matching"

    def _make(self) -> Any:
        import cv2

        return cv2.StereoBM.create(numDisparities=self.disparities, blockSize=self.params["block"])


class SemiGlobalMatching(_OpenCVMatcher):
    """OpenCV's StereoSGBM: path costs over Birchfield and Tomasi's difference in a block, as in our own search.

    With 3 directions OpenCV takes short cuts of its own, so that its results are others than ours.
    """

    name = "sgm"

    def _make(self) -> Any:
        import cv2

        modes = {
            "sgbm": (cv2.STEREO_SGBM_MODE_SGBM, 5),
            "hh": (cv2.STEREO_SGBM_MODE_HH, 8),
            "hh4": (cv2.STEREO_SGBM_MODE_HH4, 4),
            "3way": (cv2.STEREO_SGBM_MODE_SGBM_3WAY, 3),
        }
        mode, self.directions = modes[self.params["mode"]]
        small, large = check_penalties(self.params, self.channels)
        consistency = self.params["consistency"]
        if consistency == 0:
            raise RequestError(
                "sgm: consistency=0: OpenCV takes it for 1; set model.consistency=1 or model.search=own."
            )
        return cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self.disparities,
            blockSize=self.params["block"],
            P1=small,
            P2=large,
            disp12MaxDiff=consistency if consistency > 0 else self.disparities,  # it takes -1 for 1 too
            uniquenessRatio=self.params["uniqueness"],
            speckleWindowSize=self.params["speckle_window"],
            speckleRange=self.params["speckle_range"],
            mode=mode,
        )
