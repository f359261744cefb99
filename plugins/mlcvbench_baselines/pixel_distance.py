"""The floor of verification: the pixels themselves are the embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Model, Operations, Predictions


class PixelDistance(Model):
    """Embed an image as its grey pixels, shrunk to `side` x `side` and, for cosine, centred on their mean.

    An image of one grey level has no direction after centring; it gets the same number everywhere.
    """

    def preprocess(self, batch: Batch) -> list[Array]:
        return [np.ascontiguousarray(image) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> Array:
        import cv2

        side, centred = self.params["side"], self.params["distance"] == "cosine"
        rows = np.empty((len(inputs), side * side), dtype=np.float32)
        for row, image in zip(rows, inputs, strict=True):
            grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            row[:] = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).ravel() / np.float32(255)
            if centred:
                np.subtract(row, row.mean(), out=row)
                if not row.any():
                    row[:] = 1
        return rows

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        return {"embedding": outputs, "distance": self.params["distance"]}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=None, reason="shrinking an image has no multiply-adds worth counting")
