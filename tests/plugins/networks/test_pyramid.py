"""Pyramids: torchvision's with the same weights, published parameter counts, one layer of BiFPN by plain loops."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.darknet import Darknet53
from mlcvbench_networks.pyramid import BiFPN, ConcatenatingPyramid, FeaturePyramid, Fusion

CHANNELS = (6, 10, 14)
GRIDS = {"even": ((16, 24), (8, 12), (4, 6)), "odd": ((17, 25), (9, 13), (5, 7)), "down": ((17, 25), (8, 12), (4, 6))}


def maps_of(grids, channels=CHANNELS, count: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, wide, *grid, generator=generator) for wide, grid in zip(channels, grids, strict=True)]


def parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize("sizes", GRIDS)
@pytest.mark.parametrize(
    ("extra", "theirs"),
    [
        ("none", None),
        ("pool", LastLevelMaxPool()),
        ("backbone", LastLevelP6P7(CHANNELS[-1], 8)),
        ("pyramid", LastLevelP6P7(8, 8)),
    ],
)
def test_the_pyramid_is_torchvisions_with_the_same_weights(extra, theirs, sizes) -> None:
    maps = maps_of(GRIDS[sizes])
    ours = FeaturePyramid(CHANNELS, 8, extra)
    other = FeaturePyramidNetwork(CHANNELS, 8, theirs)
    for mine, its in zip((*ours.lateral, *ours.output), (*other.inner_blocks, *other.layer_blocks), strict=True):
        its[0].load_state_dict(mine.state_dict())
    for mine, name in zip(ours.coarser, ("p6", "p7"), strict=False):
        getattr(theirs, name).load_state_dict(mine.state_dict())

    levels = ours(maps)

    expected = other(OrderedDict((str(place), level) for place, level in enumerate(maps)))
    for level, same in zip(levels, expected.values(), strict=True):
        torch.testing.assert_close(level, same)
    assert ours.channels == [level.shape[1] for level in levels]


def test_the_neck_of_a_resnet_50_has_the_parameters_of_the_catalogue() -> None:
    assert parameters(FeaturePyramid((256, 512, 1024, 2048))) == 3_344_384


@pytest.mark.parametrize("sizes", GRIDS)
def test_top_down_by_concatenation_joins_the_passed_coarser_level_and_the_map(sizes) -> None:
    maps = maps_of(GRIDS[sizes], (8, 16, 32))
    pyramid = ConcatenatingPyramid((8, 16, 32)).eval()

    fine, middle, coarse = pyramid(maps)

    assert pyramid.channels == [4, 8, 16]
    assert [tuple(level.shape) for level in (fine, middle, coarse)] == [
        (2, wide, *grid) for wide, grid in zip((4, 8, 16), GRIDS[sizes], strict=True)
    ]
    torch.testing.assert_close(coarse, pyramid.levels[2](maps[2]))
    passed = nearest(pyramid.passes[1](coarse), GRIDS[sizes][1])
    torch.testing.assert_close(middle, pyramid.levels[1](torch.cat((passed, maps[1]), dim=1)))


def test_darknet_53_this_pyramid_and_three_heads_are_a_yolov3_to_the_parameter() -> None:
    darknet, outputs = Darknet53(), 3 * (5 + 80)
    pyramid = ConcatenatingPyramid(darknet.channels[1:])
    heads = [wide * 2 * wide * 9 + 2 * 2 * wide + 2 * wide * outputs + outputs for wide in pyramid.channels]

    assert parameters(darknet, pyramid) + sum(heads) == 61_949_149


def test_an_efficientdet_d0_of_these_parts_has_the_published_3_9_million_parameters() -> None:
    network = backbone("timm:tf_efficientnet_b0")
    pyramid = BiFPN(network.channels[1:], width=64, cells=3)

    def head(outputs: int) -> int:
        layer, norms = 64 * 9 + 64 * 64 + 64, 5 * 2 * 64  # shared by the levels, but for their norms
        return 3 * (layer + norms) + 64 * 9 + 64 * outputs + outputs

    assert parameters(network, pyramid) + head(9 * 90) + head(9 * 4) == pytest.approx(3.88e6, abs=5e3)


def nearest(maps: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Return the cell of a coarse map under each of a fine one, by plain loops."""
    fine = torch.empty(*maps.shape[:2], *grid)
    for y in range(grid[0]):
        for x in range(grid[1]):
            fine[:, :, y, x] = maps[:, :, y * maps.shape[2] // grid[0], x * maps.shape[3] // grid[1]]
    return fine


def pooled(maps: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Return the largest of the 3x3 cells around every second one, by plain loops."""
    coarse = torch.empty(*maps.shape[:2], *grid)
    for y in range(grid[0]):
        for x in range(grid[1]):
            around = maps[:, :, max(2 * y - 1, 0) : 2 * y + 2, max(2 * x - 1, 0) : 2 * x + 2]
            coarse[:, :, y, x] = around.amax(dim=(2, 3))
    return coarse


def fused(weights: list[float], *maps: torch.Tensor) -> torch.Tensor:
    positive = [max(weight, 0.0) for weight in weights]
    return sum(w * level for w, level in zip(positive, maps, strict=True)) / (sum(positive) + 1e-4)


@pytest.mark.parametrize("sizes", GRIDS)
def test_a_layer_of_bifpn_is_its_equations(sizes) -> None:
    torch.manual_seed(0)
    pyramid = BiFPN(CHANNELS, width=8, cells=1, levels=4).eval()
    cell = pyramid.cells[0]
    weights = {}
    for node in (*cell.down, *cell.up):
        weights[node] = (torch.rand(len(node.fusion.weights)) * 2 - 0.3).tolist()
        node.fusion.weights.data = torch.tensor(weights[node])
    maps = maps_of(GRIDS[sizes])

    p3, p4, p5 = (projection(level) for projection, level in zip(pyramid.down, maps, strict=True))
    again4, again5 = (projection(level) for projection, level in zip(pyramid.up, maps[1:], strict=True))
    grid6 = tuple(-(-side // 2) for side in GRIDS[sizes][2])
    p6 = pooled(pyramid.coarser(maps[2]), grid6)

    def node(place, way, *levels):
        part = way[place]
        return part.layers(fused(weights[part], *levels))

    td5 = node(2, cell.down, p5, nearest(p6, GRIDS[sizes][2]))
    td4 = node(1, cell.down, p4, nearest(td5, GRIDS[sizes][1]))
    out3 = node(0, cell.down, p3, nearest(td4, GRIDS[sizes][0]))
    out4 = node(0, cell.up, again4, td4, pooled(out3, GRIDS[sizes][1]))
    out5 = node(1, cell.up, again5, td5, pooled(out4, GRIDS[sizes][2]))
    out6 = node(2, cell.up, p6, pooled(out5, grid6))
    for level, expected in zip(pyramid(maps), (out3, out4, out5, out6), strict=True):
        torch.testing.assert_close(level, expected, rtol=1e-4, atol=1e-5)


def test_later_layers_take_the_levels_of_the_one_before_both_ways() -> None:
    pyramid = BiFPN(CHANNELS, width=8, cells=2).eval()
    maps = maps_of(GRIDS["odd"])

    twice = pyramid(maps)

    second = pyramid.cells.pop(1)
    once = pyramid(maps)
    for level, expected in zip(twice, second(once, once[1:]), strict=True):
        torch.testing.assert_close(level, expected)
    assert pyramid.channels == [level.shape[1] for level in twice]


def test_fusion_without_any_weight_is_nil_and_not_undefined() -> None:
    fusion = Fusion(2)
    fusion.weights.data.fill_(-1)

    assert not fusion(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).any()


def test_every_part_of_a_pyramid_learns() -> None:
    for pyramid in (FeaturePyramid(CHANNELS, 8, "backbone"), ConcatenatingPyramid((8, 16, 32)), BiFPN(CHANNELS, 8)):
        channels = (8, 16, 32) if isinstance(pyramid, ConcatenatingPyramid) else CHANNELS
        sum(level.square().mean() for level in pyramid(maps_of(GRIDS["odd"], channels))).backward()

        assert [name for name, value in pyramid.named_parameters() if value.grad is None] == []
