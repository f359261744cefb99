"""U-Net: the paper's and today's numbers of parameters, 572 pixels that give 388, and images continued by mirrors."""

from __future__ import annotations

import pytest
import torch
from support.segmenting import model_of, multiply_adds, parameters
from torch import nn

from mlcvbench_fcn.unet import cropped, mirrored

PAPER = {"width": 64, "normed": False, "padding": "valid", "dropout": 0.5}
TODAY = {"width": 64, "normed": True, "padding": "same"}


def full(classes: int, channels: int, **params: object) -> nn.Module:
    with torch.device("meta"):
        return model_of("unet", classes, channels=channels, **params).network()


@pytest.mark.parametrize(
    ("channels", "classes", "settings", "count"),
    [(1, 2, PAPER, 31_030_658), (3, 1, TODAY, 31_037_633), (3, 21, TODAY, 31_038_933)],
)
def test_at_full_size_the_parameters_are_those_of_the_catalogue(channels, classes, settings, count):
    assert parameters(model_of("unet", classes, channels=channels, **settings)) == count


def test_the_papers_network_makes_388_pixels_of_572_by_150_billion_multiply_adds():
    network = full(2, 1, **PAPER).network

    answers = network(torch.zeros(1, 1, 572, 572, device="meta"))

    assert answers.shape == (1, 2, 388, 388)
    assert multiply_adds(network, 572, channels=1) == pytest.approx(150.43e9, abs=5e6)


@pytest.mark.parametrize(("side", "classes", "macs"), [(512, 1, 192.67e9), (224, 21, 36.94e9)])
def test_todays_network_makes_the_multiply_adds_of_the_catalogue(side, classes, macs):
    assert multiply_adds(full(classes, 3, **TODAY), side) == pytest.approx(macs, abs=5e6)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 16, 33, 128])
def test_valid_convolutions_lose_no_pixel_in_pooling_and_answer_all(levels, side):
    network = model_of("unet", width=1, levels=levels, padding="valid").network().network

    needed = network.needed(side)
    given = network(torch.zeros(1, 3, needed, needed)).shape[2]

    assert given == network.given(needed) >= side
    assert network.given(needed - 2**levels) < side


def test_what_valid_convolutions_say_inside_does_not_depend_on_the_mirror():
    torch.manual_seed(0)
    network = model_of("unet", width=2, levels=1, padding="valid", normed=False).network().eval()
    image = torch.rand(1, 3, 64, 64)
    inner = cropped(image, (44, 44))

    reach = network.network.needed(64) - 64  # pixels of both sides that are seen of the surroundings
    size = 44 - 2 * reach, 44 - 2 * reach

    assert torch.allclose(cropped(network(image), size), cropped(network(inner), size), atol=1e-5)


@pytest.mark.parametrize(("side", "before", "whole"), [(5, 3, 12), (4, 9, 30), (1, 2, 4), (128, 94, 316)])
def test_the_mirror_is_numpys(side, before, whole):
    import numpy as np

    wanted = np.pad(np.arange(side), (before, whole - side - before), mode="reflect")

    assert mirrored(side, before, whole).tolist() == wanted.tolist()


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed"])
def test_each_pixel_is_answered(padding, upsampling):
    network = model_of("unet", width=2, padding=padding, upsampling=upsampling).network()

    assert network(torch.rand(2, 3, 32, 64)).shape == (2, 3, 32, 64)
