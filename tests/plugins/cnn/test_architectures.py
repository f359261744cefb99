"""The networks are built as their papers say, where the course or a library says it differently."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from support.fitting import context, digits
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import RequestError
from mlcvbench.measure.layers.conventions import account
from mlcvbench.measure.layers.tabulate import tabulate
from mlcvbench.specs import load_target
from mlcvbench_cnn import mlcvbench_models
from mlcvbench_cnn.resnet_cifar import Block
from mlcvbench_training.loop import examples_of, train_network
from mlcvbench_training.settings import Settings

SPECS = {spec.name: spec for spec in mlcvbench_models()}
IMAGENET = Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((224, 224, 3))})
SMALL = Problem("classification", ("a", "b"), {"image": InputSpec((32, 32))})


def model(name, problem=IMAGENET, **params):
    """Return a model with its declared defaults, changed by `params`."""
    spec = SPECS[name]
    return load_target(spec.target)(problem, **{p.name: p.default for p in spec.params} | params)


def network(name, **params):
    """Return a network of the family at its full size, without weights in memory."""
    with torch.device("meta"):
        return model(name, **params).build()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolutions(module):
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_only_the_2012_net_has_groups_and_local_response_normalisation():
    kinds = {}
    for variant in ("notes", "2012", "owt"):
        built = network("alexnet", variant=variant)
        norms = sum(isinstance(part, nn.LocalResponseNorm) for part in built.modules())
        kinds[variant] = ([part.groups for part in convolutions(built)], norms)

    assert kinds == {"notes": ([1] * 5, 0), "2012": ([1, 2, 1, 2, 2], 2), "owt": ([1] * 5, 0)}


def test_each_alexnet_has_its_channels_and_dropout_before_two_layers():
    channels = {}
    for variant in ("notes", "2012", "owt"):
        built = network("alexnet", variant=variant)
        channels[variant] = [part.out_channels for part in convolutions(built)]
        assert [(place, part.p) for place, part in enumerate(built) if isinstance(part, nn.Dropout)] == [
            (2, 0.5),
            (5, 0.5),
        ]
        assert [part.out_features for part in built if isinstance(part, nn.Linear)] == [4096, 4096, 1000]

    assert channels["notes"] == channels["2012"] == [96, 256, 384, 384, 256]
    assert channels["owt"] == [64, 192, 384, 256, 256]


def test_227_pixels_without_padding_have_the_maps_and_cost_of_224_with_2():
    built = network("alexnet", variant="2012").eval()
    convolutions(built)[0].padding = (0, 0)

    images = torch.zeros(1, 3, 227, 227, device="meta")
    with FlopCounterMode(display=False) as counter:
        built(images)

    assert built[0](images).shape == (1, 256, 6, 6)
    assert counter.get_total_flops() // 2 == 724_406_816


def test_local_response_normalisation_is_the_papers():
    """b_i = a_i / (k + alpha sum of a_j^2 over 5 channels)^beta with k = 2, alpha = 1e-4, beta = 0.75 (its 3.3)."""
    norm = next(part for part in network("alexnet", variant="2012").modules() if isinstance(part, nn.LocalResponseNorm))
    maps = 100 * noise(1, 12, 3, 3)

    by_hand = torch.stack(
        [maps[0, i] / (2 + 1e-4 * (maps[0, max(0, i - 2) : i + 3] ** 2).sum(0)) ** 0.75 for i in range(12)]
    )

    assert torch.allclose(norm(maps)[0], by_hand, rtol=1e-5)


def test_zfnet_is_the_one_tower_with_a_finer_first_and_a_strided_second_layer():
    first, second, *rest = convolutions(network("zfnet"))

    assert (first.kernel_size, first.stride) == ((7, 7), (2, 2))
    assert (second.kernel_size, second.stride) == ((5, 5), (2, 2))
    assert {(part.kernel_size, part.stride) for part in rest} == {((3, 3), (1, 1))}
    assert [part.out_channels for part in (first, second, *rest)] == [96, 256, 384, 384, 256]


def test_in_googlenets_stem_only_the_first_convolution_and_the_two_pools_halve():
    built = network("googlenet")
    stem = {name: part for name, part in built.named_children() if not name.startswith("incep")}

    strides = {name: next(iter(convolutions(part))).stride[0] for name, part in stem.items() if convolutions(part)}
    pools = {name: (part.kernel_size, part.stride) for name, part in stem.items() if isinstance(part, nn.MaxPool2d)}

    assert strides == {"conv1": 2, "conv2": 1, "conv3": 1}
    assert pools == dict.fromkeys(("pool1", "pool2", "pool3", "pool4"), (3, 2))
    assert [name for name in stem if name.startswith("pool")][:2] == ["pool1", "pool2"]
    assert not any(isinstance(part, nn.BatchNorm2d | nn.LocalResponseNorm) for part in built.modules())


def test_googlenets_third_branch_is_5x5_unlike_torchvisions():
    module = network("googlenet").get_submodule("incep1")

    assert [part.kernel_size[0] for part in convolutions(module)] == [1, 1, 3, 1, 5, 1]


def test_with_its_auxiliary_classifiers_googlenet_has_the_parameters_of_the_paper():
    """Each is 1x1 to 128, 2,048 to 1,024, 1,024 to 1,000, all with biases."""
    auxiliary = model("googlenet", auxiliary=True)
    with torch.device("meta"), auxiliary.training_form(auxiliary.build()) as trained:
        heads = [inside * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000 for inside in (512, 528)]
        dropped = {part.p for head in trained.heads.values() for part in head.modules() if isinstance(part, nn.Dropout)}

        assert parameters(trained) == 6_998_552 + sum(heads) == 13_378_280
        assert dropped == {0.7}


def test_losses_of_auxiliary_classifiers_weigh_0_3():
    class Repeated(nn.Module):
        """Gives the same logits `heads` times over, as a network with auxiliary classifiers does."""

        def __init__(self, heads):
            super().__init__()
            self.heads, self.flat, self.linear = heads, nn.Flatten(), nn.Linear(64, 10)
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

        def forward(self, images):
            logits = self.linear(self.flat(images))
            return (logits,) * self.heads if self.training and self.heads > 1 else logits

    examples = examples_of(digits()[0].take(range(64)), torch.device("cpu"))
    settings = Settings(optimizer="sgd", lr=1e-9, batch=64, epochs=1)
    first = {
        heads: train_network(Repeated(heads), examples, settings, context()).history["loss"][0] for heads in (1, 2, 3)
    }

    assert first[1] == pytest.approx(math.log(10), rel=1e-6)
    assert first[2] == pytest.approx(1.3 * first[1], rel=1e-6)
    assert first[3] == pytest.approx(1.6 * first[1], rel=1e-6)


def test_the_rule_of_one_row_a_module_stores_less_than_the_module_does():
    """Behind the joined output lie the reduced maps, which training keeps: the standard table has a row for each."""
    built = network("googlenet").eval()
    with torch.device("meta"):
        layers = tabulate(built, lambda: built(torch.zeros(1, 3, 224, 224)), (3, 224, 224))
    stored = {}
    for convention in ("standard", "table"):
        rows = account(layers, convention, 1)
        stored[convention] = sum(row.activations for row in rows if row.layer.startswith("incep1"))

    assert stored["table"] == 256 * 28 * 28
    assert stored["standard"] == (64 + 96 + 128 + 16 + 32 + 192 + 32) * 28 * 28


def test_deep_plain_networks_keep_their_signal_by_hes_weights_and_lose_it_with_torchs_own():
    torch.manual_seed(0)
    features = model("vgg19", SMALL, width=0.25, size=0).build()[0].eval()
    images = torch.rand(2, 1, 32, 32)

    kept = features(images).std()
    for part in convolutions(features):
        part.reset_parameters()
        nn.init.zeros_(part.bias)
    lost = features(images).std()

    assert 0.05 < kept < 20
    assert lost < 1e-4


def test_a_block_of_mobilenet_is_a_depthwise_and_a_pointwise_convolution():
    separable = convolutions(network("mobilenet_v1"))[1:]

    assert len(separable) == 26
    for depthwise, pointwise in zip(separable[::2], separable[1::2], strict=True):
        assert depthwise.groups == depthwise.in_channels == depthwise.out_channels
        assert (depthwise.kernel_size, pointwise.kernel_size, pointwise.groups) == ((3, 3), (1, 1), 1)


def test_squeeze_and_excitation_adds_2_c_squared_over_r_plus_its_biases_to_each_block():
    blocks, widths, reduction = (3, 4, 6, 3), (256, 512, 1024, 2048), 16

    added = sum(count * (2 * c * c // reduction + c // reduction + c) for count, c in zip(blocks, widths, strict=True))

    assert added == 2_530_992
    assert parameters(network("senet50")) - parameters(network("resnet50")) == added


def test_squeeze_and_excitation_scales_each_channel_before_the_addition():
    torch.manual_seed(0)
    block = model("senet18", SMALL, width=0.25, size=0).build().eval().layer1[0]
    nn.init.ones_(block.bn2.weight)  # a fresh block ends in a norm of zero
    images = noise(2, 16, 8, 8).relu()

    inside = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(images)))))
    squeezed = inside.mean((2, 3), keepdim=True)
    scale = torch.sigmoid(block.se.fc2(torch.relu(block.se.fc1(squeezed))))

    assert torch.allclose(block(images), torch.relu(inside * scale + images), atol=1e-5)
    assert scale.shape == (2, 16, 1, 1)


def test_a_residual_block_is_relu_of_its_branch_plus_its_input():
    same, halved = Block(4, 4, 1, "A").eval(), Block(4, 8, 2, "A").eval()
    images = noise(2, 4, 8, 8)

    assert torch.allclose(same(images), torch.relu(same.residual(images) + images))
    shortcut = torch.cat([images[:, :, ::2, ::2], torch.zeros(2, 4, 4, 4)], 1)
    assert torch.allclose(halved(images), torch.relu(halved.residual(images) + shortcut))


@pytest.mark.parametrize(("stride", "kernels"), [("3x3", [7, 3, 3, 3]), ("1x1", [7, 1, 1, 1])])
def test_the_stride_of_a_bottleneck_is_where_it_is_wanted(stride, kernels):
    """Version 1.5 has it in the 3x3; version 1, the paper's, in the first 1x1."""
    named = network("resnet50", stride=stride).named_modules()
    strided = [part for name, part in named
               if isinstance(part, nn.Conv2d) and part.stride == (2, 2) and "downsample" not in name]  # fmt: skip

    assert [part.kernel_size[0] for part in strided] == kernels


def test_version_1_5_costs_6_per_cent_more_than_version_1():
    macs = {}
    for stride in ("3x3", "1x1"):
        built = network("resnet50", stride=stride).eval()
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            built(torch.zeros(1, 3, 224, 224))
        macs[stride] = counter.get_total_flops() // 2

    assert macs == {"3x3": 4_089_184_256, "1x1": 3_857_973_248}
    assert round(macs["3x3"] / macs["1x1"], 2) == 1.06


@pytest.mark.parametrize(("name", "base"), [("resnext50", 4), ("resnext101", 8)])
def test_the_grouped_convolutions_of_resnext_have_32_groups_of_their_width(name, base):
    built = network(name)

    for number, planes in enumerate((64, 128, 256, 512), start=1):
        for block in built.get_submodule(f"layer{number}"):
            width = planes * base // 64 * 32
            assert (block.conv2.in_channels, block.conv2.out_channels, block.conv2.groups) == (width, width, 32)


def test_a_width_that_leaves_a_group_no_channel_is_refused():
    with pytest.raises(RequestError) as caught:
        network("resnext50", width=0.1)

    assert str(caught.value) == ("resnext50: width=0.1 leaves a group no channel; set model.width=0.25 or more.")


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20"])
@pytest.mark.parametrize("zero", [True, False])
def test_the_scale_of_each_blocks_last_norm_starts_at_zero_and_no_other(name, zero):
    built = model(name, SMALL, width=0.25, size=0, zero_init=zero).build()
    scales = {path: part.weight for path, part in built.named_modules() if isinstance(part, nn.BatchNorm2d)}
    last = {"resnet18": "bn2", "resnet50": "bn3", "resnet20": "residual.4"}[name]

    empty = {path for path, scale in scales.items() if not scale.detach().any()}

    assert empty == ({path for path in scales if path.endswith(last)} if zero else set())
    assert len([path for path in scales if path.endswith(last)]) == {"resnet18": 8, "resnet50": 16, "resnet20": 9}[name]


def test_a_zero_scale_learns_and_a_branch_of_zero_weights_does_not():
    images = noise(4, 4, 8, 8)
    scaled, empty = Block(4, 4, 1, "A"), Block(4, 4, 1, "A")
    nn.init.zeros_(scaled.residual[4].weight)
    for part in convolutions(empty):
        nn.init.zeros_(part.weight)

    for block in (scaled, empty):
        block(images).square().sum().backward()

    assert scaled.residual[4].weight.grad.abs().min() > 1e-3
    assert all(not part.weight.grad.any() for part in convolutions(empty))


def test_the_maps_of_vgg_halve_and_their_channels_double_but_in_the_last_stage():
    layers = convolutions(network("vgg16"))
    widths = list(dict.fromkeys(part.out_channels for part in layers))

    assert widths == [64, 128, 256, 512]
    assert all(after == 2 * before for before, after in pairwise(widths))
    assert [part.out_channels for part in layers[-6:]] == [512] * 6
