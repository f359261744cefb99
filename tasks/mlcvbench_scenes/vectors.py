"""Points and 3x3 matrices as tuples of Python floats: sums written out, so their order never depends on a library."""

from __future__ import annotations

import math

Vec = tuple[float, float, float]
Mat = tuple[Vec, Vec, Vec]
IDENTITY: Mat = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def dot(a: Vec, b: Vec) -> float:
    """Return the inner product.

    >>> dot((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    32.0
    """
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vec, b: Vec) -> Vec:
    """Return the vector at right angles to both, by the right-hand rule."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def add(a: Vec, b: Vec, scale: float = 1.0) -> Vec:
    """Return a + scale * b."""
    return (a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2])


def subtract(a: Vec, b: Vec) -> Vec:
    """Return a - b."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def unit(a: Vec) -> Vec:
    """Return the vector of length one in the same direction."""
    length = math.sqrt(dot(a, a))
    return (a[0] / length, a[1] / length, a[2] / length)


def apply(matrix: Mat, a: Vec) -> Vec:
    """Return matrix times vector."""
    return (dot(matrix[0], a), dot(matrix[1], a), dot(matrix[2], a))


def transpose(matrix: Mat) -> Mat:
    """Return the transpose, which undoes a rotation."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return ((a, d, g), (b, e, h), (c, f, i))


def multiply(a: Mat, b: Mat) -> Mat:
    """Return the matrix product a b."""
    x, y, z = transpose(b)
    return tuple((dot(row, x), dot(row, y), dot(row, z)) for row in a)  # type: ignore[return-value] # three rows


def from_quaternion(w: float, x: float, y: float, z: float) -> Mat:
    """Return the rotation of a quaternion of any length but zero."""
    s = 2.0 / (w * w + x * x + y * y + z * z)
    return (
        (1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)),
        (s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)),
        (s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)),
    )
