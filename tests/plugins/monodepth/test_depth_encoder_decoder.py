"""Supervised depth by an encoder and a decoder: its losses, focal lengths, and the layers of the published decoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.monocular import SMALL, depths, fitted, model_of, parameters, toy_of

from mlcvbench.contract import Batch
from mlcvbench.errors import DataError
from mlcvbench.testing.toy import toy_data
from mlcvbench_monodepth.depth_encoder_decoder import LOSSES
from mlcvbench_training.sample_batch import SampleBatch

METRIC = sorted(LOSSES.keys() - {"ssi"})
SIZE = SMALL["depth_encoder_decoder"]


def batch_of(truth: torch.Tensor, focal: float = 100.0) -> SampleBatch:
    camera = torch.tensor([[focal, 0, 31.5], [0, focal, 15.5], [0, 0, 1]]).repeat(len(truth), 1, 1)
    return SampleBatch(
        {"image": torch.zeros(len(truth), 3, *truth.shape[1:])}, {"depth": truth}, facts={"intrinsics": camera}
    )


def loss_of(model, told: torch.Tensor, batch: SampleBatch) -> float:
    return float(model.loss(lambda images: told, batch, torch.Generator()))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_truth_costs_nothing_and_unknown_pixels_count_for_nothing(loss):
    truth = 2 + 5 * torch.rand(2, 32, 64)
    truth[0, :, 40:] = 0
    told = torch.where(truth > 0, truth, 50.0)[:, None]

    exact = loss_of(model_of("depth_encoder_decoder", loss=loss), 1 / told if loss == "ssi" else told, batch_of(truth))

    assert exact == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [("log_l1", np.log(2)), ("l1", 4.0), ("silog", 0.5 * np.log(2) ** 2), ("berhu", (16 + 0.64) / 1.6)],
)
def test_twice_the_truth_costs_what_the_formula_says(loss, wanted):
    truth = torch.full((2, 32, 64), 4.0)

    assert loss_of(model_of("depth_encoder_decoder", loss=loss), 2 * truth[:, None], batch_of(truth)) == pytest.approx(
        wanted, rel=1e-5
    )


def test_relative_depth_is_learned_up_to_scale_and_shift():
    truth = 2 + 5 * torch.rand(2, 32, 64)
    model = model_of("depth_encoder_decoder", loss="ssi")

    assert loss_of(model, 7 / truth[:, None] + 0.5, batch_of(truth)) == pytest.approx(0, abs=1e-5)
    assert loss_of(model, truth[:, None], batch_of(truth)) > 0.5


@pytest.mark.parametrize("loss", ["log_l1", "ssi"])
def test_what_is_told_is_size_over_distance_so_a_longer_lens_is_farther(loss):
    truth = 2 + 5 * torch.rand(2, 32, 64)
    model = model_of("depth_encoder_decoder", loss=loss, focal=True)
    told = truth[:, None] / 1.5  # metres as if the focal length were 100 px

    assert loss_of(model, 1 / told if loss == "ssi" else told, batch_of(truth, 150.0)) == pytest.approx(0, abs=1e-5)


def test_without_the_focal_length_it_is_said_what_to_set():
    model = model_of("depth_encoder_decoder", focal=True, **SIZE)
    batch = Batch(np.array(["a"]), {"image": np.zeros((1, 32, 32, 3), np.uint8)})

    with pytest.raises(DataError) as refused:
        model.predict(batch)

    assert str(refused.value) == (
        "depth_encoder_decoder: wanted the fact 'intrinsics' of each image, got none; set model.focal=false."
    )


@pytest.mark.parametrize("focal", [False, True])
def test_the_loss_falls_over_a_few_steps(focal):
    model, data = model_of("depth_encoder_decoder", focal=focal, **SIZE), toy_of("depth_encoder_decoder")

    history = fitted(model, data, epochs=6, batch=8, lr=0.01).history["loss"]
    truth = data.splits["test"].targets()["depth"]

    assert history[-1] < 0.7 * history[0]
    assert [one.shape for one in depths(model, data)] == [one.shape for one in truth[:6]]


@pytest.mark.parametrize("name", ["images of 37x61", "images without known pixels", "images of unequal size"])
def test_toy_data_of_all_sizes_are_learned_from_and_answered(name):
    model, data = model_of("depth_encoder_decoder", **SIZE), toy_data("depth")[name]

    report = fitted(model, data, epochs=1, batch=4)

    assert np.isfinite(report.history["loss"]).all()
    assert all((one > 0).all() for one in depths(model, data))


def test_the_published_decoder_has_the_parameters_of_its_layers():
    small = model_of(
        "depth_encoder_decoder",
        backbone="torchvision:resnet18",
        widths=[16, 32, 64, 128, 256],
        decoder="published",
        finest=0,
    ).build()
    coarser = sum(9 * width + 1 for width in (32, 64, 128))  # outputs that only monodepth2 learns from

    assert parameters(small) == 14_329_236 - coarser


def test_backbones_of_libraries_serve_too():
    network = model_of("depth_encoder_decoder", backbone="timm:mobilenetv3_small_050", **SIZE).build().eval()

    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 32, 48)
