"""What the settings of a method rule out by themselves, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen

STRIDE = 16
"""Pixels of the image a cell of the last map of ArcFace's residual networks."""


def check_deepface(chosen: Chosen) -> None:
    """Refuse kernels of which the image leaves nothing."""
    maps_of(chosen.params["size"], chosen.params["kernels"])


def check_residual(chosen: Chosen) -> None:
    """Refuse a size that the residual network's strides do not divide."""
    check_size(chosen.name, chosen.params["size"])


def check_size(name: str, size: int) -> None:
    """Refuse a size that the residual network's strides do not divide: RequestError."""
    if size % STRIDE:
        raise RequestError(f"{name}: model.size={size}: wanted a multiple of {STRIDE}, such as 112.")


def check_neighbours(chosen: Chosen) -> None:
    """Refuse a schedule that goes by validation data, which have no gallery before the training has ended."""
    schedule = chosen.fit["schedule"]
    if schedule.endswith("plateau"):
        raise RequestError(
            f"knn_embedding: fit.schedule={schedule} goes by validation data, which a classifier by neighbours cannot "
            "answer before its training has ended; take another, such as one_cycle."
        )


def maps_of(size: int, kernels: Sequence[int]) -> list[int]:
    """Return the sides of the maps after M2, C3, L4, L5 and L6; kernels are those of C1, C3, L4, L5 and L6.

    >>> maps_of(152, [11, 9, 9, 7, 5])
    [71, 63, 55, 25, 21]
    """
    first, *others = kernels
    sides = [-(-(size - first + 1 - 3) // 2) + 1]  # M2, 3x3 of stride 2, rounded up
    for kernel, stride in zip(others, (1, 1, 2, 1), strict=True):
        sides.append((sides[-1] - kernel) // stride + 1)
    if min(size - first - 1, *sides) < 1:
        listed = ",".join(map(str, kernels))
        raise RequestError(
            f"deepface: kernels [{listed}] leave nothing of model.size={size}; set smaller model.kernels or a larger "
            "model.size."
        )
    return sides
