"""Pictures of an explanation: projections as signed grey, occlusion as red and blue over the image, with a scale."""

from __future__ import annotations

import numpy as np

from mlcvbench.analysis.contact_sheet import TALL, WIDE, fitted
from mlcvbench.contract import Array
from mlcvbench.figures import SMALL, Canvas, colored, line_height, reduced

FALLS, RISES = (178, 24, 43), (33, 102, 172)
"""Red where hiding costs the class, blue where it helps."""
PALE = (110, 240)
"""Grey values of black and white under the colours, so that both show them."""
STRONGEST = 0.85
"""Opacity of the colour where the change is largest; the image stays visible under it."""
SPACE, BAR = 8, 10
"""Pixels between a map and its scale, and height of the scale."""
NARROWEST = 128
"""Least width of a scale, with room for its three numbers."""


def projection(pixels: Array) -> Array:
    """Return a signed signal (C, H, W) as uint8 (H, W, 3): 0 is mid grey, the largest size white or black."""
    largest = np.abs(pixels).max()
    scaled = 127.5 + 127.5 * pixels / (largest if largest > 0 else 1.0)
    grey = np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    if len(grey) not in {1, 3}:
        grey = grey[:1]
    return colored(grey[0] if len(grey) == 1 else grey.transpose(1, 2, 0))


def heat(image: Array, drops: Array) -> Array:
    """Return a map (H, W) of drops over a pale grey image, uint8 (H, W, 3)."""
    largest = np.abs(drops).max()
    share = (np.abs(drops) / largest if largest > 0 else np.zeros(drops.shape))[:, :, None] * STRONGEST
    grey = PALE[0] + colored(image).mean(axis=2, keepdims=True) / 255 * (PALE[1] - PALE[0])
    color = np.where((drops > 0)[:, :, None], np.array(FALLS), np.array(RISES))
    mixed: Array = np.clip(np.round(grey * (1 - share) + color * share), 0, 255).astype(np.uint8)
    return mixed


def with_scale(image: Array, drops: Array) -> Array:
    """Return the map of `heat` at the size of a contact sheet above the scale of its colours, uint8 (H, W, 3).

    The scale is the change of the watched probability, symmetric about 0 up to the largest change; only 0 without any.
    """
    foot = SPACE + BAR + line_height(SMALL)
    # scaled here, since the sheet's own scaling would blur the numbers
    picture = reduced(fitted(heat(image, drops)), TALL - foot, WIDE)
    height, width = len(picture), max(picture.shape[1], NARROWEST)
    largest = np.abs(drops).max()
    steps = np.repeat(np.linspace(largest, -largest, width)[None], BAR, axis=0)
    canvas = Canvas(width, height + foot)
    canvas.picture(picture, 0, 0)
    canvas.picture(heat(np.full(steps.shape, 128, np.uint8), steps), 0, height + SPACE)
    under = height + SPACE + BAR + 1
    if largest > 0:
        canvas.text(0, under, f"-{largest:.2g}", SMALL, "black", "la")
        canvas.text(width, under, f"+{largest:.2g}", SMALL, "black", "ra")
    canvas.text(width // 2, under, "0", SMALL, "black", "ma")
    return canvas.pixels
