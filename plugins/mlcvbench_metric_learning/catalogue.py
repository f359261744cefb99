"""The methods by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 64 pixels on a CPU; `arcface_r18` to `arcface_r100`, `facenet_nn1` and
the settings in `deepface` are the published ones.
"""

from __future__ import annotations

from typing import Any

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_metric_learning.settings import DEEPFACE_FIT, FIT, WATCHING
from mlcvbench_networks.backbone_params import backbone_params
from mlcvbench_training.settings import network_fit_params

HADSELL = "Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping, CVPR 2006"
SCHROFF = "Schroff, Kalenichenko and Philbin, FaceNet: A unified embedding, CVPR 2015"
TAIGMAN = "Taigman, Yang, Ranzato and Wolf, DeepFace: Closing the gap to human-level performance, CVPR 2014"
DENG = "Deng et al., ArcFace: Additive angular margin loss for deep face recognition, CVPR 2019"
COVER = "Cover and Hart, Nearest neighbor pattern classification, 1967, on learned features"

RESIZING = ("sizes",)
"""Images are seen at one size."""
LEARNED = network_fit_params(FIT, without=RESIZING)

DROPOUT = Param("dropout", "float", 0.0, "share of the last map's values left out in training", low=0.0, high=0.95)
MARGIN = Param("margin", "float", 0.2, "squared distance by which the negative is farther", low=0.01, high=2.0)
TOGETHER = Param("together", "int", 4, "images of a person in a batch, K of P x K", low=2, high=64)
ANGLE = Param("margin", "float", 0.5, "angle in radians by which the true person must win", low=0.0, high=1.5)
NEIGHBOURS = Param("k", "int", 5, "how many neighbours vote", low=1)
DEPTHS = (18, 34, 50, 100)


def specs() -> list[ModelSpec]:
    """Return every method of the family."""
    return [*_neighbours(), _siamese(), *_facenets(), _deepface(), *_arcfaces()]


def _method(
    name: str,
    target: str,
    summary: str,
    reference: tuple[str, int],
    params: tuple[Param, ...],
    fit: tuple[Param, ...] = LEARNED,
    **further: Any,
) -> ModelSpec:
    return ModelSpec(
        **{"name": name, "kinds": ("verification",), "summary": summary, "params": params, "fit": fit, **further},
        target=f"mlcvbench_metric_learning.{target}",
        ragged=True,
        family="metric learning",
        reference=reference[0],
        year=reference[1],
    )


def _size(default: int, multiple: str = "") -> Param:
    return Param("size", "int", default, f"pixels a side at which images are seen{multiple}", low=16, high=512)


def _dimensions(default: int) -> Param:
    return Param("dimensions", "int", default, "numbers of an embedding", low=2, high=4096)


def _scale(default: float) -> Param:
    return Param("scale", "float", default, "s of the logits s cos(theta); the paper's is 64", low=1.0, high=256.0)


def _point(level: int = 4) -> tuple[Param, ...]:
    what = "map of the backbone that the embedding is made from, its stride is 2^level"
    level_param = Param("level", "int", level, what, low=2, high=5)
    return (*backbone_params(), _size(64), level_param, _dimensions(128), DROPOUT)


def _neighbours() -> list[ModelSpec]:
    level = Param("level", "int", 5, "map of the backbone whose mean over cells is the embedding", low=2, high=5)
    params, summary = (*backbone_params(), _size(64), level), "Penultimate features of a classifier, at length 1"
    return [
        _method(
            "knn_embedding",
            "knn_embedding:KnnEmbedding",
            f"{summary}; people are added to the gallery and removed without training.",
            (COVER, 1967),
            params,
        ),
        _method(
            "knn_embedding",
            "knn_embedding:KnnEmbeddingClassifier",
            f"Vote of the k training images nearest by cosine of {summary[0].lower()}{summary[1:]}.",
            (COVER, 1967),
            (*params, NEIGHBOURS),
            network_fit_params(FIT, without=(*RESIZING, *WATCHING)),
            kinds=("classification",),
            check="mlcvbench_metric_learning.limits:check_neighbours",
        ),
    ]


def _siamese() -> ModelSpec:
    return _method(
        "siamese",
        "siamese:Siamese",
        "Images of one person are pulled together, others pushed apart up to a margin.",
        (HADSELL, 2006),
        (
            *_point(),
            Param("bounded", "bool", True, "push up to a margin; without one training diverges, to show that it does"),
            Param(
                "margin",
                "float",
                1.0,
                "distance up to which two people are pushed apart; points have length 1",
                low=0.01,
                high=2.0,
                when=(("bounded", (True,)),),
            ),
            TOGETHER,
        ),
    )


def _facenets() -> list[ModelSpec]:
    return [
        _method(
            "facenet",
            "facenet:FaceNet",
            "A person's images are nearer than anyone else's by a margin, learned from semi-hard triplets.",
            (SCHROFF, 2015),
            (*_point(), MARGIN, TOGETHER),
        ),
        _method(
            "facenet_nn1",
            "facenet:FaceNetNN1",
            "FaceNet's first network, of 140 million parameters, at 220 pixels.",
            (SCHROFF, 2015),
            (_size(220), _dimensions(128), MARGIN, TOGETHER),
        ),
    ]


def _deepface() -> ModelSpec:
    return _method(
        "deepface",
        "deepface:DeepFace",
        "Aligned faces, two convolutions and three layers without sharing; a weighted L1 distance is learned.",
        (TAIGMAN, 2014),
        (
            _size(48),
            Param(
                "kernels",
                "ints",
                [5, 3, 3, 3, 3],
                "sides of the kernels of C1, C3, L4, L5 and L6; the paper's are 11, 9, 9, 7, 5",
                low=1,
                high=15,
                length=5,
            ),
            Param("widths", "ints", [16, 16], "channels of C1, and of the other maps", low=1, high=256, length=2),
            _dimensions(256),
            Param("dropout", "float", 0.5, "share of the features left out in training", low=0.0, high=0.95),
            Param("align", "bool", True, "whether faces are brought onto the mean training face"),
        ),
        network_fit_params(DEEPFACE_FIT, without=RESIZING),
        check="mlcvbench_metric_learning.limits:check_deepface",
    )


def _arcfaces() -> list[ModelSpec]:
    return [
        _method(
            "arcface",
            "arcface:ArcFaceEmbedder",
            "A classifier of people whose true one must win by an angle; the embedding's direction counts.",
            (DENG, 2019),
            (*_point(), _scale(24.0), ANGLE),
        ),
        *(
            _method(
                f"arcface_r{depth}",
                f"arcface:ArcFaceR{depth}",
                f"ArcFace's own residual network of {depth} layers, at 112 pixels.",
                (DENG, 2019),
                (_size(112, ", a multiple of 16"), _dimensions(512), DROPOUT, _scale(64.0), ANGLE),
                check="mlcvbench_metric_learning.limits:check_residual",
            )
            for depth in DEPTHS
        ),
    ]
