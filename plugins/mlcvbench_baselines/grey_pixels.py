"""Images as rows of grey pixels, all of one size, for methods without features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlcvbench.contract import Array


def grey_rows(images: Sequence[Array] | Array, side: int) -> Array:
    """Return float32 (B, side * side) in 0..1: each image in grey, resized to `side` x `side` by area averaging.

    `images`: B arrays uint8 (H, W) or (H, W, 3), of any sizes.
    """
    import cv2

    rows = np.empty((len(images), side * side), dtype=np.float32)
    for row, image in zip(rows, images, strict=True):
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        row[:] = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).ravel() / np.float32(255)
    return rows
