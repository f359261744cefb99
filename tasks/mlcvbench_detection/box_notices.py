"""Notices about boxes: corners or relative values in place of [x, y, width, height] in pixels, and boxes outside
images.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.wording import counted

SHARES = 1.5
"""Boxes without a larger number are not in pixels."""
TOLERATED = 0.01
"""Fraction of the image by which a box may reach beyond it; one pixel is always tolerated."""
MANY = 0.1
"""Fraction of boxes that may reach beyond their image without a notice."""
HARDLY = 0.001
"""Fraction of boxes that may not look like corners though the others do."""


def box_notices(what: str, boxes: Ragged, sizes: Array) -> list[Notice]:
    """Return at most one notice about boxes: that they are relative, or corners, or outside.

    `what`: the name of one, such as `box`. `boxes`: xywh float64; `sizes` (U, 2): height and width of each image, 0
    where unknown, whose boxes are skipped.
    """
    known = sizes.all(axis=1)
    if not known.all():
        boxes, sizes = boxes[np.flatnonzero(known)], sizes[known]
    if not len(boxes.values):
        return []
    return _InImages(what, boxes, sizes).notices()


class _InImages:
    """Boxes by column, with the size of their image: a pass over a contiguous column is several times faster."""

    def __init__(self, what: str, boxes: Ragged, sizes: Array) -> None:
        self.what, self.boxes, self.sizes, self.units = what, boxes.values, sizes, boxes.units
        self.x, self.y, self.w, self.h = np.ascontiguousarray(boxes.values.T)
        self.high, self.wide = (np.repeat(side.astype(np.float64), boxes.counts) for side in sizes.T)

    def notices(self) -> list[Notice]:
        largest, side = self.boxes.max(), int(self.sizes.max())
        if largest <= SHARES and self.sizes.min() > 2 * SHARES:
            text = (
                f"no {self.what} has a number above {SHARES:g} in images of up to {side:,} pixels: are they shares of "
                "the image? [x, y, width, height] in pixels is wanted."
            )
            return [Notice("boxes-as-shares", text, len(self.boxes))]
        beyond = self._beyond(self.x + self.w, self.y + self.h)
        count = int(beyond.sum())
        if not count:
            return []
        if self._are_corners():
            lead = self._said(count, ("reaches", "reach"), "beyond", beyond)
            text = f"{lead}; read as corners all lie inside: are they x1 y1 x2 y2? [x, y, width, height] is wanted."
            return [Notice("boxes-as-corners", text, count)]
        away = (self.x >= self.wide) | (self.y >= self.high) | (self.x + self.w <= 0) | (self.y + self.h <= 0)
        lost = int(away.sum())
        if not lost and count <= MANY * len(self.boxes):
            return []
        lead = (
            self._said(lost, ("lies", "lie"), "wholly outside", away)
            if lost
            else self._said(count, ("reaches", "reach"), "beyond", beyond)
        )
        return [Notice("boxes-outside", f"{lead}: are they in pixels of the original image?", lost or count)]

    def _beyond(self, right: Array, bottom: Array) -> Array:
        """Return which boxes reach beyond their image by more than the tolerance, bool (N,)."""
        slack_x, slack_y = (np.maximum(1.0, TOLERATED * side) for side in (self.wide, self.high))
        beyond: Array = (right > self.wide + slack_x) | (bottom > self.high + slack_y)
        beyond |= (self.x < -slack_x) | (self.y < -slack_y)
        return beyond

    def _are_corners(self) -> bool:
        """Return whether (nearly) all boxes are valid as x1, y1, x2, y2."""
        wrong = (self.w < self.x) | (self.h < self.y)
        if wrong.sum() > HARDLY * len(wrong):
            return False
        wrong |= self._beyond(self.w, self.h)
        return bool(wrong.sum() <= HARDLY * len(wrong))

    def _said(self, count: int, verbs: tuple[str, str], where: str, which: Array) -> str:
        """Return `3 of 4 boxes reach beyond their images ([x, y, w, h] in width x height)`."""
        one = int(np.argmax(which))
        height, width = self.sizes[self.units[one]].tolist()
        numbers = ", ".join(f"{value:g}" for value in self.boxes[one])
        many = counted(len(self.boxes), self.what).partition(" ")[2]
        whose = "its image" if count == 1 else "their images"
        verb = verbs[0] if count == 1 else verbs[1]
        return f"{count:,} of {len(self.boxes):,} {many} {verb} {where} {whose} ([{numbers}] in {width} x {height})"
