"""Networks by name are the published ones: parameters and multiply-adds to the unit, and what their weights say.

Sources: torchvision's weight metadata, which lie in its package, and numbers measured on networks of both libraries.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import RequestError
from mlcvbench.registry import get_registry
from mlcvbench.specs import load_target

SIZES = {
    "torchvision:alexnet": (61_100_840, 714_188_480),
    "torchvision:vgg16": (138_357_544, 15_470_264_320),
    "torchvision:googlenet": (6_624_904, 1_498_376_192),
    "torchvision:inception_v3": (23_834_568, 5_713_216_096),
    "torchvision:resnet18": (11_689_512, 1_814_073_344),
    "torchvision:resnet34": (21_797_672, 3_663_761_408),
    "torchvision:resnet50": (25_557_032, 4_089_184_256),
    "torchvision:resnext50_32x4d": (25_028_904, 4_230_479_872),
    "torchvision:mobilenet_v2": (3_504_872, 300_774_272),
    "torchvision:mobilenet_v3_small": (2_542_856, 56_510_400),
    "torchvision:mobilenet_v3_large": (5_483_032, 216_589_760),
    "torchvision:efficientnet_b0": (5_288_548, 385_814_752),
    "timm:mobilenetv3_large_100": (5_483_032, 216_589_760),
    "timm:tf_efficientnet_b0": (5_288_548, 385_814_752),
    "timm:seresnet50": (28_088_024, 4_091_699_200),
    "timm:legacy_seresnet50": (28_088_024, 3_860_488_192),
    "timm:mobilenetv1_100": (4_231_976, 568_740_352),
    "timm:darknet53": (41_609_928, 7_109_156_864),
}
"""Parameters and MACs of one image of 224 (inception_v3: 299) pixels in 1,000 classes."""
ROUNDED = {
    "vgg11": (132_863_336, 7.609),
    "vgg19": (143_667_240, 19.632),
    "vgg16_bn": (138_365_992, 15.47),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
    "wide_resnet50_2": (68_883_240, 11.398),
    "resnext101_32x8d": (88_791_336, 16.414),
    "densenet121": (7_978_856, 2.834),
    "shufflenet_v2_x1_0": (2_278_604, 0.1449),
    "squeezenet1_1": (1_235_496, 0.3492),
}
"""The same of torchvision with MACs in 10^9, rounded as published."""
TOP_1 = {
    "alexnet": 56.522, "vgg11": 69.02, "vgg16": 71.592, "vgg19": 72.376, "vgg16_bn": 73.36, "googlenet": 69.778,
    "inception_v3": 77.294, "resnet18": 69.758, "resnet34": 73.314, "resnet50": 76.13, "resnet101": 77.374,
    "resnet152": 78.312, "wide_resnet50_2": 78.468, "resnext50_32x4d": 77.618, "mobilenet_v2": 71.878,
    "mobilenet_v3_small": 67.668, "mobilenet_v3_large": 74.042, "efficientnet_b0": 77.692, "densenet121": 74.434,
    "shufflenet_v2_x1_0": 69.362, "squeezenet1_1": 58.178,
}  # fmt: skip
"""Per cent on ImageNet of the first weights."""
SECOND = {"resnet50": 80.858, "mobilenet_v3_large": 75.274}
TOP_5 = {"alexnet": 79.066, "googlenet": 89.53}


@pytest.fixture
def models() -> ModuleType:
    """torchvision's models, which take seconds to import."""
    from torchvision import models

    return models


def imagenet(side: int = 224) -> Problem:
    return Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((side, side, 3))})


def by_name(full: str, **params: object):
    """Return the model that a name of the command line means, with its declared defaults."""
    spec = get_registry().model(full, "classification").spec
    declared = {param.name: param.default for param in spec.params}
    side = 299 if full.endswith("inception_v3") else 224
    settings = {**declared, "size": side, **params}
    return load_target(spec.target)(imagenet(side), name=full.removeprefix(spec.prefix), **settings)


@cache
def counted(full: str) -> tuple[int, int]:
    """Return parameters and MACs of one image, on tensors without data."""
    model = by_name(full)
    with torch.device("meta"):
        module = model.build().eval()
        with FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, 3, model.side, model.side))
    return sum(parameter.numel() for parameter in module.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("full", SIZES)
def test_parameters_and_multiply_adds_are_the_published_ones(full: str) -> None:
    assert counted(full) == SIZES[full]


@pytest.mark.parametrize("name", ROUNDED)
def test_parameters_and_rounded_multiply_adds_are_the_published_ones(name: str) -> None:
    wanted, giga = ROUNDED[name]

    parameters, macs = counted(f"torchvision:{name}")

    assert parameters == wanted
    assert round(macs / 1e9, len(str(giga).partition(".")[2])) == giga


@pytest.mark.parametrize("name", TOP_1)
def test_what_is_built_is_what_the_published_weights_were_trained_in(name: str, models: ModuleType) -> None:
    """torchvision counts inception_v3's auxiliary classifier among its parameters and googlenet's two not."""
    first = models.get_model_weights(name)["IMAGENET1K_V1"].meta

    parameters, macs = counted(f"torchvision:{name}")

    assert first["_metrics"]["ImageNet-1K"]["acc@1"] == TOP_1[name]
    assert first["num_params"] - parameters == (3_326_696 if name == "inception_v3" else 0)
    assert round(macs / 1e9, 3) == first["_ops"]


@pytest.mark.parametrize("name", TOP_5)
def test_the_published_top_5_accuracy_is_that_of_the_table(name: str, models: ModuleType) -> None:
    assert models.get_model_weights(name).DEFAULT.meta["_metrics"]["ImageNet-1K"]["acc@5"] == TOP_5[name]


@pytest.mark.parametrize("name", SECOND)
def test_pretrained_means_the_second_weights_where_there_are_two(
    name: str, monkeypatch: pytest.MonkeyPatch, models: ModuleType
) -> None:
    asked = []
    monkeypatch.setattr(models, "get_model", lambda _, weights, **rest: asked.append(weights) or nn.Linear(2, 1000))

    by_name(f"torchvision:{name}", pretrained=True).bare(1000)

    assert asked[0].meta["_metrics"]["ImageNet-1K"]["acc@1"] == SECOND[name]


def test_darknets_features_alone_have_the_parameters_that_detectors_use() -> None:
    with torch.device("meta"):
        network = by_name("timm:darknet53").bare(1000)

    head = sum(parameter.numel() for parameter in network.get_classifier().parameters())
    assert counted("timm:darknet53")[0] - head == 40_584_928


def test_the_tf_variant_pads_more_below_and_right_when_it_halves() -> None:
    """With torchvision's weights in both, the padding alone makes their answers differ."""
    torch.manual_seed(0)
    own, other = (by_name(full).bare(10).eval() for full in ("torchvision:efficientnet_b0", "timm:tf_efficientnet_b0"))
    stem, stem_of_tf = own.features[0][0], other.conv_stem
    stem_of_tf.weight.data = stem.weight.data
    images = torch.rand(1, 3, 224, 224)

    padded = nn.functional.pad(images, (0, 1, 0, 1))

    assert torch.allclose(stem_of_tf(images), nn.functional.conv2d(padded, stem.weight, stride=2), atol=1e-5)
    assert stem_of_tf(images).shape == stem(images).shape
    assert (stem_of_tf(images) - stem(images)).abs().max() > 0.01


@pytest.mark.parametrize(("name", "count", "outputs"), [("googlenet", 13_004_888, 3), ("inception_v3", 27_161_264, 2)])
def test_auxiliary_classifiers_are_trained_with_and_dropped(name: str, count: int, outputs: int) -> None:
    with torch.device("meta"):
        model = by_name(f"torchvision:{name}", auxiliary=True)
        module = model.build()
        with model.training_form(module) as trained:
            made = trained.train()(torch.zeros(2, 3, model.side, model.side))
            parameters = sum(parameter.numel() for parameter in trained.parameters())
        after = module(torch.zeros(2, 3, model.side, model.side))

    assert [tuple(logits.shape) for logits in made] == [(2, 1000)] * outputs
    assert parameters == count
    assert after.shape == (2, 1000)
    assert sum(parameter.numel() for parameter in module.parameters()) == SIZES[f"torchvision:{name}"][0]


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inputs_of_the_inceptions_are_normalised_as_their_weights_want_it(name: str, models: ModuleType) -> None:
    """torchvision's networks with weights take the usual normalisation and turn it into (x - 0.5) / 0.5 inside."""
    mean, std = by_name(f"torchvision:{name}").normalisation()
    usual = models.get_model_weights(name).DEFAULT.transforms()
    network = models.get_model(name, weights=None, init_weights=False, transform_input=True, aux_logits=False)
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def normalised(mean: object, std: object) -> torch.Tensor:
        return (images - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)

    theirs = network._transform_input(normalised(usual.mean, usual.std))
    assert torch.allclose(theirs, normalised(mean, std), atol=1e-6)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "densenet121", "squeezenet1_1", "resnet18"])
def test_all_published_tensors_arrive_under_the_names_of_today(
    name: str, monkeypatch: pytest.MonkeyPatch, models: ModuleType
) -> None:
    """Checkpoints hold auxiliary classifiers, densenet's old names, and no counts of batches."""
    state = published_state(name)
    monkeypatch.setattr(models.get_model_weights(name), "get_state_dict", lambda *_, **__: dict(state))

    network = by_name(f"torchvision:{name}", pretrained=True).bare(1000)

    assert all(float(parameter.detach().flatten()[0]) == 0.25 for parameter in network.parameters())
    assert not any("aux" in path.lower() for path, _ in network.named_modules())
    assert not getattr(network, "transform_input", False)


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "resnet18"])
def test_a_published_checkpoint_is_taken_from_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(published_state(name), path)
    model = by_name(f"torchvision:{name}")

    model.load(path)

    assert all(float(one.detach().flatten()[0]) == 0.25 for one in model.stored_module().parameters())


def published_state(name: str) -> dict[str, torch.Tensor]:
    """Return tensors of 0.25 under the names that torchvision's checkpoint of a network has."""
    from torchvision import models

    settings = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    with torch.device("meta"):
        whole = models.get_model(name, weights=None, **settings).state_dict()
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])")
    return {
        old.sub(r"\1.\2", key): torch.full(tensor.shape, 0.25)
        for key, tensor in whole.items()
        if not key.endswith("num_batches_tracked")
    }


def test_networks_without_auxiliary_classifiers_refuse_them_in_one_line() -> None:
    from mlcvbench_hub.torchvision_models import TorchvisionClassifier

    with pytest.raises(RequestError) as caught:
        TorchvisionClassifier(imagenet(), "resnet18", auxiliary=True)

    assert str(caught.value) == (
        "torchvision:resnet18 has no auxiliary classifiers; model.auxiliary is for googlenet and inception_v3."
    )


def test_images_too_small_for_the_auxiliary_classifier_are_refused() -> None:
    from mlcvbench_hub.torchvision_models import TorchvisionClassifier

    with pytest.raises(RequestError) as caught:
        TorchvisionClassifier(imagenet(), "inception_v3", size=298, auxiliary=True)

    assert str(caught.value) == (
        "torchvision:inception_v3 with model.auxiliary: wanted a model.size of at least 299, got 298; set "
        "model.size=299 or more, or leave model.auxiliary out."
    )


@pytest.mark.parametrize(("side", "reduced"), [(299, True), (298, False)])
def test_the_least_size_is_that_of_the_auxiliary_classifier(side: int, reduced: bool, models: ModuleType) -> None:
    network = models.get_model("inception_v3", weights=None, init_weights=False)
    maps = []
    network.AuxLogits.register_forward_pre_hook(lambda _, given: maps.append(given[0].shape))
    network.AuxLogits.forward = lambda _: None
    with torch.device("meta"):
        network.to("meta")(torch.zeros(2, 3, side, side))
    head = models.inception.InceptionAux(768, 1000)

    raised = nullcontext() if reduced else pytest.raises(RuntimeError, match="Kernel size can't be greater")
    with raised:
        head(torch.zeros(maps[0]))
