"""What settings alone rule out is refused before anything starts; the bounds are those of the networks themselves."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import torch
from torch import nn

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError, RequestError
from mlcvbench.plan.planning import plan
from mlcvbench.specs import load_target
from mlcvbench_cnn import mlcvbench_models
from mlcvbench_cnn.limits import has_batch_norm, least_side

SPECS = {spec.name: spec for spec in mlcvbench_models()}
DEEP = {"vgg13", "vgg16", "resnet34", "resnet101", "resnet152", "resnext101", "resnet32", "resnet44", "resnet56",
        "resnet110"}  # fmt: skip
"""The same code as a shallower network's, with longer lists."""
STEMS = [{"stem": "imagenet"}, {"stem": "small"}]
CHOICES = {
    "small_cnn": [{"norm": norm, "stages": stages} for norm, stages in (("batch", 3), ("layer", 2), ("none", 1))],
    "alexnet": [*STEMS, {"stem": "small", "variant": "2012"}],
    "googlenet": [{"stem": stem, "batch_norm": norm} for stem, norm in (("imagenet", True), ("small", False))],
    "vgg11": [{"batch_norm": True}, {}],
}
"""Settings that decide the least size or the norm; other networks are tried with both stems."""
CASES = [
    (name, settings)
    for name, spec in SPECS.items()
    if name not in DEEP
    for settings in CHOICES.get(name, STEMS if "stem" in {param.name for param in spec.params} else [{}])
]


def of_side(name: str, side: int, **settings: object):
    """Return a narrow network, its settings complete, for square grey images taken as they are."""
    spec = SPECS[name]
    declared = {param.name: param.default for param in spec.params}
    narrow = {"width": 2 if name == "small_cnn" else 0.25, "size": 0}
    params = {**declared, **{key: value for key, value in narrow.items() if key in declared}, **settings}
    problem = Problem("classification", ("a", "b"), {"image": InputSpec((side, side))})
    return load_target(spec.target)(problem, **params), params


def logits(network: nn.Module, side: int) -> tuple[int, ...]:
    return tuple(network.train()(torch.zeros(2, 1, side, side)).shape)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_a_network_takes_images_of_its_least_size_and_none_of_a_pixel_less(name: str, settings: dict[str, object]):
    model, params = of_side(name, 1, **settings)
    least = model.smallest
    with torch.device("meta"):
        fits, params = of_side(name, least, **settings)
        assert logits(fits.build(), least) == (2, 2)

        if least > 1:
            small = of_side(name, least - 1, **settings)[0]
            with pytest.raises(DataError, match=f"^{name}: .* at least {least} pixels per side, got {least - 1}"):
                small.build()
            with pytest.raises(RuntimeError):  # what the refusal spares
                logits(small.network(1, 2), least - 1)
    assert name == "small_cnn" or least_side(name, params) == least


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_batch_norm_is_expected_where_it_is_built(name: str, settings: dict[str, object]):
    with torch.device("meta"):
        model, params = of_side(name, 64, **settings)
        parts = list(model.build().modules())

    assert any(isinstance(part, nn.BatchNorm2d) for part in parts) == has_batch_norm(name, params)


NORM = "batch norm needs at least 2 images a step, got 1; set"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "model=alexnet model.size=28",
            "alexnet: wanted a model.size of at least 63, got 28; set model.size=63 or more, or model.stem=small.",
        ),
        (
            "model=alexnet model.size=14 model.stem=small",
            "alexnet: wanted a model.size of at least 15, got 14; set model.size=15 or more.",
        ),
        ("model=zfnet model.size=52", "zfnet: wanted a model.size of at least 53, got 52; set model.size=53 or more."),
        (
            "model=resnet20,vgg16 model.size=0,16",
            "vgg16: wanted a model.size of at least 32, got 16; set model.size=32 or more.",
        ),
        (
            "model=resnext50 model.width=0.1",
            "resnext50: width=0.1 leaves a group no channel; set model.width=0.25 or more.",
        ),
        ("model=small_cnn fit.optimizer=online_gd", f"small_cnn: {NORM} fit.optimizer=sgd."),
        ("model=small_cnn fit.batch=1", f"small_cnn: {NORM} fit.batch=2 or more."),
        ("model=resnet18 fit.batch=1", f"resnet18: {NORM} fit.batch=2 or more."),
        ("model=vgg11 model.batch_norm=true fit.batch=1", f"vgg11: {NORM} fit.batch=2 or more."),
        ("model=ensemble model.base=resnet20 fit.batch=1", f"resnet20: {NORM} fit.batch=2 or more."),
        (
            "model=distill model.student=mlp model.teacher=[ensemble,base=[vgg11,size=16]]",
            "vgg11: wanted a model.size of at least 32, got 16; set model.size=32 or more.",
        ),
    ],
)
def test_settings_that_cannot_be_carried_out_are_refused(words: str, message: str):
    with pytest.raises(RequestError) as caught:
        plan(["task=digits", *shlex.split(words)])

    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        "model=alexnet model.size=28 model.stem=small",
        "model=alexnet,vgg16 model.size=0",
        "model=resnet18 model.size=1",
        "model=resnext101 model.width=0.125",
        "model=small_cnn fit.batch=1 model.norm=layer",
        "model=googlenet fit.optimizer=online_gd",
        "model=distill model.student=mlp model.teacher=resnet20 fit.batch=1",
    ],
)
def test_settings_that_can_be_are_planned(words: str):
    assert plan(["task=digits", *shlex.split(words)]).configs


def test_a_candidate_that_cannot_be_carried_out_is_left_to_its_search():
    [config] = plan(["task=digits", "model=alexnet", "model.size=28,64", "select=grid"]).configs

    assert config.search is not None


def test_planning_a_network_imports_neither_torch_nor_numpy():
    program = (
        "import sys\nfrom mlcvbench.plan.planning import plan\n"
        "plan('task=digits model=small_cnn,resnet20,googlenet,vgg11 seed=0,1'.split())\n"
        "print([name for name in ('torch', 'numpy', 'torchvision', 'timm') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
