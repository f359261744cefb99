"""The small convolutional network: shape, accuracy, repeatability, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fitting import digits, fitted, percent_right, problem, report_of, scores_of, split
from torch import nn

from mlcvbench.contract import InputSpec, JoinedSplit, Problem
from mlcvbench.errors import DataError
from mlcvbench_classification.embedded import load_mnist5k
from mlcvbench_cnn import mlcvbench_models
from mlcvbench_cnn.small import SmallCNN

DIGIT, MNIST = np.zeros((1, 8, 8)), np.zeros((1, 28, 28))


def weights(model: SmallCNN) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in model.module.state_dict().values())


def test_the_plugin_declares_small_cnn_with_its_settings():
    spec = mlcvbench_models()[0]

    assert (spec.name, [(p.name, p.default) for p in spec.params]) == (
        "small_cnn",
        [("width", 16), ("stages", 3), ("dropout", 0.0), ("norm", "batch"), ("pool", "max")],
    )
    assert {param.name for param in spec.fit} >= {"optimizer", "lr", "batch", "epochs", "schedule", "augmentation"}


def test_the_parameters_are_those_of_the_formula():
    widths = [16, 32, 64]
    convolutions = sum(9 * a * b + 2 * b for a, b in zip([1, 16, 16, 32, 32, 64], np.repeat(widths, 2), strict=True))

    counts = SmallCNN(problem(MNIST)).parameters()

    assert counts.trainable == convolutions + 64 * 10 + 10
    assert counts.buffers == 6 + 2 * 2 * sum(widths) * 1


@pytest.mark.parametrize(
    ("norm", "wanted"),
    [
        ("batch", nn.BatchNorm2d(2)),
        ("layer", nn.LayerNorm((2, 8, 8), elementwise_affine=False)),
        ("channels", nn.LayerNorm(2, eps=1e-6, elementwise_affine=False)),
        ("none", nn.Identity()),
    ],
)
def test_the_norm_is_over_what_it_says(norm, wanted):
    """A fresh norm scales by 1 and adds 0, so that it is the one of torch without either."""
    network = SmallCNN(problem(DIGIT), width=2, stages=1, norm=norm).build()
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    plain = network[0](images)
    got = network[1](plain) if norm != "none" else plain

    last = norm == "channels"
    made = wanted(plain.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if last else wanted(plain)
    assert torch.allclose(got, made, atol=1e-4)
    assert (network[0].bias is None) == (norm != "none")
    assert isinstance(network[1 if norm == "none" else 2], nn.ReLU)


@pytest.mark.parametrize("settings", [{"norm": "layer"}, {"norm": "channels"}, {"norm": "none"}, {"pool": "average"}])
def test_other_norms_and_pools_learn_the_digits_too(settings):
    train, test = digits()

    model = fitted(SmallCNN(problem(DIGIT), **settings), train, epochs=6)

    assert percent_right(model, test) > 88


def test_pools_take_the_largest_or_the_mean_of_two_by_two():
    largest, mean = (SmallCNN(problem(DIGIT), stages=1, pool=pool).build()[6] for pool in ("max", "average"))
    images = torch.arange(16.0).view(1, 1, 4, 4)

    assert largest(images).flatten().tolist() == [5, 7, 13, 15]
    assert mean(images).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_digits_are_recognised_above_97_percent():
    train, test = digits()
    model = SmallCNN(problem(DIGIT))

    report = report_of(model, train)

    assert percent_right(model, test) > 97
    assert report.epochs == 15
    assert not model.module.training


@pytest.mark.slow
def test_mnist5k_is_recognised_at_98_percent():
    data = load_mnist5k({}, 0)
    train = JoinedSplit([data.splits["train"], data.splits["val"]], "train")

    model = fitted(SmallCNN(data.problem), train)

    assert percent_right(model, data.splits["test"]) >= 98


def test_equal_seeds_give_equal_weights_and_others_do_not():
    train, _ = digits()
    small = train.take(range(100))

    one, same, other = (weights(fitted(SmallCNN(problem(DIGIT)), small, seed, epochs=1)) for seed in (0, 0, 1))

    assert one == same
    assert one != other


def test_predictions_hardly_depend_on_the_batch_size_and_an_empty_batch_gives_none():
    train, test = digits()
    images = test.arrays()[0]["image"][:40]
    model = fitted(SmallCNN(problem(DIGIT)), train.take(range(200)), epochs=1)

    one_by_one = np.concatenate([scores_of(model, images[i : i + 1]) for i in range(40)])

    assert np.allclose(scores_of(model, images), one_by_one, atol=1e-4)
    assert scores_of(model, images[:0]).shape == (0, 10)


def test_colour_images_and_uneven_sides_are_accepted():
    images = np.random.default_rng(0).integers(0, 256, (6, 9, 31, 3), dtype=np.uint8)

    model = fitted(SmallCNN(problem(images, 2), width=2), split(images, [0, 1] * 3), epochs=1)

    assert scores_of(model, images).shape == (6, 2)


def test_images_of_several_sizes_train_nothing_but_may_be_told_apart_later():
    model = SmallCNN(Problem("classification", ("a", "b"), {"image": InputSpec((None, None, 3))}), width=2)

    assert scores_of(model, np.zeros((1, 20, 11, 3), np.uint8)).shape == (1, 2)


def test_what_is_saved_and_loaded_predicts_the_same(tmp_path):
    train, test = digits()
    images = test.arrays()[0]["image"][:50]
    model, again = fitted(SmallCNN(problem(DIGIT)), train.take(range(100)), epochs=1), SmallCNN(problem(DIGIT))

    model.save(tmp_path)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))


def test_images_too_small_for_the_stages_are_refused():
    with pytest.raises(DataError) as error:
        SmallCNN(problem(np.zeros((1, 8, 7)))).parameters()

    assert str(error.value) == (
        "small_cnn: 3 stages need images of at least 8 pixels per side, got 8x7; set a smaller model.stages."
    )
