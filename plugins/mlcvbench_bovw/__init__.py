"""Bags of visual words and VLAD. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

PLACED = ("grid", "random", "harris")
"""Points whose patches have no size of their own."""
POINTS = (
    Param("points", "str", "grid", "where patches are taken", choices=(*PLACED, "dog")),
    Param("step", "int", 3, "pixels between patches", low=1, high=64, when=(("points", ("grid",)),)),
    Param(
        "patches",
        "int",
        100,
        "patches per image, at most",
        low=1,
        high=5000,
        when=(("points", ("random", "harris", "dog")),),
    ),
    Param(
        "scales",
        "floats",
        (8.0, 12.0),
        "pixels per side of the patches",
        low=3.0,
        high=256.0,
        when=(("points", PLACED),),
    ),
    Param(
        "scaling",
        "str",
        "each",
        "a patch of each scale at each point, or one of a random side between them",
        choices=("each", "random"),
        when=(("points", PLACED),),
    ),
    Param("descriptor", "str", "sift", "what describes a patch", choices=("sift", "rootsift", "patch", "color")),
)
READER = (
    Param("classifier", "str", "linear", "classifier of the vectors", choices=("linear", "knn")),
    Param(
        "inverse_penalty",
        "float",
        100.0,
        "C of the linear classifier: 1 / (lambda N)",
        low=1e-6,
        high=1e6,
        when=(("classifier", ("linear",)),),
    ),
    Param("k", "int", 5, "neighbours that vote", low=1, high=1000, when=(("classifier", ("knn",)),)),
)


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the bag of visual words and VLAD."""
    return [
        ModelSpec(
            name="bovw",
            kinds=("classification",),
            target="mlcvbench_bovw.model:BagOfVisualWords",
            summary="Histogram of the nearest visual words of local patches, then a linear classifier or k-NN.",
            params=(
                Param("words", "int", 500, "size of the codebook", low=2, high=100_000),
                Param("assignment", "str", "hard", "one word per patch, or a share to each", choices=("hard", "soft")),
                Param(
                    "weighting",
                    "str",
                    "none",
                    "of words: tfidf gives rare words more weight",
                    choices=("none", "tfidf"),
                    when=(("assignment", ("hard",)),),
                ),
                Param("norm", "str", "l1-sqrt", "scaling of the histogram", choices=("l1", "l2", "l1-sqrt")),
                *POINTS,
                *READER,
            ),
            ragged=True,
            family="bovw",
            reference="Csurka et al., Visual categorization with bags of keypoints, ECCV workshop 2004",
            year=2004,
        ),
        ModelSpec(
            name="vlad",
            kinds=("classification",),
            target="mlcvbench_bovw.model:Vlad",
            summary="Sum of the residuals of local patches to their nearest word, then a linear classifier or k-NN.",
            params=(
                Param("words", "int", 64, "size of the codebook", low=2, high=4096),
                *POINTS,
                *READER,
            ),
            ragged=True,
            family="bovw",
            reference="Jegou et al., Aggregating local descriptors into a compact image representation, CVPR 2010",
            year=2010,
        ),
    ]
