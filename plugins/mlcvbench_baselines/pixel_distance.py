"""The baseline of verification: the pixels themselves are the embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Model, Operations, Predictions
from mlcvbench_baselines.grey_pixels import grey_rows


class PixelDistance(Model):
    """Embed an image as its grey pixels, shrunk to `side` x `side` and, for cosine, centred on their mean.

    An image of one grey level has no direction after centring; it gets a constant vector.
    """

    def preprocess(self, batch: Batch) -> list[Array]:
        return [np.ascontiguousarray(image) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> Array:
        rows = grey_rows(inputs, self.params["side"])
        if self.params["distance"] == "cosine":
            for row in rows:
                np.subtract(row, row.mean(), out=row)
            rows[~rows.any(axis=1)] = 1
        return rows

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        return {"embedding": outputs, "distance": self.params["distance"]}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=None, reason="shrinking an image has a negligible number of multiply-adds")
