"""FLOPs of products, each against its arithmetic by hand; operators of other devices run on tensors without data."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mlcvbench.measure.formulas import formulas, is_product
from mlcvbench.measure.tracing import tracing

ATEN = torch.ops.aten
B, HEADS, L, S, E = 2, 4, 16, 24, 8
ATTENTION = B * HEADS * L * S * (E + E)
"""Multiply-adds of Q K^T and of its product with V."""


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, device="meta", dtype=dtype)


def macs(call: Callable[[], Any]) -> int:
    with torch.no_grad(), tracing() as trace:
        call()
    assert not trace.products
    return trace.flops // 2


def by_formula(name: str, *args: Any, out: Any) -> int:
    flops = formulas()[name](args, out)
    assert flops is not None
    return flops // 2


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("_scaled_dot_product_flash_attention_for_cpu", ()),
        ("_scaled_dot_product_flash_attention", ()),
        ("_scaled_dot_product_efficient_attention", (None, False)),
        ("_scaled_dot_product_cudnn_attention", (None, False)),
    ],
)
def test_every_kernel_of_attention_counts_the_same(name: str, rest: tuple[Any, ...]) -> None:
    query, key = zeros(B, HEADS, L, E), zeros(B, HEADS, S, E)

    assert macs(lambda: getattr(ATEN, name)(query, key, key, *rest)) == ATTENTION


@pytest.mark.parametrize(
    "name", ["_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math_for_mps"]
)
def test_attention_of_other_devices_counts_the_same(name: str) -> None:
    query, key = zeros(B, HEADS, L, E), zeros(B, HEADS, S, E)

    assert by_formula(f"aten.{name}", query, key, key, out=query) == ATTENTION


def test_query_heads_may_share_keys() -> None:
    query, key = zeros(B, HEADS, L, E), zeros(B, 1, S, E)

    assert macs(lambda: ATEN._scaled_dot_product_flash_attention_for_cpu(query, key, key)) == ATTENTION


def test_kernels_below_take_heads_behind_tokens() -> None:
    query, key = zeros(B, L, HEADS, E), zeros(B, S, HEADS, E)
    flash = (query, key, key, None, None, L, S, 0.0, False, False)
    efficient = (query, key, key, None, None, None, None, None, 0.0, 0)

    assert macs(lambda: ATEN._flash_attention_forward(*flash)) == ATTENTION
    assert by_formula("aten._efficient_attention_forward", *efficient, out=query) == ATTENTION


def test_sequences_joined_end_to_end_attend_to_themselves_only() -> None:
    offsets = torch.tensor([0, 5, 16])
    tokens = torch.zeros(16, HEADS, E)
    wanted = (5 * 5 + 11 * 11) * HEADS * (E + E)

    assert by_formula("aten._flash_attention_forward", tokens, tokens, tokens, offsets, offsets, out=tokens) == wanted
    batched = tokens[None]
    packed = (batched, batched, batched, None, offsets, offsets)
    assert by_formula("aten._efficient_attention_forward", *packed, out=tokens) == wanted


X, W = zeros(2, 4, 9, 9), zeros(6, 2, 3, 3)


@pytest.mark.parametrize(
    "name",
    [
        "cudnn_convolution",
        "cudnn_convolution_relu",
        "cudnn_convolution_add_relu",
        "miopen_convolution",
        "mkldnn_convolution",
        "_conv_depthwise2d",
        "slow_conv_dilated2d",
        "_slow_conv2d_forward",
    ],
)
def test_a_convolution_counts_every_outputs_window_whichever_backend_does_it(name: str) -> None:
    out = zeros(2, 6, 7, 7)

    assert by_formula(f"aten.{name}", X, W, out=out) == 2 * 6 * 49 * 2 * 9


@pytest.mark.parametrize(
    "name", ["cudnn_convolution_transpose", "miopen_convolution_transpose", "slow_conv_transpose2d"]
)
def test_a_transposed_convolution_counts_what_every_input_is_spread_over(name: str) -> None:
    assert by_formula(f"aten.{name}", X, zeros(4, 3, 3, 3), out=zeros(2, 3, 11, 11)) == 2 * 81 * 4 * 3 * 9


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda: torch.conv_tbc(zeros(5, 2, 3), zeros(3, 3, 4), zeros(4)), 3 * 2 * 4 * 9),
        (lambda: torch._addmm_activation(zeros(4), zeros(2, 3), zeros(3, 4)), 24),
        (lambda: torch._int_mm(zeros(32, 16, dtype=torch.int8), zeros(16, 8, dtype=torch.int8)), 32 * 16 * 8),
        (lambda: torch.nn.functional.bilinear(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(5, 3, 4)), 2 * 5 * 12),
        (lambda: torch.cdist(torch.zeros(3, 4), torch.zeros(5, 4)), 3 * 5 * 4),
        (lambda: torch.cdist(torch.zeros(30, 4), torch.zeros(40, 4)), 30 * 40 * (4 + 2)),
        (lambda: torch.nn.LSTMCell(3, 4)(torch.zeros(2, 3)), 2 * 16 * (3 + 4)),
        (lambda: torch.nn.RNN(3, 4)(torch.zeros(5, 2, 3)), 5 * 2 * 4 * (3 + 4)),
        (lambda: zeros(2, 3, dtype=torch.complex64) @ zeros(3, 4, dtype=torch.complex64), 4 * 24),
    ],
)
def test_other_products_are_counted(call: Callable[[], Any], wanted: int) -> None:
    assert macs(call) == wanted


def test_distances_that_multiply_nothing_are_listed_instead() -> None:
    with tracing() as trace:
        torch.cdist(torch.zeros(3, 4), torch.zeros(5, 4), p=1)

    assert trace.flops == 0
    assert trace.uncounted == {"aten._cdist_forward": 1}
    assert trace.work == 3 * 3 * 5 * 4


def test_a_fused_recurrent_layer_counts_its_matrices_once_a_step() -> None:
    sequence, weights = zeros(5, 2, 3), [zeros(16, 3), zeros(16, 4), zeros(16), zeros(16)]

    assert by_formula("aten._cudnn_rnn", sequence, weights, out=sequence) == 5 * 2 * 16 * (3 + 4)


@pytest.mark.parametrize(
    "name",
    [
        "aten._native_multi_head_attention",
        "aten._transformer_encoder_layer_fwd",
        "aten._sparse_addmm",
        "aten._grouped_mm",
        "aten._weight_int4pack_mm",
        "aten.miopen_rnn",
        "aten.mkldnn_linear",
        "mkldnn._convolution_pointwise",
        "quantized.linear_relu",
    ],
)
def test_products_are_known_by_their_names(name: str) -> None:
    assert is_product(name)


@pytest.mark.parametrize(
    "name", ["aten._upsample_bilinear2d_aa", "aten.upsample_linear1d", "aten.sum", "aten._convert_indices", "a.nms"]
)
def test_what_is_no_product_is_not_taken_for_one(name: str) -> None:
    assert not is_product(name)
