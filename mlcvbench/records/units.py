"""Numbers of records as people read them: times, counts, bytes and intervals with their units."""

from __future__ import annotations


def seconds(value: float | None) -> str:
    """Return a time in the unit that reads best.

    >>> seconds(0.00187), seconds(12.5), seconds(2.5e-6), seconds(None)
    ('1.87 ms', '12.5 s', '2.5 us', '-')
    """
    if value is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}" if abs(value) < 1000 * scale else f"{value / scale:.0f} {unit}"
    return f"{value * 1e9:.3g} ns"


def count(value: float | None) -> str:
    """Return a large number with its SI prefix.

    >>> count(17_563_828_224), count(650), count(None)
    ('17.6 G', '650', '-')
    """
    if value is None:
        return "-"
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}"
    return f"{value:g}"


def size(value: int | None) -> str:
    """Return bytes in the unit that reads best.

    >>> size(47_040_000), size(None)
    ('47 MB', '-')
    """
    return "-" if value is None else f"{count(value)}B" if value >= 1000 else f"{value} B"


def interval_text(value: float, low: float, high: float, decimals: int) -> str:
    """Return an interval as it is printed after its value, both with so many decimals.

    `±` is half of it, and stands only where it gives both ends to the last digit; else the ends are printed.

    >>> interval_text(96.0, 94.0, 98.0, 2), interval_text(100.0, 71.51, 100.0, 2)
    ('±2.00', '[71.51, 100.00]')
    """
    if abs((high - value) - (value - low)) <= 10.0**-decimals * (1 + 1e-9):
        return f"±{(high - low) / 2:.{decimals}f}"
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"
