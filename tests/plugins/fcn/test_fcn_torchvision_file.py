"""Weights of torchvision in our FCN and DeepLab: they say what torchvision's networks say with the same ones."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from support.segmenting import model_of
from support.torchvision_segmenters import random_state, said_by, torchvisions_own, voc_categories

from mlcvbench.errors import RecordError

SETTINGS = {
    "fcn_resnet": {"backbone": "torchvision:resnet50", "stride": 8},
    "deeplab": {"backbone": "torchvision:resnet50", "stride": 8, "width": 256, "rates": [12, 24, 36]},
}
THEIRS = {"fcn_resnet": "fcn_resnet50", "deeplab": "deeplabv3_resnet50"}
VOC = tuple(voc_categories())


@cache
def weights_of(name: str) -> dict[str, torch.Tensor]:
    return random_state(THEIRS[name])


def given(name: str, path: Path, classes: tuple[str, ...], **changes: object):
    """Return our network with random weights of torchvision, and what was said of them."""
    torch.save(weights_of(name), path / "published.pth")
    model = model_of(name, classes, **SETTINGS[name] | changes)
    return model, model.load(path / "published.pth")


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_it_says_what_torchvision_says_with_the_same_weights(name, tmp_path):
    classes = VOC[::-1]
    model, notices = given(name, tmp_path, classes, auxiliary=name == "deeplab")
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))

    logits = model.forward(image)

    wanted = said_by(torchvisions_own(THEIRS[name], weights_of(name)), image)
    assert torch.allclose(logits, wanted.flip(1), atol=1e-4 * float(wanted.abs().max()))
    assert len(logits.argmax(1).unique()) > 2
    assert notices == ()


def test_classes_that_the_weights_do_not_know_are_never_said_and_the_others_keep_their_logits(tmp_path):
    model, (notice,) = given("fcn_resnet", tmp_path, ("dog", "axolotl", "background", "motorbike"))
    image = torch.rand(1, 3, 32, 32)

    logits, wanted = model.forward(image), said_by(torchvisions_own("fcn_resnet50", weights_of("fcn_resnet")), image)

    kept = wanted[:, [VOC.index(name) for name in ("dog", "background", "motorbike")]]
    assert torch.allclose(logits[:, [0, 2, 3]], kept, atol=1e-4 * float(kept.abs().max()))
    assert (logits[:, 1] == -1e4).all()
    assert notice.text == (
        "published.pth: 1 of the 4 classes are unknown to these weights, which never find them: axolotl; what they "
        "find of 18 classes that the data set does not have is left out."
    )


def test_another_network_refuses_them_with_the_settings_that_they_are_for(tmp_path):
    with pytest.raises(RecordError) as caught:
        given("fcn_resnet", tmp_path, VOC, backbone="small")

    assert re.fullmatch(
        r"published\.pth: tensor 'backbone\.stem\.0\.weight': wanted shape \(24, 3, 3, 3\), got nothing; torchvision's "
        r"are for model\.backbone=torchvision:resnet50 or resnet101, and model\.stride=8\.",
        str(caught.value),
    )


def test_logits_of_neither_number_of_classes_are_refused(tmp_path):
    state = {"backbone.conv1.weight": torch.zeros(1), "classifier.4.bias": torch.zeros(19)}
    torch.save(state, tmp_path / "cityscapes.pth")

    with pytest.raises(RecordError, match=r"^cityscapes\.pth: wanted logits of 21 or 2 classes, got 19\.$"):
        model_of("fcn_resnet", 2).load(tmp_path / "cityscapes.pth")
