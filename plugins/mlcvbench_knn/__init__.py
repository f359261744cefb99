"""Nearest neighbours on raw pixels."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

DISTANCES = ("lp", "linf")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the k-nearest-neighbour classifier."""
    return [
        ModelSpec(
            name="knn",
            kinds=("classification",),
            target="mlcvbench_knn.model:KNN",
            summary="Majority label of the k training images nearest in Lp distance of raw pixels; exact search.",
            params=(
                Param("k", "int", 5, "how many neighbours vote", low=1),
                Param("p", "float", 2.0, "order of the Lp distance", low=1.0, high=100.0),
                Param("distance", "str", "lp", "lp, or its limit, the largest difference", choices=DISTANCES),
            ),
            family="nearest neighbour",
            reference="Cover and Hart, Nearest neighbor pattern classification, IEEE Trans. Inf. Theory, 1967.",
            year=1967,
        )
    ]
