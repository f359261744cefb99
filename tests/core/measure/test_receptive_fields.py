"""Receptive fields: the formula on the lecture's networks, and what a gradient or a change of a pixel reaches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.measure.layers.networks import open_network
from mlcvbench.measure.layers.tabulate import Layer, tabulate


def layers_of(module: nn.Module, image: tuple[int, int, int]) -> dict[str, Layer]:
    return {layer.name: layer for layer in tabulate(module, lambda: module(torch.zeros(1, *image)), image)}


def last_field(module: nn.Module, image: tuple[int, int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    *_, layer = layers_of(module, image).values()
    return layer.field, layer.jump


def positive(module: nn.Module) -> nn.Module:
    """Give every parameter the value 1, so that no two paths cancel."""
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    return module.eval()


def reached(module: nn.Module, side: int) -> tuple[int, int]:
    """Return height and width of what the gradient of the middle output reaches of an image."""
    image = torch.full((1, 1, side, side), 0.5, requires_grad=True)
    made = module(image)
    made[0, 0, made.shape[2] // 2, made.shape[3] // 2].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0, 0], as_tuple=True)
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


class Branches(nn.Module):
    """Two branches of different reach, joined, and a shortcut around them."""

    def __init__(self) -> None:
        super().__init__()
        self.far = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=2, dilation=2))
        self.near = nn.Conv2d(1, 1, 1)
        self.join = nn.Conv2d(2, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(torch.cat([self.far(x), self.near(x)], 1)) + x


class Shifted(nn.Module):
    """Two branches that look in different directions: the union is larger than either."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = functional.avg_pool2d(functional.pad(x, (4, 0, 0, 0)), (1, 5), 1)
        right = functional.avg_pool2d(functional.pad(x, (0, 4, 0, 0)), (1, 5), 1)
        return left + right


class ChannelsLast(nn.Module):
    """A norm and a linear layer over channels, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.norm, self.mix = nn.Conv2d(1, 4, 5), nn.LayerNorm(4), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(self.norm(self.before(x).permute(0, 2, 3, 1)) + 1).permute(0, 3, 1, 2)


NETS = {
    "convolutions and pools": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 5, 2, 2), nn.ReLU(), nn.AvgPool2d(3, 2), nn.Conv2d(2, 1, 3, padding=1), nn.AvgPool2d(2)
    ),
    "dilation": lambda: nn.Sequential(nn.Conv2d(1, 1, 3, dilation=3), nn.Conv2d(1, 1, (3, 1), (2, 1), dilation=(2, 1))),
    "branches and shortcut": lambda: nn.Sequential(nn.AvgPool2d(2), Branches(), nn.Conv2d(1, 1, 3)),
    "branches that look apart": lambda: nn.Sequential(Shifted(), nn.Conv2d(1, 1, 3)),
    "batch norm, same padding": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, padding="same"), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 1, 3, 2)
    ),
    "local response normalisation": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.LocalResponseNorm(3), nn.Conv2d(4, 1, 3)
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_the_field_is_what_the_gradient_reaches(name: str) -> None:
    module = positive(NETS[name]())

    field, _ = last_field(module, (1, 41, 41))

    assert field == reached(module, 41)


def test_a_norm_over_channels_keeps_the_field() -> None:
    layers = layers_of(ChannelsLast(), (1, 16, 16))

    assert [layers[name].field for name in ("before", "norm", "mix")] == [(5, 5)] * 3


def test_max_pools_see_each_pixel_of_their_windows() -> None:
    module = positive(nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, 2)))
    field, jump = last_field(module, (1, 33, 33))
    images = torch.zeros(33 * 33, 1, 33, 33)
    images.view(33 * 33, 33 * 33).fill_diagonal_(1.0)  # one bright pixel each

    made = module(images)[:, 0, 3, 3].view(33, 33)
    changed = torch.nonzero(made != module(torch.zeros(1, 1, 33, 33))[0, 0, 3, 3])

    assert field == tuple((changed.max(0).values - changed.min(0).values + 1).tolist())
    assert (field, jump) == ((9, 9), (4, 4))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("alexnet", {"conv5": 163, "pool3": 195}),
        ("vgg16", {"conv13": 196, "pool5": 212}),
        ("resnet18", {}),
    ],
)
def test_the_fields_of_known_networks(name: str, wanted: dict[str, int]) -> None:
    from mlcvbench.measure.layers.conventions import account

    with open_network(name, (3, 224, 224), 10) as network:
        layers = tabulate(network.module, network.forward, (3, 224, 224))
    rows = {row.layer: row.receptive_field for row in account(layers, "table", 1)}

    assert {row: rows[row] for row in wanted} == {row: str(field) for row, field in wanted.items()}
    if name == "resnet18":
        assert next(layer for layer in layers if layer.name == "layer4.1.conv2").field == (435, 435)


def test_a_fully_connected_layer_sees_all_units_together_and_has_no_jump() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.Flatten(), nn.Linear(9, 2))

    assert last_field(net, (1, 7, 7)) == ((7, 7), ())


def test_behind_a_squeeze_of_the_whole_map_every_unit_sees_everything() -> None:
    class Gate(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x.mean((2, 3), keepdim=True).sigmoid()

    assert last_field(nn.Sequential(nn.Conv2d(1, 1, 3), Gate(), nn.Conv2d(1, 1, 3)), (1, 12, 9)) == ((12, 9), ())


def test_behind_what_has_no_rule_the_field_is_unknown() -> None:
    class Sorted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sort(dim=3).values

    assert last_field(nn.Sequential(Sorted(), nn.Conv2d(1, 1, 3)), (1, 8, 8)) == ((), ())


def test_attention_over_patches_is_unknown_and_the_patches_are_not() -> None:
    with open_network("timm:vit_tiny_patch16_224", (3, 224, 224), 10) as network:
        layers = {layer.name: layer for layer in tabulate(network.module, network.forward, (3, 224, 224))}

    assert layers["network.patch_embed.proj"].field == (16, 16)
    assert layers["network.head"].field == ()


def test_a_grey_image_spread_over_three_channels_and_normalised_keeps_its_fields() -> None:
    class Prepared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 5, 2)
            self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv((x.expand(-1, 3, -1, -1) - self.mean) / 2)

    assert last_field(Prepared(), (1, 9, 9)) == ((5, 5), (2, 2))


def test_a_resize_of_the_image_itself_begins_anew() -> None:
    class Resized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.interpolate(x, size=(20, 20), mode="bilinear", antialias=True)

    assert last_field(nn.Sequential(Resized(), nn.Conv2d(1, 1, 3)), (1, 8, 8)) == ((3, 3), (1, 1))
    assert last_field(nn.Sequential(nn.Conv2d(1, 1, 3), Resized(), nn.Conv2d(1, 1, 3)), (1, 8, 8)) == ((), ())


@pytest.mark.parametrize("start", [None, 1, -9])
def test_every_second_pixel_doubles_the_jump(start: int | None) -> None:
    class Thinned(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :, start::2, ::2]

    assert last_field(nn.Sequential(Thinned(), nn.Conv2d(1, 1, 3)), (1, 16, 16)) == ((5, 5), (2, 2))
