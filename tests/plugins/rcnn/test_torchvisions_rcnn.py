"""Weights of torchvision in our Faster and Mask R-CNN: they say what torchvision's networks say with the same ones."""

from __future__ import annotations

import re
from unittest.mock import patch

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
from torchvision.models.detection import transform
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from mlcvbench.errors import RecordError
from mlcvbench_networks.bases import instance_segmenter
from mlcvbench_networks.bases.torchvision_detector import CornerLayout
from mlcvbench_networks.detection.categories import coco_categories
from mlcvbench_rcnn.faster_rcnn import FasterRCNNFPN
from mlcvbench_rcnn.mask_rcnn import MaskRCNN

FULL = {"backbone": "torchvision:resnet50", "width": 256, "anchor": 8.0, "hidden": 1024}
FULL |= {"candidates": 1000, "proposals": 1000}
MASKS = {"mask_width": 256, "layers": 4}
THEIRS = {FasterRCNNFPN: "fasterrcnn_resnet50_fpn", MaskRCNN: "maskrcnn_resnet50_fpn"}
LEAST = 0.05
"""Scores below it torchvision leaves out."""
FRAME = (64, 96)
"""An image that torchvision neither resizes nor pads here."""


@pytest.fixture(scope="module")
def state():
    """Random weights of Mask R-CNN, which has all parts of Faster R-CNN, too, by which regions differ."""
    state = random_state(THEIRS[MaskRCNN])
    generator = torch.Generator().manual_seed(1)
    for name, by in (("cls_score.weight", 3), ("bbox_pred.weight", 10)):
        state[f"roi_heads.box_predictor.{name}"] *= by
    for name in ("rpn.head.cls_logits.weight", "rpn.head.bbox_pred.weight"):
        state[name] = torch.randn(state[name].shape, generator=generator) * 0.05
    return state


def settings(kind, **changes):
    return {**FULL, **(MASKS if kind is MaskRCNN else {}), **changes}


def own_part(kind, state):
    return {name: values for name, values in state.items() if kind is MaskRCNN or ".mask_" not in name}


@pytest.mark.parametrize("kind", THEIRS)
def test_it_finds_what_torchvision_finds_with_the_same_weights(kind, state, tmp_path):
    classes, images, state = COCO[::-1], pictures(FRAME), own_part(kind, state)
    model = kind(problem(classes, masks=kind is MaskRCNN), **settings(kind))
    notices = model.load(stored(state, tmp_path / "published.pth"))

    with (
        patch.object(transform, "paste_masks_in_image", lambda masks, *_: masks),  # each pastes in its own way
        patch.object(instance_segmenter, "paste_masks", lambda masks, *_: masks),
    ):
        (said,) = said_by(torchvisions_own(THEIRS[kind], state), images)
        found = predicted(model, images)

    count = len(said["scores"])
    labels = np.array([classes.index(coco_categories()[label]) for label in said["labels"]])
    ours = {name: column[0][:count] for name, column in found.items() if name != "proposals"}
    apart = np.abs(ours["boxes"] - said["boxes"].numpy()[:, None]).max(axis=2)
    apart[ours["labels"] != labels[:, None]] = np.inf
    same = apart.argmin(axis=1)  # ours are rounded scores, of which equal ones may change places
    assert count > 20
    assert sorted(same) == list(range(count))
    assert apart[np.arange(count), same].max() < 1e-3
    assert np.allclose(ours["scores"][same], said["scores"], atol=1e-5)
    assert (ours["scores"] > LEAST).all()
    if kind is MaskRCNN:
        assert np.allclose(ours["masks"][same], said["masks"], atol=1e-4)
    assert notices == ()


@pytest.mark.parametrize("frame", [(64, 96), (800, 1056), (32, 32)], ids=str)
def test_anchors_are_torchvisions(frame):
    strides = [4, 8, 16, 32, 64]
    grids = [(-(-frame[0] // stride), -(-frame[1] // stride)) for stride in strides]
    generator = AnchorGenerator(tuple((size,) for size in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5)

    (theirs,) = generator(ImageList(torch.zeros(1, 3, *frame), [frame]), [torch.zeros(1, 1, *grid) for grid in grids])

    assert torch.equal(torch.cat(CornerLayout.rcnn(strides).on(grids)), theirs)


def test_names_of_earlier_versions_are_understood(state, tmp_path):
    earlier = {}
    for name, values in state.items():
        old = re.sub(r"^rpn\.head\.conv\.0\.0\.", "rpn.head.conv.", name)
        old = re.sub(r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}.", old)
        earlier[re.sub(r"_blocks\.(\d)\.0\.", r"_blocks.\1.", old)] = values
    models = [MaskRCNN(problem(COCO, masks=True), **settings(MaskRCNN)) for _ in range(2)]

    for model, given in zip(models, (state, earlier), strict=True):
        model.load(stored(given, tmp_path / "given.pth"))

    one, other = (model.module.state_dict() for model in models)
    assert all(torch.equal(values, other[name]) for name, values in one.items())


def test_classes_that_the_weights_do_not_know_are_never_found_and_said(state, tmp_path):
    model = FasterRCNNFPN(problem(["axolotl", "person", "dog"]), **FULL)

    (notice,) = model.load(stored(own_part(FasterRCNNFPN, state), tmp_path / "published.pth"))

    assert set(predicted(model, pictures(FRAME))["labels"][0].tolist()) <= {1, 2}
    assert notice.text.startswith("published.pth: 1 of the 3 classes are unknown to these weights")


def test_weights_of_the_classes_of_the_data_set_alone_are_taken_as_they_are(state, tmp_path):
    few = {name: values[:3] if ".cls_score." in name else values for name, values in state.items()}
    few = {name: values[:12] if "predictor.bbox_pred." in name else values for name, values in few.items()}
    model = FasterRCNNFPN(problem(["a", "b"]), **FULL)

    assert model.load(stored(own_part(FasterRCNNFPN, few), tmp_path / "few.pth")) == ()

    assert torch.equal(model.module.head.classes.weight, few["roi_heads.box_predictor.cls_score.weight"])


def test_another_network_refuses_them_with_the_settings_that_they_are_for(state, tmp_path):
    path = stored(own_part(FasterRCNNFPN, state), tmp_path / "published.pth")

    with pytest.raises(RecordError, match=r"torchvision.s are for model\.backbone=torchvision:resnet50"):
        FasterRCNNFPN(problem(COCO)).load(path)


def test_logits_of_neither_number_of_classes_are_refused(tmp_path):
    path = stored({"roi_heads.box_predictor.cls_score.bias": torch.zeros(21)}, tmp_path / "voc.pth")

    with pytest.raises(RecordError, match=r"^voc\.pth: wanted logits of 91 or 3 classes, got 21\.$"):
        FasterRCNNFPN(problem(["a", "b"])).load(path)
