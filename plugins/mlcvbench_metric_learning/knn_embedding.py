"""k nearest neighbours among the penultimate features of a network (Cover and Hart 1967, on learned features).

A network learns to classify; what its last layer looks at is the embedding. The gallery can change at any time without
a step of training: whoever is added is found, whoever is removed is not.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import (
    Array,
    Batch,
    Column,
    FitContext,
    FitReport,
    Notice,
    ParameterCounts,
    Predictions,
    Problem,
    Split,
)
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_metric_learning.embedding_network import PooledNetwork
from mlcvbench_metric_learning.gallery import Gallery
from mlcvbench_metric_learning.one_size import OneSize
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

GALLERY_FILE = "gallery.safetensors"
READ = 256
"""Images embedded at once for a gallery."""


class KnnEmbedding(OneSize):
    """Embed an image as what the last layer of a classifier of the training people looks at, at length 1.

    `level`: C2 to C5, the map whose mean over cells that is. `enrol`, `remove` and `who` are a gallery of named users.
    """

    TOGETHER = 0

    def __init__(self, problem: Problem, *, size: int = 64, level: int = 5, **params: Any) -> None:
        super().__init__(problem, size=size, level=level, **params)
        self.level, self.gallery = level, Gallery()

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.cut(self.level)
        return PooledNetwork(body, self.level)

    def head(self, identities: int) -> nn.Module:
        return nn.Linear(cast("PooledNetwork", self.module).dimensions, identities)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        assert self.beside is not None
        assert batch.labels is not None
        return functional.cross_entropy(self.beside(network(batch.inputs["image"])), batch.labels)

    def pass_through(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        return functional.normalize(module(inputs).float(), dim=1)

    def enrol(self, name: Hashable, images: Column) -> None:
        """Add a user with some images to the gallery; nothing is trained."""
        self.gallery.add(name, self.embed(images))

    def remove(self, name: Hashable) -> None:
        """Remove a user and all of its images from the gallery."""
        self.gallery.remove(name)

    def who(self, images: Column, k: int = 1) -> list[Hashable]:
        """Return for each image the user with most of the k nearest images of the gallery."""
        return self.gallery.who(self.embed(images), k)

    def embed(self, images: Column) -> Array:
        """Return the embeddings of images, float32 (B, D)."""
        batch = Batch(np.array([str(place) for place in range(len(images))]), {"image": images})
        points: Array = self.forward(self.preprocess(batch)).cpu().numpy()
        return points


class KnnEmbeddingClassifier(KnnEmbedding):
    """Classify by the k training images that are nearest by cosine.

    Probabilities are (v_c + 1/C) / (k + 1): v_c of the k votes are for class c, and one further vote is spread evenly
    over the C classes, so that none is impossible. The gallery, the embeddings of all training images, is stored.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"labels": "label"}

    def __init__(self, problem: Problem, *, k: int = 5, **params: Any) -> None:
        super().__init__(problem, k=k, **params)
        self.k = k

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        if len(train_split) < self.k:
            raise DataError(
                f"knn_embedding: k={self.k} needs as many training images, got {len(train_split)}; set a smaller "
                "model.k."
            )
        report = super().fit(train_split, val, ctx)
        self.gallery = Gallery()
        for batch, targets in train_split.batches(READ):
            self.gallery.extend(np.asarray(targets["label"]).tolist(), self.embed(batch.inputs["image"]))
        return report

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        classes, places = len(self.problem.classes), self.gallery.nearest(outputs.cpu().numpy(), self.k).places
        labels = np.array(self.gallery.names, dtype=np.int64)[places]  # (B, k)
        votes = (labels[:, :, None] == np.arange(classes)).sum(axis=1)
        return {"probabilities": ((votes + 1 / classes) / (self.k + 1)).astype(np.float32)}

    def parameters(self) -> ParameterCounts:
        own = super().parameters()
        return ParameterCounts(own.trainable, own.frozen, own.buffers, own.bytes + self.gallery.points.nbytes)

    def save(self, folder: Path) -> None:
        super().save(folder)
        labels = np.array(self.gallery.names, dtype=np.int64)
        write_arrays(folder / GALLERY_FILE, {"points": self.gallery.points, "labels": labels})

    def load(self, folder: Path) -> Sequence[Notice] | None:
        if not folder.is_dir():
            raise RecordError(
                f"{folder.name}: weights alone have no gallery to look images up in; give the folder of a run, or set "
                "model.backbone_weights."
            )
        super().load(folder)
        stored = read_arrays(folder / GALLERY_FILE, {"points": ("float32", 2), "labels": ("int64", 1)})
        points, labels = stored["points"], stored["labels"]
        wide, classes = cast("PooledNetwork", self.module).dimensions, len(self.problem.classes)
        if len(points) != len(labels) or points.shape[1] != wide or len(points) < self.k:
            raise RecordError(
                f"{GALLERY_FILE}: wanted a label for each point of {wide} numbers, {self.k} or more, got "
                f"{labels.shape} for {points.shape}."
            )
        if labels.min() < 0 or labels.max() >= classes:
            raise RecordError(
                f"{GALLERY_FILE}: labels from {labels.min()} to {labels.max()}, wanted 0 to {classes - 1}."
            )
        self.gallery = Gallery()
        self.gallery.extend(labels.tolist(), points)
        return None
