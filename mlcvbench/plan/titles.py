"""Titles of methods: any line of text, kept beside the name that files and addresses are built from."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from mlcvbench.errors import RequestError
from mlcvbench.specs import NAME_PATTERN

MOST = 200
"""Characters of a title."""
_SLUG = 80
_DIGEST = 6


def name_and_title(given: str, key: str) -> tuple[str, str]:
    """Return the name and the title of a method called `given`; an empty title where it is a valid name.

    Equal titles give equal names, different titles different ones: letters and digits of the title, and the start of
    its sha256. RequestError, which names `key`, unless it is a line of printable text.

    >>> name_and_title("my-net_v2", "as"), name_and_title("ResNet-50 (ours)", "as")
    (('my-net_v2', ''), ('ResNet-50-ours-23ee17', 'ResNet-50 (ours)'))
    """
    title = given.strip()
    if NAME_PATTERN.fullmatch(title):
        return title, ""
    if not title or not title.isprintable() or len(title) > MOST:
        raise RequestError(f"{key}={title!r}: wanted a line of printable text, at most {MOST} characters.")
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9._+]+", "-", plain).strip("-._+")[:_SLUG]
    return f"{slug or 'model'}-{hashlib.sha256(title.encode()).hexdigest()[:_DIGEST]}", title
