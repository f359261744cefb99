"""The layers a record keeps: their totals are the record's, whatever the network, and their number is bounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from mlcvbench.contract import Batch, InputSpec, Operations, Problem, TorchModel
from mlcvbench.limits import MAX_LAYER_ROWS
from mlcvbench.measure.layers.record import OUTSIDE, layers_of
from mlcvbench.measure.operations import count
from mlcvbench.records.canonical import dumps
from mlcvbench.records.schema import LayersInfo

SIDE = 8
BATCH = Batch(ids=np.array(["a", "b"]), inputs={"image": np.zeros((2, SIDE, SIDE), np.uint8)})
PROBLEM = Problem(kind="classification", classes=("x", "y"), inputs={"image": InputSpec((SIDE, SIDE))})


class Net(TorchModel):
    """A model around the module it is given."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(PROBLEM)
        self.module = module


class Around(Net):
    """Multiplies by a matrix of its own behind the module."""

    def forward(self, inputs):
        return super().forward(inputs) @ torch.ones(2, 3)


def layers(model: TorchModel) -> LayersInfo:
    return layers_of(model, BATCH, count(model, BATCH))


def agrees(info: LayersInfo, model: TorchModel) -> bool:
    counted = model.parameters()
    same_params = sum(info.params) == counted.trainable + counted.frozen
    return same_params and sum(info.macs) == count(model, BATCH).macs


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)
    )


def test_a_layer_is_a_row_with_its_form_and_cost():
    info = layers(Net(small()))

    assert info.name == ("input", "0", "1", "4")
    assert info.type == ("Input", "Conv2d", "BatchNorm2d", "Linear")
    assert (info.kernel[1], info.stride[1], info.output[1]) == ("3", "2", "4x3x3")
    assert info.params == (0, 36, 8, 74)
    assert info.macs == (0, 4 * 9 * 9, 0, 72)
    assert info.parts == ()
    assert info.reason is None


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_parameters_count(frozen):
    module = small()
    module[0].weight.requires_grad = not frozen

    assert agrees(layers(Net(module)), Net(module))


def test_what_is_computed_outside_the_modules_has_a_row():
    model = Around(small())

    info = layers(model)

    assert (info.name[-1], info.params[-1], info.macs[-1]) == (OUTSIDE, 0, 6)
    assert agrees(info, model)


def test_shared_weights_count_once_and_their_work_twice():
    layer = nn.Linear(64, 64)
    model = Net(nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer, nn.Linear(64, 2)))

    info = layers(model)

    assert info.params == (0, 64 * 65, 0, 130)
    assert info.macs == (0, 64 * 64, 64 * 64, 128)
    assert agrees(info, model)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))

    def forward(self, x):
        return x + self.inner(x)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 500), st.booleans())
def test_any_depth_fits_and_sums_up(depth, nested):
    layer = Residual if nested else lambda: nn.Linear(4, 4)
    model = Net(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), *(layer() for _ in range(depth)), nn.Linear(4, 2)))

    info = layers(model)

    assert len(info.name) <= MAX_LAYER_ROWS
    assert agrees(info, model)
    total = 3 + depth * (2 if nested else 1)
    assert sum(info.parts or (1,) * len(info.name)) == total
    assert (info.parts == ()) == (total < MAX_LAYER_ROWS)


def test_a_deep_network_is_grouped_by_module():
    blocks = [nn.Sequential(Residual(), Residual()) for _ in range(110)]
    model = Net(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), *blocks))

    info = layers(model)

    assert info.name[:4] == ("input", "1", "2.0.inner", "2.1.inner")
    assert info.parts[:4] == (1, 1, 2, 2)
    assert info.output[2:4] == ("4", "4")
    assert len(dumps(info.model_dump())) < 64_000


def test_no_torch_network_has_no_layers_and_a_formula_says_why():
    class Formula(Net):
        def operations(self, inputs):
            return Operations(macs=5)

    class Other:
        pass

    counted = count(Net(small()), BATCH)

    assert layers(Formula(small())) == LayersInfo(reason="its operations are counted by a formula")
    assert layers_of(Other(), BATCH, counted) is None


def test_a_network_that_cannot_be_counted_has_no_layers_for_the_same_reason():
    class Sparse(nn.Module):
        def forward(self, x):
            return torch.sparse.mm(torch.eye(1).to_sparse(), x)

    model = Net(nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2), Sparse()))

    info = layers(model)

    assert info.name == ()
    assert info.reason == count(model, BATCH).reason
    assert info.reason.startswith("the multiply-adds of aten._sparse_addmm (1 call) are unknown")


def test_layers_that_sum_to_more_than_was_counted_are_not_kept():
    model = Net(small())
    counted = count(model, BATCH).model_copy(update={"macs": 1})

    info = layers_of(model, BATCH, counted)

    assert info.name == ()
    assert info.reason == "its layers sum to more than was counted, as where the cost depends on the input"


def test_a_network_that_bears_no_hooks_costs_the_table_not_the_run():
    class Shy(nn.Sequential):
        def forward(self, x):
            if self[4]._forward_hooks:
                raise RuntimeError("no hooks, please\nreally")
            return super().forward(x)

    model = Net(Shy(*small()))

    assert layers(model).reason == "its forward does not run under hooks: no hooks, please"
    assert model.module[4]._forward_hooks == {}


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValidationError, match="wanted columns of one length"):
        LayersInfo(name=("a", "b"), params=(1,))
