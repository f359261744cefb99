"""The annotation columns that protocols compare with, derived from others where a format lacks them.

So COCO's protocols work on VOC's data and VOC's on COCO's. An area is width x height of the box, which for VOC is
(xmax - xmin) x (ymax - ymin). VOC's difficult objects and COCO's crowds stand for each other: neither has to be found.
Annotations count from 1.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Targets
from mlcvbench_detection.geometry.ragged import Ragged, ragged

STAND_INS = {"crowd": "difficult", "difficult": "crowd"}
"""Flags of annotations that do not have to be found, and the flag that replaces each where it is missing."""


def truth_of(targets: Targets, name: str) -> Ragged:
    """Return the column `area` float64, `crowd`, `difficult`, `ignore` bool or `annotation` int64, given or derived."""
    if name in targets:
        return ragged(targets, name)
    boxes = ragged(targets, "xywh")
    made: Array
    if name == "area":
        made = boxes.values[:, 2] * boxes.values[:, 3]
    elif name == "annotation":
        made = np.arange(1, len(boxes.values) + 1)
    elif STAND_INS.get(name) in targets:
        return ragged(targets, STAND_INS[name])
    else:
        made = np.zeros(len(boxes.values), dtype=bool)
    return Ragged(made, boxes.starts)
