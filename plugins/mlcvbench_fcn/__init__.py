"""Segmenters, from the sliding window to DeepLab. Hooks only; networks are imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return every method of the family."""
    from mlcvbench_fcn.catalogue import specs

    return specs()
