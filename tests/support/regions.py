"""What tests of detectors by regions share: models by name."""

from __future__ import annotations

from typing import Any

from support.detecting import model_in

from mlcvbench_networks.bases.detector import Detector
from mlcvbench_rcnn import mlcvbench_models

SPECS = {spec.name: spec for spec in mlcvbench_models()}


def model_of(name: str, classes: int = 3, **params: Any) -> Detector:
    """Return a method of the family with its declared defaults, changed by `params`."""
    return model_in(SPECS, name, classes, **params)
