"""What the camera of an image says about depth: without its focal length, near and small is far and large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlcvbench.contract import Column, Problem
from mlcvbench.errors import DataError

if TYPE_CHECKING:
    from mlcvbench.contract import Batch

REFERENCE = 100.0
"""Pixels of the focal length at which a network's metres are metres."""


def focal_lengths(intrinsics: torch.Tensor) -> torch.Tensor:
    """Return the focal length of each camera in pixels, (B, 1, 1, 1), of intrinsics (B, 3, 3).

    The mean of both sides; a mirrored or turned image has that of the image it comes from.
    """
    lengths: torch.Tensor = torch.linalg.det(intrinsics[:, :2, :2].float()).abs().sqrt()
    return lengths[:, None, None, None]


def check_supervision(problem: Problem, model: str, wanted: str) -> None:
    """Refuse data that show something else in training than what a method learns from: DataError, with the setting."""
    told = problem.extra.get("supervision", wanted)  # other data say so by the inputs that they have
    if told != wanted:
        raise DataError(f"{model}: wanted data.supervision={wanted} to learn from, got {told}.")


def fact_of(batch: Batch, name: str, model: str, advice: str) -> torch.Tensor:
    """Return a fact of the images, float32 (B, ...); DataError, with what to do instead, where the data lack it."""
    meta: Mapping[str, Column] = batch.meta
    if name not in meta:
        got = ", ".join(sorted(meta)) or "none"
        raise DataError(f"{model}: wanted the fact {name!r} of each image, got {got}; {advice}.")
    return torch.from_numpy(np.asarray(meta[name], dtype=np.float32))
