import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_time import FakeClock, TimedModel, images
from support.hand_counts import COUNTS
from support.paths import FIXTURES
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

import mlcvbench
from mlcvbench.contract import Batch, Operations, Problem, TorchModel
from mlcvbench.measure.operations import count, count_module
from mlcvbench.measure.tracing import tracing

FIXTURE = json.loads((FIXTURES / "operations/macs.json").read_text())
TORCHVISION = {
    "resnet50": "resnet50",
    "vgg16": "vgg16",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "vit_b_16": "vit_b_16",
    "swin_t": "swin_t",
    "convnext_t": "convnext_tiny",
}
TIMM = {
    "resnet50": "resnet50",
    "vgg16": "vgg16",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "vit_b_16": "vit_base_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "convnext_t": "convnext_tiny",
}


def build(library: str, name: str) -> nn.Module:
    if library == "timm":
        import timm

        return timm.create_model(TIMM[name], pretrained=False)
    from torchvision import models

    return models.get_model(TORCHVISION[name], weights=None)


def macs(call: Callable[[], Any], *, inference: bool = True) -> int:
    with torch.inference_mode(inference), torch.no_grad(), tracing() as trace:
        call()
    assert trace.flops % 2 == 0
    return trace.flops // 2


def test_the_fixture_is_what_the_arithmetic_gives() -> None:
    assert {name: formula() for name, formula in COUNTS.items()} == FIXTURE
    assert FIXTURE["vit_b_16"] == 17_563_828_224


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize("name", FIXTURE)
def test_the_tracer_counts_known_networks_exactly(library: str, name: str) -> None:
    info = count_module(build(library, name), torch.zeros(1, 3, 224, 224))

    assert info.macs == FIXTURE[name]
    assert info.flops == 2 * FIXTURE[name]
    assert info.method == "traced"
    assert 0.93 < info.coverage < 1


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        (nn.Conv2d(8, 16, 3, groups=4), (2, 8, 10, 10), 2 * 8 * 8 * 16 * 2 * 9),
        (nn.Conv2d(8, 8, 3, groups=8, padding=1, stride=2), (1, 8, 9, 9), 5 * 5 * 8 * 9),
        (nn.Conv2d(3, 4, 3, dilation=2), (1, 3, 9, 9), 5 * 5 * 4 * 3 * 9),
        (nn.ConvTranspose2d(8, 6, 3, stride=2), (2, 8, 5, 5), 2 * 5 * 5 * 8 * 6 * 9),
        (nn.ConvTranspose2d(8, 6, 3, groups=2), (1, 8, 5, 5), 5 * 5 * 8 * 3 * 9),
        (nn.Conv1d(8, 6, 3), (2, 8, 5), 2 * 3 * 6 * 8 * 3),
        (nn.Conv3d(8, 6, (3, 1, 2)), (2, 8, 5, 6, 7), 2 * 3 * 6 * 6 * 6 * 8 * 6),
        (nn.Linear(4, 5), (4,), 20),
        (nn.Linear(4, 5, bias=False), (2, 3, 4), 6 * 20),
        (nn.LSTM(3, 4), (5, 2, 3), 5 * 2 * 4 * 4 * (3 + 4)),
        (nn.GRU(3, 4), (5, 2, 3), 5 * 2 * 3 * 4 * (3 + 4)),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, nn.Module) else "",
)
def test_layers_are_counted_in_and_out_of_inference_mode(
    layer: nn.Module, shape: tuple[int, ...], wanted: int, inference: bool
) -> None:
    assert macs(lambda: layer(torch.zeros(shape)), inference=inference) == wanted


A, B, C = torch.zeros(2, 3, 4), torch.zeros(2, 4, 5), torch.zeros(2, 3, 5)
Q, K, V = torch.zeros(2, 4, 7, 8), torch.zeros(2, 4, 9, 8), torch.zeros(2, 4, 9, 6)


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda: A[0] @ B[0], 60),
        (lambda: torch.bmm(A, B), 120),
        (lambda: torch.matmul(A, B[0]), 120),
        (lambda: torch.addmm(C[0], A[0], B[0]), 60),
        (lambda: torch.baddbmm(C, A, B), 120),
        (lambda: torch.addbmm(C[0], A, B), 120),
        (lambda: A[0] @ torch.zeros(4), 12),
        (lambda: torch.addmv(torch.zeros(3), A[0], torch.zeros(4)), 12),
        (lambda: torch.zeros(4) @ torch.zeros(4), 4),
        (lambda: torch.einsum("bij,bjk->bik", A, B), 120),
        (lambda: torch.einsum("bij,bjk,bk->bi", A, B, torch.zeros(2, 5)), 2 * (3 * 4 * 5 + 3 * 5)),
        (lambda: attend(Q, Q, Q), 2 * 4 * 2 * 7 * 7 * 8),
        (lambda: attend(Q, Q, Q, attn_mask=torch.zeros(7, 7)), 2 * 4 * 2 * 7 * 7 * 8),
        (lambda: attend(Q, K, K), 2 * 4 * 2 * 7 * 9 * 8),
        (lambda: attend(Q, K, V), 2 * 4 * 7 * 9 * (8 + 6)),
        (lambda: attend(Q, Q[:, :2], Q[:, :2], enable_gqa=True), 2 * 4 * 2 * 7 * 7 * 8),
    ],
)
def test_products_and_attention_are_counted_whatever_their_path(
    call: Callable[[], Any], wanted: int, inference: bool
) -> None:
    assert macs(call, inference=inference) == wanted


def test_einsum_order_may_differ_but_never_the_count_of_a_single_product() -> None:
    assert macs(lambda: torch.einsum("ij,kj->ik", A[0], A[1])) == 3 * 4 * 3


@pytest.mark.parametrize(
    "module", [nn.MultiheadAttention(8, 2, batch_first=True), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)]
)
def test_the_fast_path_of_attention_is_off_while_tracing_and_restored_after(module: nn.Module) -> None:
    x = torch.zeros(2, 5, 8)
    args = (x, x, x) if isinstance(module, nn.MultiheadAttention) else (x,)
    attention = 2 * (5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8)
    mlp = 0 if isinstance(module, nn.MultiheadAttention) else 2 * (2 * 5 * 8 * 16)
    before = torch.backends.mha.get_fastpath_enabled()

    info = count_module(module, args)

    assert info.macs == attention + mlp
    assert torch.backends.mha.get_fastpath_enabled() is before


def test_deformable_convolution_counts_like_a_plain_one() -> None:
    from torchvision.ops import DeformConv2d

    layer = DeformConv2d(8, 6, 3)

    assert macs(lambda: layer(torch.zeros(2, 8, 10, 10), torch.zeros(2, 18, 8, 8))) == 2 * 8 * 8 * 6 * 8 * 9


def test_what_is_not_counted_is_listed_with_its_calls_and_lowers_the_coverage() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2))

    info = count_module(net, torch.zeros(1, 1, 6, 6))

    # 32 elements each: normalisation takes two operations, both activations one, the pooling reads each once
    assert info.uncounted == {
        "aten._native_batch_norm_legit_no_training": 1,
        "aten.max_pool2d_with_indices": 1,
        "aten.relu": 2,
    }
    assert info.coverage == pytest.approx(576 / (576 + 5 * 32))


def test_moving_numbers_around_is_no_operation() -> None:
    class Mover(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x.permute(0, 2, 1).reshape(2, -1).clone(), torch.zeros(2, 1)], dim=1) @ torch.zeros(13, 1)

    info = count_module(Mover(), A)

    assert info.uncounted == {}
    assert info.coverage == 1.0


def test_multi_head_attention_counts_its_attention() -> None:
    heads, tokens = nn.MultiheadAttention(4, 2, batch_first=True), torch.zeros(1, 16, 4)

    # projections in and out of 16 tokens of 4 numbers, then two products of 16 by 16 by 4
    assert count_module(heads, (tokens, tokens, tokens)).macs == 16 * 4 * (12 + 4) + 2 * 16 * 16 * 4


@pytest.mark.slow
def test_a_small_vision_transformer_counts_its_attention() -> None:
    import timm

    network = timm.create_model("vit_tiny_patch16_224", pretrained=False)

    assert count_module(network, torch.zeros(1, 3, 224, 224)).macs == 1_253_683_200


def test_a_product_without_a_formula_makes_the_count_null() -> None:
    class Sparse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sparse.mm(torch.eye(4).to_sparse(), x)

    info = count_module(nn.Sequential(nn.Linear(3, 3), Sparse(), Sparse()), torch.zeros(4, 3))

    assert (info.macs, info.flops, info.method, info.coverage) == (None, None, None, None)
    assert info.uncounted == {"aten._sparse_addmm": 2}
    assert info.reason == (
        "the multiply-adds of aten._sparse_addmm (2 calls) are unknown; return them from the model's operations()"
    )


def test_an_operator_of_a_stranger_may_be_a_product() -> None:
    @torch.library.custom_op("mlcvbench_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x + x

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return twice(x)

    info = count_module(nn.Sequential(nn.Linear(3, 3), Twice()), torch.zeros(4, 3))

    assert info.macs is None
    assert info.reason == (
        "the multiply-adds of mlcvbench_tests.twice (1 call) are unknown; return them from the model's operations()"
    )


def test_the_share_is_unknown_where_an_operators_work_is() -> None:
    class Inverse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.inv(x + torch.eye(3))

    info = count_module(nn.Sequential(nn.Linear(3, 3), Inverse()), torch.zeros(3, 3))

    assert info.macs == 27
    assert info.coverage is None
    assert info.uncounted == {"aten.add": 1, "aten.linalg_inv_ex": 1}


def test_counting_never_raises() -> None:
    class Failing(Net):
        def forward(self, inputs: Any) -> Any:
            raise RuntimeError("no kernel for this.\nSee the manual.")

    info = count(Failing(PROBLEM), batch_of([0]))

    assert (info.macs, info.method) == (None, None)
    assert info.reason == "it does not run while operations are counted (no kernel for this)"


def test_a_formula_of_the_model_that_fails_costs_the_count_only() -> None:
    class Wrong(Net):
        def operations(self, inputs: Any) -> Operations:
            raise KeyError("patches")

    assert count(Wrong(PROBLEM), batch_of([0])).reason == ("it does not run while operations are counted ('patches')")


def test_inputs_that_need_gradients_are_counted() -> None:
    class Tokens(nn.Module):
        """Adds a parameter to its input, as class tokens are, between modules."""

        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.token.expand(len(x), 1, 4)) + self.first(x)

    assert count_module(Tokens(), torch.zeros(1, 1, 4)).macs == 32


def test_the_batch_counts_and_training_mode_is_restored() -> None:
    layer = nn.Linear(4, 5).train()

    assert count_module(layer, torch.zeros(3, 4)).macs == 60
    assert layer.training


class Net(TorchModel):
    def build(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


class Looping(TorchModel):
    """Works as many times as the first pixel says."""

    def build(self) -> nn.Module:
        class Loop(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                y = x.flatten(1)
                for _ in range(round(float(x[0, 0, 0, 0]) * 255)):
                    y = y @ torch.ones(16, 16)
                return y

        return Loop()


PROBLEM = Problem("classification", ("a", "b"), {})


def batch_of(first_pixels: list[int]) -> Batch:
    pixels = np.zeros((len(first_pixels), 4, 4), np.uint8)
    pixels[:, 0, 0] = first_pixels
    return Batch(ids=np.arange(len(first_pixels)).astype(str), inputs={"image": pixels})


def test_a_torch_model_is_traced_on_one_sample() -> None:
    info = count(Net(PROBLEM), batch_of([0, 0, 0]))

    assert (info.macs, info.flops, info.samples, info.spread) == (32, 64, 1, None)
    assert info.tool == f"mlcvbench {mlcvbench.__version__}, torch.utils.flop_counter {torch.__version__}"


def test_a_cost_that_depends_on_the_input_is_averaged_with_its_spread() -> None:
    info = count(Looping(PROBLEM), batch_of([1, 3, 2, 2]), samples=4)

    assert info.macs == 2 * 256
    assert info.samples == 4
    assert info.spread == pytest.approx(np.std([1, 3, 2, 2]) / 2)


def test_an_analytic_formula_goes_before_tracing() -> None:
    class Analytic(Net):
        def operations(self, inputs: Any) -> Operations:
            return Operations(macs=7, other_ops={"absolute_difference": 3})

    info = count(Analytic(PROBLEM), batch_of([0]))

    assert (info.macs, info.flops, info.method, info.other_ops) == (7, 14, "analytic", {"absolute_difference": 3})


def test_a_method_without_multiply_adds_says_why() -> None:
    class Distances(Net):
        def operations(self, inputs: Any) -> Operations:
            return Operations(macs=None, other_ops={"absolute_difference": 3}, reason="L1 distances multiply nothing")

    info = count(Distances(PROBLEM), batch_of([0]))

    assert (info.macs, info.flops, info.reason) == (None, None, "L1 distances multiply nothing")


def test_a_model_that_nothing_can_trace_has_null_counts_with_a_reason() -> None:
    batch = next(iter(images(2).inputs(2)))

    info = count(TimedModel(FakeClock()), batch)

    assert (info.macs, info.method) == (None, None)
    assert info.reason == "the forward ran no torch operation and the model gives no formula"
