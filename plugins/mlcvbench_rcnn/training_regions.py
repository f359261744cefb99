"""What R-CNN's network learns from: warped proposals of the training images, and their objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from mlcvbench.contract import Array
from mlcvbench_networks.bases.network_model import SampleObjective
from mlcvbench_networks.detection.assignment import BACKGROUND, by_overlap, classes_of, sampled
from mlcvbench_rcnn.region_learning import Seen
from mlcvbench_training.sample_batch import Objects, SampleBatch
from mlcvbench_training.samples import DenseSamples
from mlcvbench_training.settings import NetworkSettings

if TYPE_CHECKING:
    from mlcvbench_rcnn.rcnn import Rcnn
    from mlcvbench_training.objective import Chosen, Network

LEARNED = 0.5
"""IoU with an object from which on a region is one for the network."""
TAKEN, OBJECTS = 32, 0.25
"""Regions that a step takes of an image, and which share of them may be objects: 32 of 128 in the paper."""


class Step(NamedTuple):
    """Some images, and which they are."""

    places: Sequence[int]
    images: SampleBatch


class TrainingRegions(SampleObjective):
    """The loss of a model over regions, some of each image of a step; proposals are searched for once.

    `mean` float32 (C,): that of the pixels in [0, 1].
    """

    def __init__(self, model: Rcnn, samples: DenseSamples, settings: NetworkSettings) -> None:
        super().__init__(model, samples, settings)
        self.regions, self.device = model, model.torch_device
        self.proposals: list[Array] = []
        means = []
        for batch in self._one_by_one():
            self.proposals.append(model.source.propose(as_bytes(batch.inputs["image"][0])))
            means.append(batch.inputs["image"].mean(dim=(0, 2, 3)))
        self.mean = torch.stack(means).mean(dim=0)

    def seen(self) -> Iterator[Seen]:
        """Yield each image with its objects and proposals."""
        for batch, proposals in zip(self._one_by_one(), self.proposals, strict=True):
            yield Seen(as_bytes(batch.inputs["image"][0]), batch.objects[0].to(torch.device("cpu")), proposals)

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        places = [
            torch.arange(len(self))[choice.cpu() if isinstance(choice, torch.Tensor) else choice] for choice in chosen
        ]
        for own, images in zip(places, self.samples.read(places), strict=True):
            yield Step(own.tolist(), images)  # type: ignore[misc]

    def loss(self, network: Network, batch: Step, generator: torch.Generator) -> Mapping[str, torch.Tensor]:  # type: ignore[override]
        return super().loss(network, self._regions_of(batch, generator), generator)

    def show(self, network: Network, batch: Step) -> None:  # type: ignore[override]
        network(self._regions_of(batch, torch.Generator()).inputs["image"])

    def _one_by_one(self) -> Iterator[SampleBatch]:
        return self.samples.read([torch.tensor([place]) for place in range(len(self))])

    def _regions_of(self, step: Step, generator: torch.Generator) -> SampleBatch:
        """Return regions of the images of a step with their classes as labels, 0 for background."""
        shown, labels = [], []
        images = step.images
        for place, pixels, size, objects in zip(
            step.places, images.inputs["image"], images.own_sizes().tolist(), images.objects, strict=True
        ):
            boxes, classes = self._drawn(self.proposals[place], objects.to(torch.device("cpu")), size, generator)
            image = as_bytes(pixels[:, : size[0], : size[1]])
            shown.append(self.regions.warped(image, boxes.numpy()))
            labels.append(classes)
        return SampleBatch({"image": torch.cat(shown)}, labels=torch.cat(labels).to(self.device))

    def _drawn(
        self, proposals: Array, objects: Objects, size: Sequence[int], generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some boxes (N, 4) of an image and the class of each, int64 (N,).

        An image all of which is to be ignored teaches that what lies beyond it is background.
        """
        boxes = torch.cat((torch.from_numpy(proposals), objects.boxes[~objects.ignored]))
        chosen = by_overlap(boxes, objects.boxes, objects.ignored, low=LEARNED, high=LEARNED, nearest=False)
        chosen = sampled(chosen, TAKEN, OBJECTS, generator)
        taken = torch.nonzero(chosen >= BACKGROUND).squeeze(1)
        if not len(taken):
            height, width = size
            return torch.tensor([[-3.0 * width, -3.0 * height, -2.0 * width, -2.0 * height]] * 2), torch.zeros(2).long()
        return boxes[taken], classes_of(chosen, objects.labels)[taken] + 1


def as_bytes(image: torch.Tensor) -> Array:
    """Return an image float (C, H, W) in [0, 1] as it was, uint8 (H, W, C)."""
    pixels: Array = image.mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels
