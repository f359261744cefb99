"""Messages of a child to its parent: JSON objects, one per line, through a file on which neither side can block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from mlcvbench.limits import MAX_MESSAGE_BYTES
from mlcvbench.records.canonical import to_line

CHUNK_BYTES = 16 * 2**20


class Sender:
    """The child's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message atomically. RecordError when it is not plain data."""
        data = memoryview(to_line(message))
        while data:
            data = data[os.write(self._descriptor, data) :]


class Receiver:
    """The parent's end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self._offset = 0
        self._rest = b""

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages since the last call; never waits.

        A method may find the descriptor and write to it, so anything that is not a JSON object, or too long, is
        skipped.
        """
        import orjson

        while data := os.pread(self._descriptor, CHUNK_BYTES, self._offset):
            self._offset += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[: MAX_MESSAGE_BYTES + 1]
            for line in lines:
                if len(line) > MAX_MESSAGE_BYTES:
                    continue
                try:
                    message = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(message, dict):
                    yield message
