"""Eigenfaces against the singular value decomposition, Fisherfaces against the criterion they maximise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.fitting import context, images_batch

from mlcvbench.contract import ArraySplit, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.storage import cache
from mlcvbench.testing import assert_conforms
from mlcvbench_baselines.eigenfaces import Eigenfaces, Fisherfaces, eigenfaces
from mlcvbench_baselines.pixel_distance import PixelDistance
from mlcvbench_verification.faces import load_faces
from mlcvbench_verification.scoring import scorer_of

PROBLEM = Problem("verification", (), {"image": InputSpec((None, None, 3))})
PCA = {"side": 8, "components": 5, "drop": 0, "whiten": False, "distance": "l2"}
LDA = {"side": 8, "eigenfaces": 20, "components": 4, "distance": "cosine"}
SMALL = {"level": "easy", "size": 32, "shots": 6, "train": 40, "val": 5, "test": 60}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield load_faces(SMALL, 0)


def grey_split(count=40, people=8, seed=0):
    """Return grey 8x8 images of `people`, each around a picture of its own."""
    rng = np.random.default_rng(seed)
    identity = np.arange(count) % people
    images = rng.integers(60, 190, (people, 8, 8))[identity] + rng.integers(-40, 41, (count, 8, 8))
    return ArraySplit("train", {"image": images.astype(np.uint8)}, {"identity": identity})


def fit(kind, train, **params):
    model = kind(PROBLEM, **({**PCA, **params} if kind is Eigenfaces else {**LDA, **params}))
    model.fit(train, None, context())
    return model


def embed(model, split):
    return model.predict(images_batch(split.read(slice(None))[0].inputs["image"]))["embedding"]


def rows_of(split):
    images = split.read(slice(None))[0].inputs["image"]
    return images.reshape(len(images), -1) / 255.0


def auc(model, split):
    model_says = model.predict(split.read(slice(None))[0])
    predictions = {**model_says, "distance": np.full(len(split), model_says["distance"])}
    scorer = scorer_of("pairs/declared@1")
    return scorer.summarise(scorer.rows(predictions, split.targets(), np.arange(len(split))))["auc"]


@pytest.mark.parametrize("count", [20, 40, 150])
@pytest.mark.parametrize(("drop", "whiten"), [(0, False), (2, False), (2, True)])
def test_coordinates_are_those_of_the_singular_value_decomposition(count, drop, whiten):
    """Fewer images than pixels, and more."""
    train, other = grey_split(count), grey_split(30, seed=1)
    rows = rows_of(train)
    _, values, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    wanted = (rows_of(other) - rows.mean(axis=0)) @ directions[drop : drop + 5].T
    if whiten:
        wanted /= values[drop : drop + 5] / np.sqrt(count - 1)

    found = embed(fit(Eigenfaces, train, drop=drop, whiten=whiten), other)

    assert found.dtype == np.float32
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), rtol=1e-3, atol=2e-5)


def test_whitened_training_faces_scatter_alike_in_all_directions():
    train = grey_split(60)

    coordinates = embed(fit(Eigenfaces, train, whiten=True), train)

    np.testing.assert_allclose(np.cov(coordinates.T), np.eye(5), atol=1e-4)


def test_all_plain_eigenfaces_keep_the_distances_of_the_pixels():
    train = grey_split(20)
    rows = rows_of(train)

    coordinates = embed(fit(Eigenfaces, train, components=64), train)

    assert coordinates.shape == (20, 19)
    np.testing.assert_allclose(
        np.linalg.norm(coordinates[0] - coordinates, axis=1), np.linalg.norm(rows[0] - rows, axis=1), atol=1e-5
    )


def test_directions_without_any_spread_are_left_out():
    train = grey_split(6)
    twice = ArraySplit(
        "train",
        {"image": np.concatenate([train.read(slice(None))[0].inputs["image"]] * 2)},
        {"identity": np.arange(12) % 6},
    )

    assert embed(fit(Eigenfaces, twice, components=50, whiten=True), train).shape == (6, 5)
    assert eigenfaces(np.full((4, 9), 0.3, np.float32), 3)[1].shape == (0, 9)


def test_fisherfaces_are_the_directions_that_maximise_fishers_ratio():
    """Generalised eigenvectors of the scatters between and within people; the scatter within people is scaled to 1."""
    from scipy.linalg import eigh

    train = grey_split(80, people=8)
    rows, identity = rows_of(train), train.targets()["identity"]
    _, _, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    basis = directions[:20]
    coordinates = (rows - rows.mean(axis=0)) @ basis.T
    means = np.array([coordinates[identity == person].mean(axis=0) for person in range(8)])
    inner = coordinates - means[identity]
    within = inner.T @ inner
    between = (means[identity] - coordinates.mean(axis=0)).T @ (means[identity] - coordinates.mean(axis=0))
    ratios, vectors = eigh(between, within)
    wanted = coordinates @ vectors[:, ::-1][:, :4] * np.sqrt(80)

    found = embed(fit(Fisherfaces, train), train)

    assert ratios[-4] > 1e-3
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), rtol=1e-3, atol=1e-3)


def test_at_most_people_minus_one_discriminants_exist():
    train = grey_split(30, people=3)

    assert embed(fit(Fisherfaces, train, components=10), train).shape == (30, 2)


def test_pictures_of_any_size_and_colour_are_shrunk_to_grey():
    model = fit(Eigenfaces, grey_split())
    grey = np.random.default_rng(3).integers(0, 256, (16, 24), np.uint8)
    small = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA)

    embedding = model.predict(images_batch([grey, np.repeat(grey[..., None], 3, axis=2), small]))["embedding"]

    np.testing.assert_array_equal(embedding[0], embedding[2])
    np.testing.assert_allclose(embedding[0], embedding[1], atol=0.05)


def test_the_mean_face_itself_has_a_direction_for_cosine():
    images = np.array([[[0, 200]], [[200, 0]]], np.uint8).repeat(2, axis=1)
    train = ArraySplit("train", {"image": images}, {"identity": np.array([0, 1])})

    model = fit(Eigenfaces, train, side=2, distance="cosine")

    assert model.predict(images_batch(np.full((1, 2, 2), 100, np.uint8)))["embedding"].all()


@pytest.mark.parametrize(
    ("kind", "count", "people", "params", "message"),
    [
        (Eigenfaces, 4, 4, {"drop": 3}, "eigenfaces: split 'train' spans 3 eigenfaces, of which drop=3 leaves none."),
        (Eigenfaces, 1, 1, {}, "eigenfaces: split 'train' spans 0 eigenfaces, of which drop=0 leaves none."),
        (Eigenfaces, 0, 1, {}, "eigenfaces: split 'train' has no images."),
        (
            Fisherfaces,
            5,
            5,
            {},
            "fisherfaces: split 'train' has 5 images of 5 people; wanted two people or more, and two images of "
            "at least one.",
        ),
        (
            Fisherfaces,
            5,
            1,
            {},
            "fisherfaces: split 'train' has 5 images of 1 people; wanted two people or more, and two images of "
            "at least one.",
        ),
    ],
)
def test_training_faces_that_span_nothing_are_refused(kind, count, people, params, message):
    train = grey_split(8, people).take(range(count), "train")

    with pytest.raises(DataError) as caught:
        fit(kind, train, **params)

    assert str(caught.value) == message


def test_equal_faces_have_no_fisherfaces():
    train = ArraySplit("train", {"image": np.full((4, 8, 8), 7, np.uint8)}, {"identity": np.array([0, 0, 1, 1])})

    with pytest.raises(DataError) as caught:
        fit(Fisherfaces, train)

    assert str(caught.value) == "fisherfaces: all images of split 'train' are equal."


@pytest.mark.parametrize("kind", [Eigenfaces, Fisherfaces])
def test_what_is_saved_and_loaded_embeds_the_same(kind, tmp_path):
    train = grey_split()
    model = fit(kind, train)
    model.save(tmp_path)
    again = kind(PROBLEM, **model.params)

    again.load(tmp_path)

    np.testing.assert_array_equal(embed(again, train), embed(model, train))
    size = embed(model, train).shape[1]
    assert model.operations(None).macs == 64 * size
    assert (model.parameters().trainable, model.parameters().bytes) == (64 * (size + 1), 4 * 64 * (size + 1))


def test_a_stored_subspace_of_another_size_is_refused(tmp_path):
    fit(Eigenfaces, grey_split()).save(tmp_path)

    with pytest.raises(RecordError) as caught:
        Eigenfaces(PROBLEM, **{**PCA, "side": 9}).load(tmp_path)

    assert str(caught.value) == (
        "subspace.safetensors: wanted a mean and at least one direction of 81 pixels, got (64,) and (5, 64)."
    )


@pytest.mark.parametrize("name", ["eigenfaces", "fisherfaces", "pixel_distance"])
def test_the_methods_keep_the_contract(name, data):
    assert_conforms(name, "verification", data=data)


def test_fisherfaces_rank_above_eigenfaces_above_pixels(data):
    train, test = data.splits["train"], data.splits["test"]
    pixels = PixelDistance(PROBLEM, side=32, distance="cosine")
    eigen = fit(Eigenfaces, train, side=32, components=12, drop=1, whiten=True, distance="cosine")
    fisher = fit(Fisherfaces, train, side=32, eigenfaces=120, components=10)

    areas = [auc(model, test) for model in (pixels, eigen, fisher)]

    assert areas[0] + 0.04 < areas[1] < areas[2] - 0.04
    assert 0.6 < areas[0] < 0.8
