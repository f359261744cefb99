"""fcn_resnet, dilated_resnet and deeplab: torchvision's numbers, two classifiers, answers at the size of the image."""

from __future__ import annotations

import pytest
import torch
from support.segmenting import model_of, multiply_adds, parameters, striped

from mlcvbench.errors import RequestError
from mlcvbench.plan.planning import plan
from mlcvbench_networks.dense.losses import cross_entropy

FULL = {"backbone": "torchvision:resnet50", "stride": 8}
HEADS = {
    "fcn_resnet": FULL,
    "deeplab": {**FULL, "width": 256, "rates": [12, 24, 36], "dropout": 0.5},
    "dilated_resnet": {**FULL, "degridding": []},
}


@pytest.mark.parametrize(
    ("name", "auxiliary", "count"),
    [
        ("fcn_resnet", False, 32_957_013),
        ("fcn_resnet", True, 35_322_218),
        ("deeplab", False, 39_638_869),
        ("deeplab", True, 42_004_074),
    ],
)
def test_at_full_size_it_has_torchvisions_parameters(name, auxiliary, count):
    assert parameters(model_of(name, 21, **HEADS[name], auxiliary=auxiliary)) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "auxiliary", "count"), [("fcn_resnet", False, 51_949_141), ("deeplab", True, 60_996_202)]
)
def test_on_resnet101_it_has_torchvisions_parameters(name, auxiliary, count):
    settings = HEADS[name] | {"backbone": "torchvision:resnet101"}

    assert parameters(model_of(name, 21, **settings, auxiliary=auxiliary)) == count


@pytest.mark.slow
@pytest.mark.parametrize(("name", "macs"), [("fcn_resnet", 142.73e9), ("deeplab", 168.73e9)])
def test_at_520_pixels_it_makes_the_multiply_adds_of_the_catalogue(name, macs):
    with torch.device("meta"):
        network = model_of(name, 21, **HEADS[name]).network()

    assert multiply_adds(network, 520) == pytest.approx(macs, abs=5e6)


def test_a_dilated_residual_network_has_the_parameters_of_the_one_with_strides():
    body = 25_557_032 - 1000 * 2049

    assert parameters(model_of("dilated_resnet", 21, **HEADS["dilated_resnet"])) == body + 21 * 2049 == 23_551_061


def test_degridding_appends_convolutions_whose_taps_come_closer():
    classifier = model_of("dilated_resnet", degridding=[2, 2, 1, 1]).network().classifier

    assert [(part.dilation[0], part.padding[0]) for part in classifier if hasattr(part, "dilation")] == [
        (2, 2), (2, 2), (1, 1), (1, 1), (1, 0)
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(HEADS))
@pytest.mark.parametrize(("upsampling", "stride"), [("nearest", 4), ("bilinear", 16), ("transposed", 8)])
def test_answers_are_at_the_size_of_the_image_or_brought_to_it_by_the_base(name, upsampling, stride):
    answers = model_of(name, upsampling=upsampling, stride=stride).network().eval()(torch.rand(1, 3, 64, 96))

    enlarged = (64, 96) if upsampling != "bilinear" else (64 // stride, 96 // stride)
    assert answers.shape == (1, 3, *enlarged)


@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
def test_a_second_classifier_is_learned_beside_and_not_asked_later(upsampling):
    model, batch = model_of("fcn_resnet", auxiliary=True, upsampling=upsampling), striped()
    network = model.build().train()

    losses = model.loss(network, batch, torch.Generator())
    losses["loss"].backward()

    numbers = {key: float(value.detach()) for key, value in losses.items()}
    assert numbers["loss"] == pytest.approx(numbers["last"] + 0.5 * numbers["auxiliary"])
    assert all(own.grad is not None for own in network.auxiliary.parameters())
    assert isinstance(network.eval()(batch.inputs["image"]), torch.Tensor)


def test_without_a_second_classifier_the_loss_is_the_cross_entropy_at_full_size():
    model, batch = model_of("deeplab", dropout=0.0), striped(unknown=10)
    network = model.build().eval()

    loss = model.loss(network, batch, torch.Generator())

    logits = torch.nn.functional.interpolate(network(batch.inputs["image"]), (64, 64), mode="bilinear")
    assert float(loss.detach()) == pytest.approx(float(cross_entropy(logits, batch.maps["label_map"]).detach()))


@pytest.mark.parametrize("words", ["fit.batch=1", "fit.optimizer=online_gd"])
def test_steps_of_one_image_are_refused_before_anything_starts(words):
    with pytest.raises(RequestError) as caught:
        plan(["task=scenes-semantic", "model=deeplab", words])

    assert str(caught.value) == (
        "deeplab: steps of one image cannot train it, for its mean of the map leaves batch norm one number a channel; "
        "set fit.batch=2 or more, and another fit.optimizer than online_gd."
    )
