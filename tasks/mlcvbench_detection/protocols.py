"""Protocol ids of COCO and LVIS: boxes or masks, and how many detections count, are part of the id."""

from __future__ import annotations

import re
from typing import NamedTuple

BOXES, MASKS = "bbox", "segm"
FEWEST = 100
"""COCO's default limit of detections per class and image; a protocol may have a higher one, not a lower one."""
LIMITS = (FEWEST, 300, 1000)
"""The listed limits; any integer between `FEWEST` and 9999 is accepted."""
LVIS_LIMIT = 300
"""LVIS' limit of detections per image, over all classes."""
_COCO = re.compile(r"coco/(bbox|segm)/maxdet([1-9]\d{2,3})@(\d)")
_VERSIONS = {BOXES: 1, MASKS: 2}
"""Version 1 for masks used the areas of boxes for small, medium and large where results had boxes too."""


class CocoRules(NamedTuple):
    """The rules of an id of COCO's family: boxes or masks, and how many detections per class and image count."""

    kind: str
    most: int


def coco_protocol(kind: str, most: int) -> str:
    """Return the id of a protocol.

    >>> coco_protocol("segm", 300)
    'coco/segm/maxdet300@2'
    """
    return f"coco/{kind}/maxdet{most}@{_VERSIONS[kind]}"


def lvis_protocol(kind: str) -> str:
    """Return the id of LVIS' federated protocol.

    >>> lvis_protocol("bbox")
    'lvis/bbox/maxdet300@1'
    """
    return f"lvis/{kind}/maxdet{LVIS_LIMIT}@1"


COCO_PROTOCOLS = tuple(coco_protocol(kind, most) for kind in (BOXES, MASKS) for most in LIMITS)
LVIS_PROTOCOLS = {lvis_protocol(kind): kind for kind in (BOXES, MASKS)}
"""Id to boxes or masks."""


def parse_coco(protocol: str) -> CocoRules | None:
    """Return the rules of an id of COCO's family, None for any other.

    >>> parse_coco("coco/bbox/maxdet150@1")
    CocoRules(kind='bbox', most=150)
    """
    match = _COCO.fullmatch(protocol)
    if match is None or int(match[3]) != _VERSIONS[match[1]]:
        return None
    return CocoRules(match[1], int(match[2]))


def scores_masks(protocol: str) -> bool:
    """Return whether a protocol compares masks."""
    rules = parse_coco(protocol)
    return LVIS_PROTOCOLS.get(protocol) == MASKS or (rules is not None and rules.kind == MASKS)


_COCO_WORDS = (
    "COCO's evaluation, float for float that of pycocotools. A detection matches one object of its class and image at "
    "ten IoUs; precision is averaged over 101 recalls, then over the classes that have an object to find. Crowds are "
    "neither found nor missed."
)
_LVIS_WORDS = (
    "LVIS' evaluation, float for float that of lvis-api: as COCO's with the 300 best detections of an image, where "
    "classes that were not annotated are ignored and detections without a match count only where every object of "
    "their class is annotated."
)
_VOC_WORDS = (
    "PASCAL VOC: a detection belongs to the object of its class that it overlaps most, at IoU 0.5; the first by score "
    "is true, later ones are false, and those of difficult objects do not count. plus1: sides of boxes are x2 - x1 + "
    "1, as in the development kit."
)


def about(protocol: str) -> str:
    """Describe what a protocol compares and how it averages; later ones refer to the first."""
    rules = parse_coco(protocol)
    if rules is None:
        if protocol in LVIS_PROTOCOLS:
            boxes = lvis_protocol(BOXES)
            return _LVIS_WORDS if protocol == boxes else f"As {boxes}, with the IoU and the areas of masks."
        return _VOC_WORDS if protocol.startswith("voc/11pt") else "As voc/11pt, by the area under the curve."
    first = coco_protocol(BOXES, FEWEST)
    if protocol == first:
        return _COCO_WORDS
    masks = "" if rules.kind == BOXES else ", with the IoU and the areas of masks, whatever boxes the results hold"
    more = "" if rules.most == FEWEST else f", all at {rules.most} detections (any number up to 9999 is accepted)"
    return f"As {first}{masks}{more}."
