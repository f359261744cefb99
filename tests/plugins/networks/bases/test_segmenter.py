"""Segmenters: unknown pixels teach nothing, more classes than a byte has, what the task takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, InputSpec, Problem
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_segmentation.counting import ignore_value, map_dtype
from mlcvbench_segmentation.task import SegmentationTask
from mlcvbench_training.sample_batch import SampleBatch


class PixelByPixel(Segmenter):
    """Logits are a linear function of the pixel's own colour."""

    MULTIPLE = 8

    def network(self) -> nn.Module:
        return nn.Conv2d(self.channels, len(self.problem.classes), 1)


class Fixed(Segmenter):
    """What the network says is given."""

    def network(self) -> nn.Module:
        return nn.Identity()


def problem(classes: int) -> Problem:
    return Problem("segmentation", tuple(f"class {place}" for place in range(classes)), {"image": InputSpec((16, 20))})


def loss_of(logits: torch.Tensor, labels: torch.Tensor, **further: Any) -> torch.Tensor:
    images = torch.zeros(len(logits), 1, *labels.shape[1:])
    batch = SampleBatch({"image": images}, {"label_map": labels}, **further)
    loss = Fixed(problem(logits.shape[1])).loss(lambda _: logits, batch, torch.Generator())
    assert isinstance(loss, torch.Tensor)
    return loss


@pytest.mark.parametrize("unknown", [255, 65535])
def test_unknown_pixels_give_no_gradient(unknown: int):
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    labels = torch.randint(0, 3, (2, 8, 8))
    labels[0, :, :4] = unknown
    labels[1] = unknown

    loss_of(logits, labels, unknown=unknown).backward()

    known = labels != unknown
    assert torch.equal(logits.grad.abs().sum(1) > 0, known)


def test_a_batch_without_a_known_pixel_costs_nothing_and_teaches_nothing():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)

    loss = loss_of(logits, torch.full((2, 8, 8), 255))
    loss.backward()

    assert loss.item() == 0
    assert not logits.grad.any()


def test_an_unknown_half_changes_neither_loss_nor_weights():
    logits, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    wider = torch.cat([labels, torch.full_like(labels, 255)], 2)

    own = loss_of(torch.cat([logits, torch.randn(2, 3, 8, 8)], 3), wider)

    assert float(own) == pytest.approx(float(loss_of(logits, labels)), rel=1e-6)


def striped(classes: int, rows: int = 12) -> ArraySplit:
    """Return images of two grey values, the last class and class 255 (or 0), below a first row that nobody knows."""
    images = np.zeros((rows, 16, 20), dtype=np.uint8)
    images[:, :, 10:] = 200
    labels = np.where(images > 0, classes - 1, 255 if classes > 255 else 0).astype(map_dtype(classes))
    labels[:, 0] = ignore_value(classes)
    return ArraySplit("train", {"image": images}, {"label_map": labels}, ids=[f"{row}" for row in range(rows)])


@pytest.mark.parametrize("classes", [2, 255, 257, 300])
def test_all_classes_are_learned_and_named_however_many_there_are(classes: int):
    model, split = PixelByPixel(problem(classes)), striped(classes)
    settings = {"epochs": 40, "batch": 4, "lr": 0.5}

    report = model.fit(split, None, FitContext(seed=0, device=Device(), settings=settings))
    batch = next(split.inputs(12))
    found = model.predict(batch)
    checked = SegmentationTask().check(found, batch.ids, model.problem)["label_map"]

    labels = split.targets()["label_map"]
    assert report.history["loss"][-1] < 0.1
    np.testing.assert_array_equal(np.stack(checked)[:, 1:], labels[:, 1:])
    assert checked[0].dtype == map_dtype(classes)


def test_label_255_is_a_class_like_others_where_maps_are_wide():
    logits = torch.zeros(1, 300, 4, 4)
    logits[:, 255] = 50.0

    right = loss_of(logits, torch.full((1, 4, 4), 255), unknown=65535)

    assert 0 <= float(right) < 1e-6
    assert float(loss_of(logits, torch.full((1, 4, 4), 254), unknown=65535)) == pytest.approx(50)


@pytest.mark.parametrize("classes", [2, 300])
def test_the_task_takes_a_batch_of_nothing(classes: int):
    model = PixelByPixel(problem(classes))
    ids = np.array([], dtype=str)

    found = model.predict(Batch(ids, {"image": np.zeros((0, 16, 20), np.uint8)}))

    assert SegmentationTask().check(found, ids, model.problem) == {"label_map": []}
