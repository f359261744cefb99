"""What matchers of two images share: the search range, widened images, grey or colour, and maps in pixels.

A matcher gives disparities in sixteenths of a pixel where it trusts the match, and a negative number elsewhere, which
becomes 0, no estimate. A trusted disparity of exactly 0 becomes 1/256 px, as in KITTI's development kit.

There is no estimate for as many columns on the left as disparities are searched, since a match would lie beyond the
right image; so both images are widened on the left by repeating their edge, and the result is cut back, unless `widen`
is off.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Model, Operations, Predictions, Problem
from mlcvbench.errors import RequestError

_STEPS = 16
_SMALLEST = np.float32(1 / 256)
_DEFAULT_DISPARITIES = 64


class Matcher(Model):
    """Pairs as the method wants them, `match`, and its sixteenths of pixels as float32 pixels."""

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

    @property
    def channels(self) -> int:
        """Channels that are compared: 3 of a coloured image with `colour`, else 1."""
        shape = self.problem.inputs["left"].shape
        return int(shape[2] or 3) if self.params.get("colour") and len(shape) == 3 else 1

    @abstractmethod
    def match(self, left: Array, right: Array) -> Array:
        """Return int16 sixteenths (H, W) of images uint8 (H, W) or (H, W, 3), as `preprocess` gives them."""

    def preprocess(self, batch: Batch) -> list[tuple[Array, Array]]:
        return [
            (self._widened(left), self._widened(right))
            for left, right in zip(batch.inputs["left"], batch.inputs["right"], strict=True)
        ]

    def forward(self, inputs: list[tuple[Array, Array]]) -> list[Array]:
        return [self.match(left, right) for left, right in inputs]

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {"disparity": [_to_pixels(steps[:, self._more :]) for steps in outputs]}

    def _widened(self, image: Array) -> Array:
        """Return an image in grey, or as it is where colours are compared, its first column repeated D times."""
        image = np.ascontiguousarray(image) if self.params.get("colour") else grey(image)
        return np.pad(image, ((0, 0), (self._more, 0), *[(0, 0)] * (image.ndim - 2)), mode="edge")

    def operations(self, inputs: list[tuple[Array, Array]]) -> Operations:
        height, width = inputs[0][0].shape[:2]
        compared = inputs[0][0].size * self.disparities
        other = {"matching_costs": compared}
        if self.directions > 1:
            other["path_updates"] = height * width * self.disparities * self.directions
        return Operations(macs=None, other_ops=other, reason="the method compares and adds; it has no multiply-adds")


def check_penalties(params: Mapping[str, Any], channels: int) -> tuple[int, int]:
    """Return P1 and P2: those of the settings, or 8 and 32 for each pixel of the block and channel. RequestError."""
    area = channels * params["block"] ** 2
    p1, p2 = params.get("p1"), params.get("p2")
    p1, p2 = 8 * area if p1 is None else p1, 32 * area if p2 is None else p2
    if p2 <= p1:
        raise RequestError(f"sgm: p1={p1}, p2={p2}: wanted p2 larger than p1.")
    return p1, p2


def grey(image: Array) -> Array:
    """Return a uint8 image (H, W) or (H, W, 3) as grey, contiguous."""
    import cv2

    image = np.ascontiguousarray(image)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def channels_first(image: Array) -> Array:
    """Return an image (H, W) or (H, W, 3) as (channels, H, W)."""
    return image[None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))


def blank_beside(maps: Array, hole: np.int16, columns: int) -> Array:
    """Return a map with so many columns of holes before it: where the search would leave the right image."""
    return np.pad(maps, ((0, 0), (columns, 0)), constant_values=hole)


def _to_pixels(steps: Array) -> Array:
    """Return int16 sixteenths (H, W) as float32 pixels, 0 = no estimate."""
    pixels = steps.astype(np.float32) / np.float32(_STEPS)
    pixels[steps == 0] = _SMALLEST
    pixels[steps < 0] = 0
    return pixels
