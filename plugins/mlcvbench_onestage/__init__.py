"""Detectors that look at an image once, from YOLOv3 to EfficientDet. Hooks only; networks are imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return every detector of the family."""
    from mlcvbench_onestage.catalogue import specs

    return specs()
