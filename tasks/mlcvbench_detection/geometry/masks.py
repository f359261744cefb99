"""IoU of run-length encoded masks, and masks from COCO's polygons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import short
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_detection.geometry.matching import PairIou
from mlcvbench_detection.geometry.ragged import expand, runs_of, starts_of
from mlcvbench_detection.geometry.rle import BadMask, Masks, check_runs, coco_objects, decode_text

_FEW_PAIRS = 30
"""Up to here hotcoco is faster, which takes 2 us for a call where pycocotools takes 11; beyond, it is slower."""


def pairwise_mask_iou(detected: Masks, annotated: Masks, crowd: Array) -> PairIou:
    """Return the IoU function of two sets of masks; for a crowd (M,) the union is the detection alone.

    pycocotools counts the pixels, or hotcoco, whose ratios are the same bits. Masks are checked when they are made, so
    no engine reads out of bounds. Two empty masks have IoU 0.
    """
    (left, right), (other_left, other_right) = detected.columns(), annotated.columns()

    def iou(one: Array, other: Array) -> Array:
        ratio = np.zeros(len(one))
        starts, counts = runs_of(one)
        near = np.maximum(left[one], other_left[other]) < np.minimum(right[one], other_right[other])
        near = np.logical_or.reduceat(near, starts) if len(one) else near  # of detections, of any annotation
        pairs = expand(starts[near], counts[near])
        ratio[pairs] = _iou(detected, annotated, crowd, one[pairs], other[pairs])
        return ratio

    return iou


def _iou(detected: Masks, annotated: Masks, crowd: Array, one: Array, other: Array) -> Array:
    """Return the IoU of pairs (P,), with one call of an engine for detections that share their annotations."""
    from hotcoco import primitives
    from pycocotools import mask as reference

    starts, counts = runs_of(one)
    heads = _new_lists(other, starts, counts)
    rows, row = _numbered(one[starts], len(detected))
    columns, column = _numbered(other[expand(starts[heads], counts[heads])], len(annotated))
    found, wanted, flags = coco_objects(detected, rows), coco_objects(annotated, columns), crowd[columns].tolist()
    parts = [np.zeros(0)]
    for some, few in zip(
        pairwise([*heads.tolist(), len(row)]), pairwise(starts_of(counts[heads]).tolist()), strict=True
    ):
        own, shared = row[slice(*some)], column[slice(*few)]
        engine = primitives.mask_iou if len(own) * len(shared) <= _FEW_PAIRS else reference.iou
        ratio = engine([found[i] for i in own], [wanted[i] for i in shared], [flags[i] for i in shared])
        parts.append(ratio.ravel())
    return np.concatenate(parts)


def _new_lists(other: Array, starts: Array, counts: Array) -> Array:
    """Return which of some lists of annotations, one behind the other, are not that before: indices (L,)."""
    if not len(starts):
        return starts
    before = np.append(0, counts[:-1])
    alike = other == other[np.arange(len(other)) - np.repeat(before, counts)]
    return np.flatnonzero(~np.logical_and.reduceat(alike, starts) | (counts != before))


def _numbered(index: Array, count: int) -> tuple[Array, list[int]]:
    """Return the distinct indices, all below `count`, in ascending order, and the place of each index among them."""
    place = np.zeros(count, dtype=np.int64)
    place[index] = 1
    distinct = np.flatnonzero(place)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[index].tolist()


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
