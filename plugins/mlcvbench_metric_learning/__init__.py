"""Networks that learn who is alike, from Siamese pairs to ArcFace. Hooks only; the code is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return every method of the family."""
    from mlcvbench_metric_learning.catalogue import specs

    return specs()
