"""Pictures of an explanation: projections as signed grey, occlusion as red and blue over the image, with a scale."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

FALLS, RISES = (178, 24, 43), (33, 102, 172)
"""Red where hiding costs the class, blue where it helps."""
PALE = (110, 240)
"""Grey values of black and white under the colours, so that both show them."""
STRONGEST = 0.85
"""Share of colour where the change is largest; the image stays visible under it."""
SPACE, BAR, TEXT = 8, 10, 12
"""Pixels between a map and its scale, height of the scale, and size of the letters below it."""
NARROWEST = 128
"""Least width of a scale, which has room for its three numbers."""


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


def with_scale(image: Array, drops: Array) -> Array:
    """Return the map of `heat` at the size of a contact sheet above the scale of its colours, uint8 (H, W, 3).

    The scale is the change of what was watched, from the largest drop in size to as large a rise; 0 alone without any.
    """
    from PIL import Image, ImageDraw, ImageFont

    from mlcvbench.analysis.contact_sheet import TALL, fitted

    foot = SPACE + BAR + TEXT * 4 // 3
    picture = fitted(heat(image, drops))
    if picture.height + foot > TALL:  # the sheet would reduce both, and blur the numbers
        share = (TALL - foot) / picture.height
        picture = picture.resize((max(1, round(picture.width * share)), TALL - foot), Image.Resampling.BOX)
    largest = np.abs(drops).max()
    width = max(picture.width, NARROWEST)
    steps = np.repeat(np.linspace(largest, -largest, width)[None], BAR, axis=0)
    sheet = Image.new("RGB", (width, picture.height + foot), "white")
    sheet.paste(picture, (0, 0))
    sheet.paste(Image.fromarray(heat(np.full(steps.shape, 128, np.uint8), steps)), (0, picture.height + SPACE))
    pen, font, under = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT), picture.height + SPACE + BAR + 1
    ends = [(0, f"-{largest:.2g}", "la"), (width, f"+{largest:.2g}", "ra")] if largest > 0 else []
    for place, text, anchor in [*ends, (width // 2, "0", "ma")]:
        pen.text((place, under), text, fill="black", font=font, anchor=anchor)
    return np.asarray(sheet)
