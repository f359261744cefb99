"""Viola and Jones' detector: Haar-like features, boosted stumps, and a cascade of them."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_REFERENCE = "Viola and Jones, Rapid object detection using a boosted cascade of simple features, CVPR 2001"


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the boosted classifier of patches."""
    return [
        ModelSpec(
            name="viola_jones",
            kinds=("classification",),
            target="mlcvbench_viola_jones.classifier:HaarBoost",
            summary="AdaBoost on decision stumps, each over one Haar-like feature of the patch.",
            params=(
                Param("stumps", "int", default=50, low=1, high=10_000, help="rounds of boosting"),
                Param("features", "int", default=10_000, low=1, high=162_336, help="features drawn to choose among"),
            ),
            ragged=True,
            family="boosting",
            reference=_REFERENCE,
            year=2001,
        ),
    ]
