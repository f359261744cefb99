"""What tests of detectors by regions share: models by name, objects with masks, regions that say the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from support.detecting import FRAME, SURE, model_in, objects_of

from mlcvbench_networks.bases.detector import Detector
from mlcvbench_networks.detection.box_coding import REGIONS, encode_deltas
from mlcvbench_rcnn import mlcvbench_models
from mlcvbench_rcnn.region_head import RegionAnswers
from mlcvbench_training.sample_batch import Objects

SPECS = {spec.name: spec for spec in mlcvbench_models()}


def model_of(name: str, classes: int = 3, **params: Any) -> Detector:
    """Return a method of the family with its declared defaults, changed by `params`."""
    return model_in(SPECS, name, classes, **params)


def masked(objects: list[Objects], frame: tuple[int, int] = FRAME) -> list[Objects]:
    """Return the objects with the pixels whose middles are in their boxes as masks."""
    y, x = (torch.arange(side) + 0.5 for side in frame)
    found = []
    for own in objects:
        x0, y0, x1, y1 = own.boxes[:, :, None].unbind(dim=1)
        rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
        found.append(replace(own, masks=rows[:, :, None] & columns[:, None, :]))
    return found


def masked_objects_of(*given: Any, frame: tuple[int, int] = FRAME, **further: Any) -> list[Objects]:
    return masked(objects_of(*given, frame=frame, **further), frame)


def beside(boxes: torch.Tensor, share: float = 0.1) -> torch.Tensor:
    """Return boxes moved by a share of their sides, so that they still overlap what they came from by 0.6."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + share * sides


def true_answers(objects: list[Objects], classes: int) -> RegionAnswers:
    """Return what a head says of a region beside each object and one of background an image, if it is right."""
    regions, logits, deltas = [], [], []
    for own in objects:
        around = torch.cat((beside(own.boxes), torch.tensor([[0.0, 0.0, 40.0, 20.0]])))
        said, moved = torch.full((len(around), classes + 1), -SURE), torch.zeros(len(around), classes + 1, 4)
        labels = torch.cat((own.labels + 1, torch.zeros(1).long()))
        places = torch.arange(len(around))
        said[places, labels] = SURE
        moved[places[:-1], labels[:-1]] = encode_deltas(own.boxes, around[:-1], REGIONS)
        regions.append(around)
        logits.append(said)
        deltas.append(moved)
    return RegionAnswers(regions, torch.cat(logits), torch.cat(deltas))
