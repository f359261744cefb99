"""A count is believed only where known products come out right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils import flop_counter

from mlcvbench.contract import Batch, Problem, TorchModel
from mlcvbench.measure import formulas, tracing
from mlcvbench.measure.known_products import miscounted, products
from mlcvbench.measure.operations import count


class Net(TorchModel):
    def build(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


BATCH = Batch(ids=np.array(["a"]), inputs={"image": np.zeros((1, 4, 4), np.uint8)})


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """Forget what was found out about this machine, before and after."""
    miscounted.cache_clear()
    yield
    miscounted.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_this_release_counts_all_known_products(device: str) -> None:
    assert miscounted(device) is None
    assert {"attention", "a convolution", "a matrix product"} <= {name for name, _, _ in products(device)}


def test_the_check_draws_no_random_number() -> None:
    before = torch.get_rng_state()

    miscounted("cpu")

    assert torch.equal(torch.get_rng_state(), before)


def test_attention_that_counts_as_nothing_makes_counts_null_with_the_reason(monkeypatch) -> None:
    known = formulas.formulas()
    monkeypatch.setattr(
        tracing,
        "formulas",
        lambda: {**known, "aten._scaled_dot_product_flash_attention_for_cpu": lambda args, out: 0},
    )

    info = count(Net(Problem("classification", ("a", "b"), {})), BATCH)

    assert (info.macs, info.flops, info.method) == (None, None, None)
    assert (
        info.reason == f"torch {torch.__version__} is miscounted on cpu: 0 multiply-adds of attention instead of 8064"
    )


def test_a_formula_of_torch_that_lies_makes_counts_null_with_the_reason(monkeypatch) -> None:
    def halved(*args: Any, **kwargs: Any) -> int:
        return 7

    monkeypatch.setitem(flop_counter.flop_registry, torch.ops.aten.bmm, halved)

    info = count(Net(Problem("classification", ("a", "b"), {})), BATCH)

    assert info.macs is None
    assert info.reason == (
        f"torch {torch.__version__} is miscounted on cpu: 3 multiply-adds of a matrix product instead of 120"
    )


def test_the_check_is_made_once_a_process(monkeypatch) -> None:
    model = Net(Problem("classification", ("a", "b"), {}))
    assert count(model, BATCH).macs == 32
    monkeypatch.setattr(tracing, "formulas", None)

    assert miscounted("cpu") is None


def test_a_device_that_cannot_compute_a_known_product_is_not_believed() -> None:
    reason = miscounted("xla")

    assert reason is not None
    assert reason.startswith(f"torch {torch.__version__} cannot be checked on xla: a convolution fails (")
