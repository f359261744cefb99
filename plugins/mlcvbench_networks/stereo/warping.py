"""An image as another camera would see it: sampled, differentiably, where geometry says that a pixel comes from.

Pixel centres have whole coordinates, x to the right, y down, z forward (metres), as the cameras of the depth data have
them. Maps are (B, 1, H, W). Beside every image stands where it means something: bool (B, 1, H, W). Values elsewhere
repeat the border. Positions are computed in float32 at least.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from mlcvbench_networks.arithmetic import check_shapes, in_full

NEAREST = 1e-3
"""Metres in front of a camera, below which nothing is taken to be seen by it."""


ROUNDING = 0.01
"""Pixels that a position may lie beyond the border's centres and still be on them: otherwise the first and the last row
of a camera that moves sideways would come and go with their last digit."""


class Warped(NamedTuple):
    """An image (B, C, H, W) and which of its pixels, bool (B, 1, H, W), come from inside the other image."""

    image: torch.Tensor
    inside: torch.Tensor


def sample(images: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> Warped:
    """Return images (B, C, H, W) at positions x, y (B, H', W') in pixels, interpolated bilinearly.

    Jaderberg et al., "Spatial Transformer Networks" (2015), equation 5. Inside is from the first pixel centre to the
    last, both included; beyond, the value is the border's and the gradient of the position 0.
    """
    images, x, y = in_full(images), in_full(x), in_full(y)
    check_shapes(x=x, y=y)
    height, width = images.shape[2:]
    # with align_corners=False, -1 and 1 are the outer edges of the border's pixels, half a pixel beyond their centres
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)
    values = functional.grid_sample(images, grid.to(images), "bilinear", "border", align_corners=False)
    inside = (x >= -ROUNDING) & (x <= width - 1 + ROUNDING) & (y >= -ROUNDING) & (y <= height - 1 + ROUNDING)
    return Warped(values, inside[:, None])


def warp_by_disparity(images: torch.Tensor, disparity: torch.Tensor) -> Warped:
    """Return the right images (B, C, H, W) as the left camera sees them: image(x - d), d its disparity (B, 1, H, W).

    In pixels of these images: at half the size, half of it. To see the left images as the right camera does, give the
    negative of the right one's disparity. What only one camera sees is not known to this function: it counts as inside.
    """
    disparity = in_full(disparity)
    check_shapes(image=images[:, :1], disparity=disparity)
    x, y = _pixels(disparity)
    return sample(images, x - disparity[:, 0], y.expand_as(disparity[:, 0]))


def warp_by_pose(images: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor, motion: torch.Tensor) -> Warped:
    """Return images (B, C, H, W) of a second camera as the first one sees them.

    Zhou et al., "Unsupervised Learning of Depth and Ego-Motion from Video" (2017), equation 2: p2 ~ K T D(p1) K^-1 p1.
    Pixels behind the second camera are not inside.

    depth: (B, 1, H, W), metres along the first camera's axis.
    intrinsics: (B, 3, 3), in pixels, of both cameras.
    motion: (B, 4, 4), from the first camera's coordinates to the second's; of poses camera to world it is inv(pose2) @
    pose1.
    """
    depth = in_full(depth)
    check_shapes(image=images[:, :1], depth=depth)
    intrinsics, motion = intrinsics.to(depth), motion.to(depth)
    x, y = _pixels(depth)
    rays = torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # (3, H W)
    with torch.autocast(depth.device.type, enabled=False):
        points = (torch.linalg.inv(intrinsics) @ rays) * depth.flatten(2)  # (B, 3, H W)
        points = intrinsics @ (motion[:, :3, :3] @ points + motion[:, :3, 3:])
    in_front = points[:, 2] > NEAREST
    places = points[:, :2] / points[:, 2:].where(in_front[:, None], 1.0)
    places = places.where(in_front[:, None], -2.0)  # outside, and without a gradient
    x, y = places.unflatten(2, depth.shape[2:]).unbind(1)
    return sample(images, x, y)


def _pixels(like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and y (H, W) of the pixels of maps (B, 1, H, W)."""
    height, width = like.shape[2:]
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    return x.expand(height, width), y[:, None].expand(height, width)
