"""Block matching and semi-global matching as OpenCV implements them, on grey images.

Both give disparities in steps of 1/16 px for pixels where they trust the match, and a negative number elsewhere, which
becomes 0, no estimate. A trusted disparity of exactly 0 becomes 1/256 px, as in KITTI's development kit.

OpenCV gives no estimate for as many columns on the left as it searches disparities, since it looks for matches inside
the right image only; so both images are widened on the left by repeating their edge, and the result is cut back, unless
`widen` is off.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Device, Model, Operations, Predictions, Problem
from mlcvbench.errors import RequestError

_STEPS = 16
_SMALLEST = np.float32(1 / 256)
_DEFAULT_DISPARITIES = 64


class _Matcher(Model):
    """Grey conversion, one OpenCV matcher, and its 16ths of pixels as float32 pixels."""

    name: str
    directions: int = 1

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        wanted = params.get("disparities") or problem.extra.get("disparities") or _DEFAULT_DISPARITIES
        self.disparities = int(wanted)
        if self.disparities % 16:
            raise RequestError(f"{self.name}: disparities={self.disparities}: wanted a multiple of 16.")
        if params["block"] % 2 == 0:
            raise RequestError(f"{self.name}: block={params['block']}: wanted an odd number.")
        self._more = self.disparities if params["widen"] else 0
        self._matcher = self._make()

    @abstractmethod
    def _make(self) -> Any:
        """Return OpenCV's matcher with the method's settings."""

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def preprocess(self, batch: Batch) -> list[tuple[Array, Array]]:
        return [
            (self._widened(left), self._widened(right))
            for left, right in zip(batch.inputs["left"], batch.inputs["right"], strict=True)
        ]

    def forward(self, inputs: list[tuple[Array, Array]]) -> list[Array]:
        return [self._matcher.compute(left, right) for left, right in inputs]  # int16 (H, W) each

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {"disparity": [_to_pixels(steps[:, self._more :]) for steps in outputs]}

    def _widened(self, image: Array) -> Array:
        """Return an image as grey uint8 (H, D + W), its first column repeated D times; D is 0 without `widen`."""
        return np.pad(_grey(image), ((0, 0), (self._more, 0)), mode="edge")

    def operations(self, inputs: list[tuple[Array, Array]]) -> Operations:
        pixels = inputs[0][0].size
        other = {"matching_costs": pixels * self.disparities}
        if self.directions > 1:
            other["path_updates"] = pixels * self.disparities * self.directions
        return Operations(macs=None, other_ops=other, reason="the method compares and adds; it has no multiply-adds")


class BlockMatching(_Matcher):
    """OpenCV's StereoBM: sums of absolute differences over a window, with its default pre- and post-filters."""

    name = "block_matching"

    def _make(self) -> Any:
        import cv2

        return cv2.StereoBM.create(numDisparities=self.disparities, blockSize=self.params["block"])


class SemiGlobalMatching(_Matcher):
    """OpenCV's StereoSGBM, the sum over directions r of the path costs of Hirschmüller's equation 13.

    L_r(p, d) = C(p, d) + min(L_r(p-r, d), L_r(p-r, d-1) + P1, L_r(p-r, d+1) + P1, m + P2) - m with
    m = min_k L_r(p-r, k). C is Birchfield and Tomasi's difference over a block, not mutual information as in the paper.
    """

    name = "sgm"

    def _make(self) -> Any:
        import cv2

        modes = {
            "sgbm": (cv2.STEREO_SGBM_MODE_SGBM, 5),
            "hh": (cv2.STEREO_SGBM_MODE_HH, 8),
            "3way": (cv2.STEREO_SGBM_MODE_SGBM_3WAY, 3),
        }
        mode, self.directions = modes[self.params["mode"]]
        area = self.params["block"] ** 2
        p1, p2 = self.params.get("p1"), self.params.get("p2")
        p1, p2 = 8 * area if p1 is None else p1, 32 * area if p2 is None else p2
        if p2 <= p1:
            raise RequestError(f"sgm: p1={p1}, p2={p2}: wanted p2 larger than p1.")
        return cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self.disparities,
            blockSize=self.params["block"],
            P1=p1,
            P2=p2,
            disp12MaxDiff=self.params["consistency"],
            uniquenessRatio=self.params["uniqueness"],
            speckleWindowSize=self.params["speckle_window"],
            speckleRange=self.params["speckle_range"],
            mode=mode,
        )


def _grey(image: Array) -> Array:
    """Return a uint8 image (H, W) or (H, W, 3) as grey, contiguous."""
    import cv2

    return (
        np.ascontiguousarray(image)
        if image.ndim == 2
        else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    )


def _to_pixels(steps: Array) -> Array:
    """Return int16 sixteenths (H, W) as float32 pixels, 0 = no estimate."""
    pixels = steps.astype(np.float32) / np.float32(_STEPS)
    pixels[steps == 0] = _SMALLEST
    pixels[steps < 0] = 0
    return pixels
