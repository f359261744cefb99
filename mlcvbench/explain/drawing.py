"""Pictures of an explanation: projections as signed grey, occlusion as red and blue over the image."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

FALLS, RISES = (178, 24, 43), (33, 102, 172)
"""Red where hiding costs the class, blue where it helps."""
PALE = (70, 235)
"""Grey values of black and white under the colours, so that both show them."""
STRONGEST = 0.85
"""Share of colour where the change is largest; the image stays visible under it."""


def shown(image: Array) -> Array:
    """Return a uint8 image (H, W) or (H, W, 3) in colour, (H, W, 3)."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def projection(pixels: Array) -> Array:
    """Return a signed signal (C, H, W) as uint8 (H, W, 3): 0 is mid grey, the largest size white or black."""
    largest = np.abs(pixels).max()
    scaled = 127.5 + 127.5 * pixels / (largest if largest > 0 else 1.0)
    grey = np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    if len(grey) not in {1, 3}:
        grey = grey[:1]
    colored: Array = np.repeat(grey, 3, axis=0) if len(grey) == 1 else grey
    return colored.transpose(1, 2, 0)


def heat(image: Array, drops: Array) -> Array:
    """Return a map (H, W) of drops over a paled grey image, uint8 (H, W, 3)."""
    largest = np.abs(drops).max()
    share = (np.abs(drops) / largest if largest > 0 else np.zeros(drops.shape))[:, :, None] * STRONGEST
    grey = PALE[0] + shown(image).mean(axis=2, keepdims=True) / 255 * (PALE[1] - PALE[0])
    color = np.where((drops > 0)[:, :, None], np.array(FALLS), np.array(RISES))
    mixed: Array = np.clip(np.round(grey * (1 - share) + color * share), 0, 255).astype(np.uint8)
    return mixed
