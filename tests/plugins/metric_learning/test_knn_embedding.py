"""Neighbours among learned features: a gallery that changes without training, in verification and classification."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.embedding import model_of, photos, problem
from support.fitting import context, images_batch, split

from mlcvbench.errors import DataError, RecordError, RequestError
from mlcvbench.specs import Chosen
from mlcvbench_metric_learning.gallery import Gallery
from mlcvbench_metric_learning.limits import check_neighbours

SETTINGS = {"size": 32}


def images_of(person, shots=4, seed=7):
    return photos((person,), shots=shots, seed=seed).arrays()[0]["image"]


@pytest.fixture(scope="module")
def fitted():
    model = model_of("knn_embedding", **SETTINGS)
    model.fit(photos(), None, context(epochs=8, batch=12, lr=0.003))
    return model


def test_embeddings_are_the_mean_over_cells_of_the_last_map_at_length_1(fitted):
    batch = images_batch(photos().arrays()[0]["image"])

    points = fitted.predict(batch)["embedding"]

    with torch.no_grad():
        maps = fitted.module.backbone(fitted.preprocess(batch))[-1]
    wanted = torch.nn.functional.normalize(maps.mean((2, 3)), dim=1)
    assert points == pytest.approx(wanted.numpy(), abs=1e-5)
    assert points.shape[1] == 128


def test_users_are_added_and_removed_without_training(fitted):
    before = {name: tensor.clone() for name, tensor in fitted.module.state_dict().items()}
    for person in (100, 200, 300):
        fitted.enrol(person, images_of(person))

    assert fitted.who(images_of(200, seed=9), k=3) == [200] * 4
    fitted.remove(200)
    assert 200 not in fitted.who(images_of(200, seed=9), k=3)
    fitted.enrol("someone new", images_of(400))
    assert fitted.who(images_of(400, seed=9)) == ["someone new"] * 4
    after = fitted.module.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_name_that_is_not_there_cannot_be_removed():
    with pytest.raises(KeyError):
        Gallery().remove("ann")


def test_a_gallery_finds_what_a_loop_finds():
    generator = np.random.default_rng(0)
    known, asked = generator.normal(size=(40, 6)), generator.normal(size=(9, 6))
    gallery = Gallery()
    gallery.extend(list(range(40)), known)

    found = gallery.nearest(asked, 5)

    for row, query in enumerate(asked):
        cosines = [float(query @ one / np.linalg.norm(query) / np.linalg.norm(one)) for one in known]
        wanted = sorted(range(40), key=lambda place: -cosines[place])[:5]
        assert found.places[row].tolist() == wanted
        assert found.similarity[row] == pytest.approx([cosines[place] for place in wanted], abs=1e-6)


def test_the_nearest_by_cosine_is_the_nearest_by_distance_on_unit_vectors():
    generator = np.random.default_rng(1)
    gallery = Gallery()
    gallery.extend(list(range(30)), generator.normal(size=(30, 4)))
    query = generator.normal(size=(1, 4))

    order = gallery.nearest(query, 30).places[0]

    apart = np.linalg.norm(gallery.points - query / np.linalg.norm(query), axis=1)
    assert order.tolist() == np.argsort(apart, kind="stable").tolist()


def test_a_point_of_zeros_is_refused():
    with pytest.raises(ValueError, match="no direction"):
        Gallery().add("ann", np.zeros((1, 3)))


def classes(seed=0, shots=8):
    data = photos((0, 1, 2), shots=shots, seed=seed)
    return split(data.arrays()[0]["image"], data.targets()["identity"])


@pytest.fixture(scope="module")
def classifier():
    model = model_of("knn_embedding", problem(kind="classification", classes=3), **SETTINGS, k=3)
    model.fit(classes(), None, context(epochs=8, batch=12, lr=0.003))
    return model


def test_a_class_is_that_of_the_nearest_training_images(classifier):
    test = classes(seed=5)

    shares = classifier.predict(images_batch(test.arrays()[0]["image"]))["probabilities"]

    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (shares.argmax(axis=1) == test.targets()["label"]).mean() == 1.0
    assert shares.max() == pytest.approx((3 + 1 / 3) / 4)


def test_the_gallery_is_stored_with_the_weights(classifier, tmp_path):
    classifier.save(tmp_path)

    again = model_of("knn_embedding", problem(kind="classification", classes=3), **SETTINGS, k=3)
    again.load(tmp_path)

    batch = images_batch(classes(seed=5).arrays()[0]["image"])
    assert again.predict(batch)["probabilities"].tolist() == classifier.predict(batch)["probabilities"].tolist()
    assert again.parameters() == classifier.parameters()
    assert classifier.parameters().bytes > 24 * 128 * 4


def test_weights_without_a_gallery_are_refused(classifier, tmp_path):
    classifier.save(tmp_path)

    with pytest.raises(RecordError, match=r"^weights\.safetensors: weights alone have no gallery"):
        model_of("knn_embedding", problem(kind="classification", classes=3), **SETTINGS).load(
            tmp_path / "weights.safetensors"
        )


def test_a_schedule_that_goes_by_validation_data_is_refused():
    with pytest.raises(RequestError, match=r"^knn_embedding: fit\.schedule=warmup\+plateau goes by validation data"):
        check_neighbours(Chosen("knn_embedding", "classification", {}, {"schedule": "warmup+plateau"}))


def test_fewer_training_images_than_neighbours_are_refused():
    model = model_of("knn_embedding", problem(kind="classification", classes=3), **SETTINGS, k=25)

    with pytest.raises(DataError, match=r"^knn_embedding: k=25 needs as many training images, got 24; set a smaller"):
        model.fit(classes(), None, context(epochs=1))
