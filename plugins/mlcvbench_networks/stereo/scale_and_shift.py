"""The loss of inverse depth of which scale and shift are unknown, and the alignment that it rests on.

Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-Shot Cross-Dataset Transfer" (MiDaS,
2020), section 5. Maps are (B, 1, H, W) of inverse depth or disparity, masks bool of that shape. An image without a
known pixel is left out; without any the loss is 0 with a gradient of zeros.
"""

from __future__ import annotations

import torch

from mlcvbench_networks.arithmetic import check_shapes, in_full, mean_over, mean_over_images

SCALES = 4
"""Sizes at which gradients are compared, each half of the one before."""


def scale_and_shift_invariant(
    prediction: torch.Tensor,
    truth: torch.Tensor,
    known: torch.Tensor,
    *,
    robust: bool = True,
    trim: float = 0.2,
    gradients: float = 0.5,
) -> torch.Tensor:
    """Return half the mean absolute residual after alignment, plus `gradients` times `gradient_difference`: a scalar.

    robust: both maps are aligned by median and mean deviation, and of each image the share `trim` of the largest
    residuals is left out, for truth from the wild has outliers. Otherwise the prediction is aligned to the truth by
    least squares, and all residuals count.
    """
    check_shapes(prediction=prediction, truth=truth, known=known)
    prediction, truth = in_full(prediction), _cleared(truth, known)
    if robust:
        residual = standardised(prediction, known) - standardised(truth, known)
    else:
        residual = aligned(prediction, truth, known) - truth
    counted = residual.abs()
    if robust:
        counted = counted.masked_fill(_largest(counted, known, trim), 0.0)  # the mean remains one over all known pixels
    loss = mean_over_images(counted, known) / 2
    return loss + gradients * gradient_difference(residual, known) if gradients else loss


def aligned(prediction: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return s prediction + t with each image's s and t of least squares over its known pixels.

    A constant prediction becomes the truth's mean; an image without known pixels becomes 0.
    """
    check_shapes(prediction=prediction, truth=truth, known=known)
    prediction, truth = in_full(prediction), _cleared(truth, known)
    count = known.sum((1, 2, 3), keepdim=True).clamp(min=1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return values.masked_fill(~known, 0.0).sum((1, 2, 3), keepdim=True) / count

    centre, level = mean(prediction), mean(truth)
    spread = mean((prediction - centre).square())
    together = mean((prediction - centre) * (truth - level))
    rounding = 16 * torch.finfo(spread.dtype).eps * centre  # what is left of a constant after its mean is taken away
    scale = together / spread.where(spread > rounding.square(), torch.inf)
    return scale * (prediction - centre) + level


def standardised(maps: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return (maps - t) / s, t the median of an image's known pixels and s their mean distance from it.

    Of an even number, t is the lower middle one. A flat image, whose s is 0, becomes 0.
    """
    check_shapes(maps=maps, known=known)
    maps = in_full(maps)
    middle = maps.where(known, torch.nan).flatten(1).nanmedian(1).values[:, None, None, None]
    middle = middle.nan_to_num(nan=0.0)  # of no pixels
    away = maps - middle
    count = known.sum((1, 2, 3), keepdim=True).clamp(min=1)
    spread = away.abs().masked_fill(~known, 0.0).sum((1, 2, 3), keepdim=True) / count
    return away / spread.where(spread > 0, 1.0)


def gradient_difference(residual: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the sum over scales of |dx R| + |dy R|, as mean over an image's known pixels: edges in their places.

    R = `residual`. Scales take each pixel, every 2nd, 4th and 8th; a step counts where both its ends are known.
    """
    check_shapes(residual=residual, known=known)
    total = residual.new_zeros(())
    for scale in range(SCALES):
        step = 2**scale
        values, own = residual[:, :, ::step, ::step], known[:, :, ::step, ::step]
        count = own.sum((1, 2, 3))
        steps = _steps(values, own, 3) + _steps(values, own, 2)  # (B,)
        total = total + mean_over(steps / count.clamp(min=1), count > 0)
    return total


def _cleared(truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the truth with 0 where it is not known: a NaN there would reach the gradient, since 0 x NaN is NaN."""
    return in_full(truth).masked_fill(~known, 0.0)


def _steps(values: torch.Tensor, known: torch.Tensor, along: int) -> torch.Tensor:
    """Return the sum of an image's absolute steps along a dimension, (B,), between known neighbours."""
    count = known.shape[along] - 1
    both = known.narrow(along, 0, count) & known.narrow(along, 1, count)
    return values.diff(dim=along).abs().masked_fill(~both, 0.0).sum((1, 2, 3))


def _largest(values: torch.Tensor, known: torch.Tensor, share: float) -> torch.Tensor:
    """Return which known pixels are the `share` (rounded down) of their image's with the largest values."""
    order = values.masked_fill(~known, -1.0).flatten(1).argsort(1, descending=True)
    rank = order.argsort(1)
    count = (share * known.flatten(1).sum(1).double()).floor()
    return (rank < count[:, None]).view_as(values)
