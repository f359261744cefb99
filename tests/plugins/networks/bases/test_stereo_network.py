"""Stereo networks: pixels of the image whatever the size of the map, an estimate everywhere, a range that is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import Array, ArraySplit, Batch, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench_depth.task import DepthTask
from mlcvbench_networks.bases.stereo_network import StereoNetwork
from mlcvbench_training.sample_batch import SampleBatch


class Everywhere(nn.Module):
    """One disparity for all pixels, on a map of a quarter of the size."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.disparity = nn.Parameter(torch.tensor(start))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        assert left.shape == right.shape
        height, width = left.shape[2] // 4, left.shape[3] // 4
        return self.disparity.expand(len(left), 1, height, width)


class Constant(StereoNetwork):
    MULTIPLE = 8

    def network(self) -> nn.Module:
        return Everywhere(self.params.get("start", 7.25))


def problem(**extra: int) -> Problem:
    view = InputSpec((None, None, 3))
    return Problem("depth", (), {"left": view, "right": view}, {"field": "disparity", **extra})


def pair(height: int, width: int, count: int = 2) -> dict[str, Array]:
    views = np.random.default_rng(0).integers(0, 256, (2, count, height, width, 3), dtype=np.uint8)
    return {"left": views[0], "right": views[1]}


def checked(model: StereoNetwork, batch: Batch) -> list[Array]:
    return DepthTask().check(model.predict(batch), batch.ids, model.problem)["disparity"]


def test_disparities_are_in_pixels_of_the_image_not_of_the_map():
    batch = Batch(np.array(["a", "b"]), pair(37, 61))

    maps = Constant(problem(disparities=16)).predict(batch)["disparity"]

    assert maps.shape == (2, 37, 61)
    np.testing.assert_array_equal(maps, 7.25)


def test_pairs_of_unequal_size_are_answered_in_their_sizes():
    first, second = pair(37, 61, 1), pair(64, 50, 1)
    inputs = {name: [first[name][0], second[name][0]] for name in first}

    maps = Constant(problem(disparities=16)).predict(Batch(np.array(["a", "b"]), inputs))["disparity"]

    assert [one.shape for one in maps] == [(37, 61), (64, 50)]


@pytest.mark.parametrize("told", [0.0, -3.0, 1e-9])
def test_no_pixel_is_without_an_estimate(told: float):
    batch = Batch(np.array(["a", "b"]), pair(16, 24))

    maps = checked(Constant(problem(disparities=16), start=told), batch)

    assert all((one > 0).all() for one in maps)


@pytest.mark.parametrize("images", [np.zeros((0, 37, 61, 3), np.uint8), []])
def test_a_batch_without_pairs_has_no_maps(images: Array):
    batch = Batch(np.array([], dtype=str), {"left": images, "right": images})

    assert checked(Constant(problem(disparities=16)), batch) == []


def loss_of(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    view = torch.zeros(len(truth), 3, *truth.shape[1:])
    batch = SampleBatch({"left": view, "right": view}, {"disparity": truth})
    loss = Constant(problem()).loss(lambda *_: found, batch, torch.Generator())
    assert isinstance(loss, torch.Tensor)
    return loss


def test_unknown_pixels_give_no_gradient():
    found = torch.full((2, 1, 8, 8), 3.0, requires_grad=True)
    truth = torch.full((2, 8, 8), 5.0)
    truth[0, :, :4] = 0
    truth[1] = 0

    loss = loss_of(found, truth)
    loss.backward()

    assert loss.item() == 1.5  # |5 - 3| - 1 / 2
    assert torch.equal(found.grad[:, 0] != 0, truth > 0)


def test_a_batch_without_a_known_pixel_costs_nothing_and_teaches_nothing():
    found = torch.full((2, 1, 4, 4), 3.0, requires_grad=True)

    loss = loss_of(found, torch.zeros(2, 8, 8))
    loss.backward()

    assert loss.item() == 0
    assert not found.grad.any()


def test_pairs_that_are_zoomed_and_padded_still_teach_the_disparity():
    # zooms of 0.5 to 1.5 make disparities of 4 to ones of 2 to 6, whose middle is 4
    views, truth = pair(37, 61, 64), np.full((64, 37, 61), 4.0, dtype=np.float32)
    split = ArraySplit("train", views, {"disparity": truth}, ids=[f"{row}" for row in range(64)])
    model = Constant(problem(disparities=16), start=1.0)
    settings = {"epochs": 12, "batch": 8, "lr": 0.3, "scale": [0.5, 1.5], "upside_down": 0.5}

    model.fit(split, None, FitContext(seed=0, device=Device(), settings=settings))

    assert model.module.disparity.item() == pytest.approx(4.0, abs=0.7)


def test_the_levels_are_the_search_range_of_the_data():
    assert Constant(problem(disparities=32)).levels == 32


def test_data_that_do_not_say_their_range_are_refused_in_a_line():
    with pytest.raises(
        DataError, match=r"^Constant: wanted problem.extra\['disparities'\], the search range in pixels"
    ):
        _ = Constant(problem()).levels
