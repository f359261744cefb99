"""Monocular depth: metres for each pixel, learned from depth or, without any, from what a second camera sees."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import Batch, Device, FitContext, InputSpec, MetricSpec, Problem
from mlcvbench.errors import RequestError
from mlcvbench.testing.toy import toy_data
from mlcvbench_depth.task import DepthTask
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.bases.depth_network import DepthNetwork
from mlcvbench_networks.stereo.losses import photometric
from mlcvbench_networks.stereo.warping import warp_by_disparity
from mlcvbench_training.sample_batch import SampleBatch

GROUND = 2.0
"""Metres of the toy data's ground, in front of which their squares stand."""


class Metres(nn.Module):
    """Depth from the pixels of a cell; it begins as `start` everywhere."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.cells = nn.Conv2d(channels, 1, 4, stride=4)
        nn.init.zeros_(self.cells.weight)
        nn.init.constant_(self.cells.bias, float(np.log(start)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.cells(images).exp()


class Supervised(DepthNetwork):
    MULTIPLE = 4

    def network(self) -> nn.Module:
        return Metres(self.channels, self.params.get("start", 1.0))


class FromTheOtherView(Supervised):
    """Learns from pairs: the right image, moved by the disparity that a depth means, must look like the left one.

    Godard, Mac Aodha and Brostow, "Unsupervised Monocular Depth Estimation with Left-Right Consistency" (2017).
    """

    SAMPLES: ClassVar[dict[str, Any]] = {"inputs": ("image", "right"), "facts": ("intrinsics", "baseline")}

    def loss(self, network: Any, batch: SampleBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        focal, baseline = batch.facts["intrinsics"][:, 0, 0], batch.facts["baseline"]
        depth = self.answers(network, batch)
        seen = warp_by_disparity(batch.inputs["right"], (focal * baseline)[:, None, None, None] / depth)
        unlike = mean_over(photometric(seen.image, batch.inputs["image"]), seen.inside)
        return {"loss": unlike, "inside": seen.inside.float().mean()}


def fitted(model: DepthNetwork, name: str, **settings: Any) -> Any:
    data = toy_data("depth")[name]
    ctx = FitContext(seed=0, device=Device(), settings=settings, **_scored(model))
    return model.fit(data.splits["train"], data.splits.get("val"), ctx)


def _scored(model: DepthNetwork) -> dict[str, Any]:
    def score(_: Any, split: Any) -> dict[str, float]:
        batch = next(split.inputs(len(split)))
        truth = np.stack(split.targets()["depth"])
        return {"abs_rel": float(np.mean(np.abs(np.stack(model.predict(batch)["depth"]) - truth) / truth))}

    return {"score": score, "metrics": {"abs_rel": MetricSpec("abs_rel", "An error.", higher_is_better=False)}}


def problem() -> Problem:
    return Problem("depth", (), {"image": InputSpec((None, None, 3))}, {"field": "depth"})


def test_depth_is_learned_from_depth():
    model = Supervised(problem(), start=0.5)

    report = fitted(model, "toy", epochs=6, lr=0.1, batch=8, watch="abs_rel", watch_every=3)

    seen = report.history["val_abs_rel"]
    assert [value is None for value in seen] == [True, True, False, True, True, False]
    assert seen[-1] < 0.3


def test_how_often_to_look_is_refused_where_nothing_is_looked_at():
    with pytest.raises(RequestError) as refused:
        fitted(Supervised(problem(), start=0.5), "toy", epochs=1, watch_every=3)

    assert str(refused.value) == (
        "fit.watch_every=3 has no effect, since validation data are not looked at; set fit.watch=METRIC, "
        "fit.early_stopping=true or fit.schedule=plateau."
    )


@pytest.mark.parametrize(
    "settings", [{"watch": "abs_rel"}, {"early_stopping": True}, {"schedule": "plateau"}, {"watch_every": 1}]
)
def test_how_often_to_look_is_taken_where_something_is_looked_at(settings: dict[str, Any]):
    report = fitted(Supervised(problem(), start=0.5), "toy", **{"epochs": 2, "batch": 8, "watch_every": 2, **settings})

    assert report.history.get("val_abs_rel", [None, None])[0] is None


def test_depth_is_learned_from_a_second_view_and_told_from_one():
    model, data = FromTheOtherView(problem(), start=1.8), toy_data("depth")["training on pairs without depth"]

    report = fitted(model, "training on pairs without depth", epochs=25, lr=0.02, batch=4)
    batch = next(data.splits["test"].inputs(6))
    maps = DepthTask().check(model.predict(batch), batch.ids, data.problem)["depth"]

    assert set(batch.inputs) == {"image"}
    assert {"loss", "inside", "lr"} == set(report.history)
    assert report.history["loss"][-1] < 0.8 * report.history["loss"][0]
    # textures are random, so one image tells nothing: the best answer is the ground, which most pixels are
    assert np.median(maps) == pytest.approx(GROUND, rel=0.03)


def test_a_camera_that_moves_with_its_picture_keeps_the_two_views_together():
    # an enlarged pair has a longer focal length, so the same depths make larger disparities
    settings = {"epochs": 1, "lr": 1e-9, "batch": 4, "scale": [1.5, 1.5]}

    right, wrong = (
        fitted(FromTheOtherView(problem(), start=start), "training on pairs without depth", **settings).history["loss"]
        for start in (GROUND, 1.5 * GROUND)
    )

    assert wrong[0] > 1.5 * right[0]


def test_unknown_pixels_give_no_gradient():
    depth = torch.full((2, 1, 8, 8), 3.0, requires_grad=True)
    truth = torch.full((2, 8, 8), 5.0)
    truth[0, :, :4] = 0
    truth[1] = 0
    batch = SampleBatch({"image": torch.zeros(2, 3, 8, 8)}, {"depth": truth})

    loss = Supervised(problem()).loss(lambda _: depth, batch, torch.Generator())
    assert isinstance(loss, torch.Tensor)
    loss.backward()

    assert loss.item() == pytest.approx(0.5 * np.log(5 / 3) ** 2, rel=1e-5)  # half of e^2: all errors are alike
    assert torch.equal(depth.grad[:, 0] != 0, truth > 0)


def test_a_batch_without_a_known_pixel_costs_nothing_and_teaches_nothing():
    depth = torch.full((2, 1, 2, 2), 3.0, requires_grad=True)
    batch = SampleBatch({"image": torch.zeros(2, 3, 8, 8)}, {"depth": torch.zeros(2, 8, 8)})

    loss = Supervised(problem()).loss(lambda _: depth, batch, torch.Generator())
    assert isinstance(loss, torch.Tensor)
    loss.backward()

    assert loss.item() == 0
    assert not depth.grad.any()


@pytest.mark.parametrize("name", ["images of 37x61", "images without known pixels", "images of unequal size"])
def test_toy_data_of_all_sizes_are_learned_from_and_answered(name: str):
    model, data = Supervised(problem()), toy_data("depth")[name]

    report = fitted(model, name, epochs=1, scale=[0.8, 1.2], flip=0.5)
    maps = model.predict(next(data.splits["test"].inputs(6)))["depth"]

    assert np.isfinite(report.history["loss"]).all()
    assert [one.shape for one in maps] == [one.shape for one in data.splits["test"].targets()["depth"]]
    assert all((one > 0).all() for one in maps)


@pytest.mark.parametrize("images", [np.zeros((0, 37, 61, 3), np.uint8), []])
def test_a_batch_without_images_has_no_maps(images: Any):
    ids = np.array([], dtype=str)

    found = Supervised(problem()).predict(Batch(ids, {"image": images}))

    assert DepthTask().check(found, ids, problem()) == {"depth": []}
