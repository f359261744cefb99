"""OpenCV's matchers give OpenCV's own figures on the motorcycle, and the floor gives its own."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, Problem
from mlcvbench.errors import DataError, RequestError
from mlcvbench.running.scoring import tabulate
from mlcvbench_baselines.constant_depth import ConstantDepth, MedianDepth, constant_depth
from mlcvbench_depth.motorcycle import load_motorcycle
from mlcvbench_depth.task import DepthTask
from mlcvbench_stereo import mlcvbench_models
from mlcvbench_stereo.opencv import BlockMatching, SemiGlobalMatching

SPECS = {spec.name: spec for spec in mlcvbench_models()}


@pytest.fixture(scope="module")
def motorcycle():
    return load_motorcycle({"disparities": 64}, 0)


def defaults(name):
    return {param.name: param.default for param in SPECS[name].params}


def values_of(data, model, protocol):
    model.to(Device(threads=2))
    task, test = DepthTask(), data.splits["test"]
    batch = next(test.inputs(1))
    predictions = task.check(model.predict(batch), batch.ids, data.problem)
    scorer = task.scorer(protocol, data.problem)
    return scorer.summarise(tabulate(scorer, predictions, test.targets(), 1))


def test_the_pair_is_the_published_one(motorcycle):
    batch, targets = motorcycle.splits["test"].read([0])

    assert batch.inputs["left"].shape == (1, 500, 741, 3)
    assert (targets["disparity"] > 0).mean() == pytest.approx(0.9265, abs=5e-5)
    assert targets["disparity"].max() == pytest.approx(59.909, abs=1e-3)
    assert batch.meta["intrinsics"][0][0, 0] == 994.978


def test_block_matching_gives_opencvs_figures(motorcycle):
    model = BlockMatching(motorcycle.problem, **defaults("block_matching") | {"widen": False})

    values = values_of(motorcycle, model, "stereo/all@1")
    dense = values_of(motorcycle, model, "stereo/holes-bad@1")

    assert values["density"] == pytest.approx(0.784, abs=5e-4)
    assert values["epe"] == pytest.approx(1.207, abs=5e-4)
    assert values["bad_2"] == pytest.approx(0.0690, abs=5e-5)
    assert dense["bad_2"] == pytest.approx(0.2702, abs=5e-5)


@pytest.mark.parametrize(
    ("mode", "density", "epe", "bad"), [("sgbm", 0.8705, 1.093, 0.0620), ("hh", 0.8696, 1.042, 0.0599)]
)
def test_sgm_gives_opencvs_figures(motorcycle, mode, density, epe, bad):
    model = SemiGlobalMatching(motorcycle.problem, **defaults("sgm") | {"mode": mode, "widen": False})

    values = values_of(motorcycle, model, "stereo/all@1")

    assert values["density"] == pytest.approx(density, abs=5.1e-5)
    assert values["epe"] == pytest.approx(epe, abs=5e-4)
    assert values["bad_2"] == pytest.approx(bad, abs=5e-5)


def test_widened_images_have_estimates_on_the_left_too_and_the_others_stay(motorcycle):
    batch = next(motorcycle.splits["test"].inputs(1))
    plain, widened = (
        BlockMatching(motorcycle.problem, **defaults("block_matching") | {"widen": widen}) for widen in (False, True)
    )
    alone, more = plain.predict(batch)["disparity"][0], widened.predict(batch)["disparity"][0]

    assert alone.shape == more.shape == (500, 741)
    assert not alone[:, :64].any()
    assert (more[:, 16:64] > 0).mean() > 0.5
    assert np.array_equal(more[:, 64 + 8 :], alone[:, 64 + 8 :])  # a window beyond


def test_widening_costs_sgm_nothing_and_gives_density(motorcycle):
    protocol = "stereo/holes-bad@1"
    plain, widened = (
        values_of(motorcycle, SemiGlobalMatching(motorcycle.problem, **defaults("sgm") | {"widen": widen}), protocol)
        for widen in (False, True)
    )

    assert widened["density"] > plain["density"] + 0.02
    assert widened["bad_2"] < plain["bad_2"] - 0.02


def test_a_constant_disparity_is_far_off(motorcycle):
    median = values_of(motorcycle, constant_depth(motorcycle.problem, value=38.733315), "stereo/all@1")
    middle = values_of(motorcycle, constant_depth(motorcycle.problem, value=None), "stereo/all@1")

    assert median["epe"] == pytest.approx(14.79, abs=5e-3)
    assert 14.79 < middle["epe"] < 16
    assert middle["density"] == 1.0


def test_the_median_depth_is_learned_from_known_training_pixels_and_saved(tmp_path):
    problem = Problem("depth", (), {}, {"field": "depth"})
    images = np.zeros((2, 2, 2, 3), np.uint8)
    depth = np.array([[[0, 2], [4, 0]], [[6, 8], [10, 0]]], np.float32)
    model = constant_depth(problem, value=None)
    assert isinstance(model, MedianDepth)

    model.fit(ArraySplit("train", {"image": images}, {"depth": depth}), None, FitContext(0, Device()))
    model.save(tmp_path)
    again = constant_depth(problem, value=None)
    again.load(tmp_path)

    batch = Batch(np.array(["a"]), {"image": images[:1]})
    assert again.predict(batch)["depth"][0].tolist() == [[6, 6], [6, 6]]
    assert model.parameters().trainable == 1


def test_training_maps_without_a_known_pixel_are_refused():
    model = constant_depth(Problem("depth", (), {}, {"field": "depth"}), value=None)
    train = ArraySplit("train", {"image": np.zeros((1, 2, 2), np.uint8)}, {"depth": np.zeros((1, 2, 2), np.float32)})

    with pytest.raises(DataError) as caught:
        model.fit(train, None, FitContext(0, Device()))

    assert str(caught.value) == "constant_depth: split 'train' has no known depth."


@pytest.mark.parametrize(
    ("name", "kind", "changes", "said"),
    [
        ("sgm", SemiGlobalMatching, {"disparities": 60}, "sgm: disparities=60: wanted a multiple of 16."),
        ("sgm", SemiGlobalMatching, {"block": 4}, "sgm: block=4: wanted an odd number."),
        ("sgm", SemiGlobalMatching, {"p1": 9, "p2": 9}, "sgm: p1=9, p2=9: wanted p2 larger than p1."),
        ("block_matching", BlockMatching, {"block": 8}, "block_matching: block=8: wanted an odd number."),
    ],
)
def test_settings_that_opencv_would_misread_are_refused(motorcycle, name, kind, changes, said):
    with pytest.raises(RequestError) as caught:
        kind(motorcycle.problem, **defaults(name) | changes)

    assert str(caught.value) == said


def test_a_trusted_zero_disparity_is_an_estimate_and_a_negative_one_is_none(motorcycle):
    model = BlockMatching(motorcycle.problem, **defaults("block_matching") | {"widen": False})

    pixels = model.postprocess([np.int16([[-16, 0, 24]])], None)["disparity"][0]

    assert pixels.tolist() == [[0.0, 1 / 256, 1.5]]


def test_operations_name_what_is_compared(motorcycle):
    model = SemiGlobalMatching(motorcycle.problem, **defaults("sgm"))
    grey = [(np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8))]

    operations = model.operations(grey)

    assert operations.macs is None
    assert operations.other_ops == {"matching_costs": 12_800, "path_updates": 64_000}


def test_a_constant_needs_no_training_data(motorcycle):
    assert type(constant_depth(motorcycle.problem, value=None)) is ConstantDepth
