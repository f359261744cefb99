"""What holds for every embedder of the family: it learns, takes any image and keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.embedding import SPECS, TINY, model_of, photos, problem
from support.fitting import context, images_batch

from mlcvbench.contract import ArraySplit
from mlcvbench.errors import DataError, RequestError
from mlcvbench.testing import assert_conforms
from mlcvbench_networks.embedding.losses import distances
from mlcvbench_training.padding import resized
from mlcvbench_training.samples import DenseSamples
from mlcvbench_training.settings import NetworkSettings

SMALL = ("knn_embedding", "siamese", "facenet", "deepface", "arcface")
PAIRS = ("siamese", "facenet")


def tiny(name, kind="verification"):
    """Return settings of a network that is small in tests."""
    return {key: value for key, value in TINY.items() if key in {param.name for param in SPECS[name, kind].params}}


@pytest.fixture(scope="module", params=SMALL)
def fitted(request):
    """Return a method after a few steps on four people, and its history."""
    model = model_of(request.param, **tiny(request.param))
    report = model.fit(photos(), None, context(epochs=8, batch=12, lr=0.003))
    return model, report.history


def test_the_methods_are_called_so():
    assert [name for name, kind in SPECS if kind == "verification"] == [
        *("knn_embedding", "siamese", "facenet", "facenet_nn1", "deepface"),
        *("arcface", "arcface_r18", "arcface_r34", "arcface_r50", "arcface_r100"),
    ]
    assert [name for name, kind in SPECS if kind == "classification"] == ["knn_embedding"]


def test_the_loss_falls_over_a_few_steps(fitted):
    _, history = fitted

    assert history["loss"][-1] < history["loss"][0]


def test_people_that_were_never_seen_are_told_apart(fitted):
    model, _ = fitted
    strangers = photos((21, 34, 55), shots=4, seed=1)

    predictions = model.predict(next(strangers.inputs(12)))

    points = torch.from_numpy(predictions["embedding"])
    if predictions["distance"] == "cosine":
        points = torch.nn.functional.normalize(points, dim=1)
    far = torch.cdist(points, points, p=1) if predictions["distance"] == "l1" else distances(points)
    same = torch.arange(3).repeat_interleave(4)[:, None] == torch.arange(3).repeat_interleave(4)
    assert far[same].sum() / (same.sum() - 12) < 0.5 * far[~same].mean()


def test_images_of_any_size_are_embedded_also_together(fitted):
    model, _ = fitted
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((16, 16), (90, 61), (33, 140))]

    together = model.predict(images_batch(images))["embedding"]

    alone = np.concatenate([model.predict(images_batch([one]))["embedding"] for one in images])
    assert together == pytest.approx(alone, abs=1e-4)


def test_an_image_is_seen_at_the_size_of_the_setting():
    model = model_of("arcface", **TINY)

    assert model.preprocess(images_batch(np.zeros((2, 70, 50, 3), np.uint8))).shape == (2, 3, 32, 32)


def test_in_training_images_of_unequal_size_become_squares_each_by_itself():
    images = [np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((40, 64), (20, 30))]
    model = model_of("arcface", problem(None), **TINY)
    split = ArraySplit("train", {"image": images}, {"identity": np.array([7, 9])})
    samples = DenseSamples.of(split, torch.device("cpu"), labels="identity")

    (batch,) = model.objective(samples, NetworkSettings()).read([torch.arange(2)])

    wanted = [resized(torch.from_numpy(image).permute(2, 0, 1) / 255, (32, 32)) for image in images]
    assert torch.allclose(batch.inputs["image"], torch.stack(wanted), atol=1e-6)
    assert batch.labels.tolist() == [0, 1]


@pytest.mark.parametrize("name", PAIRS)
def test_one_person_has_no_pairs_that_teach(name):
    with pytest.raises(DataError, match="wanted at least 2 to learn from pairs"):
        model_of(name, **TINY).fit(photos((3,)), None, context(epochs=1))


@pytest.mark.parametrize("name", PAIRS)
def test_images_of_a_person_in_a_batch_are_a_setting(name):
    assert model_of(name, together=3).TOGETHER == 3
    with pytest.raises(RequestError, match=r"set fit\.batch=12 or more"):
        model_of(name, **TINY, together=6).fit(photos(), None, context(epochs=1, batch=11))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_keeps_the_contract(name):
    assert_conforms(name, "verification", params=tiny(name))


@pytest.mark.slow
def test_the_classifier_by_neighbours_keeps_the_contract():
    assert_conforms("knn_embedding", "classification", params=tiny("knn_embedding", "classification"))
