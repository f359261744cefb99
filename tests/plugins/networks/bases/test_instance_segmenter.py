"""The base of instance segmenters, and a method of two stages on it that learns discs and squares with their masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import roi_align

from mlcvbench.contract import Batch, Device, FitContext, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench.testing.toy import toy_data
from mlcvbench_detection.task import DetectionTask
from mlcvbench_networks.backbones import SmallResidual
from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.bases.instance_segmenter import InstanceSegmenter
from mlcvbench_networks.detection.assignment import heat_maps
from mlcvbench_networks.detection.box_coding import Centres, decode_centres, encode_centres
from mlcvbench_networks.detection.losses import giou, heat_map_focal
from mlcvbench_networks.detection.masks import cut_masks
from mlcvbench_networks.detection.proposals import heat_map_peaks
from mlcvbench_networks.initialisation import set_prior
from mlcvbench_networks.pyramid import FeaturePyramid

STRIDE, SIDE, WIDTH = 4, 14, 16
PROBLEM = Problem("detection", ("a", "b"), {"image": InputSpec((None, None, 3))}, {"masks": True})


class TwoStages(InstanceSegmenter):
    """Boxes from peaks of a heat map; then a mask for each box, which in training are those of the objects."""

    OVERLAP = None
    MOST = 10

    def network(self) -> nn.Module:
        return Network(len(self.problem.classes))

    def loss(self, network: Any, batch: Any, generator: torch.Generator) -> dict[str, torch.Tensor]:
        heat, sizes, logits = network(batch.inputs["image"], batch.objects)
        grid = tuple(heat.shape[2:])
        peaks = heat_map_focal(heat, heat_maps(batch.objects, heat.shape[1], grid, STRIDE))
        boxes = [own.boxes for own in batch.objects]
        places = [encode_centres(own, grid, STRIDE).cells for own in boxes]
        found = [boxes_at(map_, cells) for map_, cells in zip(sizes, places, strict=True)]
        sides = giou(torch.cat(found), torch.cat(boxes), len(torch.cat(boxes)))
        wanted = torch.cat([cut_masks(own.masks, own.boxes, SIDE) for own in batch.objects])
        masks = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / max(wanted.numel(), 1)
        return {"loss": peaks + sides + masks, "masks": masks}

    def decode(self, outputs: Any) -> list[Detections]:
        return list(outputs)


class Network(nn.Module):
    """In training the maps, and logits of masks in the boxes of `objects`; otherwise what is found, with masks."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = SmallResidual(widths=(16, 24, 32, 48))
        self.pyramid = FeaturePyramid(self.backbone.channels, WIDTH)
        self.heat, self.sizes = nn.Conv2d(WIDTH, classes, 3, padding=1), nn.Conv2d(WIDTH, 4, 3, padding=1)
        self.masks = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, 1, 1))
        set_prior(self.heat, 0.1)

    def forward(self, images: torch.Tensor, objects: Any = None) -> Any:
        finest = self.pyramid(self.backbone(images))[0]
        heat, sizes = self.heat(finest), self.sizes(finest)
        if objects is not None:
            return heat, sizes, self.masks_in(finest, [own.boxes for own in objects])
        found = []
        for own, map_ in zip(heat.sigmoid(), sizes, strict=True):
            peaks = heat_map_peaks(own, TwoStages.MOST)
            found.append(Detections(boxes_at(map_, peaks.cells), peaks.scores, peaks.labels))
        masks = self.masks_in(finest, [one.boxes for one in found]).sigmoid()
        own = masks.split([len(one.boxes) for one in found])
        return [one._replace(masks=mask) for one, mask in zip(found, own, strict=True)]

    def masks_in(self, maps: torch.Tensor, boxes: list[torch.Tensor]) -> torch.Tensor:
        return self.masks(roi_align(maps, [own.to(maps) for own in boxes], SIDE, 1 / STRIDE, 2, True))  # type: ignore[no-any-return]


def boxes_at(maps: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    offsets, sizes = maps[:, cells[:, 1], cells[:, 0]].T.split(2, dim=1)
    return decode_centres(Centres(cells, offsets.sigmoid(), sizes.clamp(max=4).exp()), STRIDE)


class Given(InstanceSegmenter):
    """Finds what it is told to."""

    found: list[Detections]

    def network(self) -> nn.Module:
        return nn.Identity()

    def loss(self, network: Any, batch: Any, generator: Any) -> torch.Tensor:
        raise NotImplementedError

    def decode(self, outputs: torch.Tensor) -> list[Detections]:
        return self.found


def predicted(found: list[Detections], sizes: list[tuple[int, int]]) -> dict[str, Any]:
    model = Given(PROBLEM)
    model.found = found
    ids = np.array([f"{place}" for place in range(len(sizes))])
    predictions = model.predict(Batch(ids, {"image": [np.zeros((*size, 3), dtype=np.uint8) for size in sizes]}))
    DetectionTask().check(predictions, ids, PROBLEM)
    return predictions


def one_object(box: list[float], mask: torch.Tensor) -> Detections:
    return Detections(torch.tensor([box]), torch.tensor([0.9]), torch.tensor([1]), mask[None, None])


def toy(name: str = "toy") -> LoadedData:
    return toy_data("detection")[name]


def fit(data: LoadedData, **settings: Any) -> tuple[TwoStages, Any]:
    model = TwoStages(data.problem)
    context = FitContext(seed=0, device=Device(), settings={"lr": 0.005, "batch": 8, **settings})
    return model, model.fit(data.splits["train"], None, context)


def test_masks_are_bool_and_of_the_size_of_each_image():
    whole = torch.ones((4, 4))

    found = predicted([one_object([2, 3, 12, 13], whole), one_object([2, 3, 12, 13], whole)], [(40, 30), (33, 17)])

    assert [mask.shape for mask in found["masks"]] == [(1, 40, 30), (1, 33, 17)]
    assert found["masks"][0].dtype == np.bool_
    assert found["masks"][0][0, 3:13, 2:12].all()
    assert found["masks"][0].sum() == found["masks"][1].sum() == 100


def test_a_box_that_is_cut_at_the_border_keeps_its_mask_in_place():
    """Half of the object is outside of the image; its mask must not be squeezed into the other half."""
    left = torch.zeros((10, 10))
    left[:, :5] = 1

    found = predicted([one_object([-10, 0, 10, 20], left), one_object([-5, 0, 15, 20], left)], [(20, 30), (20, 30)])

    assert found["boxes"][0].tolist() == [[0, 0, 10, 20]]
    assert found["masks"][0].sum() == 0
    assert found["masks"][1][0].any(0).tolist() == [column < 5 for column in range(30)]


def test_masks_belong_to_the_boxes_that_are_reported_in_their_order():
    masks = torch.stack([torch.full((1, 2, 2), float(value)) for value in (1, 0, 1)])
    boxes = torch.tensor([[0.0, 0, 4, 4], [10, 10, 20, 20], [0, 10, 6, 16]])
    found = predicted([Detections(boxes, torch.tensor([0.3, 0.9, 0.001]), torch.tensor([0, 1, 0]), masks)], [(32, 32)])

    assert found["labels"][0].tolist() == [1, 0]
    assert found["masks"][0].reshape(2, -1).sum(1).tolist() == [0, 16]


def test_an_image_without_objects_and_an_empty_batch_have_masks_of_no_rows():
    nothing = Detections(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0).long(), torch.zeros((0, 1, 4, 4)))

    assert predicted([nothing], [(20, 30)])["masks"][0].shape == (0, 20, 30)
    assert predicted([], [])["masks"] == []


def test_boxes_without_masks_are_a_mistake_of_the_method_and_not_an_empty_prediction():
    boxes = Detections(torch.zeros((1, 4)) + torch.tensor([0, 0, 4, 4]), torch.ones(1), torch.zeros(1).long())

    with pytest.raises(TypeError, match=r"Given\.decode gave no masks"):
        predicted([boxes], [(20, 30)])


def test_training_data_without_masks_are_refused():
    with pytest.raises(DataError, match="'masks'"):
        fit(toy("boxes without masks"))


def test_a_method_of_two_stages_learns_from_the_objects_and_predicts_without_them():
    data = toy()

    model, report = fit(data, epochs=12)
    test = data.splits["test"]
    batch, _ = test.read(slice(0, 8))
    predictions = DetectionTask().check(model.predict(batch), batch.ids, data.problem)

    assert report.history["masks"][-1] < 0.7 * report.history["masks"][0]
    assert report.history["loss"][-1] < 0.6 * report.history["loss"][0]
    assert len(predictions["masks"]) == 8
    assert max(len(one) for one in predictions["masks"]) > 0


@pytest.mark.parametrize("name", ["images of unequal size", "no object in any image", "images without objects"])
def test_masks_are_learned_from_images_of_any_size_with_any_number_of_objects(name: str):
    data = toy(name)
    model, report = fit(data, epochs=1, flip=0.5, scale=(0.8, 1.25), shift=0.1)
    batch, _ = data.splits["test"].read(slice(0, 3))

    DetectionTask().check(model.predict(batch), batch.ids, data.problem)
    assert np.isfinite(report.history["loss"]).all()


def test_passes_in_bfloat16_and_a_mean_of_weights_take_networks_of_two_stages_too():
    data = toy("images of 37x61")

    _, report = fit(data, epochs=2, precision="bfloat16", average="swa")

    assert np.isfinite(report.history["loss"]).all()
