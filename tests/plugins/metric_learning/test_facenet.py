"""FaceNet: semi-hard triplets of a batch, points of length 1, and the network of its table."""

from __future__ import annotations

import pytest
import torch
from support.embedding import TINY, model_of, multiply_adds, photos
from support.fitting import context, images_batch

from mlcvbench_metric_learning.zeiler_fergus import NN1, Maxout
from mlcvbench_networks.embedding.losses import semi_hard, triplet, triplet_semi_hard
from mlcvbench_training.sample_batch import SampleBatch


def test_it_learns_by_the_semi_hard_triplets_of_the_batch():
    model = model_of("facenet", **TINY, margin=0.3)
    points = torch.nn.functional.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(12) // 4

    told = model.loss(lambda images: points, SampleBatch({"image": torch.zeros(12, 3, 32, 32)}, labels=labels), None)

    assert float(told["loss"]) == float(triplet_semi_hard(points, labels, 0.3))
    assert float(told["triplets"]) == len(semi_hard(points, labels, 0.3)) > 0


def test_embeddings_have_length_1():
    model = model_of("facenet", **TINY)
    model.fit(photos(), None, context(epochs=1, batch=12))

    points = model.predict(images_batch(photos().arrays()[0]["image"]))["embedding"]

    assert (points**2).sum(axis=1) == pytest.approx(1.0)


def test_a_constant_embedding_costs_the_margin_and_without_one_nothing():
    """Erratum E50: a constant does not satisfy the strict inequality, it zeroes the loss without a margin."""
    same = torch.ones(5, 8)

    assert float(triplet(same, same, same, margin=0.2)) == pytest.approx(0.2)
    assert float(triplet(same, same, same, margin=0.0)) == 0.0


def test_the_network_is_that_of_the_table_to_the_parameter():
    with torch.device("meta"):
        network = NN1()

    convolutions = [part for part in network.layers if isinstance(part, torch.nn.Conv2d)]
    weights = [part.weight.numel() for part in convolutions]
    assert [round(count / 1000) for count in weights] == [9, 4, 111, 37, 664, 147, 885, 66, 590, 66, 590]
    assert sum(part.numel() for part in network.parameters()) == 140_025_664  # "140M"


def test_the_network_makes_the_multiply_adds_of_the_table():
    with torch.device("meta"):
        network = NN1()

    assert multiply_adds(network, 220) == pytest.approx(1.6e9, rel=0.03)


def test_a_maxout_is_the_largest_of_its_linear_functions():
    layer, values = Maxout(3, 4), torch.randn(5, 3)

    rows = layer.pieces.weight.view(4, 2, 3)
    wanted = torch.stack([(values @ rows[k].T + layer.pieces.bias.view(4, 2)[k]).amax(1) for k in range(4)], 1)

    assert torch.allclose(layer(values), wanted, atol=1e-6)


def test_the_published_network_embeds_images_of_any_side():
    network = NN1(size=50, dimensions=6).eval()

    with torch.no_grad():
        points = network(torch.rand(2, 3, 50, 50))

    assert points.norm(dim=1).numpy() == pytest.approx(1.0)
