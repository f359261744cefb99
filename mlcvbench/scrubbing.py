"""Messages without the places of this machine."""

from __future__ import annotations

import sys
from pathlib import Path


def scrub(text: str) -> str:
    """Take the home folder, the working folder and the interpreter's folder out of a message.

    >>> scrub("no such file: " + str(Path.cwd() / "a.txt"))
    'no such file: ./a.txt'
    """
    places = {str(Path.cwd()): ".", str(Path(sys.prefix)): "$PREFIX", str(Path.home()): "~"}
    for place, short in sorted(places.items(), key=lambda item: -len(item[0])):
        if len(place) > 1:
            text = text.replace(place, short)
    return text
