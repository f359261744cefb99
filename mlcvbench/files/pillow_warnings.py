"""Pillow's warnings while decoding a file become errors, except those about metadata.

Filters of warnings belong to the whole process, so threads that decode at once, and columns that are gone through side
by side, share one change of them: the first to come makes it, the last to go takes it back.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HARMLESS = ".*exif|metadata warning"
"""Warnings about notes beside the picture; many real photographs have broken ones."""


class _SharedChange:
    """Two filters that are there while anybody needs them.

    They go into the list of filters, and are taken out of it, without a copy: others may have kept the list to put it
    back before or after that.
    """

    def __init__(self) -> None:
        self._users = 0
        self._list: Any = []
        self._added: Any = []
        self.unlock()

    def unlock(self) -> None:
        """Begin with a free lock, as in a process whose parent was copied while another thread held it."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Need them from now on."""
        with self._lock:
            if self._users == 0:
                warnings.filterwarnings("error", module=r"PIL\b")
                warnings.filterwarnings("ignore", message=f"(?i){_HARMLESS}")
                self._list, self._added = warnings.filters, warnings.filters[:2]
            self._users += 1

    def end(self) -> None:
        """Need them no longer."""
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
