"""Numbers of records for display: times, counts, bytes and intervals with their units."""

from __future__ import annotations

from math import floor, log10


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


def significant(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits and no exponent.

    >>> significant(0.012345), significant(123.456), significant(0.0), significant(99999), significant(0.9996)
    ('0.0123', '123', '0', '99999', '1.00')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")  # 9.996 has a digit more before the point than after rounding
    return f"{value:.{max(0, digits - 1 - floor(log10(abs(rounded))))}f}"


def count(value: float | None) -> str:
    """Return a count with its SI prefix, three digits of a large one.

    >>> count(17_563_828_224), count(61_800), count(999_999), count(650), count(None)
    ('17.6 G', '61.8 k', '1.00 M', '650', '-')
    """
    if value is None:
        return "-"
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 0.9995 * scale:
            return f"{significant(value / scale)} {prefix}"
    return f"{value:.0f}"


def size(value: int | None) -> str:
    """Return bytes in the unit that reads best.

    >>> size(47_040_000), size(12), size(None)
    ('47.0 MB', '12 B', '-')
    """
    return "-" if value is None else f"{count(value)}B" if value >= 1000 else f"{value} B"


def interval_text(value: float, low: float, high: float, decimals: int) -> str:
    """Return an interval as it is printed after its value, with `decimals` decimals.

    `±` half its width is used only where that gives both ends to the last digit; else the ends are printed.

    >>> interval_text(96.0, 94.0, 98.0, 2), interval_text(100.0, 71.51, 100.0, 2)
    ('±2.00', '[71.51, 100.00]')
    """
    if abs((high - value) - (value - low)) <= 10.0**-decimals * (1 + 1e-9):
        return f"±{(high - low) / 2:.{decimals}f}"
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"
