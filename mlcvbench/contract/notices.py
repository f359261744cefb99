"""Notices: what is valid but probably not intended, and what was guessed, assumed or replaced on the way to a
number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a reader of a number must know.

    `code`: a short name of lower-case words with hyphens, the same for all of its kind, such as `boxes-as-corners`.
    `text`: one sentence with the numbers in it, and what to do. `count`: how many samples, boxes or pixels it is about.
    """

    code: str
    text: str
    count: int | None = None
