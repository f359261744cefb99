"""What in detections and annotations is valid but probably not intended, from a few passes over their columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Notice, Predictions, Problem, Split, Targets
from mlcvbench_detection.box_notices import box_notices
from mlcvbench_detection.class_notices import class_notices
from mlcvbench_detection.geometry.ragged import Ragged, expand, ragged
from mlcvbench_detection.protocols import LIMITS, LVIS_LIMIT, LVIS_PROTOCOLS, coco_protocol, parse_coco, scores_masks
from mlcvbench_detection.truth import STAND_INS, truth_of
from mlcvbench_detection.wording import counted, listed

FEW_SCORES = 10
"""Fewer detections may share their scores by chance."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """The columns of a whole split. `ignored` bool (M,): annotations that do not have to be found."""

    predictions: Predictions
    targets: Targets
    problem: Problem
    protocol: str
    wanted: Ragged
    ignored: Array

    @property
    def federated(self) -> bool:
        return self.protocol in LVIS_PROTOCOLS

    @property
    def voc(self) -> bool:
        return not self.federated and parse_coco(self.protocol) is None


def notices(predictions: Predictions, split: Split, problem: Problem, protocol: str) -> list[Notice]:
    """Return notices about detections and annotations under a protocol."""
    targets = split.targets()
    flag = "difficult" if parse_coco(protocol) is None and protocol not in LVIS_PROTOCOLS else "crowd"
    ignored = truth_of(targets, "ignore" if protocol in LVIS_PROTOCOLS else flag).values
    scene = _Scene(predictions, targets, problem, protocol, ragged(targets, "labels"), ignored)
    checks = (_replaced, _void, _boxes, _over_limit, _images, _scores, _repeated, _unannotated)
    found = [notice for check in checks for notice in check(scene)]
    return [*found, *class_notices(predictions, targets)]


def _replaced(scene: _Scene) -> Iterator[Notice]:
    """Return which columns a protocol needs and the data lack, and the replacement."""
    if not scene.voc and "area" not in scene.targets:
        text = "the data have no areas of objects: width x height of the box is taken, without a pixel added."
        yield Notice("areas-of-boxes", text, len(scene.wanted.values))
    flag = "difficult" if scene.voc else "crowd"
    other = STAND_INS[flag]
    count = int(scene.ignored.sum())
    if count and flag not in scene.targets and other in scene.targets and not scene.federated:
        names = {"crowd": "crowd", "difficult": "difficult object"}
        which = f"a {names[flag]}" if count == 1 else f"{names[flag]}s"
        text = f"{counted(count, names[other], ('counts', 'count'))} as {which}: neither found nor missed."
        yield Notice(f"{other}-as-{flag}", text, count)
    total = len(ragged(scene.predictions, "scores").values)
    if total and "xywh" not in scene.predictions and not scores_masks(scene.protocol):
        text = "the predictions have no boxes: they and their areas are those of the masks."
        yield Notice("boxes-of-masks", text, total)


def _void(scene: _Scene) -> Iterator[Notice]:
    """Return the notice that an annotation with id 0 cannot be found."""
    if scene.voc or "annotation" not in scene.targets:
        return
    void = (ragged(scene.targets, "annotation").values == 0) & ~scene.ignored
    count = int(void.sum())
    if count:
        total = int((~scene.ignored).sum())
        engine = "" if scene.federated else "; `mlcvbench rescore RUN engine=hotcoco` counts it"
        text = (
            f"{counted(count, 'annotation', ('has', 'have'))} id 0, which the reference takes for no match: {count} of "
            f"{counted(total, 'object')} cannot be found. Number annotations from 1{engine}."
        )
        yield Notice("annotation-id-0", text, count)


def _boxes(scene: _Scene) -> Iterator[Notice]:
    sizes = np.asarray(scene.targets["size"])
    if "xywh" in scene.predictions:
        yield from box_notices("box", ragged(scene.predictions, "xywh"), sizes)
    yield from box_notices("annotated box", ragged(scene.targets, "xywh"), sizes)


def _over_limit(scene: _Scene) -> Iterator[Notice]:
    """Return how many detections are over the limit of a protocol."""
    scores, labels = ragged(scene.predictions, "scores"), ragged(scene.predictions, "labels")
    total = len(scores.values)
    if scene.federated:
        over = int(np.maximum(scores.counts - LVIS_LIMIT, 0).sum())
        if over:
            text = f"{over:,} of {counted(total, 'detection')} are over the limit of {LVIS_LIMIT} in an image"
            yield Notice("over-limit", f"{text}, and not looked at.", over)
        return
    rules = parse_coco(scene.protocol)
    if rules is None:
        return
    found, _ = _crowded(scores, labels.values, rules.most)
    objects, owner = _crowded(scene.wanted, scene.wanted.values, rules.most)
    over = int((found - rules.most).sum())
    if not over and not len(objects):
        return
    parts = []
    if over:
        parts.append(
            f"{over:,} of {counted(total, 'detection')} are over the limit of {rules.most} of a class in an image"
        )
    if len(objects):
        images = len(np.unique(owner))
        parts.append(f"{counted(images, 'image', ('has', 'have'))} more than {rules.most} objects of a class")
    needed = int(max(found.max(initial=0), objects.max(initial=0)))
    enough = next((limit for limit in LIMITS if limit >= needed), needed)
    more = f"; {coco_protocol(rules.kind, enough)} looks at all" if enough <= 9999 else ""
    yield Notice("over-limit", f"{'; '.join(parts)}{more}.", over)


def _crowded(column: Ragged, labels: Array, most: int) -> tuple[Array, Array]:
    """Return the sizes of (image, class) groups of more than `most` values, and the image of each."""
    full = np.flatnonzero(column.counts > most)
    rows = expand(column.starts[:-1][full], column.counts[full])
    owner = np.repeat(full, column.counts[full])
    groups, sizes = np.unique(np.stack([owner, labels[rows]]), axis=1, return_counts=True)
    large = sizes > most
    return sizes[large], groups[0][large]


def _images(scene: _Scene) -> Iterator[Notice]:
    """Return the notice that most images with objects have no detection."""
    wanted = np.bincount(scene.wanted.units[~scene.ignored], minlength=len(scene.wanted))
    annotated, without = wanted > 0, ragged(scene.predictions, "scores").counts == 0
    images, silent = int(annotated.sum()), int((annotated & without).sum())
    if images and 2 * silent > images:
        lost, total = int(wanted[without].sum()), int(wanted.sum())
        text = (
            f"{images - silent:,} of {counted(images, 'image')} with objects have detections; the others' objects, "
            f"{lost:,} of {total:,}, count as missed."
        )
        yield Notice("few-images", text, silent)


def _scores(scene: _Scene) -> Iterator[Notice]:
    """Return the notice that scores hardly rank detections."""
    scores = ragged(scene.predictions, "scores").values
    if len(scores) < FEW_SCORES:
        return
    low, high = scores.min(), scores.max()
    if low == high:
        text = f"all {len(scores):,} detections have the score {low:g}, so the order of the file ranks them."
        yield Notice("equal-scores", text, len(scores))
    elif ((scores == low) | (scores == high)).all():
        text = f"all {len(scores):,} detections have one of two scores, {low:g} and {high:g}, which hardly rank them."
        yield Notice("two-scores", text, len(scores))


def _repeated(scene: _Scene) -> Iterator[Notice]:
    """Return the notice that detections occur twice. Rows are compared by a 64-bit hash."""
    if "xywh" not in scene.predictions:
        return
    scores = ragged(scene.predictions, "scores")
    columns = [scores.units, scene.predictions["labels"].values, scores.values, *scene.predictions["xywh"].values.T]
    hashes = np.zeros(len(scores.values), dtype=np.uint64)
    for column in columns:
        bits = np.ascontiguousarray(column).view(np.uint64)
        hashes = (hashes ^ (bits + np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD6E8FEB86659FD93)
        hashes ^= hashes >> np.uint64(32)
    hashes.sort()
    count = int((hashes[1:] == hashes[:-1]).sum())
    if count:
        text = (
            f"{counted(count, 'detection', ('repeats', 'repeat'))} another one in image, class, box and score; of "
            "equal ones all but one are false."
        )
        yield Notice("repeated-detections", text, count)


def _unannotated(scene: _Scene) -> Iterator[Notice]:
    """Return the notice that detections of classes without an annotation have no effect."""
    if scene.federated:  # classes that were not annotated are ignored by design
        return
    classes = len(scene.problem.classes)
    wanted = np.bincount(scene.wanted.values[~scene.ignored], minlength=classes)
    found = np.bincount(scene.predictions["labels"].values, minlength=classes)
    absent = np.flatnonzero((wanted == 0) & (found > 0))
    count = int(found[absent].sum())
    if count:
        names = listed([scene.problem.classes[label] for label in absent.tolist()])
        text = (
            f"{counted(count, 'detection', ('is', 'are'))} of {counted(len(absent), 'class')} without an annotation to "
            f"find ({names}): such a class has no average precision, so they are ignored."
        )
        yield Notice("unannotated-classes", text, count)
