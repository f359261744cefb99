"""Estimated cost of operators without multiply-adds, so that a count can state its share of the work.

One operation per element for elementwise functions and sums; costlier operators have their own estimates below: a
softmax (largest, difference, exponential, sum, quotient), a normalisation (mean, variance, both applied), a pooling
(its window), an interpolation (a multiply-add per mixed pixel), a Fourier transform (5 n log2 n). No published count
depends on these numbers, only `coverage`, which is null when an operator has no estimate here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2, prod
from typing import Any

_NO_ARITHMETIC = """
    _assert_async _assert_scalar _fused_sdp_choice _linalg_check_errors _local_scalar_dense _nested_tensor_size
    _reshape_alias _to_copy _to_dense _to_sparse _to_sparse_csr _unsafe_index _unsafe_index_put
    _unsafe_masked_index _unsafe_view _upsample_nearest_exact2d alias alias_copy arange as_strided_
    as_strided_copy bernoulli bernoulli_ bucketize cat channel_shuffle clone col2im constant_pad_nd contiguous
    copy copy_ detach detach_ dropout embedding empty empty_like empty_permuted empty_strided equal expand_copy
    eye fill fill_ flip full full_like gather im2col index index_copy index_fill index_fill_ index_put
    index_put_ index_select is_same_size item lift lift_fresh lift_fresh_copy linspace masked_fill masked_fill_
    masked_select narrow_copy native_channel_shuffle native_dropout new_empty new_empty_strided new_full
    new_ones new_zeros nonzero normal_ one_hot ones ones_like pad permute_copy pixel_shuffle pixel_unshuffle
    rand rand_like randint randn randn_like randperm reflection_pad1d reflection_pad2d reflection_pad3d
    repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape resize_ resolve_conj
    resolve_neg roll rot90 scalar_tensor scatter scatter_ select_scatter set_ slice_scatter
    split_with_sizes_copy squeeze_copy stack take transpose_copy tril tril_ tril_indices triu triu_ triu_indices
    unfold uniform_ unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze_copy upsample_nearest1d
    upsample_nearest2d upsample_nearest3d view_as_complex_copy view_as_real_copy view_copy where zero_ zeros
    zeros_like
"""
NO_ARITHMETIC = frozenset(_NO_ARITHMETIC.split())
"""aten operators that allocate, move or select numbers without computing any."""

_ONE = """
    _conj _prelu_kernel abs all amax amin aminmax any arange argmax argmin bincount
    binary_cross_entropy bitwise_and bitwise_not bitwise_or celu ceil clamp count_nonzero cummax cummin cumprod cumsum
    dist elu exponential_ floor_divide glu hardshrink hardswish hardswish_ heaviside index_add index_add_ isfinite isin
    isnan l1_loss leaky_relu leaky_relu_ linalg_vector_norm log_sigmoid_forward logical_and logical_not logical_or max
    max_unpool2d mean median min mse_loss nansum nan_to_num nanmean norm prelu prod remainder rrelu_with_noise rsub
    scatter_add scatter_add_ scatter_reduce sign softshrink softsign square std std_mean sum threshold unique_dim
    _unique2 var var_mean
"""
_FIVE = "_log_softmax _log_softmax_ _safe_softmax _softmax log_softmax logsumexp softmax _masked_softmax"
_SEVEN = """
    _fused_rms_norm native_group_norm native_layer_norm native_batch_norm _native_batch_norm_legit
    _batch_norm_with_update renorm _weight_norm_interface
"""
_TWO = """
    _batch_norm_no_update _native_batch_norm_legit_no_training addcdiv addcmul cudnn_batch_norm lerp
    miopen_batch_norm
"""
_INTERPOLATIONS = {
    "upsample_linear1d": 2,
    "upsample_bilinear2d": 4,
    "upsample_trilinear3d": 8,
    "upsample_bicubic2d": 16,
    "_upsample_bilinear2d_aa": 4,
    "_upsample_bicubic2d_aa": 16,
    "grid_sampler_2d": 4,
    "grid_sampler_3d": 8,
    "torchvision.roi_align": 16,
    "torchvision.ps_roi_align": 16,
}
"""Pixels that one output mixes; a region of `roi_align` mixes four samples of four pixels by default."""
PER_ELEMENT: dict[str, int] = {
    **dict.fromkeys(_ONE.split(), 1),
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_FIVE.split(), 5),
    **dict.fromkeys(_SEVEN.split(), 7),
}
"""Operations per element read or written, whichever are more."""


def work(func: Any, name: str, args: Sequence[Any], out: Any) -> float | None:
    """Estimate the operations of a call without multiply-adds; None for an unknown operator.

    `name`: such as `relu` for aten's operators and `torchvision.nms` for others.
    """
    import torch

    if name in _SPECIAL:
        return _SPECIAL[name](args, out)
    if name in _INTERPOLATIONS:
        return 2.0 * _INTERPOLATIONS[name] * _elements(out)
    most = max(_elements(args), _elements(out))
    if name in PER_ELEMENT:
        return float(PER_ELEMENT[name] * most)
    return float(most) if torch.Tag.pointwise in getattr(func, "tags", ()) else None


def _elements(values: Any) -> int:
    """Return the elements of the largest tensor among nested values."""
    import torch

    leaves = torch.utils._pytree.tree_leaves(values)
    return max((leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)), default=0)


def _window(args: Sequence[Any], out: Any) -> float:
    """Return the window elements that a pooling reads for all its outputs."""
    sides = args[1] if isinstance(args[1], Sequence) else (args[1],)
    axes = args[0].ndim - 2
    sides = tuple(sides) * axes if len(sides) == 1 else tuple(sides)
    return float(_elements(out) * prod(int(side) for side in sides))


def _adaptive(args: Sequence[Any], out: Any) -> float:
    return float(max(_elements(args[0]), _elements(out)))


def _fourier(args: Sequence[Any], out: Any) -> float:
    """Return 5 n log2 n over the transformed axes, half of it where one side is real."""
    import torch

    most = max(_elements(args[0]), _elements(out))
    whole = args[0] if args[0].numel() >= _first(out).numel() else _first(out)
    points = prod(int(whole.shape[axis]) for axis in args[1])
    real = not (torch.is_complex(args[0]) and torch.is_complex(_first(out)))
    return 5.0 * most * log2(max(points, 2)) / (2 if real else 1)


def _sorting(args: Sequence[Any], _: Any) -> float:
    """Return n log2 n comparisons along the sorted axis, assumed to be the longest."""
    longest = max(args[0].shape, default=1)
    return _elements(args[0]) * log2(max(int(longest), 2))


def _distances(args: Sequence[Any], out: Any) -> float:
    """Return a difference, its absolute value and a sum for each coordinate of each pair."""
    return 3.0 * _elements(out) * int(args[0].shape[-1])


def _suppression(args: Sequence[Any], _: Any) -> float:
    """Return the upper bound for non-maximum suppression of boxes (N, 4): about a dozen operations per pair."""
    count = int(args[0].shape[0])
    return 6.0 * count * count


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple | list) else out


_SPECIAL: dict[str, Callable[[Sequence[Any], Any], float]] = {
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d",
                     "max_pool2d", "mkldnn_max_pool2d"), _window),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_avg_pool2d",
                     "adaptive_max_pool3d"), _adaptive),
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), _fourier),
    **dict.fromkeys(("sort", "argsort", "topk", "msort", "kthvalue"), _sorting),
    "_cdist_forward": _distances,
    "torchvision.nms": _suppression,
}  # fmt: skip
