"""The check of backpropagation: it passes what is right, names what is wrong, and minds kinks and rounding."""

from __future__ import annotations

import re

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


def test_a_network_that_cannot_compute_in_float64_is_not_checked():
    found = result(Single())

    assert found.passed is None
    assert found.detail.startswith("not made: the network does not compute in float64 (")


def test_a_network_without_parameters_or_with_too_many_is_not_checked(monkeypatch):
    monkeypatch.setattr(gradients, "MOST_PARAMETERS", 73)
    for layers in ((nn.Flatten(),), (nn.Flatten(), nn.Linear(36, 2))):
        found = result(*layers)

        assert found.passed is None
        assert found.detail == ("not made: it is for networks of one tensor of floats and between 1 and 73 parameters.")


def test_the_conformance_kit_makes_it_for_networks_and_for_nothing_else():
    networks = {one.name: one for one in check_model("linear_least_squares", "classification")}
    others = {one.name for one in check_model("majority", "classification")}

    assert networks["gradients"].passed
    assert "gradients" not in others
