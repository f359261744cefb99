"""Products whose multiply-adds are known, counted once per process before any count is trusted.

Torch's counter has silently miscounted before: attention on the CPU as 0 from 2.6 to 2.14. If a release, device or
build does so again, counts become null with a reason instead of wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from mlcvbench.errors import first_line
from mlcvbench.measure.tracing import tracing

Product = tuple[str, Callable[[], Any], int]
"""A description of the product, the call, and its multiply-adds."""


@cache
def miscounted(device: str) -> str | None:
    """Return why counts on a device type cannot be trusted, None when all known products are counted correctly."""
    import torch

    with torch.inference_mode():
        for name, call, wanted in products(device):
            try:
                with tracing() as trace:
                    call()
            except Exception as error:  # noqa: BLE001 - whatever a build lacks, its counts cannot be trusted
                return f"torch {torch.__version__} cannot be checked on {device}: {name} fails ({first_line(error)})"
            if trace.flops != 2 * wanted or trace.products:
                return (
                    f"torch {torch.__version__} is miscounted on {device}: {trace.flops // 2} multiply-adds of {name} "
                    f"instead of {wanted}"
                )
    return None


def products(device: str) -> Iterator[Product]:
    """Yield a convolution, matrix products and attention in the forms that networks use, without drawing random
    numbers.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    def zeros(*shape: int, dtype: Any = torch.float32) -> Any:
        return torch.zeros(shape, device=device, dtype=dtype)

    yield "a convolution", lambda: functional.conv2d(zeros(2, 4, 6, 6), zeros(6, 2, 3, 3), groups=2), 2 * 16 * 6 * 18
    yield (
        "a transposed convolution",
        lambda: functional.conv_transpose2d(zeros(2, 4, 5, 5), zeros(4, 3, 3, 3), stride=2),
        2 * 25 * 4 * 27,
    )
    yield "a linear layer", lambda: functional.linear(zeros(2, 3, 4), zeros(5, 4), zeros(5)), 2 * 3 * 20
    yield "a matrix product", lambda: zeros(2, 3, 4) @ zeros(2, 4, 5), 2 * 60
    yield "a sum with a product", lambda: torch.baddbmm(zeros(2, 3, 5), zeros(2, 3, 4), zeros(2, 4, 5)), 2 * 60
    half = {"cpu": torch.bfloat16, "cuda": torch.float16}.get(device, torch.float32)
    for dtype in (torch.float32, half):
        query, key = zeros(2, 4, 7, 8, dtype=dtype), zeros(2, 4, 9, 8, dtype=dtype)
        yield "attention", partial(functional.scaled_dot_product_attention, query, key, key), 2 * 4 * 7 * 9 * 16
    make: Any = nn.utils.skip_init
    heads = make(nn.MultiheadAttention, 8, 2, batch_first=True, device=device).eval()
    tokens = zeros(2, 5, 8)
    yield "multi-head attention", lambda: heads(tokens, tokens, tokens), 2 * (5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8)
