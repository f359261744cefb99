"""Displayable inputs, and samples beside their label maps for contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import Array, Batch, Panel, Problem, Split, spread
from mlcvbench_segmentation.palette import IGNORED_COLOR, class_colors, label_colors

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

SIDE = 256
"""Least length in pixels of the shorter side of a drawn sample; smaller ones are enlarged by an integer factor."""
LONGEST = 512
GAP = 4
LINE = 18
FONT_SIZE = 12
PAPER = (255, 255, 255)
INK = (31, 41, 51)
NEAR, FAR = 2, 98
"""Percentiles of the measured depths at the ends of the colour scale."""
LISTED = 24


def picture_of(batch: Batch, place: int) -> Array:
    """Return a sample as uint8 (H, W, 3): its image, or its depth from near (yellow) to far (violet), unknown black."""
    if "image" in batch.inputs:
        image = np.asarray(batch.inputs["image"][place])
        return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    return depth_picture(np.asarray(batch.inputs["depth"][place]))


def depth_picture(depth: Array) -> Array:
    """Return a depth image (H, W), 0 = unknown, in colours that darken with distance."""
    import cv2

    known = depth > 0
    near, far = np.percentile(depth[known], [NEAR, FAR]) if known.any() else (0.0, 1.0)
    share = np.clip((far - depth) / max(far - near, 1e-6), 0, 1)
    bgr = cv2.applyColorMap(np.round(share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    picture: Array = np.where(known[..., None], bgr[..., ::-1], np.uint8(0))
    return picture


def preview(split: Split, problem: Problem, count: int) -> list[Panel]:
    """Return panels of a sample and its label map side by side, above a legend of all classes in the panels."""
    drawn, seen = [], np.zeros(256 * 256, dtype=np.bool_)
    for batch, targets in split.each(lambda place: split.read([place]), spread(split, count)):
        label = np.asarray(targets["label_map"][0])
        seen[np.unique(label)] = True
        drawn.append((_caption(batch), _beside(batch, label, len(problem.classes))))
    present = np.flatnonzero(seen[: len(problem.classes)]).tolist()
    ignored = bool(seen[len(problem.classes) :].any())
    return [Panel(_with_legend(image, problem.classes, present, ignored), caption) for caption, image in drawn]


def _caption(batch: Batch) -> str:
    """Return the id of the only sample, and its range of measured depths."""
    name = str(batch.ids[0])
    if "image" in batch.inputs:
        return name
    depth = np.asarray(batch.inputs["depth"][0])
    measured = depth[depth > 0]
    return f"{name}, {measured.min():.2f} to {measured.max():.2f} m, near is yellow" if len(measured) else name


def _beside(batch: Batch, label: Array, classes: int) -> Array:
    """Return the sample and its label map, small ones enlarged, large ones subsampled."""
    picture, colors = picture_of(batch, 0), label_colors(label, classes)
    step, grow = max(1, -(-max(label.shape) // LONGEST)), max(1, -(-SIDE // max(1, min(label.shape))))
    grow = max(1, min(grow, LONGEST // max(label.shape)))
    shown = [one[::step, ::step].repeat(grow, axis=0).repeat(grow, axis=1) for one in (picture, colors)]
    gap = np.full((len(shown[0]), GAP, 3), PAPER, dtype=np.uint8)
    return np.concatenate([shown[0], gap, shown[1]], axis=1)


def _with_legend(image: Array, classes: Sequence[str], present: Sequence[int], ignored: bool) -> Array:
    """Return the image above colour swatches of at most `LISTED` classes present, in as many lines as needed."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT_SIZE)
    palette = class_colors(len(classes))
    entries = [(classes[index], tuple(palette[index].tolist())) for index in present[:LISTED]]
    if len(present) > LISTED:
        entries.append((f"and {len(present) - LISTED} more", PAPER))
    if ignored:
        entries.append(("not scored", IGNORED_COLOR))
    spots = _laid_out([name for name, _ in entries], image.shape[1], font)
    below = (spots[-1][1] + LINE if spots else 0) + GAP
    sheet = Image.fromarray(np.concatenate([image, np.full((below, image.shape[1], 3), PAPER, dtype=np.uint8)]))
    pen = ImageDraw.Draw(sheet)
    for (name, color), (x, y) in zip(entries, spots, strict=True):
        top = len(image) + GAP + y
        pen.rectangle((x, top + 3, x + 10, top + 13), fill=color)
        pen.text((x + 15, top + 1), name, fill=INK, font=font)
    return np.asarray(sheet)


def _laid_out(names: Sequence[str], width: int, font: FreeTypeFont | ImageFont) -> list[tuple[int, int]]:
    """Return the position (x, y) of each entry, in lines no wider than `width`."""
    spots, x, y = [], GAP, 0
    for name in names:
        needed = 15 + int(font.getlength(name)) + 12
        if x > GAP and x + needed > width:
            x, y = GAP, y + LINE
        spots.append((x, y))
        x += needed
    return spots
