"""Detection by sliding windows over histograms of oriented gradients."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the detector."""
    return [
        ModelSpec(
            name="hog_svm",
            kinds=("detection",),
            target="mlcvbench_hog.detector:HogSvm",
            summary="Slides windows over an image pyramid; a linear SVM scores each by its gradients' orientations.",
            params=(
                Param("cell", "int", default=4, low=2, high=32, help="side of a cell of gradients, pixels"),
                Param("window", "int", default=5, low=2, high=32, help="cells an object covers, square root of area"),
                Param("aspects", "int", default=2, low=1, high=10, help="window shapes per class, at most"),
                Param("scales", "int", default=4, low=1, high=20, help="pyramid levels for a factor of 2"),
                Param("c", "float", default=0.01, low=1e-6, high=1e3, help="the SVM's price of a margin violation"),
                Param("negatives", "int", default=2400, low=1, high=10**6, help="random windows that are not objects"),
                Param("rounds", "int", default=2, low=0, high=10, help="searches of the training images for errors"),
                Param("nms", "float", default=0.4, low=0, high=1, help="of two boxes with a larger IoU one is dropped"),
            ),
            ragged=True,
            family="sliding-window",
            reference="Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005",
            year=2005,
        )
    ]
