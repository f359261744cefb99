"""How unlike a pixel of the left image is one of the right image, d columns to the left of it.

A cost holds descriptions of both images, made once, and gives the costs of one disparity for a strip of rows at a time:
a strip stays in the processor's cache. Only columns have costs whose whole search range lies inside the right image,
those from `levels` on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mlcvbench.contract import Array

CENSUS_REACH = 2
"""Pixels on each side that a census compares with: a window of 5x5, of which 24 bits are left."""
SLOPES = 15
"""Largest slope that Birchfield and Tomasi's cost sees in OpenCV, either way."""


class PixelCost(ABC):
    """Costs of single pixels, for images uint8 (channels, H, W) of equal size."""

    def __init__(self, left: Array, right: Array, levels: int) -> None:
        self.levels, self.channels, (self.height, self.width) = levels, len(left), left.shape[1:]
        self.left, self.right = self.described(left), self.described(right)

    def described(self, images: Array) -> tuple[Array, ...]:
        """Return what is compared of an image: planes (channels, pixels), `levels` numbers more at the start.

        Rows follow on each other in one line, so that a shift by d is a shift of the line, which is quick to read. What
        it brings from the row above lies in the columns that have no costs.
        """
        planes = self.planes(images)
        return tuple(np.pad(one.reshape(len(one), -1), ((0, 0), (self.levels, 0))) for one in planes)

    @property
    @abstractmethod
    def largest(self) -> int:
        """The largest cost of a pixel."""

    @abstractmethod
    def planes(self, images: Array) -> tuple[Array, ...]:
        """Return what is compared of an image, each (channels, H, W)."""

    @abstractmethod
    def compared(self, left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
        """Return the costs (pixels,) of descriptions (channels, pixels), unsigned integers."""

    def at(self, disparity: int, top: int, bottom: int) -> Array:
        """Return the costs (rows, W - levels) of a disparity."""
        first, last = self.levels + top * self.width, self.levels + bottom * self.width
        left = tuple(plane[:, first:last] for plane in self.left)
        right = tuple(plane[:, first - disparity : last - disparity] for plane in self.right)
        return self.compared(left, right).reshape(bottom - top, self.width)[:, self.levels :]


class AbsoluteDifference(PixelCost):
    """|left(x) - right(x - d)|, summed over channels: what SAD sums over a window."""

    @property
    def largest(self) -> int:
        return 255 * self.channels

    def planes(self, images: Array) -> tuple[Array, ...]:
        return (images,)

    def compared(self, left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
        (own,), (other,) = left, right
        return _total(np.maximum(own, other) - np.minimum(own, other))


class Census(PixelCost):
    """Bits in which two census transforms differ: which of the 24 pixels around are darker than the middle.

    Zabih and Woodfill, "Non-parametric Local Transforms for Computing Visual Correspondence" (1994), section 3: it
    sees the order of intensities, so that a different exposure of the cameras changes nothing. Over channels it sums.
    """

    @property
    def largest(self) -> int:
        return ((2 * CENSUS_REACH + 1) ** 2 - 1) * self.channels

    def planes(self, images: Array) -> tuple[Array, ...]:
        return (_census(images),)

    def compared(self, left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
        (own,), (other,) = left, right
        return _total(np.bitwise_count(own ^ other))


class BirchfieldTomasi(PixelCost):
    """The distance of a pixel from what the other image has half a pixel around its match, whichever side is nearer.

    Birchfield and Tomasi, "A Pixel Dissimilarity Measure That Is Insensitive to Image Sampling" (1998), equations 1 to
    4. As in OpenCV it is taken of the slope along the row (Sobel, clipped) and, divided by 4, of the intensity.
    """

    @property
    def largest(self) -> int:
        return (2 * SLOPES + 255 // 4) * self.channels

    def planes(self, images: Array) -> tuple[Array, ...]:
        both = _slopes_and_levels(images)
        return both, *_between(both)

    def compared(self, left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
        own, lowest, highest = left
        other, least, most = right
        apart = np.minimum(_outside(own, least, most), _outside(other, lowest, highest))
        half = len(apart) // 2
        return _total(apart[:half] + (apart[half:] >> 2))


COSTS: dict[str, type[PixelCost]] = {"sad": AbsoluteDifference, "census": Census, "birchfield": BirchfieldTomasi}


def _total(costs: Array) -> Array:
    """Return the sum over channels of costs (channels, pixels)."""
    total: Array = costs[0] if len(costs) == 1 else costs.sum(axis=0, dtype=np.uint16)
    return total


def _outside(values: Array, least: Array, most: Array) -> Array:
    """Return by how much values lie outside [least, most], uint8; unsigned numbers must not go below 0."""
    above = np.maximum(values, most)
    above -= most
    below = np.maximum(least, values)
    below -= values
    return np.maximum(above, below, out=above)


def _between(planes: Array) -> tuple[Array, Array]:
    """Return the least and the largest value of each pixel and the means with its two neighbours in the row."""
    wide = np.pad(planes, ((0, 0), (0, 0), (1, 1)), mode="edge").astype(np.uint16)
    before, after = (wide[..., :-2] + wide[..., 1:-1]) >> 1, (wide[..., 1:-1] + wide[..., 2:]) >> 1
    least, most = np.minimum(before, after), np.maximum(before, after)
    return np.minimum(least, planes).astype(np.uint8), np.maximum(most, planes).astype(np.uint8)


def _slopes_and_levels(images: Array) -> Array:
    """Return the clipped slopes and then the intensities, uint8 (2 channels, H, W); the outer columns say nothing."""
    tall = np.pad(images, ((0, 0), (1, 1), (0, 0)), mode="edge").astype(np.int16)
    smooth = tall[:, :-2] + 2 * tall[:, 1:-1] + tall[:, 2:]
    slopes = np.full(images.shape, SLOPES, np.uint8)
    slopes[..., 1:-1] = (smooth[..., 2:] - smooth[..., :-2]).clip(-SLOPES, SLOPES) + SLOPES
    planes = np.concatenate([slopes, images])
    planes[..., [0, -1]] = SLOPES
    return planes


def _census(images: Array) -> Array:
    """Return which pixels of each window are darker than its middle as bits, uint32 (channels, H, W)."""
    reach = CENSUS_REACH
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    height, width = images.shape[1:]
    bits = np.zeros(images.shape, np.uint32)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            if (down, across) != (reach, reach):
                darker = wide[:, down : down + height, across : across + width] < images
                bits = (bits << np.uint32(1)) | darker
    return bits
