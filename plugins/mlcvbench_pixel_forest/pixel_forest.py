"""A random forest on colour and texture, one pixel at a time."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Operations
from mlcvbench_pixel_forest.color_texture import feature_count, feature_planes, multiply_adds
from mlcvbench_pixel_forest.model import ForestModel, Pixels


class PixelForest(ForestModel):
    """Predict the class of each pixel from the filters of `color_texture` around it.

    Class probabilities are smoothed by a Gaussian of sigma `smooth` pixels before the most probable class is taken, for
    neighbours mostly belong together; `smooth=0` decides each pixel alone.
    """

    name = "pixel_forest"
    kind = "image"

    def pixels(self, image: Array, chosen: Array | None = None) -> Pixels:
        planes = feature_planes(image, position=self.params["position"])
        columns = planes.reshape(len(planes), -1)  # (F, H * W)
        if chosen is None:
            return Pixels(columns, np.arange(columns.shape[1]))
        return Pixels(columns[:, chosen], chosen)

    def decide(self, probabilities: Array) -> Array:
        import cv2

        sigma = self.params["smooth"]
        smooth = np.ascontiguousarray(probabilities, dtype=np.float32)
        if sigma > 0:
            # a channel at a time: OpenCV filters at most four at once
            planes = [
                cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
                for plane in np.moveaxis(smooth, 2, 0)
            ]
            smooth = np.stack(planes, axis=2)
        return super().decide(smooth)

    def operations(self, inputs: list[Array]) -> Operations:
        pixels = inputs[0].shape[0] * inputs[0].shape[1]
        return Operations(macs=multiply_adds(pixels), other_ops={"comparisons": self.comparisons(inputs)})

    def feature_count(self, arrays: dict[str, Array]) -> int:
        return feature_count(position=self.params["position"])
