"""Dilation in the place of strides: torchvision's own, and what taps that are apart see."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from mlcvbench.errors import RequestError
from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.dense.dilation import dilated

GEOMETRY = ("stride", "dilation", "padding", "kernel_size")


def geometry(network: nn.Module) -> dict[str, tuple[object, ...]]:
    return {
        name.removeprefix("maps."): tuple(getattr(part, key) for key in GEOMETRY)
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d)
    }


@pytest.mark.parametrize(
    ("stride", "replaced"), [(8, [False, True, True]), (16, [False, False, True]), (32, [False, False, False])]
)
def test_every_convolution_is_that_of_torchvisions_dilated_network(stride, replaced):
    with torch.device("meta"):
        theirs = resnet50(weights=None, replace_stride_with_dilation=replaced)

    ours = dilated(backbone("torchvision:resnet50"), stride)

    assert geometry(ours) == geometry(theirs)


@pytest.mark.parametrize("name", ["small", "torchvision:resnet18"])
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_maps_keep_the_resolution_of_that_stride(name, stride):
    maps = dilated(backbone(name), stride)(torch.zeros(2, 3, 64, 96))

    assert [tuple(one.shape[2:]) for one in maps] == [
        (64 // s, 96 // s) for s in (min(s, stride) for s in (4, 8, 16, 32))
    ]


def test_parameters_stay():
    before, after = backbone("small").state_dict(), dilated(backbone("small"), 4).state_dict()

    assert {name: own.shape for name, own in before.items()} == {name: own.shape for name, own in after.items()}


@pytest.mark.parametrize("name", ["darknet53", "torchvision:vgg11", "timm:resnet26d"])
def test_a_backbone_without_residual_stages_is_refused(name):
    with pytest.raises(
        RequestError, match=r"^model\.backbone: wanted a residual network, .* set small or one such as "
    ):
        dilated(backbone(name), 8)


@pytest.mark.parametrize(("count", "pixels"), [(1, 3), (2, 7), (3, 15)])
def test_taps_1_2_and_4_apart_see_3_7_and_15_pixels(count, pixels):
    """Erratum E46: with taps 2^l apart, l from 0 on, the field is 2^(l+2) - 1."""
    layers = nn.Sequential(
        *(nn.Conv2d(1, 1, 3, padding=2**place, dilation=2**place, bias=False) for place in range(count))
    )
    for layer in layers:
        nn.init.ones_(layer.weight)
    image = torch.zeros(1, 1, 31, 31, requires_grad=True)

    layers(image)[0, 0, 15, 15].backward()

    rows, columns = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == pixels == 2 ** (count + 1) - 1
