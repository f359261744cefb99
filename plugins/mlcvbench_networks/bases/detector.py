"""A detector: a network, its loss, and boxes with scores from its outputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torchvision.ops import batched_nms, clip_boxes_to_image

from mlcvbench.contract import Batch, Predictions
from mlcvbench_networks.bases.network_model import NetworkModel, sizes_of


class Detections(NamedTuple):
    """What is found in one image: boxes float (K, 4) x1 y1 x2 y2 in pixels, scores (K,) in [0, 1], labels (K,).

    `masks`: for instance segmentation, the probabilities of each object on a grid over its box, (K, 1, M, M).
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None = None

    def at(self, places: torch.Tensor) -> Detections:
        """Return those at `places`, indices or truth values."""
        masks = None if self.masks is None else self.masks[places]
        return Detections(self.boxes[places], self.scores[places], self.labels[places], masks)


class Detector(NetworkModel):
    """Find objects. A method writes `network`, `loss` and `decode`.

    `LEAST`: scores below it are left out. `OVERLAP`: of two boxes of a class with a larger IoU the better one stays;
    None for a method that names an object once. `MOST`: detections an image. A network of two stages, which learns
    from the objects, is called in `loss` as `network(images, batch.objects)`, and to predict as `network(images)`.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"objects": True}
    LEAST: ClassVar[float] = 0.01
    OVERLAP: ClassVar[float | None] = 0.5
    MOST: ClassVar[int] = 100

    @abstractmethod
    def decode(self, outputs: Any) -> Sequence[Detections]:
        """Return what the outputs of a batch say of each image, in pixels of the frame that the network saw."""

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        sizes = sizes_of(batch)
        with torch.inference_mode():
            decoded = self.decode(outputs) if sizes else []
            return self.columns([self.selected(one, size) for one, size in zip(decoded, sizes, strict=True)], sizes)

    def columns(self, found: Sequence[Detections], sizes: Sequence[tuple[int, int]]) -> Predictions:
        """Return the detections of images (H, W) as prediction columns."""
        return {
            "boxes": [
                clip_boxes_to_image(one.boxes.float(), size).cpu().numpy()
                for one, size in zip(found, sizes, strict=True)
            ],
            "scores": [one.scores.float().cpu().numpy() for one in found],
            "labels": [one.labels.long().cpu().numpy() for one in found],
        }

    def selected(self, found: Detections, size: tuple[int, int]) -> Detections:
        """Return the detections of an image (H, W) that are reported, best first; boxes may reach beyond its borders.

        What lies outside of it altogether is left out, and overlaps are those of the parts inside.
        """
        found = found.at(~(found.scores < self.LEAST))  # what is not finite stays, and is refused by the task
        boxes = clip_boxes_to_image(found.boxes.float(), size)
        visible = ~(boxes[:, 2:] <= boxes[:, :2]).any(1)
        found, boxes = found.at(visible), boxes[visible]
        if self.OVERLAP is None:
            order = torch.argsort(found.scores, descending=True, stable=True)
        else:  # in float64, since classes are told apart by moving their boxes far from each other
            order = batched_nms(boxes.double(), found.scores.double(), found.labels, self.OVERLAP)
        return found.at(order[: self.MOST])
