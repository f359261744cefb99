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
    return [*_proposers(), _localizer()]


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


def _proposers() -> list[ModelSpec]:
    """Return what only proposes; nothing is learned, so the random order of proposals has a seed of its own."""
    count = Param("count", "int", 100, "proposals that are detections of every class", low=1, high=2000)
    seed = Param("seed", "int", 0, "which random numbers rank the proposals", low=0)
    return [
        ModelSpec(
            name="selective_search",
            kinds=("detection",),
            target="mlcvbench_rcnn.proposer:selective_search_proposer",
            summary="Regions that are merged by colour, texture, size and fill; each is proposed for every class.",
            params=(*search_params(), count, seed),
            ragged=True,
            family="proposals",
            reference="Uijlings et al., Selective search for object recognition, IJCV 2013",
            year=2013,
        ),
        ModelSpec(
            name="sliding_windows",
            kinds=("detection",),
            target="mlcvbench_rcnn.proposer:sliding_windows_proposer",
            summary="Windows of eight sizes and three shapes in random order; each is proposed for every class.",
            params=(count, seed),
            ragged=True,
            family="proposals",
            reference="The proposals of a detector without any.",
        ),
    ]


def search_params() -> tuple[Param, ...]:
    """Return the settings of selective search."""
    return (
        Param("mode", "str", "fast", "colour spaces and similarities", choices=("single", "fast", "quality")),
        Param("thresholds", "floats", [50.0, 100.0], "k of the over-segmentation, each is used", low=1, high=10_000),
        Param("smallest", "int", 20, "pixels of a region of the over-segmentation, at least", low=1, high=10_000),
        Param("side", "int", 500, "pixels of a side, at most; a larger image is shrunk", low=16, high=10_000),
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
