"""Weights of torchvision in our RetinaNet and FCOS: they say what torchvision's networks say with the same ones."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from support.torchvision_detectors import (
    COCO,
    pictures,
    predicted,
    problem,
    random_state,
    said_by,
    stored,
    torchvisions_own,
)
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen

from mlcvbench.errors import RecordError
from mlcvbench_networks.bases.torchvision_detector import CornerLayout, corners_of
from mlcvbench_networks.detection.categories import NO_CLASS, coco_categories
from mlcvbench_onestage.fcos import FCOS
from mlcvbench_onestage.retinanet import RetinaNet

FULL = {"backbone": "torchvision:resnet50", "width": 256, "levels": (3, 7), "layers": 4, "beyond": "pyramid"}
THEIRS = {RetinaNet: "retinanet_resnet50_fpn", FCOS: "fcos_resnet50_fpn"}
LEAST = {RetinaNet: 0.05, FCOS: 0.2}
"""Scores below it torchvision leaves out."""
SPREAD = {RetinaNet: 30, FCOS: 3}
"""What logits are multiplied by, so that scores differ by more than what they are rounded to."""
FRAME = (64, 96)
"""An image that torchvision neither resizes nor pads here."""


def given(kind, path, classes, **changes):
    """Return our network with random weights of torchvision, by which places differ, and these weights."""
    state = random_state(THEIRS[kind])
    state["head.classification_head.cls_logits.weight"] *= SPREAD[kind]
    nothing = torch.tensor([name in NO_CLASS for name in coco_categories()])
    bias = state["head.classification_head.cls_logits.bias"].view(-1, 91)
    bias[:] = torch.randn(bias.shape, generator=torch.Generator().manual_seed(1)) * 2 - 4
    bias[:, nothing] = -20
    model = kind(problem(classes), **{**FULL, **changes})
    return model, state, model.load(stored(state, path / "published.pth"))


@pytest.mark.parametrize("kind", THEIRS)
def test_it_finds_what_torchvision_finds_with_the_same_weights(kind, tmp_path):
    classes, images = COCO[::-1], pictures(FRAME)
    model, state, notices = given(kind, tmp_path, classes)
    (said,) = said_by(torchvisions_own(THEIRS[kind], state), images)

    found = predicted(model, images)

    seen = (said["boxes"][:, 2:] > said["boxes"][:, :2]).all(1)  # ours leaves out what has no area
    said = {name: values[seen] for name, values in said.items()}
    count = min(100, len(said["scores"]))
    assert count > 20
    assert (found["scores"][0][:count] > LEAST[kind]).all()
    assert [classes[label] for label in found["labels"][0][:count]] == [
        coco_categories()[label] for label in said["labels"][:count]
    ]
    assert np.allclose(found["scores"][0][:count], said["scores"][:count], atol=1e-5)
    assert np.allclose(found["boxes"][0][:count], said["boxes"][:count], atol=1e-3)
    assert notices == ()


@pytest.mark.parametrize("frame", [(64, 96), (800, 1056), (32, 32)], ids=str)
def test_anchors_are_torchvisions(frame):
    grids = [(-(-frame[0] // stride), -(-frame[1] // stride)) for stride in (8, 16, 32, 64, 128)]
    maps = [torch.zeros(1, 1, *grid) for grid in grids]
    image = ImageList(torch.zeros(1, 3, *frame), [frame])

    (theirs,) = _default_anchorgen()(image, maps)
    (squares,) = AnchorGenerator(tuple((size,) for size in (8, 16, 32, 64, 128)), ((1.0,),) * 5)(image, maps)

    assert torch.equal(torch.cat(CornerLayout.retinanet([8, 16, 32, 64, 128]).on(grids)), theirs)
    assert torch.equal(torch.cat(corners_of(grids, [8, 16, 32, 64, 128])), (squares[:, :2] + squares[:, 2:]) / 2)


def test_names_of_earlier_versions_are_understood(tmp_path):
    model, state, _ = given(RetinaNet, tmp_path, COCO)
    earlier = {}
    for name, values in state.items():
        old = re.sub(r"_head\.conv\.(\d)\.0\.", lambda found: f"_head.conv.{2 * int(found[1])}.", name)
        earlier[re.sub(r"_blocks\.(\d)\.0\.", r"_blocks.\1.", old)] = values
    again = RetinaNet(problem(COCO), **FULL)

    again.load(stored(earlier, tmp_path / "earlier.pth"))

    own = again.module.state_dict()
    assert all(torch.equal(values, own[name]) for name, values in model.module.state_dict().items())


def test_classes_that_the_weights_do_not_know_are_never_found_and_said(tmp_path):
    model, _, (notice,) = given(FCOS, tmp_path, ["axolotl", "person", "dog"])

    labels = predicted(model, pictures(FRAME))["labels"][0]

    assert set(labels.tolist()) <= {1, 2}
    assert notice.text.startswith("published.pth: 1 of the 3 classes are unknown to these weights")


@pytest.mark.parametrize("kind", THEIRS)
def test_another_network_refuses_them_with_the_settings_that_they_are_for(kind, tmp_path):
    with pytest.raises(RecordError) as caught:
        given(kind, tmp_path, COCO, backbone="small", width=64)

    assert re.fullmatch(
        r"published\.pth: tensor 'backbone\.stem\.0\.weight': wanted shape \(24, 3, 3, 3\), got nothing; torchvision's "
        r"are for model\.backbone=torchvision:resnet50 model\.width=256 model\.levels=\[3,7\] model\.layers=4 "
        r"model\.beyond=pyramid\.",
        str(caught.value),
    )


def test_logits_of_neither_number_of_classes_are_refused(tmp_path):
    path = stored({"head.classification_head.cls_logits.bias": torch.zeros(9 * 21)}, tmp_path / "voc.pth")

    with pytest.raises(RecordError, match=r"^voc\.pth: wanted logits of 91 or 2 classes, got 21\.$"):
        RetinaNet(problem(["a", "b"])).load(path)
