"""Texts for people: messages without the places of this machine, digests in short."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_DIGEST = re.compile(r"@([0-9a-f]{12})[0-9a-f]{52}")


def scrub(text: str, paths: Iterable[str] = ()) -> str:
    """Take the home folder, the working folder and the interpreter's folder out of a message.

    Of the `paths` only their own names are left.

    >>> scrub("no such file: " + str(Path.cwd() / "a.txt"))
    'no such file: ./a.txt'
    """
    for path in sorted({os.path.normpath(path) for path in paths}, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, os.path.basename(path))  # noqa: PTH119 - it is text
    places = {str(Path.cwd()): ".", str(Path(sys.prefix)): "$PREFIX", str(Path.home()): "~"}
    for place, short in sorted(places.items(), key=lambda item: -len(item[0])):
        if len(place) > 1:
            text = text.replace(place, short)
    return text


def short_digests(text: str) -> str:
    """Return a text whose labels of files, NAME@SHA256, end after twelve digits.

    >>> short_digests("file=best.txt@" + "0123456789abcdef" * 4)
    'file=best.txt@0123456789ab'
    """
    return _DIGEST.sub(r"@\1", text)
