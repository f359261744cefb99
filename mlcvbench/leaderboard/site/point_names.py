"""Labels beside the points of a scatter: short, and only where there is room. `scatter.js` does the same in a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlcvbench.leaderboard.standing.labels import short_config
from mlcvbench.leaderboard.standing.rows import BoardRow
from mlcvbench.leaderboard.tables.terminal import plain

LONGEST = (30, 16)
"""The most letters of a name, and of one that finds no room at that length."""
HEIGHT = 9.0
LETTER = 5.4
"""Approximate width of a letter in points; the viewer's font is unknown."""
RADIUS = 4.0
MOST_COVERED = 2
Side = Literal["left", "right"]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
PLACES: tuple[tuple[float, float, Side], ...] = (
    (4, 5, "left"),
    (-4, 5, "right"),
    (7, -3, "left"),
    (-7, -3, "right"),
    (4, -12, "left"),
    (-4, -12, "right"),
)
"""Positions where a name begins (`left`) or ends, relative to its point: to the right, and above."""


@dataclass(frozen=True, slots=True)
class PointName:
    """A name placed beside point number `index`: shift in points, the side that is anchored there, its area."""

    index: int
    text: str
    shift: Point = (0.0, 0.0)
    side: Side = "left"
    area: Box = (0.0, 0.0, 0.0, 0.0)


def short_names(front: Sequence[BoardRow]) -> list[str]:
    """Return names that distinguish the points of a front: model, settings, or both, as needed."""
    counts = Counter(row.model for row in front)
    names = []
    for row in front:
        config = short_config(row.config)
        if len(counts) == 1:
            name = config or row.model
        else:
            name = row.model if counts[row.model] == 1 else f"{row.model} {config}".strip()
        names.append(plain(name))
    return names


def place_names(
    names: Sequence[str], points: Sequence[Point], others: Sequence[Point], box: Box, most: int
) -> list[PointName]:
    """Return at most `most` names that cover no other name, none of `points`, few of `others`, and stay inside `box`.

    The last point is named first, then the first, then backwards. A name without room is cut, then left out. Points
    and box (left, bottom, right, top) are in points of 1/72 inch.
    """
    found: list[PointName] = []
    last = len(points) - 1
    for index in dict.fromkeys((last, 0, *range(last, -1, -1))) if points else ():
        for letters in LONGEST:
            text = names[index] if len(names[index]) <= letters else f"{names[index][: letters - 1]}…"
            name = _placed(PointName(index, text), [name.area for name in found], points, others, box)
            if name is not None:
                found.append(name)
                break
        if len(found) == most:
            break
    return found


def _placed(
    name: PointName,
    taken: Sequence[Box],
    points: Sequence[Point],
    others: Sequence[Point],
    box: Box,
) -> PointName | None:
    """Return the name at its best position, None when none has room."""
    x, y = points[name.index]
    solid = [*taken, *(_around(point) for index, point in enumerate(points) if index != name.index)]
    found: list[tuple[int, PointName]] = []
    for right, up, side in PLACES:
        left = x + right - (LETTER * len(name.text) if side == "right" else 0.0)
        area = (left, y + up, left + LETTER * len(name.text), y + up + HEIGHT)
        inside = area[0] >= box[0] and area[1] >= box[1] and area[2] <= box[2] and area[3] <= box[3]
        covered = sum(_overlap(area, _around(point)) for point in others)
        if inside and covered <= MOST_COVERED and not any(_overlap(area, other) for other in solid):
            found.append((covered, replace(name, shift=(right, up), side=side, area=area)))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _around(point: Point) -> Box:
    return (point[0] - RADIUS, point[1] - RADIUS, point[0] + RADIUS, point[1] + RADIUS)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
