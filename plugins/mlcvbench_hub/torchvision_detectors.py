"""Detectors and instance segmenters of torchvision, with its own resizing, losses and suppression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torchvision import models
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from mlcvbench.contract import Array, Batch, Column, FitContext, FitReport, Notice, Problem, Split
from mlcvbench.errors import RecordError, RequestError
from mlcvbench_hub.detector_checkpoints import (
    FROZEN,
    WITHOUT_EPSILON,
    freeze_norms,
    has_counters,
    of_today,
    without_epsilon,
)
from mlcvbench_hub.detector_limits import OF_PEOPLE, check_sizes
from mlcvbench_hub.detector_settings import DETECTOR_FIT
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.instance_segmenter import InstanceSegmenter
from mlcvbench_networks.bases.network_model import Losses, SampleObjective
from mlcvbench_networks.detection.categories import known_classes
from mlcvbench_networks.transfer import freeze_stages, maps_inside, take_weights
from mlcvbench_training.layout import to_channels_last
from mlcvbench_training.sample_batch import Objects, SampleBatch
from mlcvbench_training.samples import DenseSamples
from mlcvbench_training.settings import NetworkSettings

Found = dict[str, torch.Tensor]
"""What a network of torchvision says of an image: `boxes`, `scores`, `labels`, maybe `masks`."""
WITH_MASKS = "maskrcnn"
CLASSIFIERS = ("roi_heads.box_predictor", "roi_heads.mask_predictor", "head.classification_head")
"""The parts whose outputs are as many as there are classes."""
TRIAL = 64
"""Pixels a side of the image on which stages are told apart."""


def names() -> list[str]:
    """Return every detector that torchvision knows."""
    return list(models.list_models(module=models.detection))


def detector(problem: Problem, name: str, **settings: Any) -> TorchvisionDetector:
    """Return the network of that name; those of Mask R-CNN give masks where the problem asks for them."""
    wants_masks = name.startswith(WITH_MASKS) and bool(problem.extra.get("masks"))
    return (TorchvisionSegmenter if wants_masks else TorchvisionDetector)(problem, name, **settings)


class TorchvisionDetector(Detector):
    """A network of torchvision by its `name`. It is never fetched.

    `weights=FILE` is a published checkpoint, whose classes are mapped to those of the data set by name, or one of the
    data set's own classes; norms are then frozen where torchvision freezes them. Without it the network is trained
    here, from scratch or from `backbone_weights`, such a checkpoint too, whose heads are left out where they are of
    other classes. `min_size`, `max_size`: pixels of the shorter side that images are resized to, and the most that
    the longer one may have; by default the network's own, 800 and 1333 for most.

    Images are looked at one by one, so that none depends on the padding of another or on how batches are rounded.
    """

    FIT: ClassVar[NetworkSettings] = DETECTOR_FIT
    MULTIPLE = 1
    LEAST = 0.0  # scores, overlaps and counts are limited by the networks themselves
    OVERLAP = None
    MOST = 1000

    def __init__(
        self,
        problem: Problem,
        name: str,
        min_size: int | None = None,
        max_size: int | None = None,
        backbone_weights: str | None = None,
        freeze: int = 0,
    ) -> None:
        check_sizes(name, min_size, max_size)
        super().__init__(
            problem, min_size=min_size, max_size=max_size, backbone_weights=backbone_weights, freeze=freeze
        )
        self.hub_name = name
        self.sizes = {
            key: value for key, value in (("min_size", min_size), ("max_size", max_size)) if value is not None
        }
        # RetinaNet and FCOS have a logistic a class; the others also a number for "nothing", the first one
        self.first = 0 if name.startswith(("retinanet", "fcos")) else 1
        self.labels = torch.arange(len(problem.classes) + self.first) - self.first

    @property
    def _name(self) -> str:
        """The name as a request says it."""
        return f"torchvision:{self.hub_name}"

    def network(self) -> nn.Module:
        return self._network(len(self.labels), frozen=self.backbone_weights is not None)

    def build(self) -> nn.Module:
        network = self.network()
        if self.freeze:
            body: Any = getattr(network.backbone, "body", network.backbone)
            images = torch.zeros(1, 3, TRIAL, TRIAL)
            try:
                freeze_stages(body.parameters(), self.freeze, lambda: maps_inside(body, images))
            except ValueError as error:
                raise RequestError(f"{self._name}: model.freeze={self.freeze}: it has {error}.") from error
        if self.CHANNELS_LAST:
            to_channels_last(network)
        return network

    def _network(self, outputs: int, *, frozen: bool) -> nn.Module:
        network: nn.Module = models.get_model(
            self.hub_name, weights=None, weights_backbone=None, num_classes=outputs, **self.sizes
        )
        if frozen and self.hub_name in FROZEN:
            freeze_norms(network)
        if self.hub_name.startswith(WITH_MASKS):
            network.transform = _keeping_grids(network.transform)
        return network

    def read_state(self, path: Path) -> dict[str, torch.Tensor]:
        """Return a checkpoint's tensors by the names of today."""
        return of_today(super().read_state(path), frozenset(self.stored_module().state_dict()))

    def load(self, folder: Path) -> Sequence[Notice] | None:
        if folder.is_dir():  # what a fit of this model stored
            return super().load(folder)
        given, categories = super().read_state(folder), self.categories()
        known = None
        if self._is_checkpoint(given, len(categories)):
            known = known_classes(self.problem.classes, categories, folder.name)
            self.labels = torch.tensor(known.labels)
        self.module = self._network(len(self.labels), frozen=True)
        try:
            self.put_in(of_today(given, frozenset(self.module.state_dict())), folder.name)
        except RecordError as error:
            raise RecordError(
                f"{str(error).rstrip('.')}; wanted a checkpoint of {self._name}, of the {len(categories)} categories "
                f"that torchvision publishes or of {len(self.labels)} for these classes."
            ) from error
        if known is None:
            return None
        if self.hub_name in WITHOUT_EPSILON and not has_counters(given):
            without_epsilon(self.module)
        return known.notices

    def _is_checkpoint(self, state: Mapping[str, torch.Tensor], outputs: int) -> bool:
        """Tell whether tensors are those of the network with so many outputs."""
        with torch.device("meta"):
            own = self._network(outputs, frozen=True).state_dict()
        state = of_today(state, frozenset(own))
        return all(name in state and state[name].shape == tensor.shape for name, tensor in own.items())

    def categories(self) -> list[str]:
        """Return what the outputs of the published weights stand for."""
        return list(models.get_model_weights(self.hub_name).DEFAULT.meta["categories"])

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        if self.hub_name == OF_PEOPLE:
            raise RequestError(f"{self._name} learns joints, which no data set has; give it weights=FILE.")
        return super().fit(train_split, val, ctx)

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        if self.backbone_weights is None:
            return ()
        path = Path(self.backbone_weights)
        state = of_today(super().read_state(path), frozenset(module.state_dict()))
        return take_weights(module, state, path.name, _new_parts(module, state))

    def objective(self, samples: DenseSamples, settings: NetworkSettings) -> SampleObjective:
        return _OwnLosses(self, samples, settings)

    def loss(self, network: Any, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the sum of torchvision's losses, and each of them.

        Which anchors and proposals are learned from is drawn by torch's own generator, which the engine seeds and
        stores. torchvision knows no objects to ignore: what need not be found is background.
        """
        sizes = batch.own_sizes().tolist()
        images = [_in_colour(image[:, :h, :w]) for image, (h, w) in zip(batch.inputs["image"], sizes, strict=True)]
        wanted = [self.wanted(own, (h, w)) for own, (h, w) in zip(batch.objects, sizes, strict=True)]
        parts = network(images, wanted)
        return {"loss": sum(parts.values())} | {name.removeprefix("loss_"): part for name, part in parts.items()}

    def wanted(self, own: Objects, size: tuple[int, int]) -> Found:
        """Return what torchvision is to learn from an image (H, W)."""
        learned = ~own.ignored & (own.boxes[:, 2:] > own.boxes[:, :2]).all(1)
        found = {"boxes": own.boxes[learned], "labels": own.labels[learned] + self.first}
        if own.masks is not None:
            found["masks"] = own.masks[learned, : size[0], : size[1]].byte()
        return found

    def preprocess(self, batch: Batch) -> Any:
        """Return a list of each image, float32 (3, H, W) in [0, 1]."""
        column: Column = batch.inputs["image"]
        return [_in_colour(self._shown([image], self.channels)[0]) for image in column]

    def pass_through(self, module: nn.Module, inputs: list[torch.Tensor]) -> list[Found]:
        return [found for image in inputs for found in module([image])]

    def decode(self, outputs: list[Found]) -> Sequence[Detections]:
        """Return what is found of the classes of this problem."""
        return [self._of_problem(one) for one in outputs]

    def _of_problem(self, found: Found) -> Detections:
        labels = self.labels.to(found["labels"].device)[found["labels"]]
        every = Detections(found["boxes"], found["scores"], labels, found.get("masks"))
        return every.at(labels >= 0)


class TorchvisionSegmenter(TorchvisionDetector, InstanceSegmenter):
    """Mask R-CNN. Its masks are pasted as torchvision does, one at a time."""

    SAMPLES = InstanceSegmenter.SAMPLES

    def pasted(self, found: Detections, size: tuple[int, int]) -> Array:
        masks = np.zeros((len(found.boxes), *size), dtype=np.bool_)
        assert found.masks is not None
        for own, grid, box in zip(masks, found.masks.float(), found.boxes.float(), strict=True):
            own[:] = (paste_masks_in_image(grid[None], box[None], size)[0, 0] > self.INSIDE).cpu().numpy()
        return masks


class _OwnLosses(SampleObjective):
    """torchvision's networks show their maps in training only while they compute a loss."""

    def show(self, network: Any, batch: SampleBatch) -> None:
        self.model.loss(network, batch, torch.Generator())


class _GridTransform(GeneralizedRCNNTransform):  # type: ignore[misc] # torchvision has no types
    """Brings boxes back to the image as torchvision does, and leaves masks on the grids over them.

    A float for every pixel of a hundred masks takes a gigabyte for an image of two megapixels.
    """

    def postprocess(self, result: list[Found], image_shapes: Any, original_image_sizes: Any) -> list[Found]:
        if self.training:
            return result
        grids = [found.pop("masks", None) for found in result]
        found = super().postprocess(result, image_shapes, original_image_sizes)
        return [one if grid is None else {**one, "masks": grid} for one, grid in zip(found, grids, strict=True)]


def _keeping_grids(transform: GeneralizedRCNNTransform) -> _GridTransform:
    return _GridTransform(transform.min_size, transform.max_size, transform.image_mean, transform.image_std)


def _in_colour(image: torch.Tensor) -> torch.Tensor:
    """Return an image (1 or 3, H, W) with three channels."""
    return image.expand(3, -1, -1)


def _new_parts(network: nn.Module, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the parts of a network that may be new beside a checkpoint: its classifiers, or all but the backbone."""
    parts = [name for name, _ in network.named_children() if name not in {"backbone", "transform"}]
    if any(name.startswith(tuple(f"{part}." for part in parts)) for name in state):
        return list(CLASSIFIERS)
    return [*parts, "backbone.fpn"]
