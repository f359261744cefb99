"""Backbones: four maps at their strides, published parameter counts, the libraries' own outputs."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_networks.backbone_base import STRIDES
from mlcvbench_networks.backbones import SmallResidual, backbone

UP = ["small", "timm:resnet10t", "timm:mobilenetv3_small_050", "torchvision:resnet18", "torchvision:mobilenet_v3_small"]


@pytest.mark.parametrize("name", UP)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_backbone_gives_a_map_at_each_stride_for_images_of_any_size(name, channels) -> None:
    network = backbone(name, channels).eval()
    images = torch.rand(2, channels, 65, 97)

    with torch.no_grad():
        maps = network(images)

    assert [tuple(level.shape) for level in maps] == [
        (2, wide, -(-65 // stride), -(-97 // stride)) for wide, stride in zip(network.channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("name", ["timm:convnext_atto", "torchvision:regnet_y_400mf"])
def test_other_kinds_of_networks_do_as_well(name) -> None:
    network = backbone(name).eval()

    with torch.no_grad():
        maps = network(torch.rand(1, 3, 64, 96))

    assert [tuple(level.shape) for level in maps] == [
        (1, wide, 64 // stride, 96 // stride) for wide, stride in zip(network.channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("name", ["small", "timm:resnet10t", "torchvision:resnet18"])
def test_a_backbone_is_made_for_training_and_all_of_it_learns(name) -> None:
    network = backbone(name)

    sum(level.square().mean() for level in network(torch.rand(2, 3, 64, 64))).backward()

    assert network.training
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_the_small_one_has_a_few_hundred_thousand_parameters_and_more_blocks_where_asked() -> None:
    small, deep = SmallResidual(), SmallResidual(widths=(8, 16, 24, 32), blocks=2)

    assert sum(parameter.numel() for parameter in small.parameters()) == 445_032
    assert tuple(small.channels) == (24, 48, 96, 128)
    assert [level.shape[1] for level in deep(torch.rand(2, 3, 32, 32))] == [8, 16, 24, 32]


def test_darknet_53_is_timms_with_the_same_weights() -> None:
    ours, theirs = backbone("darknet53").eval(), timm.create_model("darknet53", features_only=True).eval()
    for part in theirs.modules():
        if isinstance(part, nn.LeakyReLU):
            part.negative_slope = 0.1  # Darknet's; timm's is torch's usual 0.01
    state = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), state, strict=True)))
    images = torch.rand(1, 3, 65, 97, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        pairs = list(zip(ours(images), theirs(images)[2:], strict=True))

    assert sum(parameter.numel() for parameter in ours.parameters()) == 40_584_928
    for level, same in pairs:
        torch.testing.assert_close(level, same)
    assert [level.shape[1] for level, _ in pairs] == list(ours.channels)


def test_the_maps_of_torchvision_are_those_of_its_stages_on_normalised_images() -> None:
    ours, theirs = backbone("torchvision:resnet18").eval(), models.resnet18(weights=None).eval()
    theirs.load_state_dict(ours.maps.state_dict(), strict=False)  # the names are the library's
    images = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    with torch.no_grad():
        maps = ours(images)
        level = theirs.maxpool(
            theirs.relu(theirs.bn1(theirs.conv1((images - mean[:, None, None]) / std[:, None, None])))
        )
        for expected, stage in zip(maps, (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), strict=True):
            level = stage(level)
            torch.testing.assert_close(expected, level)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:vit_tiny_patch16_224", "got Input height (64) doesn't match model (224).; take another"),
        ("torchvision:alexnet", "got none at 4, 8, 16, 32; take another, such as torchvision:resnet18."),
        ("torchvision:squeezenet1_1", "got none at 4, 8, 16, 32; take"),
        ("torchvision:shufflenet_v2_x0_5", "got a network whose layers are no chain; take another"),
        ("torchvision:googlenet", "got a network whose layers are no chain; take another"),
    ],
)
def test_a_network_without_these_maps_is_refused_with_what_it_has(name, message) -> None:
    with pytest.raises(RequestError) as refused:
        backbone(name)

    assert str(refused.value).startswith(f"{name} is no backbone: wanted maps at strides 4, 8, 16 and 32 of an image")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", "unknown backbone 'smal'. Did you mean 'small'?"),
        ("timm:resnet18q", "unknown network of timm 'resnet18q'."),
        ("torchvision:resnet19", "unknown network of torchvision 'resnet19'."),
        ("elsewhere:resnet18", "unknown backbone 'elsewhere:resnet18'."),
    ],
)
def test_an_unknown_name_is_said_with_the_nearest_ones(name, message) -> None:
    with pytest.raises(UnknownNameError) as refused:
        backbone(name)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", ["small", "darknet53", "timm:resnet10t", "torchvision:resnet18"])
def test_the_map_at_half_the_size_is_given_first_where_it_is_asked_for(name) -> None:
    network = backbone(name).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        usual = network(images)
        network.add_half()
        half, *others = network(images)

    assert half.shape == (1, network.channels[0], 32, 48)
    assert len(network.channels) == 5
    assert all(torch.equal(one, other) for one, other in zip(usual, others, strict=True))


def test_a_network_without_a_map_at_half_the_size_says_so() -> None:
    with pytest.raises(RequestError, match=r"^LibraryBackbone has no map at half the size of the image; take another"):
        backbone("timm:convnext_atto").add_half()


@pytest.mark.parametrize("name", ["small", "timm:resnet10t", "torchvision:resnet18"])
def test_a_pair_of_images_is_seen_as_twice_the_channels(name) -> None:
    network = backbone(name, 3, images=2).eval()

    with torch.no_grad():
        maps = network(torch.rand(1, 6, 64, 64))

    assert [level.shape[2] for level in maps] == [16, 8, 4, 2]


def test_two_equal_images_look_to_a_widened_network_as_one_does_to_it() -> None:
    torch.manual_seed(0)
    wide = backbone("torchvision:resnet18", 3, images=2).eval()
    torch.manual_seed(0)
    plain = backbone("torchvision:resnet18").eval()
    image = torch.rand(1, 3, 64, 64)

    with torch.no_grad():
        pairs = zip(wide(torch.cat([image, image], 1)), plain(image), strict=True)
        assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-5) for one, other in pairs)
