"""A random forest on differences of depth: the body part of each pixel, as the Kinect's tracker finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Operations, ParameterCounts, Split
from mlcvbench.errors import RecordError
from mlcvbench.files.arrays import write_arrays
from mlcvbench_pixel_forest.depth_features import depth_differences, draw_offsets, measured
from mlcvbench_pixel_forest.model import ForestModel, Pixels


class DepthForest(ForestModel):
    """Predict the class of each measured pixel from `features` random pairs of offsets around it.

    What differs from the paper: the forest chooses among one pool of random features, at each node among a random
    subset of the pool's square root, and finds the best threshold of each exactly; the paper draws 2,000 features
    and 50 thresholds for each node. Trees are 16 deep by default, not 20, for hundreds of images, not a million. Pixels
    without a measurement get the first class.
    """

    name = "depth_forest"
    kind = "depth"
    offsets: Array
    """float32 (F, 2, 2), pixel-metres; after fit only those that the forest uses."""

    def prepare(self, train: Split, generator: np.random.Generator) -> None:
        height = self.problem.inputs["depth"].shape[0] or len(train.read([0])[0].inputs["depth"][0])
        self.offsets = draw_offsets(self.params["features"], self.params["reach"] * height, generator)

    def reduce(self) -> None:
        self.forest, used = self.forest.with_used_features()
        self.offsets = self.offsets[used]

    def usable(self, image: Array) -> Array:
        return measured(image).reshape(-1)

    def pixels(self, image: Array, chosen: Array | None = None) -> Pixels:
        places = np.flatnonzero(self.usable(image)) if chosen is None else chosen
        return Pixels(depth_differences(image, places, self.offsets), places)

    def operations(self, inputs: list[Array]) -> Operations:
        measured_pixels = sum(int(measured(image).sum()) for image in inputs) // max(1, len(inputs))
        other = {
            "comparisons": self.comparisons(inputs),
            "depth_differences": measured_pixels * len(self.offsets),
        }
        return Operations(macs=None, other_ops=other, reason="the method subtracts and compares depths")

    def parameters(self) -> ParameterCounts:
        forest = super().parameters()
        return ParameterCounts(trainable=forest.trainable + self.offsets.size, bytes=forest.bytes + self.offsets.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / f"{self.name}.safetensors", self.forest.arrays | {"offsets": self.offsets})

    def load(self, folder: Path) -> None:
        self.forest, arrays = self._read(folder, {"offsets": ("float32", 3)})
        self.offsets = arrays["offsets"]

    def feature_count(self, arrays: dict[str, Array]) -> int:
        offsets = arrays["offsets"]
        if offsets.shape[1:] != (2, 2) or not np.isfinite(offsets).all():
            raise RecordError(f"{self.name}.safetensors: wanted finite offsets (F, 2, 2), got {offsets.shape}.")
        return len(offsets)
