"""Contact sheets: many small pictures with captions on one page, legible at any picture size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlcvbench.contract import Array, Panel
from mlcvbench.figures import INK, MUTED, TEXT, Canvas, enlarged, font, line_height, plain, reduced

SMALL, TALL, WIDE = 150, 360, 720
"""Pixels: pictures lower than `SMALL` are enlarged by an integer factor, those beyond `TALL` or `WIDE` reduced."""
ENLARGED = 192
"""Height that enlarged pictures approach."""
SHEET = 1600
"""Width of a sheet, unless one picture needs more."""
NARROWEST = 128
"""Least width of a caption."""
MARGIN, GAP, GROUP_GAP = 16, 6, 22
CAPTION_LINES = 3
HEADING = 20
"""Font size of the title."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """One picture at its size on the sheet, and the lines of its caption."""

    picture: Array
    caption: list[str]


def draw_sheet(panels: Sequence[Panel], group: int, title: str, lines: Sequence[str]) -> Canvas:
    """Return the panels in rows below a title and lines of text; `group` consecutive panels stay together.

    Small pictures are enlarged without smoothing, so that their pixels can be counted. A group wider than the sheet
    continues in the next row.
    """
    pictures = [fitted(panel.image) for panel in panels]
    width = max(NARROWEST, *(picture.shape[1] for picture in pictures))
    cells = [
        _Cell(picture, wrapped(panel.caption, TEXT, width, CAPTION_LINES))
        for picture, panel in zip(pictures, panels, strict=True)
    ]
    rows = _rows(cells, group, width)
    across = max(*(_end(row, group, width) for row in rows), NARROWEST * 4)
    head = [(HEADING, INK, line) for line in wrapped(title, HEADING, across)]
    head += [(TEXT, MUTED, piece) for line in lines for piece in wrapped(line, TEXT, across)]
    heights = [max(len(c.picture) + GAP + line_height(TEXT) * len(c.caption) for c in row) + GROUP_GAP for row in rows]
    top = MARGIN + sum(line_height(size) for size, _, _ in head) + GROUP_GAP // 2
    sheet = Canvas(across + 2 * MARGIN, top + sum(heights) - GROUP_GAP + MARGIN)
    y = MARGIN
    for size, color, line in head:
        sheet.text(MARGIN, y, line, size, color, "la")
        y += line_height(size)
    for row, height in zip(rows, heights, strict=True):
        for place, cell in enumerate(row):
            x = MARGIN + _start(place, group, width)
            sheet.picture(cell.picture, x, top)
            for number, line in enumerate(cell.caption):
                sheet.text(x, top + len(cell.picture) + GAP + number * line_height(TEXT), line, TEXT, anchor="la")
        top += height
    return sheet


def fitted(image: Array) -> Array:
    """Return uint8 (H, W, 3) at a viewing size: tiny images enlarged by an integer factor, large ones averaged down."""
    height, width = image.shape[:2]
    if height < SMALL and width <= WIDE:
        return enlarged(image, max(1, min(round(ENLARGED / height), WIDE // width)))
    return reduced(image, TALL, WIDE)


def wrapped(text: str, size: int, width: int, most: int | None = None) -> list[str]:
    """Return `text` in lines of at most `width` pixels, broken at spaces or inside longer words.

    `size`: the font size. After `most` lines it ends in an ellipsis. Unprintable characters become spaces.
    """
    length, lines = font(size).getlength, [""]
    for word in plain(text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if length(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and length(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if most is None or len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and length(f"{last}…") > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()}…"]


def _rows(cells: Sequence[_Cell], group: int, width: int) -> list[list[_Cell]]:
    """Return the cells in rows of whole groups, as close to a square as the sheet allows."""
    groups = [list(cells[first : first + group]) for first in range(0, len(cells), group)]
    whole = (SHEET + GROUP_GAP) // (_end(groups[0], group, width) + GROUP_GAP)
    if whole >= 1:
        square = math.ceil(math.sqrt(2 * len(groups) / group))
        abreast = max(1, min(whole, square))
        return [list(cells[first : first + abreast * group]) for first in range(0, len(cells), abreast * group)]
    fits = max(1, (SHEET + GAP) // (width + GAP))
    return [one[first : first + fits] for one in groups for first in range(0, len(one), fits)]


def _start(place: int, group: int, width: int) -> int:
    """Return the distance from the margin at which the cell at `place` of a row begins."""
    return place * (width + GAP) + (place // group) * (GROUP_GAP - GAP)


def _end(row: Sequence[_Cell], group: int, width: int) -> int:
    return _start(len(row) - 1, group, width) + width
