"""What holds for every embedder of the family: it learns, takes any image and keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.embedding import SPECS, TINY, model_of, photos, problem
from support.fitting import context, images_batch

from mlcvbench.errors import DataError, RequestError
from mlcvbench.testing import assert_conforms
from mlcvbench_networks.embedding.losses import distances

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


def test_it_learns_from_images_of_unequal_size_each_by_itself():
    split = photos()
    images = [
        np.repeat(np.repeat(image, 1 + place % 2, 0), 1 + place % 2, 1)
        for place, image in enumerate(split.arrays()[0]["image"])
    ]
    ragged = type(split)("train", {"image": images}, {"identity": split.targets()["identity"]})
    plain, mixed = (model_of("arcface", problem(side), **TINY) for side in (32, None))

    reports = [model.fit(data, None, context(epochs=2, batch=12)) for model, data in ((plain, split), (mixed, ragged))]

    assert reports[0].history["loss"] == pytest.approx(reports[1].history["loss"], rel=0.02)  # doubled, then halved


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
