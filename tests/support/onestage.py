"""What tests of one-stage detectors share: models by name, and outputs by anchors that say objects."""

from __future__ import annotations

from typing import Any

import torch
from support.detecting import by_level, grids_of, model_in, one_hot

from mlcvbench_networks.bases.detector import Detector
from mlcvbench_networks.detection.assignment import by_overlap, classes_of
from mlcvbench_networks.detection.box_coding import encode_deltas
from mlcvbench_onestage import mlcvbench_models
from mlcvbench_training.sample_batch import Objects

SPECS = {spec.name: spec for spec in mlcvbench_models()}


def model_of(name: str, classes: int = 3, **params: Any) -> Detector:
    """Return a detector of the family with its declared defaults, changed by `params`."""
    return model_in(SPECS, name, classes, **params)


def exact_anchors(model: Any, objects: list[Objects]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the outputs of a detector by anchors that say these objects."""
    grids = grids_of(model.layout.strides)
    levels = model.layout.on(grids)
    sizes = [len(level) for level in levels]
    anchors = torch.cat(levels)
    logits, deltas = [], []
    for own in objects:
        chosen = by_overlap(anchors, own.boxes, own.ignored, low=0.4, high=0.5, nearest=True)
        logits.append(one_hot(classes_of(chosen, own.labels), len(model.problem.classes)).split(sizes))
        delta = torch.zeros(len(anchors), 4)
        delta[chosen >= 0] = encode_deltas(own.boxes[chosen[chosen >= 0]], anchors[chosen >= 0])
        deltas.append(delta.split(sizes))
    return by_level(logits, grids), by_level(deltas, grids)
