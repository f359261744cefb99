"""Maps of networks as maps of images: odd, unequal and padded sizes, where a cell lies, batches of nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Array, Batch, InputSpec, Predictions, Problem
from mlcvbench_networks.bases.dense_model import DenseModel, enlarged
from mlcvbench_training.sample_batch import SampleBatch


class Means(nn.Module):
    """The mean grey value of each cell of a frame."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(images, self.stride).mean(1, keepdim=True) + self.level


class GreyValues(DenseModel):
    MULTIPLE = 8

    def network(self) -> nn.Module:
        return Means(self.params.get("stride", 1))

    def loss(self, network: Any, batch: SampleBatch, generator: torch.Generator) -> torch.Tensor:
        return self.answers(network, batch).mean()

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        return {"grey": self.cropped(255 * outputs[:, 0], batch)}


class GreyAndDepth(GreyValues):
    INPUTS = ("image", "depth")

    def network(self) -> nn.Module:
        return Sum()


class Sum(nn.Module):
    def forward(self, images: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        return images.mean(1, keepdim=True) + depth


def model(stride: int = 1) -> GreyValues:
    return GreyValues(Problem("depth", (), {"image": InputSpec((None, None, 3))}), stride=stride)


def batch_of(*images: Array) -> Batch:
    sizes = {image.shape for image in images}
    return Batch(
        np.array([f"{place}" for place in range(len(images))]),
        {"image": np.stack(images) if len(sizes) == 1 else list(images)},
    )


def grey(height: int, width: int, seed: int = 0) -> Array:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8)
    return np.repeat(values, 3, axis=2)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (37, 61), (64, 50)])
def test_a_map_has_the_size_of_its_image_and_each_pixel_is_in_its_place(size: tuple[int, int]):
    first, second = grey(*size), grey(*size, seed=1)

    maps = model().predict(batch_of(first, second))["grey"]

    assert maps.shape == (2, *size)
    np.testing.assert_allclose(maps, np.stack([first, second])[..., 0], atol=1e-3)


def test_images_of_unequal_size_are_answered_as_each_would_be_alone():
    images = [grey(37, 61), grey(64, 50, 1), grey(7, 9, 2)]

    together = model().predict(batch_of(*images))["grey"]

    assert [one.shape for one in together] == [(37, 61), (64, 50), (7, 9)]
    for own, image in zip(together, images, strict=True):
        np.testing.assert_array_equal(own, model().predict(batch_of(image))["grey"][0])


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_cell_lies_in_the_middle_of_its_pixels(stride: int):
    # means of a ramp are the ramp at the cells' middles: half a cell of error would show as half a cell of grey values
    ramp = np.broadcast_to(np.arange(2, 130, 2, dtype=np.uint8)[:, None], (48, 64, 3))

    found = model(stride).predict(batch_of(np.ascontiguousarray(ramp)))["grey"][0]

    inside = slice(stride // 2, 64 - stride // 2)
    np.testing.assert_allclose(found[:, inside], ramp[:, inside, 0], atol=1e-3)


def test_training_sees_the_maps_that_prediction_gives():
    image, own = grey(32, 48), model(4)
    inputs = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    trained = own.answers(own.module, SampleBatch({"image": inputs}))

    np.testing.assert_allclose(255 * trained[:, 0].detach(), own.predict(batch_of(image))["grey"], atol=1e-3)


def test_halves_are_enlarged_as_float32():
    outputs = torch.full((1, 1, 4, 4), 700.5).bfloat16()

    whole = enlarged(outputs, (9, 9))

    assert whole.dtype == torch.float32
    assert whole.shape == (1, 1, 9, 9)


@pytest.mark.parametrize("images", [np.zeros((0, 37, 61, 3), np.uint8), []])
def test_a_batch_without_images_has_no_maps(images: Any):
    assert len(model(4).predict(Batch(np.array([], dtype=str), {"image": images}))["grey"]) == 0


def test_inputs_of_several_kinds_come_in_their_own_channels():
    inputs = {"image": InputSpec((9, 11, 3)), "depth": InputSpec((9, 11), "float32")}
    both = GreyAndDepth(Problem("segmentation", (), inputs))
    image, depth = grey(9, 11), np.full((1, 9, 11), 2.0, dtype=np.float32)

    for column in (depth, list(depth)):
        found = both.predict(Batch(np.array(["a"]), {"image": image[None], "depth": column}))["grey"]
        np.testing.assert_allclose(found, image[None, ..., 0] + 510.0, atol=1e-3)
    empty = {"image": np.zeros((0, 9, 11, 3), np.uint8), "depth": depth[:0]}
    assert len(both.predict(Batch(np.array([], dtype=str), empty))["grey"]) == 0
