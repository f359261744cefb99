"""Depth from one image. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the monocular methods."""
    from mlcvbench_monodepth.catalogue import specs

    return specs()
