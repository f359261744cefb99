"""Networks that torchvision or timm has too are the same layer by layer, and with equal weights say the same."""

from __future__ import annotations

import pytest
import torch

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.specs import load_target
from mlcvbench_cnn import mlcvbench_models

SPECS = {spec.name: spec for spec in mlcvbench_models()}
LIBRARY = {
    ("alexnet", "variant", "owt"): "torchvision:alexnet",
    **{(f"vgg{depth}",): f"torchvision:vgg{depth}" for depth in (11, 13, 16, 19)},
    **{(f"vgg{depth}", "batch_norm", True): f"torchvision:vgg{depth}_bn" for depth in (11, 13, 16, 19)},
    **{(f"resnet{depth}",): f"torchvision:resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    ("resnext50",): "torchvision:resnext50_32x4d",
    ("resnext101",): "torchvision:resnext101_32x8d",
    ("senet18",): "timm:seresnet18",
    ("senet50",): "timm:seresnet50",
    ("senet50", "stride", "1x1"): "timm:legacy_seresnet50",
    ("mobilenet_v1",): "timm:mobilenetv1_100",
    ("mobilenet_v3_small",): "torchvision:mobilenet_v3_small",
    ("mobilenet_v3_large",): "torchvision:mobilenet_v3_large",
}
"""Networks that are those of a library, built here anew."""
RUNNABLE = ("resnet18", "resnext50", "senet50", "mobilenet_v1")
"""One of each kind of block, of few enough parameters to run."""


def of_case(case, side=224):
    """Return the network of a name and perhaps a setting, without data in its tensors."""
    name, *setting = case
    problem = Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((side, side, 3))})
    given = {param.name: param.default for param in SPECS[name].params} | {"size": side}
    if setting:
        given[setting[0]] = setting[1]
    with torch.device("meta"):
        return load_target(SPECS[name].target)(problem, **given).build()


def of_library(name):
    """Return a network of torchvision or timm, which take seconds to import, with its first weights."""
    library, _, network = name.partition(":")
    if library == "torchvision":
        from torchvision import models

        return models.get_model(network)
    import timm

    return timm.create_model(network)


def steps(module):
    """Return the shape, stride, padding and groups of all convolutions, and the shapes of other weights, sorted."""
    convolutions = (part for part in module.modules() if isinstance(part, torch.nn.Conv2d))
    others = [part for part in module.modules() if isinstance(part, torch.nn.Linear | torch.nn.BatchNorm2d)]
    return sorted((*part.weight.shape, part.stride, part.padding, part.groups) for part in convolutions), sorted(
        tuple(part.weight.shape) for part in others
    )


@pytest.mark.parametrize("case", LIBRARY, ids=lambda case: "-".join(map(str, case)))
def test_each_layer_is_the_librarys(case):
    with torch.device("meta"):
        theirs = of_library(LIBRARY[case])

    assert steps(of_case(case)) == steps(theirs)


@pytest.mark.parametrize("name", RUNNABLE)
def test_with_the_librarys_weights_the_logits_are_the_librarys(name):
    torch.manual_seed(0)
    theirs = of_library(LIBRARY[(name,)]).eval()
    own = of_case((name,), 64).eval()
    images = torch.rand(2, 3, 64, 64)
    for part in theirs.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # fresh ones are the identity or close a branch
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.normal_(part.running_mean, 0, 0.1)

    named = zip(own.state_dict(), theirs.state_dict().values(), strict=True)
    own.load_state_dict(dict(named), assign=True)

    with torch.inference_mode():
        wanted = theirs(images)
        assert wanted.std() > 1e-3
        assert torch.allclose(own(images), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
