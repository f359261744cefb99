"""The methods by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 128 pixels on a CPU; the module of each method says which settings give
the published one.
"""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_networks.backbone_params import backbone_params
from mlcvbench_rcnn.settings import FIT
from mlcvbench_training.settings import network_fit_params


def specs() -> list[ModelSpec]:
    """Return every method of the family."""
    return [_localizer()]


def _method(
    name: str,
    target: str,
    summary: str,
    reference: str,
    year: int,
    params: tuple[Param, ...],
) -> ModelSpec:
    return ModelSpec(
        name=name,
        kinds=("detection",),
        target=f"mlcvbench_rcnn.{target}",
        summary=summary,
        params=(*backbone_params(), *params),
        fit=network_fit_params(FIT),
        ragged=True,
        family="regions",
        reference=reference,
        year=year,
    )


def _localizer() -> ModelSpec:
    return _method(
        "localizer",
        "localizer:Localizer",
        "One object an image: a classifier with four more numbers for its box.",
        "Sermanet et al., OverFeat: Integrated recognition, localization and detection, ICLR 2014",
        2014,
        (
            Param("width", "int", 256, "channels of the hidden layer", low=8, high=8192),
            Param("share", "float", 10.0, "weight of the box's loss beside that of the class", low=0.0),
        ),
    )
