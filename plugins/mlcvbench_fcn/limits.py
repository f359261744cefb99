"""What the settings of a segmenter rule out by themselves, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen
from mlcvbench_networks.dense.limits import check_several_images

SMALLEST = 8
"""Pixels that a window is divided by, in three poolings."""


def check_settings(chosen: Chosen) -> None:
    """Refuse what the networks cannot be built or trained with."""
    if chosen.name == "deeplab":
        check_several_images(chosen)
    if "window" in chosen.params:
        check_window(chosen.params["window"], chosen.params["step"])


def check_window(window: int, step: int) -> None:
    """Refuse a window that its poolings do not divide, and steps that do not divide an image padded to 32 pixels."""
    if window % SMALLEST:
        raise RequestError(f"patch_window: wanted a model.window that {SMALLEST} divides, got {window}.")
    if 32 % step:
        raise RequestError(f"patch_window: wanted a model.step of 1, 2, 4, 8, 16 or 32, got {step}.")
