"""The detectors by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 128 pixels on a CPU; the module of each method says which settings give
the published one.
"""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_networks.backbone_params import backbone_params
from mlcvbench_networks.widths import EFFICIENTDET
from mlcvbench_onestage.settings import CENTERNET_FIT, EFFICIENTDET_FIT, FIT, YOLO_FIT
from mlcvbench_training.settings import NetworkSettings, network_fit_params

LIN = "Lin et al., Focal loss for dense object detection, ICCV 2017"
TIAN = "Tian et al., FCOS: Fully convolutional one-stage object detection, ICCV 2019"
REDMON = "Redmon and Farhadi, YOLOv3: An incremental improvement, arXiv 1804.02767"
TAN = "Tan, Pang and Le, EfficientDet: Scalable and efficient object detection, CVPR 2020"
ZHOU = "Zhou, Wang and Krähenbühl, Objects as points, arXiv 1904.07850"

ANCHOR = Param("anchor", "float", 3.0, "side of a cell's smallest square anchor, in strides", low=0.5, high=16.0)


def specs() -> list[ModelSpec]:
    """Return every detector of the family."""
    return [_retinanet(), _yolov3(), _fcos(), _centernet(), *_efficientdets()]


def _detector(
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
        target=f"mlcvbench_onestage.{target}",
        check="mlcvbench_onestage.limits:check_settings",
        summary=summary,
        params=(*backbone_params(), *params),
        fit=network_fit_params(settings),
        ragged=True,
        family="one stage",
        reference=reference,
        year=year,
    )


def _width(default: int, what: str = "channels of the pyramid and the heads") -> Param:
    return Param("width", "int", default, what, low=8, high=1024)


def _levels(coarsest: int) -> Param:
    what = "finest and coarsest level; level l has stride 2^l"
    return Param("levels", "ints", [2, coarsest], what, low=2, high=7, length=2)


def _beyond(default: str) -> Param:
    return Param("beyond", "str", default, "what levels 6 and 7 are made from", choices=("backbone", "pyramid"))


def _layers(default: int) -> Param:
    return Param("layers", "int", default, "convolutions of each head before its last", low=0, high=8)


def _retinanet() -> ModelSpec:
    return _detector(
        "retinanet",
        "retinanet:RetinaNet",
        "Nine anchors a cell of a pyramid; focal loss for the many that hold nothing.",
        LIN,
        2017,
        (
            _width(64),
            _levels(5),
            _beyond("backbone"),
            _layers(2),
            ANCHOR,
        ),
    )


def _yolov3() -> ModelSpec:
    return _detector(
        "yolov3",
        "yolov3:YOLOv3",
        "Three scales joined by concatenation; a cell corrects three typical boxes; classes by logistics.",
        REDMON,
        2018,
        (
            _width(32, "channels of the finest scale; each next one has twice as many"),
            Param("finest", "int", 2, "level of the finest of the three scales", low=2, high=3),
            Param(
                "priors",
                "str",
                "clusters",
                "nine typical boxes: of the training set, or the paper's",
                choices=("clusters", "coco"),
            ),
        ),
        YOLO_FIT,
    )


def _fcos() -> ModelSpec:
    return _detector(
        "fcos",
        "fcos:FCOS",
        "Each point of a pyramid inside an object tells how far its four sides are; no anchors.",
        TIAN,
        2019,
        (
            _width(64),
            _levels(5),
            _beyond("pyramid"),
            _layers(2),
            Param("scales", "bool", True, "a learned factor a level for distances"),
        ),
    )


def _centernet() -> ModelSpec:
    return _detector(
        "centernet",
        "centernet:CenterNet",
        "Objects are peaks of a heat map, which tell their sizes; nothing is suppressed.",
        ZHOU,
        2019,
        (
            _width(64, "channels of the layers that enlarge the map"),
            Param("skips", "bool", True, "the backbone's finer maps are added on the way up"),
            Param("boxes", "str", "giou", "what boxes are learned by: the paper's l1, or giou", choices=("l1", "giou")),
        ),
        CENTERNET_FIT,
    )


def _efficientdets() -> list[ModelSpec]:
    return [
        _detector(
            f"efficientdet_d{phi}",
            f"efficientdet:EfficientDetD{phi}",
            f"A weighted pyramid both ways and separable heads: {size.width} channels, {size.cells} cells.",
            TAN,
            2019,
            (_levels(6), ANCHOR),
            EFFICIENTDET_FIT,
        )
        for phi, size in enumerate(EFFICIENTDET[:3])
    ]
