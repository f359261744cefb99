"""Depth learned from pairs by left-right consistency: the published layers, the three terms, both passes joined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fitting import context
from support.monocular import PAIRS, SMALL, depths, fitted, model_of, multiply_adds, parameters, problem, toy_of

from mlcvbench.contract import ArraySplit, Batch
from mlcvbench.errors import DataError, RequestError
from mlcvbench.testing.toy import toy_data
from mlcvbench_monodepth.monodepth import LARGEST, Monodepth
from mlcvbench_networks.stereo.losses import photometric
from mlcvbench_training.sample_batch import SampleBatch
from mlcvbench_training.settings import NetworkSettings

PUBLISHED = {
    "backbone": "monodepth",
    "widths": [16, 32, 64, 128, 256, 512, 512],
    "decoder": "published",
    "finest": 0,
}
TABLE = (  # the paper's layers: inside, outside, kernel, stride of the output
    (3, 32, 7, 2), (32, 32, 7, 2), (32, 64, 5, 4), (64, 64, 5, 4), (64, 128, 3, 8), (128, 128, 3, 8),
    (128, 256, 3, 16), (256, 256, 3, 16), (256, 512, 3, 32), (512, 512, 3, 32), (512, 512, 3, 64), (512, 512, 3, 64),
    (512, 512, 3, 128), (512, 512, 3, 128),
    (512, 512, 3, 64), (1024, 512, 3, 64), (512, 512, 3, 32), (1024, 512, 3, 32), (512, 256, 3, 16), (512, 256, 3, 16),
    (256, 128, 3, 8), (256, 128, 3, 8), (128, 2, 3, 8), (128, 64, 3, 4), (130, 64, 3, 4), (64, 2, 3, 4),
    (64, 32, 3, 2), (66, 32, 3, 2), (32, 2, 3, 2), (32, 16, 3, 1), (18, 16, 3, 1), (16, 2, 3, 1),
)  # fmt: skip
SIZE = SMALL["monodepth"]


def test_as_published_it_has_the_parameters_and_multiply_adds_of_the_papers_table():
    network = model_of("monodepth", **PUBLISHED).build()
    products = sum(a * b * k * k * (256 // s) * (512 // s) for a, b, k, s in TABLE)

    assert parameters(network) == sum(a * b * k * k + b for a, b, k, _ in TABLE) == 31_600_072
    assert multiply_adds(network, 256, 512) == products == 11_611_406_336


def test_both_disparities_are_told_at_four_scales_in_training_and_the_finest_afterwards():
    network = model_of("monodepth", **SIZE).build()

    told = network.train()(torch.rand(2, 3, 64, 96))

    assert [tuple(one.shape) for one in told] == [(2, 2, 32, 48), (2, 2, 16, 24), (2, 2, 8, 12), (2, 2, 4, 6)]
    assert all(bool(((one > 0) & (one < LARGEST)).all()) for one in told)
    assert network.eval()(torch.rand(2, 3, 64, 96)).shape == (2, 2, 32, 48)


def shifted(pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pairs (2, 3, 32, 64) of one disparity."""
    wide = torch.rand(2, 3, 32, 64 + pixels, generator=torch.Generator().manual_seed(0))
    return wide[..., :64], wide[..., pixels:]


def terms(left: float, right: float) -> dict[str, torch.Tensor]:
    """Return the loss of pairs of 8 px where these disparities, in pixels, are told everywhere at full size."""
    images = shifted(8)
    told = torch.cat([torch.full((2, 1, 32, 64), value / 64) for value in (left, right)], 1)
    batch = SampleBatch({"image": images[0], "right": images[1]})
    return model_of("monodepth").loss(lambda seen: [told], batch, torch.Generator())


def test_true_disparities_make_each_view_of_the_other():
    true, none = terms(8.0, 8.0), terms(0.001, 0.001)
    left, right = shifted(8)

    assert float(true["appearance"]) < 0.2 * float(none["appearance"])
    assert float(none["appearance"]) == pytest.approx(2 * float(photometric(left, right).mean()), rel=0.01)
    assert float(true["smoothness"]) == pytest.approx(0, abs=1e-6)


def test_the_loss_is_appearance_a_tenth_of_smoothness_and_consistency():
    found = terms(8.0, 5.0)

    assert float(found["consistency"]) == pytest.approx(2 * 3 / 64)
    assert float(found["loss"]) == pytest.approx(
        float(found["appearance"]) + 0.1 * float(found["smoothness"]) + float(found["consistency"])
    )


def test_smoothness_is_halved_with_each_coarser_scale():
    left, right = (torch.zeros(1, 3, 32, 64) for _ in range(2))
    ramp = (0.1 + torch.arange(64.0) / 1000).expand(1, 2, 32, 64)
    batch = SampleBatch({"image": left, "right": right})

    one, two = (
        model_of("monodepth").loss(lambda seen: told, batch, torch.Generator())["smoothness"]  # noqa: B023
        for told in ([ramp], [ramp, ramp])
    )

    assert float(one) == pytest.approx(2 * 0.001, rel=1e-4)
    assert float(two) == pytest.approx(1.5 * float(one), rel=1e-4)


def test_a_mirrored_pair_swaps_its_views_and_is_a_pair_still():
    left, right = shifted(8)
    batch = SampleBatch({"image": left, "right": right})

    mirrored = Monodepth(problem()).augment(batch, NetworkSettings(flip=1.0), torch.Generator()).inputs

    assert torch.equal(mirrored["image"], right.flip(3))
    assert torch.equal(mirrored["image"][..., 8:], mirrored["right"][..., :-8])


def test_depth_is_focal_length_times_baseline_over_disparity():
    model = model_of("monodepth", **SIZE)
    share = torch.full((1, 2, 32, 64), 0.125)  # 8 px
    batch = Batch(
        np.array(["a"]),
        {"image": np.zeros((1, 30, 50, 3), np.uint8)},
        {"intrinsics": np.array([[[90.0, 0, 25], [0, 90, 15], [0, 0, 1]]]), "baseline": np.array([0.2])},
    )

    (depth,) = model.postprocess(share, batch)["depth"]

    assert depth.shape == (30, 50)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, 90 * 0.2 / 8, rtol=1e-6)


def test_both_passes_are_joined_by_their_mean_and_at_the_borders_by_the_one_that_sees():
    model = model_of("monodepth", flips=True, **SIZE)
    plain, turned = (torch.full((1, 2, 32, 64), share) for share in (0.1, 0.2))
    batch = Batch(
        np.array(["a"]),
        {"image": np.zeros((1, 32, 60, 3), np.uint8)},
        {"intrinsics": np.eye(3)[None], "baseline": np.array([64.0])},
    )

    share = 1 / model.postprocess(torch.cat([plain, turned]), batch)["depth"][0]

    assert share[0, :3] == pytest.approx(0.2)  # 5 % of 60 columns
    assert share[0, 3:57] == pytest.approx(0.15)
    assert share[0, 57:] == pytest.approx(0.1)


def test_a_symmetric_image_is_answered_symmetrically_with_both_passes():
    model = model_of("monodepth", flips=True, **SIZE)
    half = np.random.default_rng(0).integers(0, 256, (1, 37, 30, 3), dtype=np.uint8)
    image = np.concatenate([half, half[:, :, ::-1]], 2)
    meta = {"intrinsics": np.eye(3)[None], "baseline": np.array([1.0])}

    (depth,) = model.predict(Batch(np.array(["a"]), {"image": image}, meta))["depth"]

    np.testing.assert_allclose(depth, depth[:, ::-1], rtol=1e-5)


@pytest.mark.slow
def test_it_learns_from_pairs_without_depth():
    model, data = model_of("monodepth", **SIZE), toy_of("monodepth")

    history = fitted(model, data, epochs=12, batch=4, lr=0.01, colour=0.0, flip=0.0).history

    assert "depth" not in data.splits["train"].targets()
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    # textures are random, so that one image tells nothing: the best answer is the ground at 2 m, as most pixels are
    assert np.median(depths(model, data)) == pytest.approx(2.0, rel=0.15)


def test_what_it_needs_is_said_with_the_setting_that_gives_it():
    model = model_of("monodepth", **SIZE)
    plain = toy_data("depth")["toy"].splits["train"]
    with pytest.raises(DataError, match=r"wanted the input 'right' to train on"):
        model.fit(plain, None, context(epochs=1))
    image = Batch(np.array(["a"]), {"image": np.zeros((1, 32, 32, 3), np.uint8)}, {"intrinsics": np.eye(3)[None]})
    with pytest.raises(DataError) as refused:
        model.predict(image)

    assert str(refused.value) == (
        "monodepth: wanted the fact 'baseline' of each image, got intrinsics; train and test with "
        "data.supervision=stereo."
    )


def test_a_decoder_of_other_levels_than_its_encoder_is_refused():
    with pytest.raises(RequestError, match=r"^monodepth: model.widths: wanted 7 for this backbone, got 5.$"):
        model_of("monodepth", backbone="monodepth")


def test_pairs_of_unequal_size_are_learned_from_and_answered():
    data = toy_data("depth")[PAIRS]
    train = data.splits["train"]
    batch, _ = train.read(slice(0, 4))
    views = {name: [one[: 48 - 8 * place] for place, one in enumerate(column)] for name, column in batch.inputs.items()}
    model = model_of("monodepth", **SIZE)

    report = model.fit(ArraySplit("train", views, {}, meta=dict(batch.meta)), None, context(epochs=1, batch=2))

    assert np.isfinite(report.history["loss"]).all()
