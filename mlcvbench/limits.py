"""Every bound on what is read or run, in one place, and the usable cores and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MIB = 2**20

MAX_PIXELS = 50_000_000
"""Pixels of one decoded image."""
MAX_IMAGE_BYTES = 256 * MIB
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Formats that Pillow may try; those with a history of vulnerabilities (EPS, FITS ...) are left out."""

MAX_YAML_BYTES = 256 * 1024
MAX_YAML_DEPTH = 50

MAX_IDX_DIMENSIONS = 4
MAX_ARRAY_BYTES = 16 * 1024 * MIB
"""Uncompressed bytes of one array file (IDX, npz) that a data set or a prediction file may hold."""
MAX_CSV_FIELD = 100_000
"""Characters of one field."""
MAX_LINE_BYTES = 8 * MIB
"""Bytes of one line of a text file whose lines are read one at a time, such as a CSV of scores."""
MAX_LIST_BYTES = 16 * MIB
"""Bytes of a list that is read whole: class names, image names, label maps, pairs with folds."""
MAX_LIST_LINE_BYTES = 4096
MAX_TEXT_BYTES = 512 * MIB
"""Bytes of a text file with one pair or detection per line; the values of 10^7 pairs take about 200 MB."""
MAX_FOLDS = 1000
MAX_EMBEDDING = 65_536
"""Numbers of one embedding."""
MAX_JSON_BYTES = 2048 * MIB
"""Bytes of an annotation or results file; COCO's largest have 450 MB."""
MAX_XML_BYTES = MIB
MAX_XML_DEPTH = 32
MAX_PFM_HEADER_LINE = 64

MAX_RECORD_BYTES = 16 * MIB
MAX_MESSAGE_BYTES = 64 * MIB
"""Bytes of one message of a child process, such as all times of a measurement."""
MAX_LAYER_ROWS = 400
MAX_WEIGHT_HEADER_BYTES = 1 * MIB
MAX_WEIGHT_TENSORS = 10_000

MAX_LOG_HALF = 512 * 1024
"""A run's log keeps its first and last half MiB."""

RUN_SECONDS = 3600.0
"""Default limit of one run; `timeout=` changes it."""
KILL_GRACE_SECONDS = 1.5
MAX_NAME = 100
MAX_RUNS = 10_000
"""The most runs of one request."""


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Return the bytes of memory this process may use: the machine's, or fewer where its container has a limit."""
    import psutil

    return min([psutil.virtual_memory().total, *container_limits()])


def container_limits(root: Path = Path("/")) -> Iterator[int]:
    """Yield the limits in bytes of the control groups that this process is in, of either version, if there are any."""
    system = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        if not controllers:
            top, name = system, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = system / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = top / path.strip("/")
        # a container may see its own group as the topmost one, whatever it is called
        for group in (folder, *folder.parents):
            if group == top or group.is_relative_to(top):
                yield from (int(limit) for limit in _lines(group / name) if limit.isdecimal())


def _lines(path: Path) -> list[str]:
    """Return the lines of a small file, none when it cannot be read."""
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
