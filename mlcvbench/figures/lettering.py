"""Text in pictures: the font, its sizes, and texts cut to the available width."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

TITLE, TEXT, SMALL, TINY = 15, 13, 12, 10
"""Font sizes in pixels."""
LEADING = 1.3
"""Line spacing, in font sizes."""
NAME_LENGTH = 18
"""The most characters of a class name in a label."""


@lru_cache
def font(size: int) -> FreeTypeFont:
    """Return a font that covers most of the world's alphabets: matplotlib's DejaVu Sans, as a file."""
    from importlib.util import find_spec

    from PIL import ImageFont

    spec = find_spec("matplotlib")  # finds matplotlib without importing it, which takes a fifth of a second
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def plain(text: str) -> str:
    """Return a text on one line: unprintable characters and line breaks become spaces."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def text_width(text: str, size: int) -> int:
    """Return the width of a text in pixels."""
    return -int(-font(size).getlength(plain(text)) // 1)


def widest(texts: list[str], size: int) -> int:
    """Return the width in pixels of the widest of some texts, 0 without any."""
    return max((text_width(text, size) for text in texts), default=0)


def line_height(size: int) -> int:
    """Return the line spacing in pixels.

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
    """Return a text, cut at the end where it would be wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
