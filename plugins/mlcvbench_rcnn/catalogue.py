"""The methods by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 128 pixels on a CPU; the module of each method says which settings give
the published one.
"""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_networks.backbone_params import backbone_params, transfer_params
from mlcvbench_rcnn.settings import FIT, MASK_FIT, MOVES, ONE_MAP_BACKBONE, RCNN_FIT, WATCHING
from mlcvbench_training.settings import NetworkSettings, network_fit_params

GIRSHICK = "Girshick, Fast R-CNN, ICCV 2015"
REN = "Ren et al., Faster R-CNN: Towards real-time object detection with region proposal networks, NeurIPS 2015"
LIN = "Lin et al., Feature pyramid networks for object detection, CVPR 2017"
HE = "He et al., Mask R-CNN, ICCV 2017"

CANDIDATES = Param(
    "candidates", "int", 200, "best anchors of a level that suppression looks at; twice as many in training", low=1
)
PROPOSALS = Param("proposals", "int", 100, "regions of an image looked at; twice as many in training", low=1)
REGIONS = Param("regions", "int", 64, "regions of an image that learn in a step", low=4)
HIDDEN = Param("hidden", "int", 256, "channels of the two hidden layers of the head", low=8, high=8192)


def specs() -> list[ModelSpec]:
    """Return every method of the family."""
    return [
        *_proposers(),
        _localizer(),
        _rcnn(),
        _fast_rcnn(),
        _faster_rcnn(),
        _faster_rcnn_fpn(),
        _mask_rcnn(),
    ]


def _method(
    name: str,
    target: str,
    summary: str,
    reference: str,
    year: int,
    params: tuple[Param, ...],
    settings: NetworkSettings = FIT,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        kinds=("detection",),
        target=f"mlcvbench_rcnn.{target}",
        summary=summary,
        params=params,
        fit=network_fit_params(settings),
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


def _rcnn() -> ModelSpec:
    """Return R-CNN; nothing of `scale`, `shift` and `sizes`, which would move regions off their objects."""
    return ModelSpec(
        name="rcnn",
        kinds=("detection",),
        target="mlcvbench_rcnn.rcnn:Rcnn",
        check="mlcvbench_rcnn.limits:check_settings",
        summary="A network on each warped proposal; SVMs say the class, ridge regression the box.",
        params=(
            Param("backbone", "str", "small", "small, medium, darknet53, alexnet, timm:NAME or torchvision:NAME"),
            *transfer_params(),
            Param("size", "int", 48, "pixels a side that regions are warped to", low=16, high=1024),
            Param("context", "int", 6, "of these, pixels around the region on each side", low=0, high=256),
            Param("width", "int", 256, "width of the layer of features; AlexNet's is 4096", low=8, high=8192),
            Param(
                "proposals",
                "str",
                "selective_search",
                "where regions come from",
                choices=("selective_search", "windows"),
            ),
            *search_params(),
            Param("count", "int", 400, "proposals of an image, at most", low=1, high=2000),
            Param("classifier", "str", "svm", "what scores a region", choices=("svm", "softmax")),
            Param("c", "float", 0.001, "the SVMs' price of a margin violation", low=1e-6, high=1e3),
            Param("ridge", "float", 1000.0, "the regressions' price of large coefficients", low=1e-6, high=1e9),
            Param("negatives", "int", 5000, "drawn regions that are not objects, for the SVMs", low=1, high=10**6),
            Param("rounds", "int", 1, "searches of the training images for hard negatives", low=0, high=10),
        ),
        fit=network_fit_params(RCNN_FIT, without=MOVES + WATCHING),
        ragged=True,
        family="regions",
        reference="Girshick et al., Rich feature hierarchies for accurate object detection, CVPR 2014",
        year=2014,
    )


def _localizer() -> ModelSpec:
    return _method(
        "localizer",
        "localizer:Localizer",
        "One object an image: a classifier with four more numbers for its box.",
        "Sermanet et al., OverFeat: Integrated recognition, localization and detection, ICLR 2014",
        2014,
        (
            *backbone_params(),
            Param("width", "int", 256, "channels of the hidden layer", low=8, high=8192),
            Param("share", "float", 10.0, "weight of the box's loss beside that of the class", low=0.0),
        ),
    )


def _width(what: str) -> Param:
    return Param("width", "int", 64, what, low=8, high=1024)


def _fast_rcnn() -> ModelSpec:
    return _method(
        "fast_rcnn",
        "fast_rcnn:FastRCNN",
        "One pass over the image; a head classifies what RoIPool cuts from its map for each proposal.",
        GIRSHICK,
        2015,
        (
            *backbone_params(ONE_MAP_BACKBONE),
            _level(),
            HIDDEN,
            Param("proposals", "int", 300, "regions of an image looked at", low=1, high=2000),
            REGIONS,
            *search_params(),
        ),
    )


def _level() -> Param:
    return Param("level", "int", 2, "the map that is looked at, of stride 2^level", low=2, high=5)


def _faster_rcnn() -> ModelSpec:
    return _method(
        "faster_rcnn",
        "faster_rcnn:FasterRCNN",
        "A network proposes regions by nine anchors a cell; a head classifies what RoIPool cuts from the same map.",
        REN,
        2015,
        (
            *backbone_params(ONE_MAP_BACKBONE),
            _level(),
            _width("channels of the proposal network"),
            Param("anchors", "floats", [3.0, 6.0, 12.0], "sides of square anchors, in strides", low=0.25, high=64),
            HIDDEN,
            CANDIDATES,
            PROPOSALS,
            REGIONS,
        ),
    )


def _faster_rcnn_fpn() -> ModelSpec:
    return _method(
        "faster_rcnn_fpn",
        "faster_rcnn:FasterRCNNFPN",
        "Faster R-CNN on a feature pyramid: each region is cut by RoIAlign from the level that fits its size.",
        LIN,
        2017,
        (*_pyramid(), HIDDEN, CANDIDATES, PROPOSALS, REGIONS),
    )


def _pyramid() -> tuple[Param, ...]:
    return (
        *backbone_params(),
        _width("channels of the pyramid"),
        Param("anchor", "float", 3.0, "side of a cell's square anchor, in strides", low=0.5, high=16.0),
    )


def _mask_rcnn() -> ModelSpec:
    return _method(
        "mask_rcnn",
        "mask_rcnn:MaskRCNN",
        "Faster R-CNN on a pyramid with a third branch: a mask for each class on the cells of a region.",
        HE,
        2017,
        (
            *_pyramid(),
            HIDDEN,
            CANDIDATES,
            PROPOSALS,
            REGIONS,
            Param("mask_width", "int", 32, "channels of the mask's convolutions", low=8, high=1024),
            Param("layers", "int", 2, "3x3 convolutions of the mask's branch", low=0, high=8),
        ),
        MASK_FIT,
    )
