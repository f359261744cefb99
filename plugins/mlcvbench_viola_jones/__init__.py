"""Viola and Jones' detector: Haar-like features, boosted stumps, and a cascade of them."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_REFERENCE = "Viola and Jones, Rapid object detection using a boosted cascade of simple features, CVPR 2001"


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the boosted classifier of patches and the detector."""
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
        ModelSpec(
            name="viola_jones",
            kinds=("detection",),
            target="mlcvbench_viola_jones.detector:ViolaJones",
            summary="Slides a cascade of boosted Haar-like features over the image in all sizes; grey pixels only.",
            params=(
                Param("stages", "int", default=14, low=1, high=100, help="stages of the cascade, at most"),
                Param("stumps", "int", default=80, low=1, high=10_000, help="stumps of a stage, at most"),
                Param(
                    "detection", "float", default=0.995, low=0.5, high=1, help="objects that a stage keeps, at least"
                ),
                Param(
                    "false_positives",
                    "float",
                    default=0.4,
                    low=0,
                    high=0.99,
                    help="negatives that a stage keeps, at most",
                ),
                Param("features", "int", default=3000, low=1, high=162_336, help="features that a stage chooses among"),
                Param("negatives", "int", default=1500, low=20, high=10**6, help="negatives that a stage learns from"),
                Param(
                    "windows", "int", default=4_000_000, low=1000, high=10**9, help="windows that negatives come from"
                ),
                Param(
                    "copies", "int", default=3, low=1, high=100, help="copies of each object, moved but for the first"
                ),
                Param(
                    "context", "float", default=1.0, low=0.2, high=5, help="side of the window, roots of a box's area"
                ),
                Param(
                    "search",
                    "str",
                    default="features",
                    choices=("features", "image", "opencv"),
                    help="enlarge features; or shrink the image as OpenCV does, in our code or in its own",
                ),
                Param("factor", "float", default=1.25, low=1.01, high=4, help="from one size of windows to the next"),
                Param(
                    "step",
                    "float",
                    default=1.0,
                    low=0.1,
                    high=24,
                    help="pixels between windows at scale 1",
                    when=(("search", ("features",)),),
                ),
                Param("neighbours", "int", default=2, low=1, high=1000, help="windows that a detection needs"),
                Param("nms", "float", default=0.3, low=0, high=1, help="of two detections with a larger IoU one goes"),
                Param("cascade", "path", help="a cascade in OpenCV's XML to run instead of learning one"),
            ),
            uses_val=True,
            ragged=True,
            family="sliding-window",
            reference=_REFERENCE,
            year=2001,
        ),
    ]
