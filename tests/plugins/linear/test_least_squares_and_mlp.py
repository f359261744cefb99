"""Least squares against scikit-learn, the perceptron against its arithmetic and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from support.fitting import digits, fitted, percent_right, problem, scores_of

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench_linear.least_squares import LinearLeastSquares
from mlcvbench_linear.mlp import MLP

DIGIT = np.zeros((1, 8, 8))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_least_squares_are_scikit_learns():
    train, test = digits()
    images, labels = train.arrays()[0]["image"], train.arrays()[1]["label"]
    unknown = test.arrays()[0]["image"]
    reference = LinearRegression().fit(images.reshape(1000, -1) / 255.0, np.eye(10)[labels])

    model = fitted(LinearLeastSquares(problem(DIGIT)), train)

    assert np.allclose(scores_of(model, unknown), reference.predict(unknown.reshape(797, -1) / 255.0), atol=1e-4)
    assert percent_right(model, test) == pytest.approx(89.08, abs=0.005)


def test_least_squares_answer_when_there_are_fewer_images_than_pixels():
    train, test = digits()

    model = fitted(LinearLeastSquares(problem(DIGIT)), train.take(range(40)))

    assert np.isfinite(scores_of(model, test.arrays()[0]["image"])).all()


def test_images_of_several_sizes_are_refused():
    with pytest.raises(DataError, match=r"^linear_least_squares needs images of one size; set data\.size"):
        LinearLeastSquares(Problem("classification", ("a", "b"), {"image": InputSpec((None, None))})).build()


def test_the_perceptron_has_the_parameters_of_the_formula():
    cifar = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((32, 32, 3))})

    assert MLP(cifar, hidden=(512,)).parameters().trainable == 1_578_506


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_64_hidden_units_read_digits(activation):
    train, test = digits()

    model = fitted(MLP(problem(DIGIT), hidden=(64,), activation=activation), train, epochs=30, lr=0.01)

    assert percent_right(model, test) > 91.5


def test_without_hidden_layers_it_is_linear():
    network = MLP(problem(DIGIT), hidden=()).build()
    a, b = torch.rand(2, 3, 1, 8, 8)

    middle = network((a + b) / 2)

    assert torch.allclose(middle, (network(a) + network(b)) / 2, atol=1e-6)
