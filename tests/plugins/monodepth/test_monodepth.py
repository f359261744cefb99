"""Depth from one image: a prior that is a mean, and a ridge regression held to scikit-learn's."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RequestError
from mlcvbench_monodepth import mlcvbench_models
from mlcvbench_monodepth.depth_prior import DepthPrior
from mlcvbench_monodepth.patch_depth import FEATURES, Moments, PatchDepth, responses

PROBLEM = Problem("depth", (), {"image": InputSpec((32, 48, 3))}, {"field": "depth"})
CONTEXT = FitContext(seed=0, device=Device())
SETTINGS = {"size": [32, 48], "cell": 4, "penalty": 1.0}


def split(images, depths, name="train") -> ArraySplit:
    targets = {} if depths is None else {"depth": depths}
    return ArraySplit(name, {"image": images}, targets)


def noise(count: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 48, 3), dtype=np.uint8)


def textured(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images whose left part is as grainy as it is near, and their depths."""
    rng = np.random.default_rng(seed)
    depth = np.repeat(np.repeat(rng.uniform(2, 8, (count, 2, 3)), 16, axis=1), 16, axis=2).astype(np.float32)
    grain = rng.normal(0, 1, (count, 32, 48)) * 120 / depth
    grey = np.clip(128 + grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3), depth


def test_the_hooks_declare_all_methods():
    assert [spec.name for spec in mlcvbench_models()] == [
        "depth_prior",
        "patch_depth",
        "eigen",
        "depth_encoder_decoder",
        "monodepth",
        "monodepth2",
    ]


def test_the_prior_is_the_geometric_mean_of_what_is_known_at_each_place():
    depths = np.full((2, 32, 48), 2.0, dtype=np.float32)
    depths[1] = 8.0
    depths[1, :16] = 0.0
    model = DepthPrior(PROBLEM, size=[32, 48])
    model.fit(split(noise(2), depths), None, CONTEXT)

    answer = model.predict(Batch(np.array(["a"]), {"image": noise(1)}))["depth"][0]

    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer[:16], 2.0, rtol=1e-6)
    np.testing.assert_allclose(answer[17:], 4.0, rtol=1e-6)


def test_images_of_any_size_share_one_prior():
    maps = [np.linspace(1, 5, height * 20, dtype=np.float32).reshape(height, 20) for height in (40, 80)]
    model = DepthPrior(PROBLEM, size=[16, 16])
    model.fit(split([np.zeros((*one.shape, 3), np.uint8) for one in maps], maps), None, CONTEXT)

    small, large = model.predict(
        Batch(np.array(["a", "b"]), {"image": [np.zeros((40, 20, 3), np.uint8), np.zeros((80, 60), np.uint8)]})
    )["depth"]

    assert (small.shape, large.shape) == ((40, 20), (80, 60))
    np.testing.assert_allclose(cv2.resize(large, (20, 40), interpolation=cv2.INTER_AREA), small, rtol=0.02)
    np.testing.assert_allclose(small, maps[0], rtol=0.1)


def test_the_regression_from_sums_is_scikit_learns_ridge_on_standardised_features():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(1)
    features, values = rng.normal(3, 2, (5, 2, 40, 7)), rng.normal(1, 1, (5, 2, 40))
    values += features[..., 2]
    known = rng.random((5, 2, 40)) < 0.7
    moments = Moments.of(2, 7)
    for one in zip(features, values, known, strict=True):
        moments.add(*one)

    weights, bias = moments.solve(penalty=4.0)

    for row in range(2):
        x, y = features[:, row][known[:, row]], values[:, row][known[:, row]]
        scaler = StandardScaler().fit(x)
        oracle = Ridge(alpha=4.0).fit(scaler.transform(x), y)
        np.testing.assert_allclose(x @ weights[row] + bias[row], oracle.predict(scaler.transform(x)), rtol=1e-9)


def test_a_row_that_is_never_known_answers_the_mean_and_constant_features_nothing():
    moments = Moments.of(2, 3)
    features = np.ones((2, 4, 3))
    moments.add(features, np.full((2, 4), 5.0), np.array([[True] * 4, [False] * 4]))

    weights, bias = moments.solve(penalty=1.0)

    assert not weights.any()
    np.testing.assert_allclose(bias, 5.0)


def test_responses_are_laws_masks_by_direct_convolution():
    image = noise(1)[0]
    light = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 0].astype(float) / 255
    level, edge, spot = np.array([1, 2, 1]), np.array([-1, 0, 1]), np.array([-1, 2, -1])
    padded = np.pad(light, 1, mode="reflect")
    maps = responses(image, (32, 48))

    for place, (across, down) in {1: (level, edge), 3: (edge, level), 5: (edge, spot), 8: (spot, spot)}.items():
        mask = np.outer(down, across)
        direct = sum(mask[r, c] * padded[r : r + 32, c : c + 48] for r in range(3) for c in range(3))
        np.testing.assert_allclose(maps[..., place], np.abs(direct), atol=1e-5)
    assert maps.shape == (32, 48, 11)
    assert maps.max() < 5


def test_patches_learn_what_texture_says_of_depth():
    images, depths = textured(60, 0)
    unseen, truth = textured(20, 1)
    model = PatchDepth(PROBLEM, **SETTINGS)
    prior = DepthPrior(PROBLEM, size=[32, 48])
    for one in (model, prior):
        one.fit(split(images, depths), None, CONTEXT)

    batch = Batch(np.arange(20).astype(str), {"image": unseen})
    errors = [np.mean(np.abs(np.stack(one.predict(batch)["depth"]) - truth) / truth) for one in (model, prior)]

    assert errors[0] < 0.5 * errors[1]


def test_a_batch_answers_as_its_images_do_alone_and_after_saving(tmp_path):
    images, depths = textured(12, 2)
    model = PatchDepth(PROBLEM, **SETTINGS)
    model.fit(split(images, depths), None, CONTEXT)
    whole = model.predict(Batch(np.arange(12).astype(str), {"image": images}))["depth"]
    model.save(tmp_path)
    again = PatchDepth(PROBLEM, **SETTINGS)
    again.load(tmp_path)

    for place in (0, 11):
        one = again.predict(Batch(np.array(["x"]), {"image": images[place : place + 1]}))["depth"][0]
        np.testing.assert_array_equal(one, whole[place])
    assert again.parameters().trainable == 8 * (FEATURES + 1)
    assert again.operations(None).macs == 8 * 12 * FEATURES + 32 * 48 * 54


@pytest.mark.parametrize(("make", "name"), [(DepthPrior, "depth_prior"), (PatchDepth, "patch_depth")])
def test_training_without_depth_is_refused(make, name):
    model = make(PROBLEM, **SETTINGS)
    with pytest.raises(DataError, match=f"^{name}: split 'train' has no measured depth to learn from.$"):
        model.fit(split(noise(), None), None, CONTEXT)
    with pytest.raises(DataError, match=f"^{name}: split 'train' has no known depth.$"):
        model.fit(split(noise(), np.zeros((6, 32, 48), np.float32)), None, CONTEXT)


def test_a_size_that_no_patch_divides_is_refused():
    with pytest.raises(RequestError, match=r"^patch_depth: size=\[32,50\]: wanted multiples of cell=4.$"):
        PatchDepth(PROBLEM, size=[32, 50], cell=4, penalty=1.0)


@pytest.mark.slow
def test_runs_beat_the_constant(tmp_path, monkeypatch):
    from mlcvbench.cli import main

    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    small = ["data.train=24", "data.val=0", "data.test=6", "data.size=[64,64]", "model.size=[64,64]"]
    words = [*small, "time=off", "intervals=off", "threads=1", f"out={tmp_path / 'runs'}"]

    assert main(["run", "task=scenes-mono", *words]) == 0

    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").glob("*/record.json"))]
    error = {record["model"]["name"]: record["metrics"]["abs_rel"]["value"] for record in records}
    assert error["depth_prior"] < 0.5 * error["constant_depth"]
    assert error["patch_depth"] < 0.5 * error["constant_depth"]
