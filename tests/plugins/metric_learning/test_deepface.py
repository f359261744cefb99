"""DeepFace: the layers of its figure, features over their largest training value, the learned distance folded in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.embedding import model_of, multiply_adds, photos
from support.fitting import context, images_batch

from mlcvbench.errors import RequestError
from mlcvbench_metric_learning.deepface import LEAST, DeepFaceNetwork
from mlcvbench_metric_learning.limits import maps_of
from mlcvbench_metric_learning.local_layer import LocallyConnected

PUBLISHED = (3, 152, (11, 9, 9, 7, 5), (32, 16), 4096, 0.5)


@pytest.fixture(scope="module")
def fitted():
    model = model_of("deepface", size=32, dimensions=24)
    model.fit(photos(), None, context(epochs=8, batch=12, lr=0.003))
    return model


def test_the_published_network_has_the_parameters_of_its_layers():
    with torch.device("meta"):
        network, classes = DeepFaceNetwork(*PUBLISHED), torch.nn.Linear(4096, 4030)

    layers = [part for part in network.layers if any(True for _ in part.parameters())]
    counts = [sum(tensor.numel() for tensor in part.parameters()) for part in layers]
    assert counts == [11_648, 41_488, 62_774_800, 7_850_000, 2_829_456, 28_905_472]
    assert sum(counts) == 102_412_864
    assert sum(counts) + sum(part.numel() for part in classes.parameters()) == 118_923_774  # "more than 120 million"
    assert sum(isinstance(part, LocallyConnected) for part in layers) == 3


def test_the_maps_have_the_sides_of_the_figure():
    assert maps_of(152, [11, 9, 9, 7, 5]) == [71, 63, 55, 25, 21]


def test_the_published_network_makes_the_multiply_adds_of_its_layers():
    with torch.device("meta"):
        network = DeepFaceNetwork(*PUBLISHED)

    assert multiply_adds(network, 152) == 501_117_568


def test_features_are_divided_by_their_largest_training_value_and_have_length_1(fitted):
    batch = images_batch(photos().arrays()[0]["image"])
    with torch.no_grad():
        found = fitted.module.features(fitted.preprocess(batch))

    largest = found.amax(0).clamp(min=LEAST)
    assert torch.allclose(fitted.module.largest, largest, rtol=1e-4)
    wanted = torch.nn.functional.normalize(found / largest, dim=1) * fitted.module.alpha
    assert fitted.predict(batch)["embedding"] == pytest.approx(wanted.numpy(), abs=1e-5)
    assert fitted.predict(batch)["distance"] == "l1"


def test_the_weights_of_the_distance_were_learned_and_are_none_below_0(fitted):
    alpha = fitted.module.alpha

    assert not torch.equal(alpha, torch.ones_like(alpha))
    assert (alpha >= 0).all()


def test_what_was_learned_after_the_training_is_stored_too(fitted, tmp_path):
    fitted.save(tmp_path)

    again = model_of("deepface", size=32, dimensions=24)
    again.load(tmp_path)

    batch = images_batch(photos(seed=3).arrays()[0]["image"])
    assert np.array_equal(again.predict(batch)["embedding"], fitted.predict(batch)["embedding"])


def test_without_alignment_faces_stay_where_they_are():
    model = model_of("deepface", size=32, dimensions=24, align=False)
    model.fit(photos(), None, context(epochs=1, batch=12))
    images = photos().arrays()[0]["image"][:3]

    assert model.preprocess(images_batch(images)).numpy() == pytest.approx(images.transpose(0, 3, 1, 2) / 255)


def test_kernels_that_leave_nothing_are_refused_with_what_to_set():
    with pytest.raises(RequestError, match=r"^deepface: kernels \[11,9,9,7,5\] leave nothing of model\.size=64; set"):
        maps_of(64, [11, 9, 9, 7, 5])
