"""R-CNN (Girshick et al. 2014): proposals, a network on each of them, and classifiers fitted apart from the network.

The network is trained to tell the classes and background apart (fine-tuning, section 2.3). Then, on its features,
linear SVMs with hard negatives say which class a region is, and ridge regression where its object is (appendix C); one
loss for all of it is the idea of Fast R-CNN (E39 of the course notes).
Published with AlexNet: `model.backbone=alexnet model.size=227 model.context=16 model.count=2000`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from mlcvbench.contract import (
    Array,
    Batch,
    Device,
    FitContext,
    FitReport,
    Notice,
    ParameterCounts,
    Predictions,
    Problem,
    Split,
)
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.detection.box_coding import decode_deltas
from mlcvbench_networks.transfer import load_backbone
from mlcvbench_rcnn.proposer import Source
from mlcvbench_rcnn.region_learning import Fitted, Learner, Prices
from mlcvbench_rcnn.region_network import AlexNetTrunk, BackboneTrunk, Described, RegionNetwork
from mlcvbench_rcnn.selective_search import Search
from mlcvbench_rcnn.training_regions import TrainingRegions
from mlcvbench_rcnn.warping import warp
from mlcvbench_training.sample_batch import SampleBatch
from mlcvbench_training.samples import DenseSamples
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import NetworkSettings
from mlcvbench_training.training import train

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

ALEXNET = "alexnet"
AT_ONCE = 64
"""Regions that the network sees together to predict."""
TRAINING = 0.6
"""Share of a budget that the network may take; the rest is for the features of all proposals."""


class Proposed(NamedTuple):
    """An image uint8 (H, W, C) and its proposals float32 (P, 4)."""

    image: Array
    boxes: Array


class Judged(NamedTuple):
    """Proposals float32 (P, 4), their scores (P, K) in [0, 1], and the boxes that they become by class, (P, K, 4)."""

    proposals: Array
    scores: torch.Tensor
    boxes: torch.Tensor


class Rcnn(Detector):
    """Classify warped proposals one by one, and correct their boxes by class.

    `classifier`: with `svm` a score is 1 / (1 + e^-margin), which keeps the order and is no probability; with
    `softmax` it is the network's own (appendix B of the paper compares the two).
    """

    OVERLAP: ClassVar[float | None] = 0.3

    def __init__(
        self,
        problem: Problem,
        *,
        size: int,
        context: int,
        width: int,
        proposals: str,
        count: int,
        classifier: str,
        **params: Any,
    ) -> None:
        self.prices = Prices(*(params.pop(name) for name in Prices._fields))
        search = Search(*(params.pop(name) for name in Search._fields))
        super().__init__(problem, **params)
        self.size, self.context, self.width, self.classifier = size, context, width, classifier
        self.source = Source(proposals, search, most=count)

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def network(self) -> RegionNetwork:
        trunk = AlexNetTrunk() if self._backbone == ALEXNET else BackboneTrunk(self.new_backbone(), self.width)
        return RegionNetwork(trunk, len(self.problem.classes), self.channels)

    @property
    def region_network(self) -> RegionNetwork:
        """The network, as what it is."""
        module = self.module
        assert isinstance(module, RegionNetwork)
        return module

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        settings = NetworkSettings.of(ctx.settings, self.FIT)
        samples = DenseSamples.of(train_split, torch.device("cpu"), memory=ctx.memory, **self.SAMPLES)
        with seeded(ctx.seed, self.torch_device):
            self.module = self.build().to(self.torch_device)
        notices = self._begin()
        regions = TrainingRegions(self, samples, settings)
        network = self.region_network
        network.mean.copy_(regions.mean)
        budget = None if ctx.budget is None else ctx.budget * TRAINING
        report = train(network, regions, settings, replace(ctx, budget=budget))
        classes, width = len(self.problem.classes), max(network.trunk.widths)
        learner = Learner(regions.seen, len(samples), self.features_of, classes, self.prices, ctx.seed, width)
        for name, values in learner.run()._asdict().items():
            getattr(network, name).copy_(torch.from_numpy(values))
        return replace(report, notices=(*report.notices, *notices))

    def _begin(self) -> tuple[Notice, ...]:
        """Give the network the weights that it starts from; return what to say."""
        if self.backbone_weights is None:
            return ()
        network = self.region_network
        return load_backbone(network.backbone or network.trunk, Path(self.backbone_weights))

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the loss of regions, whose labels are 0 for background and from 1 for classes."""
        logits, labels = network(batch.inputs["image"]), batch.labels
        assert labels is not None
        right = (logits.argmax(dim=1) == labels).float().mean()
        return {"loss": functional.cross_entropy(logits, labels), "accuracy": right}

    def preprocess(self, batch: Batch) -> Any:
        """Return the `Proposed` of each image."""
        images = [np.asarray(image) for image in batch.inputs["image"]]
        return [Proposed(image.reshape(*image.shape[:2], -1), self.source.propose(image)) for image in images]

    def pass_through(self, module: Any, inputs: list[Proposed]) -> list[Judged]:
        return [self._judged(module, *one) for one in inputs]

    def _judged(self, network: RegionNetwork, image: Array, proposals: Array) -> Judged:
        described = self._described(network, image, proposals)
        if self.classifier == "svm":
            scores = network.margins(described.features).sigmoid()
        else:
            scores = network.logits(described.features).softmax(dim=1)[:, 1:]
        anchors = torch.from_numpy(proposals).to(scores.device)
        return Judged(proposals, scores, decode_deltas(network.deltas(described.pooled), anchors[:, None]))

    def _described(self, network: RegionNetwork, image: Array, boxes: Array) -> Described:
        starts = range(0, max(1, len(boxes)), AT_ONCE)
        parts = [network.describe(self.warped(image, boxes[start : start + AT_ONCE])) for start in starts]
        return Described(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def features_of(self, image: Array, boxes: Array) -> tuple[Array, Array]:
        """Return the pooled maps float32 (N, P) and the features (N, D) of boxes float32 (N, 4) in an image."""
        with torch.inference_mode():
            described = self._described(self.region_network, image, boxes)
        return described.pooled.float().cpu().numpy(), described.features.float().cpu().numpy()

    def warped(self, image: Array, boxes: Array) -> torch.Tensor:
        """Return regions of an image uint8 (H, W, C) as float32 (N, C, S, S) in [0, 1] on the device."""
        mean = self.region_network.mean
        regions = warp(image, boxes, self.size, self.context, np.rint(mean.cpu().numpy() * 255))
        on_device = torch.from_numpy(regions).to(mean.device, non_blocking=True)
        return on_device.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)

    def decode(self, outputs: list[Judged]) -> Sequence[Detections]:
        found = []
        for _, scores, boxes in outputs:
            labels = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
            found.append(Detections(boxes.reshape(-1, 4), scores.flatten(), labels.flatten()))
        return found

    def parameters(self) -> ParameterCounts:
        """Count SVMs and regressions as learned, though they are no parameters of the network."""
        counts, network = super().parameters(), self.region_network
        fitted = sum(getattr(network, name).numel() for name in Fitted._fields)
        return replace(counts, trainable=counts.trainable + fitted, buffers=counts.buffers - fitted)

    def postprocess(self, outputs: list[Judged], batch: Batch) -> Predictions:
        return super().postprocess(outputs, batch) | {"proposals": [one.proposals for one in outputs]}
