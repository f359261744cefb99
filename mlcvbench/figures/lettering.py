"""Letters in pictures: the one font, its sizes, and texts that fit the room there is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

TITLE, TEXT, SMALL, TINY = 15, 13, 12, 10
"""Heights of letters, pixels."""
LEADING = 1.3
"""From line to line, in heights of letters."""
NAME_LENGTH = 18
"""Letters of a class's name that a label holds."""


@lru_cache
def font(size: int) -> FreeTypeFont:
    """Return a font that knows most of the world's alphabets: matplotlib's DejaVu Sans, as a file."""
    from importlib.util import find_spec

    from PIL import ImageFont

    spec = find_spec("matplotlib")  # which finds it without the fifth of a second that importing it takes
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def plain(text: str) -> str:
    """Return a text on one line: what does not print, line breaks too, becomes a space."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def text_width(text: str, size: int) -> int:
    """Return the pixels that a text takes from left to right."""
    return -int(-font(size).getlength(plain(text)) // 1)


def widest(texts: list[str], size: int) -> int:
    """Return the pixels that the longest of some texts takes, 0 without any."""
    return max((text_width(text, size) for text in texts), default=0)


def line_height(size: int) -> int:
    """Return the pixels from one line of letters to the next.

    >>> line_height(TEXT)
    17
    """
    return round(size * LEADING)


def short_name(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name that fits a label.

    >>> short_name("a class of many words")
    'a class of many w…'
    """
    return name if len(name) <= length else f"{name[: length - 1]}…"


def fitting(text: str, width: int, size: int) -> str:
    """Return a text, its end cut where it would be wider than so many pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
