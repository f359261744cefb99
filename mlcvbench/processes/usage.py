"""The peak memory of this process, as reported by the kernel."""

from __future__ import annotations

import resource
from pathlib import Path


def reset_high_water() -> bool:
    """Reset the kernel's high-water mark so that imports do not count; False where the kernel refuses."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def high_water() -> int | None:
    """Return VmHWM of this process in bytes, None where the kernel does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def lifetime_peak() -> int:
    """Return the peak resident bytes of this process since its start, which no reset changes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
