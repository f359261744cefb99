"""Colour and texture of each pixel as numbers: a small bank of filters, computed by OpenCV in float32.

The planes, F in all, in this order:

- 3: red, green and blue, 0 to 1;
- 3: L, a and b of CIE Lab, divided by 100, as RGB but with lightness and colour apart (a grey image has a = b = 0);
- for each scale of `SCALES` (sigma in pixels), from Gaussian-smoothed Lab:
  3 smoothed L, a, b; 1 local standard deviation of L; 1 gradient magnitude of L; 1 Laplacian of L (blobs and lines);
  2 eigenvalues of its Hessian, the larger first (dark and bright lines, whatever their direction);
- for each wavelength of `WAVES` (pixels): 1 the largest energy of Gabor filters in 4 directions, 1 the smallest
  (stripes have one large and one small, noise has both alike);
- 2 on request: row and column of the pixel's centre, 0 to 1.

Derivatives of Gaussians at several scales are the bank of Leung and Malik (IJCV 2001); taking what does not change
when the image turns follows Varma and Zisserman (IJCV 2005). Borders are mirrored.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from mlcvbench.contract import Array

SCALES = (1.0, 2.0, 4.0)
WAVES = (4.0, 8.0)
DIRECTIONS = 4
COLORS, PER_SCALE, PER_WAVE, PLACE = 6, 8, 2, 2
_TRUNCATE = 3
"""Radius of the kernels in sigma."""


def feature_count(*, position: bool) -> int:
    """Return F."""
    return COLORS + PER_SCALE * len(SCALES) + PER_WAVE * len(WAVES) + (PLACE if position else 0)


def feature_planes(image: Array, *, position: bool) -> Array:
    """Return float32 (F, H, W) of a uint8 image (H, W) or (H, W, 3)."""
    import cv2

    height, width = image.shape[:2]
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    rgb = rgb.astype(np.float32) / np.float32(255)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab) / np.float32(100)  # (H, W, 3)
    planes = [*np.moveaxis(rgb, 2, 0), *np.moveaxis(lab, 2, 0)]
    for sigma in SCALES:
        planes += _at_scale(lab, sigma)
    for wave in WAVES:
        planes += _gabor_energies(np.ascontiguousarray(lab[..., 0]), wave)
    if position:
        rows, columns = (np.arange(side, dtype=np.float32) + np.float32(0.5) for side in (height, width))
        planes.append(np.broadcast_to((rows / np.float32(height))[:, None], (height, width)))
        planes.append(np.broadcast_to((columns / np.float32(width))[None], (height, width)))
    return np.stack(planes)


def multiply_adds(pixels: int) -> int:
    """Return the multiply-adds of all filters on an image of so many pixels, each written out as a sum of products.

    OpenCV may take fewer for large kernels, by way of a Fourier transform.
    """
    taps = 0
    for sigma in SCALES:
        taps += 2 * (2 * _radius(sigma) + 1) * 4  # a row and a column of Lab and of squared L
        taps += 5 * 2 * 3  # five derivatives, 3x3 as a row and a column
    for wave in WAVES:
        taps += DIRECTIONS * 2 * (2 * _radius(wave / 2) + 1) ** 2
    return pixels * taps


def _radius(sigma: float) -> int:
    return math.ceil(_TRUNCATE * sigma)


def _at_scale(lab: Array, sigma: float) -> list[Array]:
    import cv2

    side = 2 * _radius(sigma) + 1

    def blur(plane: Array) -> Array:
        smooth: Array = cv2.GaussianBlur(plane, (side, side), sigma, borderType=cv2.BORDER_REFLECT)
        return smooth

    smooth = blur(lab)
    lightness = np.ascontiguousarray(smooth[..., 0])
    variance = np.maximum(blur(np.square(lab[..., 0])) - np.square(lightness), 0)

    def derivative(across: int, down: int) -> Array:
        found: Array = cv2.Sobel(
            lightness, cv2.CV_32F, across, down, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REFLECT
        )
        return found

    x, y, xx, yy, xy = (derivative(*order) for order in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1)))
    middle, apart = (xx + yy) / 2, np.sqrt(np.square((xx - yy) / 2) + np.square(xy))
    return [
        *np.moveaxis(smooth, 2, 0),
        np.sqrt(variance),
        np.sqrt(np.square(x) + np.square(y)),
        xx + yy,
        middle + apart,
        middle - apart,
    ]


def _gabor_energies(lightness: Array, wave: float) -> list[Array]:
    import cv2

    energies = []
    for even, odd in _gabor_kernels(wave):
        parts = [cv2.filter2D(lightness, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT) for kernel in (even, odd)]
        energies.append(np.sqrt(np.square(parts[0]) + np.square(parts[1])))
    return [np.maximum.reduce(energies), np.minimum.reduce(energies)]


@functools.cache
def _gabor_kernels(wave: float) -> tuple[tuple[Array, Array], ...]:
    """Return pairs of float32 kernels, a cosine and a sine under a Gaussian, without mean, for `DIRECTIONS`."""
    sigma, radius = wave / 2, _radius(wave / 2)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    window = np.exp(-(x * x + y * y) / (2 * sigma * sigma))
    window /= window.sum()
    pairs = []
    for turn in range(DIRECTIONS):
        angle = math.pi * turn / DIRECTIONS
        phase = 2 * math.pi / wave * (x * math.cos(angle) + y * math.sin(angle))
        even, odd = window * np.cos(phase), window * np.sin(phase)
        even -= window * even.sum()
        pairs.append((even.astype(np.float32), odd.astype(np.float32)))
    return tuple(pairs)
