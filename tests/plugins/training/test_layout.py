"""Weights lie channels last where a network runs so, and as they are where it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import Batch, InputSpec, Problem
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.layout import runs_channels_last, to_channels_last

IMAGE = (3, 8, 8)


class ViewsMaps(nn.Module):
    """Looks at a map's memory as one vector, as many a network in print does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).view(len(x), -1))


class FiveAxes(nn.Module):
    """Has weights of five axes, which torch refuses to bring into channels-last order."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.deep = nn.Conv2d(3, 4, 3), nn.Conv3d(1, 2, (1, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.deep(self.conv(x).unsqueeze(1)).mean((1, 2, 3, 4))


class LooksAtValues(nn.Module):
    """Cannot be run without data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) if x.sum().item() >= 0 else x


@pytest.mark.parametrize(
    ("make", "runs"),
    [(ViewsMaps, False), (FiveAxes, True), (LooksAtValues, True), (lambda: nn.Conv2d(3, 4, 3), True)],
)
def test_it_is_found_out_whether_a_network_runs_channels_last(make, runs: bool) -> None:
    assert runs_channels_last(make(), IMAGE) is runs


def test_weights_of_five_axes_stay_as_they_are() -> None:
    module = FiveAxes()

    to_channels_last(module)

    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert module.deep.weight.is_contiguous()
    assert module(torch.zeros(2, *IMAGE)).shape == (2,)


@pytest.mark.parametrize("make", [ViewsMaps, FiveAxes])
def test_finding_out_changes_nothing(make: type[nn.Module]) -> None:
    module = make().train()
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before = torch.get_rng_state()

    runs_channels_last(module, IMAGE)

    assert module.training
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, weights[name])
        assert tensor.is_contiguous()
        assert type(tensor) is torch.Tensor


class Classifier(NetworkClassifier):
    CHANNELS_LAST = None

    def network(self, channels: int, classes: int) -> nn.Module:
        return ViewsMaps()


def test_a_classifier_that_views_its_maps_answers_colour_images() -> None:
    images = np.zeros((4, 8, 8, 3), np.uint8)
    problem = Problem("classification", ("a", "b"), {"image": InputSpec((8, 8, 3))})

    model = Classifier(problem)

    assert model.predict(Batch(np.arange(4).astype(str), {"image": images}))["scores"].shape == (4, 2)
    assert model.module.conv.weight.is_contiguous()
