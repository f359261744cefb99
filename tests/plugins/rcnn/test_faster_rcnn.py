"""Faster R-CNN on one map and on a pyramid: torchvision's parameters and multiply-adds, and the truth read as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.detecting import (
    average_precision,
    batch_of,
    built,
    farthest_from,
    objects_of,
    parameters,
    predictions_of,
)
from support.fitting import images_batch
from support.regions import model_of, true_answers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg16
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from mlcvbench_networks.backbones import backbone
from mlcvbench_rcnn.faster_rcnn import visible_in

NAMES = ["faster_rcnn", "faster_rcnn_fpn"]
PUBLISHED_FPN = {
    "backbone": "torchvision:resnet50",
    "width": 256,
    "anchor": 8.0,
    "hidden": 1024,
    "candidates": 1000,
    "proposals": 1000,
    "regions": 512,
}
PUBLISHED_VGG = {
    "backbone": "torchvision:vgg16",
    "level": 4,
    "width": 512,
    "anchors": [8.0, 16.0, 32.0],
    "hidden": 4096,
    "candidates": 6000,
    "proposals": 300,
}


def their_vgg(classes: int) -> FasterRCNN:
    """Return Faster R-CNN on the last map of VGG-16, made of torchvision's parts."""
    maps = vgg16(weights=None).features[:-1]
    maps.out_channels = 512
    return FasterRCNN(
        maps,
        rpn_anchor_generator=AnchorGenerator(((128, 256, 512),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=TwoMLPHead(512 * 49, 4096),
        box_predictor=FastRCNNPredictor(4096, classes),
    )


def multiply_adds_and_regions(network: nn.Module, head: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """Return the multiply-adds of a pass, and how many regions its head looked at."""
    counted: list[int] = []
    handle = head.register_forward_hook(lambda _module, inputs, _outputs: counted.append(len(inputs[0])))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(images)
    handle.remove()
    return counter.get_total_flops() // 2, sum(counted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(name, counts):
    model, objects = model_of(name), objects_of(counts)

    predictions = predictions_of(model, true_answers(objects, 3), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_200_objects_are_found_as_far_as_100_are_reported():
    model, objects = model_of("faster_rcnn_fpn"), objects_of([200], side=12.0)

    predictions = predictions_of(model, true_answers(objects, 3), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_the_sum_of_its_four_parts(name):
    model, objects = built(model_of(name)), objects_of([3, 2])

    losses = model.loss(model.module, batch_of(objects), torch.Generator().manual_seed(0))

    assert set(losses) == {"loss", "objectness", "proposals", "classes", "boxes"}
    parts = [part.detach() for name, part in losses.items() if name != "loss"]
    assert losses["loss"].item() == pytest.approx(float(sum(parts)))


def test_on_one_map_anchors_that_cross_the_border_learn_nothing_and_on_a_pyramid_they_do():
    one, pyramid = (model_of(name) for name in NAMES)

    assert one.INSIDE_ALONE
    assert not pyramid.INSIDE_ALONE


def test_one_map_is_of_the_level_that_is_set_and_nothing_beyond_it_is_computed():
    network = model_of("faster_rcnn", level=3).build().eval()

    (map_,) = network.maps(torch.zeros(1, 3, 64, 96))

    assert map_.shape[2:] == (8, 12)
    assert sum(part.numel() for part in network.backbone.parameters()) < sum(
        part.numel() for part in backbone("small").parameters()
    )


def test_the_pyramid_has_a_sixth_level_for_anchors_alone():
    network = model_of("faster_rcnn_fpn").build().eval()

    maps = network.maps(torch.zeros(1, 3, 128, 192))

    assert [tuple(map_.shape[2:]) for map_ in maps] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert torch.equal(maps[4], maps[3][:, :, ::2, ::2])
    assert network.pooling.levels == 4


def test_on_a_pyramid_it_is_torchvisions_to_the_parameter():
    with torch.device("meta"):
        theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)

    ours = parameters(model_of("faster_rcnn_fpn", 90, **PUBLISHED_FPN))

    assert ours == sum(part.numel() for part in theirs.parameters()) == 41_808_406


def test_with_the_80_classes_of_coco_it_has_ten_classes_less():
    assert parameters(model_of("faster_rcnn_fpn", 80, **PUBLISHED_FPN)) == 41_808_406 - 10 * 5 * (1024 + 1)


def test_on_vgg_16_it_is_what_torchvision_makes_of_its_parts_to_the_parameter():
    with torch.device("meta"):
        theirs = their_vgg(21)

    ours = parameters(model_of("faster_rcnn", 20, **PUBLISHED_VGG))

    assert ours == sum(part.numel() for part in theirs.parameters()) == 137_073_622


@pytest.mark.slow
def test_on_a_pyramid_it_makes_torchvisions_multiply_adds_at_the_same_number_of_regions():
    """120.02 billion at 800 pixels and 14,359,552 a region, of the catalogue, are of 256 / 800 squared here."""
    images = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=256, max_size=256)
    ours = model_of("faster_rcnn_fpn", 90, **PUBLISHED_FPN).build()
    region = 256 * 49 * 1024 + 1024 * 1024 + 5 * 91 * 1024

    their_count, their_regions = multiply_adds_and_regions(theirs, theirs.roi_heads.box_head, images)
    our_count, our_regions = multiply_adds_and_regions(ours, ours.head, images)

    assert region == 14_359_552
    assert our_count - our_regions * region == their_count - their_regions * region


@pytest.mark.slow
def test_at_800_pixels_and_1000_regions_it_makes_the_multiply_adds_of_the_catalogue():
    network = model_of("faster_rcnn_fpn", 90, **PUBLISHED_FPN).build().eval().to("meta")

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.proposer(network.maps(torch.zeros(1, 3, 800, 800, device="meta")))
        network.head(torch.zeros(1000, 256, 7, 7, device="meta"))

    assert counter.get_total_flops() / 2 == pytest.approx(134.38e9, abs=5e6)


@pytest.mark.slow
def test_on_vgg_16_it_makes_the_multiply_adds_of_torchvisions_parts():
    network = model_of("faster_rcnn", 20, **PUBLISHED_VGG).build().eval().to("meta")
    with torch.device("meta"):
        theirs = their_vgg(21).eval()
    image, cut = torch.zeros(1, 3, 600, 800, device="meta"), torch.zeros(300, 512, 7, 7, device="meta")

    with torch.no_grad(), FlopCounterMode(display=False) as own:
        network.proposer(network.maps(image))
        network.head(cut)
    with torch.no_grad(), FlopCounterMode(display=False) as reference:
        theirs.rpn.head([theirs.backbone(image)])
        theirs.roi_heads.box_predictor(theirs.roi_heads.box_head(cut))

    assert own.get_total_flops() == reference.get_total_flops()


def test_the_regions_that_were_looked_at_are_returned_too_without_what_lies_beyond_the_image():
    height, width = 40, 60
    regions = torch.tensor([[5.0, 5, 20, 30], [50, 10, 80, 90], [60, 0, 96, 40], [0, 40, 10, 64]])

    assert visible_in(regions, (height, width)).tolist() == [[5, 5, 20, 30], [50, 10, 60, 40]]


@pytest.mark.parametrize("name", ["faster_rcnn", "faster_rcnn_fpn"])
def test_proposals_are_those_of_the_network_best_first(name):
    model = built(model_of(name, width=16, hidden=16, candidates=50, proposals=7))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    batch = images_batch(images)

    outputs = model.forward(model.preprocess(batch))
    found = model.postprocess(outputs, batch)["proposals"]

    for own, regions in zip(found, outputs.regions, strict=True):
        assert np.array_equal(own, regions.numpy())
        assert len(own) <= 7
