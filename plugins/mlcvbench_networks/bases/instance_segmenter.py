"""An instance segmenter: a detector that gives a mask with each box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mlcvbench.contract import Array, Predictions
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.detection.masks import paste_masks


class InstanceSegmenter(Detector):
    """Find objects and their pixels. `decode` gives `masks` too: probabilities on a grid over each box.

    A pixel belongs to an object from a probability of `INSIDE` on. `batch.objects` of a loss have masks.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"objects": True, "masks": True}
    INSIDE: ClassVar[float] = 0.5

    def columns(self, found: Sequence[Detections], sizes: Sequence[tuple[int, int]]) -> Predictions:
        masks = [self.pasted(one, size) for one, size in zip(found, sizes, strict=True)]
        return {**super().columns(found, sizes), "masks": masks}

    def pasted(self, found: Detections, size: tuple[int, int]) -> Array:
        """Return the masks of an image (H, W), bool (K, H, W)."""
        if found.masks is None:
            raise TypeError(f"{type(self).__name__}.decode gave no masks for its boxes.")
        masks: Array = paste_masks(found.masks, found.boxes, size, self.INSIDE).cpu().numpy()
        return masks
