"""The networks of the course: parameters and multiply-adds to the unit, and that each one learns.

Sources of the integers: torchvision's and timm's own networks, and the layer tables of the lecture.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fitting import digits, problem, report_of
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench.specs import load_target
from mlcvbench_cnn import mlcvbench_models

DIGIT = np.zeros((1, 8, 8))
SPECS = {spec.name: spec for spec in mlcvbench_models()}
IMAGENET = Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((224, 224, 3))})
CIFAR = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((32, 32, 3))})
MNIST = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((28, 28))})

PUBLISHED = {
    ("alexnet", "variant", "notes"): (62_378_344, 1_135_256_096),
    ("alexnet", "variant", "2012"): (60_965_224, 724_406_816),
    ("alexnet", "variant", "owt"): (61_100_840, 714_188_480),
    ("zfnet",): (62_357_608, 1_168_032_896),
    ("vgg11",): (132_863_336, 7.609e9),
    ("vgg16",): (138_357_544, 15_470_264_320),
    ("vgg16", "batch_norm", True): (138_365_992, 15_470_264_320),
    ("vgg19",): (143_667_240, 19.632e9),
    ("googlenet",): (6_998_552, 1_582_671_872),
    ("resnet18",): (11_689_512, 1_814_073_344),
    ("resnet34",): (21_797_672, 3_663_761_408),
    ("resnet50",): (25_557_032, 4_089_184_256),
    ("resnet101",): (44_549_160, 7.801e9),
    ("resnet152",): (60_192_808, 11.514e9),
    ("resnext50",): (25_028_904, 4_230_479_872),
    ("resnext101",): (88_791_336, 16.414e9),
    ("senet50",): (28_088_024, 4_091_699_200),
    ("senet50", "stride", "1x1"): (28_088_024, 3_860_488_192),
    ("mobilenet_v1",): (4_231_976, 568_740_352),
    ("mobilenet_v3_large",): (5_483_032, 216_589_760),
    ("mobilenet_v3_small",): (2_542_856, 56_510_400),
}
"""Parameters and MACs of one image of 224 pixels in 1,000 classes; as a float, MACs known to three decimals of 10^9."""
CIFAR_PARAMETERS = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018,
                    "resnet110": 1_727_962}  # fmt: skip
CIFAR_MEGA_MACS = {"resnet20": 40.55, "resnet32": 68.86, "resnet44": 97.17, "resnet56": 125.49, "resnet110": 252.89}
SMALL = {"alexnet": {"stem": "small", "size": 0}, "zfnet": {"size": 64}, "vgg11": {"size": 32}, "vgg13": {"size": 32},
         "vgg16": {"size": 32}, "vgg19": {"size": 32}}  # fmt: skip
DEEP = {"resnet101", "resnet152", "resnext101", "resnet44", "resnet56", "resnet110", "vgg13", "vgg19"}
NETWORKS = sorted(set(SPECS) - {"small_cnn"} - DEEP)
"""One network of each form; the deep ones are the same code with longer lists."""


def build(name, problem, **params):
    """Return a model with its declared defaults, changed by `params`."""
    spec = SPECS[name]
    return load_target(spec.target)(problem, **{p.name: p.default for p in spec.params} | params)


def counted(model, image):
    """Return parameters and MACs of one image, on tensors without data."""
    with torch.device("meta"):
        module = model.build().eval()
        with FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, *image))
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


def of_case(case):
    """Return the model of a name and perhaps a setting, for ImageNet."""
    name, *setting = case
    return build(name, IMAGENET, **({setting[0]: setting[1]} if setting else {}))


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: "-".join(map(str, case)))
def test_parameters_and_multiply_adds_are_the_published_ones(case):
    wanted, published = PUBLISHED[case]

    parameters, macs = counted(of_case(case), (3, 224, 224))

    assert parameters == wanted
    if isinstance(published, float):
        assert round(macs / 1e9, 3) == published / 1e9
    else:
        assert macs == published


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("name", CIFAR_PARAMETERS)
def test_the_small_residual_networks_have_the_papers_size(name, shortcut):
    """6n + 2 layers: stages of n blocks with 16, 32, 64 channels on maps of 32, 16, 8 pixels per side."""
    blocks = (int(name.removeprefix("resnet")) - 2) // 6
    widths, sides, extra = (16, 32, 64), (32, 16, 8), shortcut == "B"
    by_hand = 3 * 9 * 16 * 32**2 + 64 * 10
    for stage, (wide, side) in enumerate(zip(widths, sides, strict=True)):
        inside = widths[max(0, stage - 1)]
        by_hand += (9 * inside * wide + (2 * blocks - 1) * 9 * wide * wide) * side**2
        by_hand += inside * wide * side**2 if extra and stage else 0

    parameters, macs = counted(build(name, CIFAR, shortcut=shortcut), (3, 32, 32))

    added = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert parameters == CIFAR_PARAMETERS[name] + added * extra
    assert macs == by_hand
    assert extra or round(macs / 1e6, 2) == CIFAR_MEGA_MACS[name]


def test_training_costs_not_quite_three_times_the_forward_pass():
    """The gradient of the first layer's input is not needed: 2.93 for resnet18, 2.90 for alexnet."""
    ratios = {}
    for name, settings in (("resnet18", {}), ("alexnet", {"variant": "owt"})):
        with torch.device("meta"):
            module, images = build(name, IMAGENET, **settings).build(), torch.zeros(1, 3, 224, 224)
            module.eval()  # batch norm takes no batch of one
            with FlopCounterMode(display=False) as forward:
                logits = module(images)
            with FlopCounterMode(display=False) as backward:
                logits.sum().backward()
        ratios[name] = round(1 + backward.get_total_flops() / forward.get_total_flops(), 2)

    assert ratios == {"resnet18": 2.93, "alexnet": 2.90}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_takes_small_grey_images_when_told_to(name):
    names = {param.name for param in SPECS[name].params}
    small = SMALL.get(name, {"stem": "small", "size": 0} if "stem" in names else {"size": 0})
    torch.manual_seed(0)
    module = build(name, MNIST, width=0.25, **small).build()  # in training: untrained norms would hide what they see

    logits = module(torch.rand(4, 1, 28, 28))

    assert logits.shape == (4, 10)
    assert torch.isfinite(logits).all()
    assert float(logits.detach().std()) > 1e-6


def test_zfnet_has_the_maps_of_its_paper():
    features = build("zfnet", IMAGENET).build()[0]
    sizes, images = [], torch.zeros(1, 3, 224, 224)
    for layer in features:
        images = layer(images)
        sizes.append(images.shape[-1])

    assert list(dict.fromkeys(sizes)) == [110, 55, 26, 13, 6]


def test_images_that_a_network_cannot_reduce_are_refused_with_the_remedy():
    with pytest.raises(
        DataError, match=r"^vgg16: wanted images of at least 32 pixels per side, got 28; set model\.size=32"
    ):
        build("vgg16", MNIST, size=0).build()
    with pytest.raises(
        DataError, match=r"^alexnet: wanted images of at least 63 pixels per side, got 28; set model\.size"
    ):
        build("alexnet", MNIST, size=0).build()


def test_a_last_norm_of_zero_makes_each_residual_block_start_as_the_identity():
    module = build("resnet18", IMAGENET, width=0.25).build()

    assert all(not block.bn2.weight.detach().any() for block in module.layer1)


def test_scores_do_not_depend_on_the_batch():
    model = build("mobilenet_v1", MNIST, stem="small", size=0, width=0.25)
    model.module = model.build()
    images = torch.from_numpy(np.random.default_rng(0).random((5, 1, 28, 28), np.float32))

    together, alone = model.forward(images), torch.cat([model.forward(image[None]) for image in images])

    assert torch.allclose(together, alone, atol=1e-5)


def test_googlenet_trains_with_auxiliary_classifiers_and_drops_them():
    train, _ = digits()
    few = train.take(range(96))
    model = build("googlenet", problem(DIGIT), auxiliary=True, batch_norm=True, width=0.05, stem="small", size=0)
    plain = build("googlenet", problem(DIGIT), batch_norm=True, width=0.05, stem="small", size=0)

    report = report_of(model, few, epochs=1, batch=32, augmentation="none")

    assert report.history["loss"][0] > (1 + 2 * 0.3) * 2.0  # three losses of about ln 10
    assert model.parameters().trainable == plain.parameters().trainable
    assert model.module(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_the_maps_that_auxiliary_classifiers_see_are_those_of_4a_and_4d():
    model = build("googlenet", IMAGENET, auxiliary=True)
    with torch.device("meta"):
        model.module = model.build()
        with model.training_form(model.module) as trained:
            outputs = trained.train()(torch.zeros(2, 3, 224, 224))
            shapes = {name: tuple(head.hidden.weight.shape) for name, head in trained.heads.items()}

    assert [tuple(logits.shape) for logits in outputs] == [(2, 1000)] * 3
    assert shapes == {"incep3": (1024, 2048), "incep6": (1024, 2048)}
    assert not model.module.get_submodule("incep3")._forward_hooks
