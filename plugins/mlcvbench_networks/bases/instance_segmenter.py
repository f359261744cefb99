"""An instance segmenter: a detector that gives a mask with each box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torchvision.models.detection.roi_heads import paste_masks_in_image

from mlcvbench.contract import Array, Predictions
from mlcvbench_networks.bases.detector import Detections, Detector


class InstanceSegmenter(Detector):
    """Find objects and their pixels. `decode` gives `masks` too: probabilities in the frame of each box.

    A pixel belongs to an object from a probability of `INSIDE` on.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"objects": True, "masks": True}
    INSIDE: ClassVar[float] = 0.5

    def columns(self, found: Sequence[Detections], sizes: Sequence[tuple[int, int]]) -> Predictions:
        masks = [self.pasted(one, size) for one, size in zip(found, sizes, strict=True)]
        return {**super().columns(found, sizes), "masks": masks}

    def pasted(self, found: Detections, size: tuple[int, int]) -> Array:
        """Return the masks of an image (H, W), bool (K, H, W)."""
        if not len(found.boxes) or found.masks is None:
            return np.zeros((0, *size), dtype=np.bool_)
        whole = paste_masks_in_image(found.masks.float(), found.boxes, size)  # (K, 1, H, W)
        inside: Array = (whole[:, 0] >= self.INSIDE).cpu().numpy()
        return inside
