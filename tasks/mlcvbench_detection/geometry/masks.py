"""IoU of run-length encoded masks, and masks from COCO's polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import short
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_detection.geometry.matching import PairIou
from mlcvbench_detection.geometry.ragged import expand, starts_of
from mlcvbench_detection.geometry.rle import BadMask, Masks, check_runs, decode_text

_RUNS_AT_ONCE = 1 << 20
_IMAGE = 1 << 26
"""Exceeds the pixels of any image, so that (mask, pixel) is one sortable number."""
assert _IMAGE > MAX_PIXELS


def pairwise_mask_iou(detected: Masks, annotated: Masks, crowd: Array) -> PairIou:
    """Return the IoU function of two sets of masks; for a crowd (M,) the union is the detection alone.

    Whole pixels are counted, so the ratios equal those of pycocotools' `rleIou` bit for bit. Two empty masks have IoU
    0.
    """
    first, end, owner = detected.on()
    starts = np.searchsorted(owner, np.arange(len(detected) + 1))
    counts = np.diff(starts)
    area, other_area = detected.area(), annotated.area()
    box, other_box = detected.boxes(), annotated.boxes()
    inside = _covered(annotated)

    def iou(one: Array, other: Array) -> Array:
        shared = np.zeros(len(one), dtype=np.int64)
        near = np.flatnonzero(_overlap(box[one], other_box[other]))
        for some in np.split(near, _cuts(counts[one[near]])):
            runs = expand(starts[one[some]], counts[one[some]])
            pair = np.repeat(np.arange(len(some)), counts[one[some]])
            mask = other[some][pair]
            covered = inside(mask, end[runs]) - inside(mask, first[runs])
            shared[some] = np.bincount(pair, covered, len(some)).astype(np.int64)
        union = np.where(crowd[other], area[one], area[one] + other_area[other] - shared)
        ratio: Array = shared / np.maximum(union, 1)
        return ratio

    return iou


def _covered(masks: Masks) -> Callable[[Array, Array], Array]:
    """Return a function of masks (P,) and pixels (P,): how many object pixels of the mask come before the pixel."""
    first, end, owner = masks.on()
    key = np.append(-1, owner * _IMAGE + first)  # a sentinel run before all others, so that one always exists
    first, end, owner = np.append(0, first), np.append(0, end), np.append(-1, owner)
    before = np.cumsum(end - first) - (end - first)
    base = np.append(before, before[-1] + end[-1] - first[-1])[np.searchsorted(owner, np.arange(len(masks)))]

    def covered(mask: Array, pixel: Array) -> Array:
        run = np.searchsorted(key, mask * _IMAGE + pixel, side="right") - 1
        reached = before[run] - base[mask] + np.minimum(pixel, end[run]) - first[run]
        return np.where(owner[run] == mask, reached, 0)

    return covered


def _overlap(boxes: Array, others: Array) -> Array:
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    apart: Array = (high <= low).any(axis=1)
    return ~apart


def _cuts(counts: Array) -> Array:
    return np.flatnonzero(np.diff(np.cumsum(counts) // _RUNS_AT_ONCE)) + 1


def read_segmentation(segmentation: Any, height: int, width: int) -> Masks | BadMask:
    """Return the one mask of a COCO segmentation: polygons, or run lengths plain or compressed.

    Polygons must be finite and within one image size around the image; pycocotools rasterises them.
    """
    if isinstance(segmentation, list):
        reason = _wrong_polygons(segmentation, height, width)
        return BadMask(0, reason) if reason else _draw(segmentation, height, width)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= set(segmentation):
        return BadMask(0, f"wanted polygons or an object with size and counts, got {short(segmentation)}")
    if segmentation["size"] != [height, width]:
        return BadMask(0, f"its size {short(segmentation['size'])} is not that of its image, [{height}, {width}]")
    return _from_counts(segmentation["counts"], [height, width])


def _draw(polygons: list[Any], height: int, width: int) -> Masks | BadMask:
    from pycocotools import mask as engine

    drawn = engine.merge(engine.frPyObjects(polygons, height, width))
    return _from_counts(drawn["counts"], [height, width])


def _from_counts(counts: Any, size: Sequence[int]) -> Masks | BadMask:
    if isinstance(counts, str | bytes):
        return _from_text(counts if isinstance(counts, bytes) else counts.encode("utf-8", "replace"), size)
    if isinstance(counts, list) and all(type(run) is int and abs(run) <= MAX_PIXELS for run in counts):
        runs = np.array(counts, dtype=np.int64)
        return check_runs(Masks(runs, np.array([0, len(runs)]), np.array([size], dtype=np.int64)))
    return BadMask(0, f"wanted counts as text or as a list of integers, got {short(counts)}")


def _from_text(text: bytes, size: Sequence[int]) -> Masks | BadMask:
    characters = np.frombuffer(text, dtype=np.uint8)
    return decode_text(characters, starts_of(np.array([len(characters)])), np.array([size], dtype=np.int64))


def _wrong_polygons(polygons: list[Any], height: int, width: int) -> str | None:
    if not polygons:
        return "it has no polygon"
    for polygon in polygons:
        if not isinstance(polygon, list) or any(type(value) not in {int, float} for value in polygon):
            return f"wanted lists of numbers, got {short(polygon)}"
        if len(polygon) < 6 or len(polygon) % 2:
            return f"a polygon has {len(polygon)} numbers; wanted an even count of 6 or more"
        points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
        far = (points < [-width, -height]) | (points > [2 * width, 2 * height]) | ~np.isfinite(points)
        if far.any():
            return f"the coordinate {points[far][0]} is far outside the image of {width} x {height} pixels"
    return None
