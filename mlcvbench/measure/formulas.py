"""FLOPs of torch's products, 2 per multiply-add: attention, convolutions, matrix products and recurrent layers.

The coverage of `torch.utils.flop_counter` differs between releases: attention on the CPU has no formula before 2.15,
some kernels are read with heads and tokens exchanged, and the convolutions that a backend fuses are missing. The
formulas here are those that some supported release lacks or has wrong; they take precedence. Attention counts in full,
whatever its mask.

A formula gets an operator's positional arguments and what it returned; None means that it does not fit this call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

Formula = Callable[[Sequence[Any], Any], int | None]

_PRODUCT = re.compile(
    r"(?:^|_)(?:mm|bmm|matmul|mv|(?:badd|add)b?mm|addmv|linear|conv(?:\dd|olution)?|attention\w*|attn\w*|rnn\w*|lstm\w*|gru\w*"
    r"|bilinear|trilinear|dot|vdot|vecdot|multi_dot|einsum|tensordot|multi_head\w*|encoder_layer\w*)(?:_|$)"
)


def is_product(name: str) -> bool:
    """Return whether an operator, by its name, multiplies matrices, so that a count without it would be wrong.

    >>> is_product("aten._native_multi_head_attention"), is_product("quantized.linear"), is_product("aten.relu")
    (True, True, False)
    """
    return bool(_PRODUCT.search(name.rpartition(".")[2]))


def formulas() -> dict[str, Formula]:
    """Return the formulas by operator name, such as `aten.mv`."""
    return {
        **{f"aten.{name}": _attention for name in _ATTENTION.split()},
        "aten._efficient_attention_forward": lambda args, _: _kernel_attention(args, args[4:6]),
        "aten._flash_attention_forward": lambda args, _: _kernel_attention(args, args[3:5]),
        **{f"aten.{name}": _convolution for name in _CONVOLUTIONS.split()},
        **{f"aten.{name}": _transposed_convolution for name in _TRANSPOSED.split()},
        **{f"aten.{name}": _first_elements for name in ("mv", "dot", "vdot")},
        "aten._addmm_activation": lambda args, _: 2 * _size(args[1]) * int(args[2].shape[1]),
        "aten._cdist_forward": _distances,
        "aten._cudnn_rnn": lambda args, _: _recurrent(args[0], args[1]),
        "aten._euclidean_dist": lambda args, out: 2 * _size(out) * (int(args[0].shape[-1]) + 2),
        "aten._int_mm": lambda args, out: 2 * _size(out) * int(args[0].shape[1]),
        "aten._trilinear": _trilinear,
        "aten._weight_int8pack_mm": lambda args, out: 2 * _size(out) * int(args[0].shape[1]),
        "aten.addbmm": lambda args, _: 2 * _size(args[1]) * int(args[2].shape[2]),
        "aten.addmv": lambda args, _: 2 * _size(args[1]),
        "aten.addr": lambda args, _: 2 * _size(args[1]) * _size(args[2]),
        "aten.conv_tbc": lambda args, out: 2 * _size(out) * prod(int(n) for n in args[1].shape[:2]),
        "aten.mkldnn_rnn_layer": lambda args, _: _recurrent(args[0], args[1:3]),
        "torchvision.deform_conv2d": _convolution,
    }


_ATTENTION = """
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math_for_mps
"""
"""Operators whose first arguments are queries (B, H, L, E), keys (B, G, S, E) and values (B, G, S, D)."""

_CONVOLUTIONS = """
    _conv_depthwise2d _mps_convolution _nnpack_spatial_convolution _slow_conv2d_forward conv_depthwise3d
    cudnn_convolution cudnn_convolution_add_relu cudnn_convolution_relu miopen_convolution miopen_convolution_add_relu
    miopen_convolution_relu miopen_depthwise_convolution mkldnn_convolution slow_conv3d_forward slow_conv_dilated2d
    slow_conv_dilated3d
"""
"""Operators whose first arguments are an input and weights (outputs, inputs of a group, sides ...)."""

_TRANSPOSED = """
    _mps_convolution_transpose cudnn_convolution_transpose miopen_convolution_transpose slow_conv_transpose2d
    slow_conv_transpose3d
"""
"""Operators whose first arguments are an input and weights (inputs, outputs of a group, sides ...)."""


def _size(tensor: Any) -> int:
    return int(tensor.numel())


def _attention(args: Sequence[Any], _: Any) -> int:
    """Count Q K^T and its product with V: L S (E + D) multiply-adds per query head."""
    query, key, value = (argument.shape for argument in args[:3])
    return 2 * int(prod(query[:-1])) * int(key[-2]) * int(query[-1] + value[-1])


def _kernel_attention(args: Sequence[Any], offsets: Sequence[Any]) -> int:
    """Count the same for (B, L, H, E), (B, S, G, E) and (B, S, G, D), or sequences joined end to end at `offsets`."""
    query, key, value = (argument.shape for argument in args[:3])
    if offsets[0] is None:
        pairs = int(query[0] * query[1] * key[1])
    else:
        pairs = int((offsets[0].diff() * offsets[1].diff()).sum())
    return 2 * pairs * int(query[-2]) * int(query[-1] + value[-1])


def _convolution(args: Sequence[Any], out: Any) -> int:
    """Count every output's window; the sampling between pixels of a deformable convolution is not counted."""
    return 2 * _size(out) * int(prod(args[1].shape[1:]))


def _transposed_convolution(args: Sequence[Any], _: Any) -> int:
    """Count the window that every input is spread over."""
    return 2 * _size(args[0]) * int(prod(args[1].shape[1:]))


def _first_elements(args: Sequence[Any], _: Any) -> int:
    """Count a matrix-vector or dot product: one multiply-add per element of the first factor."""
    return 2 * _size(args[0])


def _distances(args: Sequence[Any], out: Any) -> int | None:
    """Count squared differences; other distances have no multiplications."""
    return 2 * _size(out) * int(args[0].shape[-1]) if args[2] == 2 else None


def _recurrent(sequence: Any, weights: Sequence[Any]) -> int:
    """Count a fused recurrent layer on (T, B, I): each weight matrix once per step; biases (one axis) are not
    products.
    """
    steps = int(sequence.shape[0] * sequence.shape[1])
    return 2 * steps * sum(_size(weight) for weight in weights if weight.ndim == 2)


def _trilinear(args: Sequence[Any], _: Any) -> int:
    """Count one multiply-add per element of the product of three tensors, each spread along the axes it lacks."""
    shapes = [list(tensor.shape) for tensor in args[:3]]
    for shape, axes in zip(shapes, args[3:6], strict=True):
        for axis in sorted(axes):
            shape.insert(axis, 1)
    return 2 * int(prod(max(sides) for sides in zip(*shapes, strict=True)))
