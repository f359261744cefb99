"""Pillow's warnings while decoding a file become errors, except those about metadata.

Warning filters belong to the whole process, so concurrent decoding threads and interleaved columns share one change of
them: the first user makes it, the last one reverts it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HARMLESS = ".*exif|metadata warning"
"""Warnings about metadata; many real photographs have broken metadata."""


class _SharedChange:
    """Two filters that are installed while they have users.

    They are inserted into the list of filters and removed from it in place: other code may have kept the list to
    restore it before or after that.
    """

    def __init__(self) -> None:
        self._users = 0
        self._list: Any = []
        self._added: Any = []
        self.unlock()

    def unlock(self) -> None:
        """Start with a free lock; a forked child may have inherited one held by another thread."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Register a user."""
        with self._lock:
            if self._users == 0:
                warnings.filterwarnings("error", module=r"PIL\b")
                warnings.filterwarnings("ignore", message=f"(?i){_HARMLESS}")
                self._list, self._added = warnings.filters, warnings.filters[:2]
            self._users += 1

    def end(self) -> None:
        """Unregister a user."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                lists: tuple[Any, Any] = (self._list, warnings.filters)
                for filters in lists:
                    filters[:] = [one for one in filters if one not in self._added]


_SHARED = _SharedChange()
os.register_at_fork(after_in_child=_SHARED.unlock)


@contextmanager
def as_errors() -> Iterator[None]:
    """Turn Pillow's warnings into errors inside the block, in any number of threads."""
    _SHARED.begin()
    try:
        yield
    finally:
        _SHARED.end()
