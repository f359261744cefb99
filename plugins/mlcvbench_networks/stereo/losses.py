"""Losses of disparity and depth, without truth (pictures must agree) and with it.

Images are (B, C, H, W) in [0, 1], maps (B, 1, H, W), masks bool of a map's shape. A loss is a scalar in float32 at
least. What a mask leaves out has no part in value or gradient; where it leaves nothing, both are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from mlcvbench_networks.arithmetic import check_shapes, in_full, mean_over
from mlcvbench_networks.stereo.warping import warp_by_disparity

SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""What keeps SSIM defined where an image is flat (Wang et al. 2004), for values in [0, 1]."""


def ssim(first: torch.Tensor, second: torch.Tensor, window: int = 3) -> torch.Tensor:
    """Return the structural similarity of each pixel and channel, (B, C, H, W) in [-1, 1]; 1 where images are equal.

    Wang et al., "Image Quality Assessment" (2004), equation 13, with plain means over `window` x `window` pixels, as
    self-supervised depth uses them; the border is reflected. Images must be larger than window / 2.
    """
    check_shapes(first=first, second=second)
    first, second = in_full(first), in_full(second)
    reach = window // 2

    def mean(images: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(images, (reach, reach, reach, reach), mode="reflect")
        return functional.avg_pool2d(padded, window, stride=1)

    one, other = mean(first), mean(second)
    levels = one.square() + other.square()
    spread = mean(first.square() + second.square()) - levels
    together = mean(first * second) - one * other
    flat, still = SSIM_CONSTANTS
    above = (2 * one * other + flat) * (2 * together + still)
    return above / ((levels + flat) * (spread + still))


def photometric(first: torch.Tensor, second: torch.Tensor, share: float = 0.85) -> torch.Tensor:
    """Return `share` (1 - SSIM) / 2 + (1 - share) |first - second| of each pixel, mean over channels: (B, 1, H, W).

    Godard, Mac Aodha and Brostow, "Unsupervised Monocular Depth Estimation with Left-Right Consistency" (2017),
    equation 2.
    """
    unlike = (1 - ssim(first, second)) / 2
    apart = (in_full(first) - in_full(second)).abs()
    return (share * unlike + (1 - share) * apart).mean(1, keepdim=True)


def minimum_reprojection(
    errors: Sequence[torch.Tensor], inside: Sequence[torch.Tensor], unmoved: Sequence[torch.Tensor] = ()
) -> torch.Tensor:
    """Return the mean over pixels of the least error that any other image leaves.

    Godard et al., "Digging into Self-Supervised Monocular Depth Estimation" (2019), equations 4 and 5: what is hidden
    in one image may be seen in another. With the errors of the other images as they are, `unmoved`, only pixels count
    whose least error is below the least of those: what stands still in the image (a static camera, a car that moves
    along) says nothing about depth. Of two equal errors the unmoved one counts as less.

    errors, unmoved: (B, 1, H, W) each, as `photometric` gives them. inside: bool, where each error means something.
    """
    named = {"error": errors, "inside": inside, "unmoved": unmoved}
    check_shapes(**{f"{name} {place}": one for name, maps in named.items() for place, one in enumerate(maps)})
    shown = [in_full(error).masked_fill(~seen, torch.inf) for error, seen in zip(errors, inside, strict=True)]
    least, chosen = torch.stack(shown).amin(0), torch.stack(list(inside)).any(0)
    if unmoved:
        chosen = chosen & (least < torch.stack([in_full(error) for error in unmoved]).amin(0))
    return mean_over(least, chosen)


def smoothness(disparity: torch.Tensor, images: torch.Tensor, *, normalised: bool = True) -> torch.Tensor:
    """Return how much the disparity changes where the image does not: mean |dx d| e^-|dx I| + mean |dy d| e^-|dy I|.

    |dx I| is the mean over channels (Godard et al. 2017, equation 3). `normalised` divides the disparity by its mean
    over the image (Godard et al. 2019), so that it cannot become smooth by becoming small.
    """
    check_shapes(disparity=disparity, image=images[:, :1])
    disparity, images = in_full(disparity), in_full(images)
    if normalised:
        disparity = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    across = disparity.diff(dim=3).abs() * (-images.diff(dim=3).abs().mean(1, keepdim=True)).exp()
    down = disparity.diff(dim=2).abs() * (-images.diff(dim=2).abs().mean(1, keepdim=True)).exp()
    return across.sum() / max(across.numel(), 1) + down.sum() / max(down.numel(), 1)


def left_right(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the mean of |dl(x) - dr(x - dl(x))|, in pixels, plus the same from the right (Godard et al. 2017, eq. 4).

    left, right: the disparities of both cameras, (B, 1, H, W), positive. Pixels that the other image does not reach to
    are left out.
    """
    check_shapes(left=left, right=right)
    left, right = in_full(left), in_full(right)
    in_left, in_right = warp_by_disparity(right, left), warp_by_disparity(left, -right)
    from_left, from_right = (left - in_left.image).abs(), (right - in_right.image).abs()
    return mean_over(from_left, in_left.inside) + mean_over(from_right, in_right.inside)


def silog(prediction: torch.Tensor, truth: torch.Tensor, known: torch.Tensor, share: float = 0.5) -> torch.Tensor:
    """Return the mean over images of mean(e^2) - share mean(e)^2, e = log prediction - log truth of known pixels.

    Eigen, Puhrsch and Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network" (2014),
    equation 4. A share of 1 takes no notice of scale, 0 is the squared error of logarithms. Both maps are positive
    where they are known.
    """
    check_shapes(prediction=prediction, truth=truth, known=known)
    # unknown depth is 0, whose logarithm would make the gradient NaN even where it is masked afterwards
    error = in_full(prediction).where(known, 1.0).log() - in_full(truth).where(known, 1.0).log()
    counts = known.flatten(1).sum(1).clamp(min=1)
    squares, sums = error.square().flatten(1).sum(1), error.flatten(1).sum(1)
    return mean_over(squares / counts - share * (sums / counts).square(), known.flatten(1).any(1))


def berhu(prediction: torch.Tensor, truth: torch.Tensor, known: torch.Tensor, share: float = 0.2) -> torch.Tensor:
    """Return the mean over known pixels of the reverse Huber: |e| up to c, (e^2 + c^2) / (2 c) beyond.

    c is `share` of the largest |e| of the batch (Laina et al., "Deeper Depth Prediction with Fully Convolutional
    Residual Networks", 2016, equation 2). Errors that are large already weigh more, small ones as in L1.
    """
    check_shapes(prediction=prediction, truth=truth, known=known)
    error = (in_full(prediction) - in_full(truth)).abs().masked_fill(~known, 0.0)
    if not error.numel():
        return error.sum()
    # a constant of the batch: through it the largest error would be pushed to grow
    limit = (share * error.detach().amax()).clamp(min=torch.finfo(error.dtype).tiny)
    return mean_over(torch.where(error <= limit, error, (error.square() + limit.square()) / (2 * limit)), known)
