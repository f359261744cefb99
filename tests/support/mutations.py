"""Damaged copies of small files: every byte flipped, left out, doubled, and every place cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def mutations(data: bytes, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield (what was done, damaged copy) for every `step`-th offset."""
    for at in range(0, len(data), step):
        for mask in (0x01, 0x80, 0xFF):
            yield f"flip {mask:#x} at {at}", data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
        yield f"insert at {at}", data[:at] + b"\x07" + data[at:]
        yield f"delete at {at}", data[:at] + data[at + 1 :]
        yield f"truncate at {at}", data[:at]
    yield "append", data + b"\0"


def assert_one_line_about(error: Exception, path: Path) -> None:
    """Assert that an error says in one line which file it is about."""
    assert str(path) in str(error)
    assert "\n" not in str(error)
