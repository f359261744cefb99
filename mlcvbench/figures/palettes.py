"""Colour maps: matplotlib's `Blues`, `turbo` and `magma`, interpolated between a few of their colours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

PALETTES = {
    "Blues": ("f7fbffddeaf6c5daee9dc9e06aaed64292c62171b508519c08306b"),
    "turbo": (
        "30123b3929724040a14456c7466be3467ff64193fe36a7f928baec1cccd817dbc31ee8b031f1984cf97e6bfd63"
        "89fe4ca2fc3cb7f635cbec33dedf36ecd039f7bf39fcad34fe972cfb7f22f56717ec520ee04008d23005c02302"
        "ac1601940c017a0402"
    ),
    "magma": (
        "00000309071f1a10413010654a107961187f792281912a80a9327cc23a75d9466aec585ff7715bfc8e63feaa74fec689fde1a3fbfcbf"
    ),
}
LEVELS = 256


@lru_cache
def palette(name: str) -> Array:
    """Return the colours from the lowest value to the highest, uint8 (256, 3); the suffix `_r` reverses it."""
    import numpy as np

    if name.endswith("_r"):
        return palette(name.removesuffix("_r"))[::-1]
    given = np.frombuffer(bytes.fromhex(PALETTES[name]), dtype=np.uint8).reshape(-1, 3)
    at = np.linspace(0, len(given) - 1, LEVELS)
    colors = np.stack([np.interp(at, np.arange(len(given)), given[:, band]) for band in range(3)], axis=1)
    found: Array = np.round(colors).astype(np.uint8)
    return found


def shaded(values: Array, low: float, high: float, name: str) -> Array:
    """Return finite values as colours, uint8 (..., 3); those beyond `low` and `high` get the end colours."""
    import numpy as np

    share = (values.astype(np.float32) - np.float32(low)) * np.float32(LEVELS / (high - low))
    colors: Array = palette(name)[np.clip(share, 0, LEVELS - 1).astype(np.uint8)]
    return colors
