"""Baselines: the simplest method of each task kind, which every other must beat, and linear subspaces of faces."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_DISTANCES = ("cosine", "l2", "l1")
_SIDE = Param("side", "int", default=32, low=2, high=128, help="pixels per side after shrinking")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the baselines."""
    return [
        ModelSpec(
            name="majority",
            kinds=("classification",),
            target="mlcvbench_baselines.majority:Majority",
            summary="Predicts the class frequencies of the training set for every image; ignores the pixels.",
            ragged=True,
            family="baseline",
            reference="The zero-rule classifier; scikit-learn's DummyClassifier(strategy='prior').",
            by_nature=("one-class-predicted",),
        ),
        ModelSpec(
            name="majority",
            kinds=("segmentation",),
            target="mlcvbench_baselines.majority_map:MajorityMap",
            summary="Predicts the most frequent training label of each image position; ignores the pixels.",
            needs=(),
            params=(
                Param("grid", "int", default=16, low=1, high=256, help="cells per side; 1: one class for every pixel"),
            ),
            ragged=True,
            family="baseline",
            reference="The zero-rule classifier, one place at a time.",
            by_nature=("one-class-predicted",),
        ),
        ModelSpec(
            name="box_prior",
            kinds=("detection",),
            target="mlcvbench_baselines.box_prior:BoxPrior",
            summary="Predicts the most frequent training boxes for every image; ignores the pixels.",
            needs=(),
            params=(Param("boxes", "int", default=8, low=1, high=100, help="boxes per class, by k-means"),),
            ragged=True,
            family="baseline",
            reference="The zero-rule classifier, of boxes.",
        ),
        ModelSpec(
            name="constant_depth",
            kinds=("depth",),
            target="mlcvbench_baselines.constant_depth:constant_depth",
            summary="Predicts one number for every pixel: a given one, the middle of the search range, or a median.",
            needs=(),
            params=(
                Param("value", "float", low=0, help="pixels of disparity or metres; default: the range or the median"),
            ),
            ragged=True,
            family="baseline",
            reference="The best constant; images are ignored.",
        ),
        ModelSpec(
            name="pixel_distance",
            kinds=("verification",),
            target="mlcvbench_baselines.pixel_distance:PixelDistance",
            summary="Compares two images by their shrunk grey pixels.",
            params=(
                Param("side", "int", default=32, low=2, high=512, help="pixels per side after shrinking"),
                Param("distance", "str", default="cosine", choices=_DISTANCES, help="how pixels compare"),
            ),
            ragged=True,
            family="baseline",
            reference="Turk and Pentland, Eigenfaces for recognition, 1991, before the projection",
        ),
        ModelSpec(
            name="eigenfaces",
            kinds=("verification",),
            target="mlcvbench_baselines.eigenfaces:Eigenfaces",
            summary="Compares two faces by their coordinates along the principal components of training faces.",
            params=(
                _SIDE,
                Param("components", "int", default=12, low=1, high=10_000, help="eigenfaces kept, at most"),
                Param("drop", "int", default=1, low=0, high=1000, help="leading eigenfaces left out: they show light"),
                Param("whiten", "bool", default=True, help="scale coordinates to equal spread; with l2: Mahalanobis"),
                Param("distance", "str", default="cosine", choices=_DISTANCES, help="how coordinates compare"),
            ),
            ragged=True,
            family="subspace",
            reference="Turk and Pentland, Eigenfaces for recognition, 1991",
            year=1991,
        ),
        ModelSpec(
            name="fisherfaces",
            kinds=("verification",),
            target="mlcvbench_baselines.eigenfaces:Fisherfaces",
            summary="Compares two faces along the directions that best tell training people apart.",
            params=(
                _SIDE,
                Param("eigenfaces", "int", default=120, low=1, high=10_000, help="components before, at most"),
                Param("components", "int", default=10, low=1, high=10_000, help="discriminants kept, at most"),
                Param("distance", "str", default="cosine", choices=_DISTANCES, help="how coordinates compare"),
            ),
            ragged=True,
            family="subspace",
            reference="Belhumeur, Hespanha and Kriegman, Eigenfaces vs. Fisherfaces, IEEE PAMI 1997",
            year=1997,
        ),
    ]
