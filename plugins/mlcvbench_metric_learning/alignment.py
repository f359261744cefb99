"""2-D alignment: each face is moved, turned and scaled until it lies on the mean face.

Taigman et al. (2014, section 2) find six points of a face by a regression that was trained on marked points, and take
the similarity that brings these to their places. Here no points are marked, so the similarity is the one that makes the
image most like the mean training face: inverse compositional Lucas-Kanade (Baker and Matthews, "Lucas-Kanade 20 years
on", IJCV 2004, section 3.2), on grey pixels of mean 0 and deviation 1, which light does not change.
"""

from __future__ import annotations

import torch
from torch.nn import functional

SIDE = 32
"""Pixels a side at which the similarity is found."""
STEPS = 12
ROUNDS = 3
"""Times that the mean face is taken anew of the aligned faces."""
REACH = 0.5
"""Deviation of the Gaussian that weighs pixels, in half images: backgrounds say nothing about the face."""
FARTHEST, LARGEST = 0.3, 1.35
"""Shift in half images and factor of size beyond which nothing was found and the image stays as it is."""


def mean_face(images: torch.Tensor) -> torch.Tensor:
    """Return the mean of images (N, C, S, S) on each other, float32 (SIDE, SIDE), of mean 0 and deviation 1."""
    small = _grey(images)
    mean = _standard(small.mean(0, keepdim=True))[0]
    for _ in range(ROUNDS):
        mean = _standard(_warped(small[:, None], similarities(small, mean)).mean(0))[0]
    return mean


def aligned(images: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return images (B, C, S, S) on the mean face; what enters at the border repeats it."""
    return _warped(images, similarities(_grey(images), mean))


def similarities(grey: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return for each image (B, SIDE, SIDE) the matrix (B, 3, 3) from places of the mean face to its own, in -1 to 1.

    A similarity has the parameters a, b, x, y of [[1 + a, -b, x], [b, 1 + a, y]].
    """
    weight, slopes = _weight(mean), _slopes(mean)  # (P,), (P, 4)
    moment = slopes.T @ (slopes * weight[:, None])
    # a mean face of one shade has no slopes, and then nothing moves
    solver = torch.linalg.pinv(moment) @ (slopes * weight[:, None]).T  # (4, P)
    still = torch.eye(3, device=grey.device).expand(len(grey), 3, 3)
    found = still
    for _ in range(STEPS):
        seen = _standard(_warped(grey[:, None], found)[:, 0])
        a, b, x, y = ((seen - mean).flatten(1) @ solver.T).T  # (B,) each
        step = torch.stack([1 + a, -b, x, b, 1 + a, y, 0 * a, 0 * a, 1 + 0 * a], 1).reshape(-1, 3, 3)
        found = found @ torch.linalg.inv_ex(step).inverse
    size, shift = found[:, :2, 0].norm(dim=1), found[:, :2, 2].abs().amax(1)
    good = (size < LARGEST) & (size > 1 / LARGEST) & (shift < FARTHEST)  # a comparison with NaN is false
    return torch.where(good[:, None, None], found, still)


def _grey(images: torch.Tensor) -> torch.Tensor:
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return small.mean(1)


def _warped(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    grid = functional.affine_grid(matrices[:, :2].to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _places(mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and y (SIDE, SIDE) of pixels, from -1 to 1."""
    line = (torch.arange(SIDE, device=mean.device) + 0.5) * 2 / SIDE - 1
    return line.expand(SIDE, SIDE), line[:, None].expand(SIDE, SIDE)


def _weight(mean: torch.Tensor) -> torch.Tensor:
    x, y = _places(mean)
    return torch.exp(-(x.square() + y.square()) / (2 * REACH**2)).flatten()


def _standard(grey: torch.Tensor) -> torch.Tensor:
    """Return images (B, SIDE, SIDE) with weighted mean 0 and deviation 1; those of one shade become 0."""
    weight = _weight(grey).view(SIDE, SIDE)
    weight = weight / weight.sum()
    centred = grey - (grey * weight).sum((1, 2), keepdim=True)
    return centred / (centred.square() * weight).sum((1, 2), keepdim=True).sqrt().clamp(min=1e-6)


def _slopes(mean: torch.Tensor) -> torch.Tensor:
    """Return how each pixel of the mean face changes with a, b, x and y at 0, float32 (P, 4)."""
    down, across = (slope * SIDE / 2 for slope in torch.gradient(mean))
    x, y = _places(mean)
    return torch.stack([across * x + down * y, down * x - across * y, across, down], -1).flatten(0, 1)
