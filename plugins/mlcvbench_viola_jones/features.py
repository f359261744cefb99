"""Integral images and Haar-like features: sums over two, three or four rectangles of a window, by a few look-ups.

Viola and Jones 2001, section 2. The integral image is ii(x, y), the sum of all pixels above and to the left, so that a
rectangle's sum takes four of its values; here it has a row and a column of zeros first, and so no special cases.

A feature is written as OpenCV writes it: the whole area with weight -1, and one or two parts of it with the weight that
makes the total zero, 2 for a half and 3 for a third. Up to a factor that is the paper's difference between the
rectangles, except for three of them, where the middle one counts twice: an even grey gives 0 for every feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import Array

SIDE = 24
"""Pixels along the side of the paper's window."""
PARTS = 3
"""Rectangles of a feature, at most: the whole, and one or two parts."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a window: `boxes` int32 (F, 3, 4) x y width height, `weights` float32 (F, 3).

    A feature of two rectangles has zeros as its third.
    """

    boxes: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: Array | slice) -> Features:
        """Return chosen features."""
        return Features(self.boxes[index], self.weights[index])


def every_feature(width: int = SIDE, height: int = SIDE) -> Features:
    """Return all features of a window: halves beside and above each other, thirds likewise, and quarters.

    >>> len(every_feature(24, 24))
    162336
    """
    kinds = [_split(width, height, *cells) for cells in ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))]
    return Features(np.concatenate([kind.boxes for kind in kinds]), np.concatenate([kind.weights for kind in kinds]))


def _split(width: int, height: int, columns: int, rows: int) -> Features:
    """Return the features of `columns` x `rows` equal rectangles, at every place and size in a window."""
    places = [
        np.array([(at, size) for at in range(side) for size in range(1, (side - at) // count + 1)]).reshape(-1, 2)
        for side, count in ((width, columns), (height, rows))
    ]
    x, y = places[0][:, None, 0], places[1][None, :, 0]
    w, h = places[0][:, None, 1], places[1][None, :, 1]  # of one rectangle

    def box(left: Any, top: Any, wide: Any, high: Any) -> Array:
        return np.stack(np.broadcast_arrays(left, top, wide, high), axis=-1).reshape(-1, 4)

    whole = box(x, y, columns * w, rows * h)
    none = np.zeros_like(whole)
    if (columns, rows) == (2, 2):  # the two quarters on the falling diagonal
        parts, weights = (box(x, y, w, h), box(x + w, y + h, w, h)), (-1, 2, 2)
    elif columns > 1:  # the right half, or the middle third
        parts, weights = (box(x + w, y, w, h), none), (-1, columns, 0)
    else:
        parts, weights = (box(x, y + h, w, h), none), (-1, rows, 0)
    boxes = np.stack([whole, *parts], axis=1).astype(np.int32)
    return Features(boxes, np.tile(np.array(weights, dtype=np.float32), (len(boxes), 1)))


def integral(image: Array) -> Array:
    """Return the sums int64 (H + 1, W + 1) of all pixels above and left of each corner of an image (H, W).

    >>> integral(np.array([[1, 2], [3, 4]])).tolist()
    [[0, 0, 0], [0, 1, 3], [0, 4, 10]]
    """
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=np.int64)
    np.cumsum(image, axis=0, dtype=np.int64, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return sums


def look_ups(features: Features, width: int, height: int) -> Any:
    """Return the sparse matrix float32 (F, (height + 1) x (width + 1)) that takes a window's integral to its features.

    A row has 6, 8 or 9 numbers: corners that rectangles share are looked up once.
    """
    from scipy.sparse import csr_matrix

    x, y, w, h = np.moveaxis(features.boxes, 2, 0).astype(np.int64)  # (F, 3) each
    stride = width + 1
    columns = np.stack([y * stride + x, y * stride + x + w, (y + h) * stride + x, (y + h) * stride + x + w], axis=2)
    values = features.weights[:, :, None] * np.array([1, -1, -1, 1], dtype=np.float32)
    rows = np.broadcast_to(np.arange(len(features))[:, None, None], columns.shape)
    shape = (len(features), (height + 1) * stride)
    matrix = csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def window_integrals(patches: Array) -> tuple[Array, Array]:
    """Return integrals float32 ((h + 1)(w + 1), N) of patches uint8 (N, h, w), and factors float32 (N,) of `spread`."""
    count, height, width = patches.shape
    sums = np.zeros((count, height + 1, width + 1), dtype=np.int64)
    squares = np.zeros_like(sums)
    for source, out in ((patches, sums), (patches.astype(np.int64) ** 2, squares)):
        out[:, 1:, 1:] = source.cumsum(axis=1, dtype=np.int64).cumsum(axis=2)

    def inner(table: Array) -> Array:
        chosen: Array = table[:, -2, -2] - table[:, 1, -2] - table[:, -2, 1] + table[:, 1, 1]
        return chosen

    area = (width - 2) * (height - 2)
    factor = spread(inner(sums), inner(squares), area, area)
    return np.ascontiguousarray(sums.reshape(count, (height + 1) * (width + 1)).T).astype(np.float32), factor


def spread(total: Array, squares: Array, area: int, nominal: int) -> Array:
    """Return the factors float32 by which features are multiplied: 1 / (nominal area x standard deviation of pixels).

    The deviation is that of the window without its outermost pixels, as OpenCV takes it (the paper: of all pixels);
    factors are 0 where all of them are alike. `total`, `squares`: sums over the `area` pixels of the window as it lies
    in the image, `nominal`: their number at scale 1.

    >>> spread(np.array([8]), np.array([32]), 4, 4).tolist()  # 0, 0, 4, 4
    [0.125]
    """
    scatter = area * squares.astype(np.float64) - total.astype(np.float64) ** 2
    factor = np.zeros(scatter.shape)
    np.divide(area / nominal, np.sqrt(np.maximum(scatter, 0)), out=factor, where=scatter > 0)
    return factor.astype(np.float32)
