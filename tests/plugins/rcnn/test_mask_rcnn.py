"""Mask R-CNN: a mask for each class of which one counts, torchvision's parameters, and masks where their boxes are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.detecting import FRAME, SURE, batch_of, built, objects_of, parameters, predictions_of
from support.fitting import images_batch
from support.regions import masked_objects_of, model_of
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import maskrcnn_resnet50_fpn

from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.detection.assignment import BACKGROUND
from mlcvbench_networks.detection.masks import cut_masks
from mlcvbench_rcnn.mask_rcnn import mask_loss
from mlcvbench_rcnn.region_head import Chosen
from mlcvbench_training.sample_batch import Objects

PUBLISHED = {
    "backbone": "torchvision:resnet50",
    "width": 256,
    "anchor": 8.0,
    "hidden": 1024,
    "candidates": 1000,
    "proposals": 1000,
    "regions": 512,
    "mask_width": 256,
    "layers": 4,
}


def chosen_of(objects: list[Objects]) -> list[Chosen]:
    """Return each object's box as a region that learns it, and one of background."""
    anywhere = torch.tensor([[0.0, 0.0, 20.0, 20.0]])
    return [
        Chosen(torch.cat((own.boxes, anywhere)), torch.cat((torch.arange(len(own)), torch.tensor([BACKGROUND]))))
        for own in objects
    ]


def test_the_truth_costs_nothing_and_the_masks_of_other_classes_are_never_asked():
    objects = masked_objects_of([3, 0, 2])
    labels = torch.cat([own.labels for own in objects]) + 1
    wanted = torch.cat([cut_masks(own.masks, own.boxes, 28)[:, 0] for own in objects])
    logits = torch.full((5, 4, 28, 28), 77.0)
    logits[torch.arange(5), labels] = torch.logit(wanted, eps=1e-6)
    entropy = -(wanted * wanted.clamp(1e-9).log() + (1 - wanted) * (1 - wanted).clamp(1e-9).log()).mean()

    loss = mask_loss(logits, chosen_of(objects), objects)

    assert loss == pytest.approx(float(entropy), abs=1e-4)


def test_only_the_mask_of_the_class_of_a_region_with_an_object_has_a_gradient():
    objects = masked_objects_of([2])
    logits = torch.zeros(2, 4, 28, 28, requires_grad=True)

    mask_loss(logits, chosen_of(objects), objects).backward()

    asked = logits.grad.flatten(2).any(dim=2)
    assert [row.nonzero().flatten().tolist() for row in asked] == [[int(label) + 1] for label in objects[0].labels]


def test_the_loss_is_the_mean_over_pixels_and_regions():
    """At logits of 0 the cross-entropy of any pixel is ln 2, however many regions there are."""
    for counts in ([1], [2, 5]):
        objects = masked_objects_of(counts)

        loss = mask_loss(torch.zeros(sum(counts), 4, 28, 28), chosen_of(objects), objects)

        assert loss == pytest.approx(math.log(2))


def test_without_an_object_masks_cost_nothing():
    objects = masked_objects_of([0, 0])

    assert mask_loss(torch.zeros(0, 4, 28, 28), chosen_of(objects), objects) == 0


def test_a_region_beside_its_object_learns_what_it_holds_of_it():
    objects = masked_objects_of([1])
    x0, y0, x1, y1 = objects[0].boxes[0].tolist()
    half = torch.tensor([[x0, y0, x0 + 2 * (x1 - x0), y1]])  # the object is its left half
    chosen = [Chosen(half, torch.tensor([0]))]
    said = torch.full((1, 4, 28, 28), -SURE)
    said[:, :, :, :14] = SURE

    whole = mask_loss(torch.full_like(said, SURE), chosen, objects)

    assert mask_loss(said, chosen, objects) < 0.6
    assert whole == pytest.approx(SURE / 2, rel=0.1)


def test_objects_without_masks_are_a_mistake_that_is_told():
    with pytest.raises(TypeError, match="learns from objects with masks"):
        mask_loss(torch.zeros(1, 4, 28, 28), chosen_of(objects_of([1])), objects_of([1]))


def test_outputs_that_say_the_truth_are_read_as_the_truth():
    model, objects = model_of("mask_rcnn"), masked_objects_of([0, 1, 6])
    found = [
        Detections(own.boxes, torch.ones(len(own)), own.labels, torch.ones(len(own), 1, 28, 28)) for own in objects
    ]

    predictions = predictions_of(model, found, len(objects))

    for own, masks, labels in zip(objects, predictions["masks"], predictions["labels"], strict=True):
        assert masks.shape == (len(own), *FRAME)
        assert {mask.tobytes() for mask in masks} == {mask.tobytes() for mask in own.masks.numpy()}
        assert sorted(labels) == sorted(own.labels.tolist())


def test_a_detection_has_the_mask_of_its_own_class():
    model = built(model_of("mask_rcnn"))
    network = model.module.eval()
    maps = network.maps(torch.rand(1, 3, 64, 64))
    box = torch.tensor([[8.0, 8.0, 40.0, 40.0]]).repeat(3, 1)

    with torch.no_grad():
        (found,) = network.with_masks(maps, [Detections(box, torch.ones(3), torch.arange(3))], range(1, 4))
        logits = network.mask_logits(maps, [box])

    assert torch.equal(found.masks[:, 0], logits[torch.arange(3), torch.arange(3) + 1].sigmoid())


def test_masks_are_told_for_what_is_left_after_suppression_alone():
    model = built(model_of("mask_rcnn"))
    looked_at = []
    model.module.masks.register_forward_hook(lambda _module, inputs, _outputs: looked_at.append(len(inputs[0])))

    predictions = model.predict(images_batch(np.zeros((2, 64, 64, 3), np.uint8)))

    assert looked_at == [sum(len(boxes) for boxes in predictions["boxes"])]


def test_at_full_size_it_is_torchvisions_to_the_parameter():
    with torch.device("meta"):
        theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)

    ours = parameters(model_of("mask_rcnn", 90, **PUBLISHED))

    assert ours == sum(part.numel() for part in theirs.parameters()) == 44_454_513


@pytest.mark.slow
def test_100_masks_cost_what_the_catalogue_says_and_torchvision_needs():
    network = model_of("mask_rcnn", 90, **PUBLISHED).build().to("meta")
    with torch.device("meta"):
        theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).roi_heads
    cut = torch.zeros(100, 256, 14, 14, device="meta")

    with torch.no_grad(), FlopCounterMode(display=False) as own:
        network.masks(cut)
    with torch.no_grad(), FlopCounterMode(display=False) as reference:
        theirs.mask_predictor(theirs.mask_head(cut))

    assert own.get_total_flops() == reference.get_total_flops()
    assert own.get_total_flops() / 2 == pytest.approx(53.2e9, abs=5e7)


def test_its_loss_is_one_more_part_of_the_sum():
    model, objects = built(model_of("mask_rcnn")), masked_objects_of([2, 1])

    losses = model.loss(model.module, batch_of(objects), torch.Generator().manual_seed(0))

    assert set(losses) == {"loss", "objectness", "proposals", "classes", "boxes", "masks"}
    assert losses["masks"] > 0
