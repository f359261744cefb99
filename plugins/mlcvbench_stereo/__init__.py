"""Stereo: disparity from the two images of a rectified pair. Hooks only; methods are imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the stereo methods."""
    from mlcvbench_stereo.catalogue import specs

    return specs()
