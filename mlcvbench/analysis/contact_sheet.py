"""Contact sheets: many small pictures with captions on one page, legible whatever their size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.contract import Array, Panel

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont

SMALL, TALL, WIDE = 150, 360, 720
"""Pixels: pictures lower than `SMALL` are enlarged by a whole factor, those beyond `TALL` or `WIDE` reduced."""
ENLARGED = 192
"""Height that enlarged pictures come close to."""
SHEET = 1600
"""Width of a sheet, unless one picture needs more."""
NARROWEST = 128
"""Least width of a caption."""
MARGIN, GAP, GROUP_GAP = 16, 6, 22
CAPTION_LINES = 3
PAPER, INK, FAINT = (255, 255, 255), (31, 41, 51), (96, 108, 120)
TITLE_SIZE, TEXT_SIZE = 20, 13
LEADING = 1.3


@dataclass(frozen=True, slots=True)
class _Cell:
    """One picture as it stands on the sheet, and the lines of its caption."""

    picture: Image.Image
    caption: list[str]


def draw_sheet(panels: Sequence[Panel], group: int, title: str, lines: Sequence[str]) -> Image.Image:
    """Return the panels in rows below a title and lines of text; `group` consecutive panels are never torn apart.

    Small pictures are enlarged without smoothing, so that their pixels can be counted. A group wider than the sheet
    goes on in the next row.
    """
    from PIL import Image, ImageDraw

    text, heading = _font(TEXT_SIZE), _font(TITLE_SIZE)
    pictures = [fitted(panel.image) for panel in panels]
    width = max(NARROWEST, *(picture.width for picture in pictures))
    cells = [
        _Cell(picture, wrapped(panel.caption, text, width, CAPTION_LINES))
        for picture, panel in zip(pictures, panels, strict=True)
    ]
    rows = _rows(cells, group, width)
    across = max(_end(row, group, width) for row in rows)
    sheet_width = max(across, NARROWEST * 4) + 2 * MARGIN
    head = [(heading, INK, line) for line in wrapped(title, heading, sheet_width - 2 * MARGIN)]
    head += [(text, FAINT, piece) for line in lines for piece in wrapped(line, text, sheet_width - 2 * MARGIN)]
    leading = math.ceil(TEXT_SIZE * LEADING)
    heights = [max(c.picture.height + GAP + leading * len(c.caption) for c in row) + GROUP_GAP for row in rows]
    top = MARGIN + sum(math.ceil(font.size * LEADING) for font, _, _ in head) + GROUP_GAP // 2
    sheet = Image.new("RGB", (sheet_width, top + sum(heights) - GROUP_GAP + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    y = MARGIN
    for font, color, line in head:
        pen.text((MARGIN, y), line, fill=color, font=font)
        y += math.ceil(font.size * LEADING)
    for row, height in zip(rows, heights, strict=True):
        for place, cell in enumerate(row):
            x = MARGIN + _start(place, group, width)
            sheet.paste(cell.picture, (x, top))
            for number, line in enumerate(cell.caption):
                pen.text((x, top + cell.picture.height + GAP + number * leading), line, fill=INK, font=text)
        top += height
    return sheet


def fitted(image: Array) -> Image.Image:
    """Return uint8 (H, W, 3) at a size to look at: tiny ones enlarged by a whole factor, large ones averaged down."""
    from PIL import Image

    picture = Image.fromarray(image)
    if picture.height < SMALL and picture.width <= WIDE:
        factor = max(1, min(round(ENLARGED / picture.height), WIDE // picture.width))
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    share = min(1.0, TALL / picture.height, WIDE / picture.width)
    if share == 1.0:
        return picture
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    return picture.resize(size, Image.Resampling.BOX)


def wrapped(text: str, font: FreeTypeFont, width: int, most: int | None = None) -> list[str]:
    """Return `text` in lines of at most `width` pixels, broken at spaces or, when a word is longer, inside it.

    After `most` lines it ends in an ellipsis. Letters that do not print become question marks.
    """
    lines = [""]
    for word in "".join(letter if letter.isprintable() else " " for letter in text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if most is None or len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and font.getlength(f"{last}…") > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()}…"]


def _rows(cells: Sequence[_Cell], group: int, width: int) -> list[list[_Cell]]:
    """Return the cells in rows of whole groups, as square as the sheet allows."""
    groups = [list(cells[first : first + group]) for first in range(0, len(cells), group)]
    whole = (SHEET + GROUP_GAP) // (_end(groups[0], group, width) + GROUP_GAP)
    if whole >= 1:
        square = math.ceil(math.sqrt(2 * len(groups) / group))
        abreast = max(1, min(whole, square))
        return [list(cells[first : first + abreast * group]) for first in range(0, len(cells), abreast * group)]
    fits = max(1, (SHEET + GAP) // (width + GAP))
    return [one[first : first + fits] for one in groups for first in range(0, len(one), fits)]


def _start(place: int, group: int, width: int) -> int:
    """Return how far right of the margin the cell at `place` of a row begins."""
    return place * (width + GAP) + (place // group) * (GROUP_GAP - GAP)


def _end(row: Sequence[_Cell], group: int, width: int) -> int:
    return _start(len(row) - 1, group, width) + width


def _font(size: int) -> FreeTypeFont:
    """Return a font that knows most of the world's alphabets."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
