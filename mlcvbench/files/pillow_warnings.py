"""What Pillow warns about while it decodes a file is an error, but for notes beside the picture.

Filters of warnings belong to the whole process, so threads that decode at once share one change of them: whoever starts
them makes it, and they are marked to leave the filters alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar

_HARMLESS = ".*exif|metadata warning"
"""Warnings about notes beside the picture; many real photographs have broken ones."""
_MADE: ContextVar[bool] = ContextVar("made", default=False)


@contextmanager
def as_errors() -> Iterator[None]:
    """Turn Pillow's warnings into errors inside the block."""
    if _MADE.get():
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\b")
        warnings.filterwarnings("ignore", message=f"(?i){_HARMLESS}")
        yield


def as_errors_in(context: Context) -> Context:
    """Mark the context of code that runs while `as_errors` holds elsewhere, and return it."""
    context.run(_MADE.set, True)
    return context
