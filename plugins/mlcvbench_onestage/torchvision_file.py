"""Weights of torchvision's RetinaNet and FCOS: of their logits, those of the data set's classes are taken."""

from __future__ import annotations

from typing import ClassVar

import torch

from mlcvbench_networks.bases.torchvision_detector import TakesTorchvisions
from mlcvbench_networks.detection.categories import Known, outputs_of_classes


class OneStageOfTorchvision(TakesTorchvisions):
    """A detector of one stage that `weights=FILE` may give torchvision's weights; `EACH`: anchors a cell."""

    LOGITS = "head.classification_head.cls_logits"
    EACH: ClassVar[int]

    def tell_classes(self, given: dict[str, torch.Tensor], source: str) -> Known:
        own = len(self.problem.classes)
        known = self.known(len(given[f"{self.LOGITS}.bias"]) // self.EACH, own, source) or Known.all_of(own)
        for part in ("weight", "bias"):
            name = f"{self.LOGITS}.{part}"
            given[name] = outputs_of_classes(given[name], known.places, self.EACH)
        return known
