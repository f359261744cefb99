"""The check of backpropagation: it passes what is right, names what is wrong, and minds kinks and rounding."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from support.fitting import images_batch, problem
from torch import nn

from mlcvbench.contract import TorchModel
from mlcvbench.testing import check_model, gradients
from mlcvbench.testing.gradients import check_gradients

IMAGES = np.zeros((3, 6, 6), np.uint8)


class Doubled(torch.autograd.Function):
    """The identity, whose gradient somebody got wrong by a factor."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 1.01 * gradient


class Wrong(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, Doubled.apply(self.weight), self.bias)


class Detached(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias.detach())


class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(36, 2))

    def forward(self, x):
        return x.flatten(1) @ self.weight.float()


def result(*layers):
    class Given(TorchModel):
        def build(self):
            return nn.Sequential(*layers)

    return check_gradients(Given(problem(IMAGES, 2)), images_batch(IMAGES))


def nil(layer):
    """Return a layer of no weights, which a ReLU behind it sees at its kink."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Flatten(), nn.Linear(36, 5), nn.Sigmoid(), nn.Linear(5, 2)),
        (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)),
        (nn.Flatten(), nil(nn.Linear(36, 5)), nn.ReLU(), nn.Linear(5, 2)),
        (nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, 2), nn.LogSoftmax(1)),
    ],
    ids=["sigmoid", "convolution", "kink", "dropout"],
)
def test_what_torch_computes_agrees(layers):
    found = result(*layers)

    assert found.passed, found.detail
    assert float(found.detail.split()[3]) < 1e-6


def test_a_wrong_factor_is_found_where_it_is():
    found = result(nn.Flatten(), nn.Linear(36, 5), nn.Sigmoid(), Wrong(5, 2))

    assert found.passed is False
    wanted = r"the gradient of '3\.weight' differs from central differences by 0\.0[01]\d+ of its size; .*"
    assert re.fullmatch(wanted, found.detail)


def test_a_parameter_that_gets_no_gradient_is_found():
    found = result(nn.Flatten(), Detached(36, 2))

    assert found.passed is False
    assert found.detail.startswith("the gradient of '1.bias' differs ")


def test_a_parameter_without_influence_is_none_of_its_business():
    class Idle(nn.Linear):
        def __init__(self):
            super().__init__(36, 2)
            self.further = nn.Parameter(torch.ones(3))

    assert result(nn.Flatten(), Idle()).passed


def test_casts_to_float32_inside_the_network_are_no_wrong_gradient():
    found = result(Single())

    assert found.passed, found.detail


@pytest.mark.parametrize("cast", ["float", "to", "keyword", "type", "likewise"])
def test_every_way_to_ask_for_float32_is_seen_through(cast: str):
    class Casting(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            return {
                "float": out.float,
                "to": lambda: out.to(torch.float32),
                "keyword": lambda: out.to(dtype=torch.float32),
                "type": lambda: out.type(torch.float32),
                "likewise": lambda: torch.zeros_like(out, dtype=torch.float32).add(out),
            }[cast]()

    assert result(nn.Flatten(), Casting(36, 2)).passed


class Answers(NamedTuple):
    maps: torch.Tensor
    counts: torch.Tensor


@pytest.mark.parametrize(
    "pack",
    [
        lambda x: {"boxes": x, "labels": x.argmax(dim=1), "size": (3, 4), "best": [x[:, :1], None]},
        lambda x: [{"scores": x, "kept": torch.arange(len(x))}, 5, "cells"],
        lambda x: (x, x > 0),
        lambda x: Answers(x, x.long()),
    ],
    ids=["dict", "list of dicts", "tuple", "named tuple"],
)
def test_outputs_may_be_nested_and_hold_integers(pack):
    class Packing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))

        def forward(self, x):
            return pack(self.layers(x))

    assert result(Packing()).passed


def test_a_wrong_gradient_behind_a_dict_is_found():
    class Packing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), Wrong(36, 2))

        def forward(self, x):
            return {"count": 7, "scores": self.layers(x)}

    found = result(Packing())

    assert found.passed is False
    assert found.detail.startswith("the gradient of '0.layers.1.weight' differs ")


def test_inputs_may_be_several_tensors():
    class Pairs(TorchModel):
        def build(self):
            return Difference()

        def preprocess(self, batch):
            images = super().preprocess(batch)
            return {"left": images, "right": images, "sizes": torch.tensor([[6, 6]] * len(images))}

    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(6))

        def forward(self, inputs):
            return (inputs["left"] * self.weight - inputs["right"]) * inputs["sizes"][0, 0]

    assert check_gradients(Pairs(problem(IMAGES, 2)), images_batch(IMAGES)).passed


def test_a_network_without_float_outputs_is_not_checked():
    class Deciding(nn.Linear):
        def forward(self, x):
            return super().forward(x).argmax(dim=1)

    found = result(nn.Flatten(), Deciding(36, 2))

    assert found.passed is None
    assert found.detail == "not made: no output of the network is a float that depends on its parameters."


def test_a_network_that_its_forward_calls_otherwise_is_not_checked():
    class TwoArguments(nn.Linear):
        def forward(self, x, more):
            return super().forward(x) + more

    found = result(TwoArguments(36, 2))

    assert found.passed is None
    assert found.detail.startswith("not made: the network takes no such inputs in float64 (TypeError: ")


def test_a_network_without_parameters_or_with_too_many_is_not_checked(monkeypatch):
    monkeypatch.setattr(gradients, "MOST_PARAMETERS", 73)
    for layers in ((nn.Flatten(),), (nn.Flatten(), nn.Linear(36, 2))):
        found = result(*layers)

        assert found.passed is None
        assert found.detail == ("not made: it is for networks of 1 to 73 parameters.")


def test_the_conformance_kit_makes_it_for_networks_and_for_nothing_else():
    networks = {one.name: one for one in check_model("linear_least_squares", "classification")}
    others = {one.name for one in check_model("majority", "classification")}

    assert networks["gradients"].passed
    assert "gradients" not in others


def test_a_network_that_looks_closer_at_what_it_chose_is_not_compared():
    class Given(TorchModel):
        CHOOSES = True

        def build(self):
            return nn.Sequential(nn.Flatten(), Wrong(36, 2))

    checked = check_gradients(Given(problem(IMAGES, 2)), images_batch(IMAGES))

    assert checked.passed is None
    assert checked.detail == "not made: the network looks closer at what it chose, and no gradient goes there."
