"""The networks: published parameters and multiply-adds, losses of the papers, ranges, and what all of them keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fitting import context
from support.stereo import SPECS, costs_of, network_of

from mlcvbench.contract import Batch
from mlcvbench.testing import assert_conforms
from mlcvbench.testing.toy import toy_data
from mlcvbench_stereo.dispnet import SIZES, Steps
from mlcvbench_stereo.psmnet import disparities
from mlcvbench_training.sample_batch import SampleBatch

TINY = {
    "dispnet_s": {"width": 4, "ramp": 2},
    "dispnet_c": {"width": 4, "ramp": 2},
    "gc_net": {"width": 2},
    "psmnet": {"width": 2, "blocks": [1, 1, 1, 1]},
    "mc_cnn": {"width": 8},
    "raft_stereo": {"width": 4, "sizes": 2, "steps": 3},
}


def batch_of(truth, count=2, side=64):
    views = torch.rand(2, count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return SampleBatch({"left": views[0], "right": views[1]}, {"disparity": truth.expand(count, side, side)})


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"), [("dispnet_s", 42_322_374, 30.73), ("dispnet_c", 42_174_022, 33.97)]
)
def test_dispnets_have_the_published_layers(name, parameters, multiply_adds):
    further = {"displacement": 40} if name == "dispnet_c" else {}

    found, counts = costs_of(network_of(name, width=64, **further), 384, 768)

    assert found == parameters
    assert round(counts["aten.convolution"] / 1e9, 2) == multiply_adds  # without the correlation


def test_gc_net_has_the_layers_of_its_table():
    parameters, counts = costs_of(network_of("gc_net", 192, width=32), 128, 256)

    assert parameters == 2_845_409
    assert round(sum(counts.values()) / 1e9, 1) == 112.9


def test_psmnet_has_the_published_parameters():
    model = network_of("psmnet", 192, width=32, blocks=[3, 16, 3, 3], pools=[64, 32, 16, 8])

    assert sum(part.numel() for part in model.build().parameters()) == 5_224_768


def test_raft_stereo_has_about_the_published_parameters():
    parameters, counts = costs_of(network_of("raft_stereo", width=64, steps=32), 384, 1248)

    assert parameters == 11_116_176  # published: 11.23 million
    assert round(sum(counts.values()) / 1e9) == 2607


def test_the_loss_of_dispnet_goes_from_coarse_to_fine():
    model = network_of("dispnet_c", ramp=10)

    assert model.weights(0) == [1, 0, 0, 0, 0, 0]
    assert model.weights(25) == [0, 0, 0.5, 0.5, 0, 0]
    assert model.weights(50) == model.weights(10_000) == [0, 0, 0, 0, 0, 1]


def test_the_steps_of_dispnet_are_part_of_the_state_of_its_training():
    steps, again = Steps(), Steps()
    assert [steps.next() for _ in range(3)] == [0, 1, 2]

    again.load_state_dict(steps.state_dict())

    assert again.next() == 3


def test_dispnet_tells_pixels_of_the_image_at_every_size():
    network = network_of("dispnet_s", width=4).build().eval()
    for predict in network.predict:
        torch.nn.init.zeros_(predict.weight)
    with torch.no_grad():
        network.predict[-1].bias.fill_(3.0)

    found = network(*torch.rand(2, 1, 3, 64, 128))

    assert [tuple(one.shape[2:]) for one in found] == [(2**size, 2 ** (size + 1)) for size in range(SIZES)]
    assert (found[-1] == 6).all()  # 3 pixels of a map of half the size


@pytest.mark.parametrize("name", ["gc_net", "psmnet"])
def test_truth_beyond_the_range_teaches_nothing(name):
    model = network_of(name, 32, **TINY[name])
    model.module = model.build()
    inside, beyond = (
        model.loss(model.module, batch_of(torch.full((1, 64, 64), value)), torch.Generator()) for value in (8.0, 33.0)
    )

    total = [value["loss"] if isinstance(value, dict) else value for value in (inside, beyond)]
    assert total[0] > 0
    assert total[1] == 0


def test_the_three_volumes_of_psmnet_weigh_half_seven_tenths_and_one():
    model = network_of("psmnet", 32)
    told = [torch.full((2, 1, 64, 64), value) for value in (12.0, 14.0, 18.0)]

    losses = model.loss(lambda *_: told, batch_of(torch.full((1, 64, 64), 10.0)), torch.Generator())

    assert losses["loss"] == pytest.approx(0.5 * 1.5 + 0.7 * 3.5 + 7.5)  # smooth L1: |e| - 1/2
    assert losses["last"] == 7.5


def test_each_step_of_raft_stereo_weighs_nine_tenths_of_the_next():
    model = network_of("raft_stereo")
    told = [torch.full((2, 1, 64, 64), value) for value in (15.0, 14.0, 11.0)]

    losses = model.loss(lambda *_: told, batch_of(torch.full((1, 64, 64), 10.0)), torch.Generator())

    assert losses["loss"] == pytest.approx(0.81 * 5 + 0.9 * 4 + 1)
    assert losses["l1"] == 1


def test_more_steps_than_in_training_can_be_asked_at_test():
    few, many = (network_of("raft_stereo", **TINY["raft_stereo"] | {"steps": steps}) for steps in (2, 5))
    module = many.build()

    module.load_state_dict(few.build().state_dict())

    assert len(module.train()(*torch.rand(2, 1, 3, 32, 64))) == 5
    assert len(module.eval()(*torch.rand(2, 1, 3, 32, 64))) == 1


def test_a_level_of_psmnets_volume_is_a_shift_of_four_pixels():
    scores = torch.full((1, 8, 4, 4), -100.0)
    scores[:, 3] = 1000.0

    found = disparities(scores, (16, 16))

    assert torch.allclose(found, torch.full((1, 1, 16, 16), 12.0), atol=1e-3)


@pytest.mark.parametrize(("name", "asked", "searched"), [("gc_net", 40, 64), ("psmnet", 40, 48), ("mc_cnn", 40, 40)])
def test_weights_of_one_range_can_look_through_another(name, asked, searched):
    narrow, wide = network_of(name, 32), network_of(name, 32, disparities=asked)

    wide.build().load_state_dict(narrow.build().state_dict())

    assert narrow.levels == 32
    assert wide.levels == searched


@pytest.fixture(scope="module", params=sorted(TINY))
def fitted(request):
    """Return a network after a few epochs on toy data, its history and the data."""
    data = next(iter(toy_data("depth", needs=("left", "right")).values()))
    model = network_of(request.param, **TINY[request.param])
    report = model.fit(data.splits["train"], None, context(epochs=3, batch=8, lr=0.003))
    return model, report.history, data


def test_training_is_finite_and_every_pixel_is_answered(fitted):
    model, history, data = fitted
    batch = next(data.splits["test"].inputs(2))

    maps = model.predict(batch)["disparity"]

    assert np.isfinite(history["loss"]).all()
    assert all(one.shape == image.shape[:2] for one, image in zip(maps, batch.inputs["left"], strict=True))
    assert all((one > 0).all() for one in maps)


def test_pairs_of_any_size_are_looked_at_also_together(fitted):
    model, _, _ = fitted
    drawn = np.random.default_rng(0)
    views = [[drawn.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((20, 30), (70, 90))] for _ in range(2)]
    batch = Batch(np.array(["a", "b"]), {"left": views[0], "right": views[1]})

    maps = model.predict(batch)["disparity"]

    assert [one.shape for one in maps] == [(20, 30), (70, 90)]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TINY))
def test_it_keeps_the_contract(name):
    assert_conforms(name, "depth", params=TINY[name])


def test_flips_that_would_tear_a_pair_apart_are_no_settings():
    for name in TINY:
        assert {"flip", "rotate", "backbone_lr"}.isdisjoint(param.name for param in SPECS[name].fit)
