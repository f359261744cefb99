"""A random forest on differences of depth: body parts and joints, as the Kinect's tracker finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Batch, Operations, ParameterCounts, Predictions, Problem, Split
from mlcvbench.errors import RecordError, RequestError
from mlcvbench.files.arrays import write_arrays
from mlcvbench_pixel_forest.depth_features import depth_differences, draw_offsets, measured
from mlcvbench_pixel_forest.joints import PartSettings, joint_proposals
from mlcvbench_pixel_forest.model import ForestModel, Pixels

BACKGROUND = "background"


class Answer(NamedTuple):
    """The label map of an image, and of its measured pixels the places (n,) and probabilities (n, C)."""

    label_map: Array
    places: Array
    probabilities: Array


class DepthForest(ForestModel):
    """Predict the class of each measured pixel from `features` random pairs of offsets around it.

    Where the data tell the camera (`intrinsics`), each part's joint proposals are returned as well, unless
    `joints=false`: the modes of its pixels' density in space (module `joints`). `bandwidth`, `threshold` and `offset`
    have one number for all parts or one for each class.

    What differs from the paper: the forest chooses among one pool of random features, at each node among a random
    subset of the pool's square root, and finds the best threshold of each exactly; the paper draws 2,000 features
    and 50 thresholds for each node. Trees are 16 deep by default, not 20, for hundreds of images, not a million. Pixels
    without a measurement get the first class. Bandwidth, threshold and offset of joints are set, not searched for each
    part; the least probability is the mean of the paper's, the bandwidth three times theirs, for a part is here a whole
    limb, not one of 31 pieces, and proposals stay on the surface unless `offset` is set.
    """

    name = "depth_forest"
    kind = "depth"
    offsets: Array
    """float32 (F, 2, 2), pixel-metres; after fit only those that the forest uses."""

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        self.parts = self._parts() if self.params["joints"] else {}

    def _parts(self) -> dict[int, PartSettings]:
        """Return the settings of each class that is a part; RequestError for a list of another length."""
        names, columns = self.problem.classes, []
        for setting in PartSettings._fields:
            numbers = self.params[setting]
            if len(numbers) not in (1, len(names)):
                raise RequestError(
                    f"{self.name}: model.{setting} has {len(numbers)} numbers; wanted one, or one for each of the "
                    f"{len(names)} classes."
                )
            columns.append(numbers if len(numbers) > 1 else [*numbers] * len(names))
        background = self.problem.extra.get(BACKGROUND, (BACKGROUND,))
        return {
            label: PartSettings(*numbers)
            for label, numbers in enumerate(zip(*columns, strict=True))
            if names[label] not in background
        }

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

    def forward(self, inputs: list[Array]) -> list[Any]:
        if not self.parts:
            return super().forward(inputs)
        found = [self.probabilities(image) for image in inputs]
        return [Answer(self.label_map(image, *own), *own) for image, own in zip(inputs, found, strict=True)]

    def postprocess(self, outputs: list[Any], batch: Batch) -> Predictions:
        if not self.parts:
            return super().postprocess(outputs, batch)
        predictions = super().postprocess([answer.label_map for answer in outputs], batch)
        if "intrinsics" in batch.meta:
            seen = zip(batch.inputs[self.kind], outputs, batch.meta["intrinsics"], strict=True)
            predictions["joints"] = [
                joint_proposals(image, answer.places, answer.probabilities, camera, self.parts)
                for image, answer, camera in seen
            ]
        return predictions

    def operations(self, inputs: list[Array]) -> Operations:
        measured_pixels = sum(int(measured(image).sum()) for image in inputs) // max(1, len(inputs))
        other = {
            "comparisons": self.comparisons(inputs),
            "depth_differences": measured_pixels * len(self.offsets),
        }
        apart = "; the search for joints is not counted" if self.parts else ""
        return Operations(macs=None, other_ops=other, reason=f"the method subtracts and compares depths{apart}")

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
