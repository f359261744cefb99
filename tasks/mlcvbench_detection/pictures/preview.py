"""Samples with their annotations drawn in: boxes, class names, outlines of masks; dashed is not scored."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcvbench.contract import Array, Panel, Problem, Split, spread
from mlcvbench_detection.geometry.boxes import to_corners

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SIDE, LONGEST = 384, 768
"""Pixels: smaller images are enlarged by an integer factor to about the first, larger ones shrunk to the second."""
FONT_SIZE = 11
DASH = 4
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
Color = tuple[int, int, int]


def preview(split: Split, problem: Problem, count: int) -> list[Panel]:
    """Return one panel per sample, with its objects counted in the caption."""
    colors = class_colors(len(problem.classes))
    panels = []
    for batch, targets in split.each(lambda place: split.read([place]), spread(split, count)):
        picture = _annotated(np.asarray(batch.inputs["image"][0]), targets, problem, colors)
        ignored = int(_not_scored(targets).sum())
        caption = f"{batch.ids[0]}: {len(targets['labels'][0]) - ignored} to find"
        panels.append(Panel(picture, caption + (f", {ignored} not scored (dashed)" if ignored else "")))
    return panels


def class_colors(count: int) -> list[Color]:
    """Return one bright colour per class, with hues a golden section apart.

    >>> len(set(class_colors(80)))
    80
    """
    shades = [colorsys.hsv_to_rgb((0.12 + 0.618034 * n) % 1.0, 0.85 - 0.25 * (n // 2 % 2), 1.0) for n in range(count)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in shades]


def _annotated(image: Array, targets: Mapping[str, Any], problem: Problem, colors: list[Color]) -> Array:
    """Return the image, enlarged or shrunk, with the annotations of the one sample in `targets`."""
    from PIL import Image, ImageDraw

    height, width = image.shape[:2]
    scale = min(max(1, round(SIDE / min(height, width))), max(1, LONGEST // max(height, width)))
    factor = min(float(scale), LONGEST / max(height, width))
    size = round(width * factor), round(height * factor)
    sampling = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    sheet = Image.fromarray(image).convert("RGB").resize(size, sampling)
    labels, ignored = targets["labels"][0].tolist(), _not_scored(targets).tolist()
    if "masks" in targets:
        sheet = Image.fromarray(_outlined(np.asarray(sheet), targets["masks"][0], [colors[label] for label in labels]))
    pen = ImageDraw.Draw(sheet)
    corners = (to_corners(targets["xywh"][0]) * ([size[0] / width, size[1] / height] * 2)).round().astype(int).tolist()
    for box, label, dashed in zip(corners, labels, ignored, strict=True):
        _frame(pen, box, colors[label], dashed)
    for box, label, dashed in zip(corners, labels, ignored, strict=True):
        if not dashed:
            _name(pen, box, problem.classes[label], colors[label], size)
    return np.asarray(sheet)


def _not_scored(targets: Mapping[str, Any]) -> Array:
    """Return which annotations of the one sample are crowds or difficult, bool (n,)."""
    skipped = np.zeros(len(targets["labels"][0]), dtype=np.bool_)
    for name in ("crowd", "difficult"):
        if name in targets:
            skipped |= np.asarray(targets[name][0], dtype=np.bool_)
    return skipped


def _outlined(picture: Array, masks: Any, colors: list[Color]) -> Array:
    """Return the picture with the inner border of each mask in its colour."""
    import cv2

    out = picture.copy()
    for index, color in enumerate(colors):
        mask = cv2.resize(masks.dense(index).astype(np.uint8), (out.shape[1], out.shape[0]), interpolation=0)
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        out[(mask > 0) & (inner == 0)] = color
    return out


def _frame(pen: ImageDraw, box: list[int], color: Color, dashed: bool) -> None:
    """Draw a rectangle inside the box on a dark line, visible on any background."""
    left, top, right, bottom = box[0], box[1], max(box[0], box[2] - 1), max(box[1], box[3] - 1)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_BLACK)
    if not dashed:
        pen.rectangle((left, top, right, bottom), outline=color)
        return
    for x in range(left, right, 2 * DASH):
        for y in (top, bottom):
            pen.line((x, y, min(x + DASH - 1, right), y), fill=color)
    for y in range(top, bottom, 2 * DASH):
        for x in (left, right):
            pen.line((x, y, x, min(y + DASH - 1, bottom)), fill=color)


def _name(pen: ImageDraw, box: list[int], name: str, color: Color, size: tuple[int, int]) -> None:
    """Write a class above its box, or below its upper edge where there is no room, inside the picture."""
    from PIL import ImageFont

    font = ImageFont.load_default(FONT_SIZE)
    wide, high = int(font.getlength(name)) + 4, FONT_SIZE + 3
    x = min(max(0, box[0]), max(0, size[0] - wide))
    y = box[1] - high - 1 if box[1] > high else box[1]
    pen.rectangle((x, y, x + wide, y + high), fill=color)
    dark = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 128
    pen.text((x + 2, y), name, fill=_WHITE if dark else _BLACK, font=font)
