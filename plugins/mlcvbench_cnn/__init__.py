"""Convolutional networks, from AlexNet to MobileNet. Hooks only; the networks are imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return every network of the course's chapters 6 and 7."""
    from mlcvbench_cnn.catalogue import specs

    return specs()
