"""Cascades run by OpenCV: the same windows as ours of the search `image`, faster."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_viola_jones.cascade import Cascade
from mlcvbench_viola_jones.opencv_xml import write_xml
from mlcvbench_viola_jones.search import Found, Search, in_order


class OpencvCascade:
    """A cascade in a `cv2.CascadeClassifier`."""

    def __init__(self, cascade: Cascade) -> None:
        import cv2

        # with one stage OpenCV reports windows without contrast as accepted; the same stage twice accepts the same ones
        twice = dataclasses.replace(cascade, **_twice(cascade)) if cascade.stages == 1 else cascade
        self._limit = cascade.limits[-1]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cascade.xml"
            write_xml(twice, path)
            self._classifier: Any = cv2.CascadeClassifier(str(path))

    def find(self, image: Array, search: Search) -> Found:
        """Return the windows that `search.find` returns for an image uint8 (H, W), and none of the counts."""
        boxes, _, sums = self._classifier.detectMultiScale3(
            image, scaleFactor=search.factor, minNeighbors=0, outputRejectLevels=True
        )
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        margins = np.asarray(sums, dtype=np.float64).ravel() - self._limit
        return in_order(Found(corners, margins))  # OpenCV's threads finish in no fixed order


def _twice(cascade: Cascade) -> dict[str, Any]:
    features = cascade.features.take(np.tile(np.arange(len(cascade.features)), 2))
    columns = {name: np.tile(getattr(cascade, name), 2) for name in ("thresholds", "left", "right", "limits")}
    return {**columns, "features": features, "ends": np.append(cascade.ends, 2 * cascade.ends)}
