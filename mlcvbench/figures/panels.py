"""Images in pictures, scaled to a viewing size without smoothing when enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


def thinning(height: int, width: int, high: int, wide: int) -> int:
    """Return the smallest integer step by which an image fits into `high` x `wide` pixels.

    >>> thinning(1024, 2048, 300, 440)
    5
    """
    return max(1, -(-height // high), -(-width // wide))


def enlargement(height: int, width: int, high: int, wide: int) -> int:
    """Return the largest integer factor by which an image fits into `high` x `wide` pixels; at least 1.

    >>> enlargement(8, 8, 130, 130)
    16
    """
    return max(1, min(high // height, wide // width))


def enlarged(image: Array, factor: int) -> Array:
    """Return an image (H, W, ...) with each pixel `factor` times as high and wide."""
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def averaged(image: Array, step: int) -> Array:
    """Return an image, uint8 (H, W) or (H, W, 3), as large as `[::step, ::step]`, averaged over blocks."""
    import numpy as np
    from PIL import Image

    return image if step == 1 else np.asarray(Image.fromarray(image).reduce(step))


def fitted(image: Array, high: int, wide: int) -> Array:
    """Return an image, uint8 (H, W) or (H, W, 3), enlarged by an integer factor or averaged down to fit `high` x `wide`
    pixels.
    """
    height, width = image.shape[:2]
    if height <= high and width <= wide:
        return enlarged(image, enlargement(height, width, high, wide))
    return reduced(image, high, wide)


def reduced(image: Array, high: int, wide: int) -> Array:
    """Return an image, uint8 (H, W) or (H, W, 3), averaged down to fit `high` x `wide` pixels where it is larger."""
    import numpy as np
    from PIL import Image

    height, width = image.shape[:2]
    share = min(1.0, high / height, wide / width)
    if share == 1.0:
        return image
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def colored(image: Array) -> Array:
    """Return a grey image (H, W) as (H, W, 3), a colour image unchanged."""
    import numpy as np

    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
