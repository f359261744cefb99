"""How much memory this process has used at its peak, as the kernel tells."""

from __future__ import annotations

import resource
from pathlib import Path


def reset_high_water() -> bool:
    """Start the kernel's high-water mark anew so that imports do not count; False where the kernel refuses."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def high_water() -> int | None:
    """Return VmHWM of this process in bytes, None where the kernel does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def lifetime_peak() -> int:
    """Return the most resident bytes of this process since it began, which no reset changes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
