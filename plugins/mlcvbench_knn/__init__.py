"""Nearest neighbours on raw pixels."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

DISTANCES = ("lp", "linf", "cosine")
WEIGHTS = ("uniform", "distance")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the k-nearest-neighbour classifier."""
    return [
        ModelSpec(
            name="knn",
            kinds=("classification",),
            target="mlcvbench_knn.knn:KNN",
            summary="Vote of the k training images nearest in Lp or cosine distance of raw pixels; exact search.",
            params=(
                Param("k", "int", 5, "how many neighbours vote", low=1),
                Param("distance", "str", "lp", "lp; its limit, the largest difference; 1 - cosine", choices=DISTANCES),
                Param(
                    "p", "float", 2.0, "order of the Lp distance", low=1.0, high=100.0, when=(("distance", ("lp",)),)
                ),
                Param("weights", "str", "uniform", "weight of a vote: 1, or 1 / distance", choices=WEIGHTS),
            ),
            family="nearest neighbour",
            reference="Cover and Hart, Nearest neighbor pattern classification, IEEE Trans. Inf. Theory, 1967.",
            year=1967,
        )
    ]
