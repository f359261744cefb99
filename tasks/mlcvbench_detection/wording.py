"""Counts and lists in sentences."""

from __future__ import annotations


def counted(count: int, noun: str, verbs: tuple[str, str] = ("", "")) -> str:
    """Return a count with its noun, and with the verb for one or for many when given.

    >>> counted(1, "box", ("lies", "lie")), counted(1200, "box", ("lies", "lie"))
    ('1 box lies', '1,200 boxes lie')
    """
    plural = f"{noun}es" if noun.endswith(("x", "s")) else f"{noun}s"
    one = count == 1
    return f"{count:,} {noun if one else plural} {verbs[0] if one else verbs[1]}".rstrip()


def listed(names: list[str], most: int = 3) -> str:
    """Return the first names in quotes, and how many there are beyond them.

    >>> listed(["a", "b", "c", "d"], 2)
    "'a', 'b' and 2 more"
    """
    shown = ", ".join(repr(name[:60]) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
