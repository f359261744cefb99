"""Estimates of what operators without multiply-adds take, by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from mlcvbench.measure.tracing import tracing

X = torch.zeros(2, 3, 8, 8)


def work(call: Callable[[], Any]) -> float | None:
    with torch.no_grad(), tracing() as trace:
        call()
    assert trace.flops == 0
    return trace.work


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (X.relu, 384),
        (lambda: functional.gelu(X), 384),
        (lambda: functional.hardswish(X), 384),
        (lambda: functional.leaky_relu(X), 384),
        (lambda: X.mean((2, 3)), 384),
        (X.sum, 384),
        (lambda: X + torch.zeros(3, 1, 1), 384),
        (lambda: X.softmax(1), 5 * 384),
        (lambda: functional.layer_norm(X, (8,)), 7 * 384),
        (lambda: functional.group_norm(X, 3), 7 * 384),
        (lambda: functional.batch_norm(X, torch.zeros(3), torch.ones(3)), 2 * 384),
        (lambda: functional.max_pool2d(X, 3, 2, 1), 2 * 3 * 16 * 9),
        (lambda: functional.avg_pool2d(X, (2, 4)), 2 * 3 * 8 * 8),
        (lambda: functional.adaptive_avg_pool2d(X, 2), 384),
        (lambda: functional.interpolate(X, scale_factor=2, mode="bilinear"), 2 * 4 * 4 * 384),
        (lambda: torch.fft.rfft2(X), 5 * 384 * 6 / 2),
        (lambda: torch.fft.fft2(torch.zeros(8, 8, dtype=torch.complex64)), 5 * 64 * 6),
        (lambda: X.flatten().topk(3), 384 * torch.tensor(384.0, dtype=torch.float64).log2().item()),
    ],
)
def test_work_is_estimated_by_what_is_done(call: Callable[[], Any], wanted: float) -> None:
    assert work(call) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "call",
    [
        lambda: X.permute(0, 2, 3, 1).reshape(2, -1),
        lambda: torch.cat([X, X]),
        lambda: X[:, torch.tensor([0, 2])],
        lambda: functional.pad(X, (1, 1)),
        lambda: functional.pixel_unshuffle(X, 2),
        lambda: functional.unfold(X, 3),
        lambda: X.chunk(3, 1),
        lambda: X.roll(1, 2),
    ],
)
def test_moving_numbers_is_no_work(call: Callable[[], Any]) -> None:
    assert work(call) == 0


def test_suppressing_boxes_is_estimated_at_most() -> None:
    from torchvision.ops import nms

    assert work(lambda: nms(torch.zeros(5, 4), torch.zeros(5), 0.5)) == 6 * 25


def test_what_is_not_known_has_no_estimate() -> None:
    assert work(lambda: torch.linalg.svd(torch.eye(3))) is None
