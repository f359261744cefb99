"""Least squares against scikit-learn, the perceptron against its arithmetic and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from support.fitting import digits, fitted, percent_right, problem, scores_of, split

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench_linear.least_squares import LinearLeastSquares
from mlcvbench_linear.mlp import MLP

DIGIT = np.zeros((1, 8, 8))


def test_least_squares_are_scikit_learns():
    train, test = digits()
    images, labels = train.arrays()[0]["image"], train.arrays()[1]["label"]
    unknown = test.arrays()[0]["image"]
    reference = LinearRegression().fit(images.reshape(1000, -1) / 255.0, np.eye(10)[labels])

    model = fitted(LinearLeastSquares(problem(DIGIT)), train)

    assert np.allclose(scores_of(model, unknown), reference.predict(unknown.reshape(797, -1) / 255.0), atol=1e-4)
    assert percent_right(model, test) == pytest.approx(89.08, abs=0.005)


def test_pixels_that_depend_on_one_another_do_not_blow_up_the_weights():
    """A picture beside its negative: rounded to float32, the dependence is lost and the weights reach millions."""
    rng = np.random.default_rng(0)
    left = rng.integers(0, 256, (400, 4, 3), dtype=np.uint8)
    images = np.concatenate([left, 255 - left], axis=2)
    labels = (left.reshape(400, -1)[:, :4].astype(int).sum(1) > 510).astype(int)
    reference = LinearRegression().fit(images.reshape(400, -1) / 255.0, np.eye(2)[labels])

    model = fitted(LinearLeastSquares(problem(images, 2)), split(images, labels))

    assert float(model.module[1].weight.detach().abs().max()) < 2.0
    assert np.allclose(scores_of(model, images), reference.predict(images.reshape(400, -1) / 255.0), atol=1e-4)


def test_least_squares_answer_when_there_are_fewer_images_than_pixels():
    train, test = digits()

    model = fitted(LinearLeastSquares(problem(DIGIT)), train.take(range(40)))

    assert np.isfinite(scores_of(model, test.arrays()[0]["image"])).all()


def test_images_of_several_sizes_are_refused():
    with pytest.raises(DataError, match=r"^linear_least_squares needs images of one size, and these differ\.$"):
        LinearLeastSquares(Problem("classification", ("a", "b"), {"image": InputSpec((None, None))})).build()


def test_the_perceptron_has_the_parameters_of_the_formula():
    cifar = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((32, 32, 3))})

    assert MLP(cifar, hidden=(512,)).parameters().trainable == 1_578_506


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_64_hidden_units_read_digits(activation):
    train, test = digits()

    model = fitted(MLP(problem(DIGIT), hidden=(64,), activation=activation), train, epochs=30, lr=0.01)

    assert percent_right(model, test) > 91.5


def test_64_hidden_units_have_the_reference_accuracy_on_pixels_as_they_are():
    train, test = (split(part.arrays()[0]["image"] * 15, part.targets()["label"]) for part in digits())
    models = [MLP(problem(DIGIT), hidden=(64,), standardise=False) for _ in range(3)]

    ours = [percent_right(fitted(model, train, seed, epochs=100), test) for seed, model in enumerate(models)]

    labels = train.targets()["label"]
    oracle = MLPClassifier((64,), random_state=0, max_iter=1000).fit(sixteenths(train), labels)
    theirs = 100 * oracle.score(sixteenths(test), test.targets()["label"])
    assert np.mean(ours) == pytest.approx(93.95, abs=0.35)  # 93.7 to 94.2, and half a seed's spread
    assert theirs == pytest.approx(93.95, abs=0.35)


def sixteenths(part):
    return part.arrays()[0]["image"].reshape(len(part), -1) / 240.0


@pytest.mark.parametrize(("activation", "bound"), [("relu", np.sqrt(6 / 400)), ("sigmoid", np.sqrt(6 / (400 + 300)))])
def test_relu_layers_start_as_he_and_sigmoid_layers_as_glorot_has_it(activation, bound):
    images = np.zeros((1, 20, 20))

    first = MLP(problem(images), hidden=(300,), activation=activation).build()[1]

    assert float(first.weight.detach().abs().max()) == pytest.approx(bound, rel=1e-3)
    assert float(first.weight.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.01)
    assert not first.bias.any()


def test_without_hidden_layers_it_is_linear():
    import torch

    network = MLP(problem(DIGIT), hidden=()).build()
    a, b = torch.rand(2, 3, 1, 8, 8)

    middle = network((a + b) / 2)

    assert torch.allclose(middle, (network(a) + network(b)) / 2, atol=1e-6)
