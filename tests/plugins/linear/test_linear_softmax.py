"""Softmax regression: scikit-learn's minimum, its reference accuracy, folding, other optimizers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from support.fitting import context, digits, fitted, percent_right, problem, report_of, scores_of, split
from support.runs import config_for

from mlcvbench.contract import FitContext, InputSpec, Problem
from mlcvbench.contract.model import Device
from mlcvbench.errors import DataError, RequestError
from mlcvbench.running import stages
from mlcvbench_linear import mlcvbench_models, softmax
from mlcvbench_linear.least_squares import LinearLeastSquares
from mlcvbench_linear.softmax import LinearSoftmax, minimise
from mlcvbench_training.settings import Settings

SHAPE = np.zeros((1, 8, 8))


def test_the_plugin_declares_linear_softmax_with_a_full_batch_default():
    spec = mlcvbench_models()[0]
    defaults = {param.name: param.default for param in spec.fit}

    assert (spec.name, defaults["optimizer"], defaults["l2"]) == ("linear_softmax", "lbfgs", 1e-3)
    assert "augmentation" not in defaults
    assert [(param.name, param.default) for param in spec.params] == [("features", "pixels"), ("standardise", True)]


def test_the_minimum_is_scikit_learns(monkeypatch):
    monkeypatch.setattr(softmax, "CONVERGED", 1e-8)
    train, test = digits()
    pixels, labels = (train.arrays()[0]["image"] / 255.0).reshape(1000, -1), train.targets()["label"]
    images = test.arrays()[0]["image"]
    scaler = StandardScaler().fit(pixels)
    oracle = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(scaler.transform(pixels), labels)

    model = fitted(LinearSoftmax(problem(SHAPE)), train, l2=1 / 1000, epochs=2000)

    scores = torch.from_numpy(scores_of(model, images)).softmax(1).numpy()
    theirs = oracle.predict_proba(scaler.transform((images / 255.0).reshape(797, -1)))
    assert np.abs(scores - theirs).max() < 1e-4
    assert percent_right(model, test) == pytest.approx(93.22, abs=0.3)


def test_digits_in_sixteenths_have_the_reference_accuracy_at_c_1():
    train, test = digits()
    known, unknown = (torch.from_numpy(part.arrays()[0]["image"] / 16.0).flatten(1) for part in (train, test))
    labels, truth = (torch.from_numpy(part.targets()["label"]) for part in (train, test))
    linear = torch.nn.Linear(64, 10).double()
    torch.nn.init.zeros_(linear.weight)

    minimise(linear, known, labels, Settings(l2=1 / 1000, epochs=500), context())

    right = int((linear(unknown).argmax(1) == truth).sum())
    assert round(100 * right / 797, 2) == 93.22


def test_a_run_on_pixels_as_they_are_has_it_too(tmp_path):
    # The bench's digits are grey levels 0..16 times 15, over 255: 16/17 of those above, hence lambda (16/17)^2.
    config = config_for("model=linear_softmax", "model.standardise=false", "fit.l2=0.000886", "fit.epochs=500")

    record = stages.execute(config, tmp_path)

    assert round(100 * (record.metrics["top1"].value or 0), 2) == 93.22


def test_the_bias_is_not_penalised():
    labels = np.repeat([0, 1, 1, 1], 10)
    images = np.random.default_rng(0).integers(0, 255, (40, 2, 2), dtype=np.uint8)

    model = fitted(LinearSoftmax(problem(images, 2)), split(images, labels), l2=1e6, epochs=200)

    shares = torch.from_numpy(scores_of(model, images)).softmax(1)
    assert shares.numpy() == pytest.approx(np.tile([0.25, 0.75], (40, 1)), abs=1e-3)


@pytest.mark.parametrize("settings", [{"optimizer": "lbfgs", "epochs": 500}, {"optimizer": "newton", "damping": 0.0}])
def test_the_squared_loss_has_the_minimum_of_least_squares(settings):
    train, test = digits()
    images = test.arrays()[0]["image"]

    model = LinearSoftmax(problem(SHAPE))
    report = report_of(model, train, **{"loss": "squared", "l2": 1e-7, "epochs": 3, **settings})

    closed = fitted(LinearLeastSquares(problem(SHAPE)), train)
    assert np.allclose(scores_of(model, images), scores_of(closed, images), atol=2e-3)
    if settings["optimizer"] == "newton":  # one step; at the second the gradient is nil
        assert report.epochs == 2
        assert report.history["loss"][0] == pytest.approx(1.0)


def test_newton_refuses_a_hessian_beyond_the_memory_of_a_machine():
    images = np.zeros((20, 32, 32), np.uint8)

    with pytest.raises(RequestError) as error:
        fitted(LinearSoftmax(problem(images)), split(images, np.arange(20) % 10), optimizer="newton")

    assert str(error.value) == (
        "fit.optimizer=newton: the Hessian of 10,250 parameters is too large; the most is 10,000."
    )


def test_newton_goes_to_scikit_learns_minimum():
    train, test = digits()
    train = train.take(range(300))
    pixels, labels = (train.arrays()[0]["image"] / 255.0).reshape(300, -1), train.targets()["label"]
    images = test.arrays()[0]["image"]
    scaler = StandardScaler().fit(pixels)
    oracle = LogisticRegression(C=1 / (300 * 0.05), solver="newton-cholesky", tol=1e-9)
    oracle.fit(scaler.transform(pixels), labels)

    model = LinearSoftmax(problem(SHAPE))
    report = report_of(model, train, optimizer="newton", l2=0.05, damping=1e-6, batch=150, epochs=30)

    scores = torch.from_numpy(scores_of(model, images)).softmax(1).numpy()
    theirs = oracle.predict_proba(scaler.transform((images / 255.0).reshape(797, -1)))
    assert np.abs(scores - theirs).max() < 1e-4
    assert report.history["loss"][0] == pytest.approx(np.log(10))
    assert report.epochs is not None
    assert report.epochs < 12


def test_l2_means_the_same_under_every_optimizer():
    train, test = digits()
    images = test.arrays()[0]["image"]
    minimum = fitted(LinearSoftmax(problem(SHAPE)), train, l2=0.1, epochs=300)

    walked = fitted(LinearSoftmax(problem(SHAPE)), train, optimizer="nesterov", l2=0.1, lr=0.1, batch=500, epochs=150)

    one, other = (torch.from_numpy(scores_of(model, images)).softmax(1) for model in (minimum, walked))
    assert float((one - other).abs().max()) < 5e-3


def test_digits_have_650_parameters_and_no_buffers():
    counts = fitted(LinearSoftmax(problem(SHAPE)), digits()[0], epochs=2).parameters()

    assert (counts.trainable, counts.buffers, counts.bytes) == (650, 0, 2600)


def test_cifar_images_have_30730_parameters():
    cifar = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((32, 32, 3))})

    assert LinearSoftmax(cifar).parameters().trainable == 30_730


def test_the_full_batch_result_does_not_depend_on_the_seed_and_repeats_bit_for_bit():
    train, _ = digits()

    hashes = set()
    for seed in (0, 0, 1):
        model = fitted(LinearSoftmax(problem(SHAPE)), train, seed, epochs=20)
        hashes.add(hashlib.sha256(model.module[1].weight.detach().numpy().tobytes()).hexdigest())

    assert len(hashes) == 1


def test_the_history_has_an_entry_a_pass_and_starts_at_the_loss_of_no_weights():
    report = report_of(LinearSoftmax(problem(SHAPE)), digits()[0], epochs=30)

    assert report.epochs == len(report.history["loss"]) == len(report.history["train_accuracy"])
    assert report.epochs == pytest.approx(30, abs=2)
    assert report.history["loss"][0] == pytest.approx(np.log(10))
    assert report.history["loss"][-1] < 0.1


def test_the_passes_stop_at_the_minimum():
    report = report_of(LinearSoftmax(problem(SHAPE)), digits()[0], l2=0.1, epochs=1000)

    assert report.epochs is not None
    assert report.epochs < 100


@pytest.mark.parametrize(("optimizer", "lr"), [("momentum", 0.05), ("adam", 0.01)])
def test_mini_batches_come_near_the_same_accuracy(optimizer, lr):
    train, test = digits()

    model = fitted(LinearSoftmax(problem(SHAPE)), train, optimizer=optimizer, lr=lr, epochs=20)

    assert percent_right(model, test) > 91.5


def test_a_budget_ends_the_fit_after_ten_iterations():
    ctx = FitContext(seed=0, device=Device(), budget=0.0)

    report = LinearSoftmax(problem(SHAPE)).fit(digits()[0], None, ctx)

    assert report.epochs == pytest.approx(12, abs=3)
    assert report.cut_short
    assert not LinearSoftmax(problem(SHAPE)).fit(digits()[0], None, context(0)).cut_short


def test_colour_images_and_constant_pixels_are_fitted():
    rng = np.random.default_rng(0)
    images = np.full((40, 2, 2, 3), 9, np.uint8)
    images[:, 0, 0, 1] = rng.permutation(np.repeat([0, 200], 20))
    labels = images[:, 0, 0, 1] > 0

    model = fitted(LinearSoftmax(problem(images, 2)), split(images, labels))

    assert np.isfinite(scores_of(model, images)).all()
    assert percent_right(model, split(images, labels)) == 100


def test_what_is_saved_and_loaded_predicts_the_same(tmp_path):
    train, test = digits()
    images = test.arrays()[0]["image"]
    model, again = fitted(LinearSoftmax(problem(SHAPE)), train, epochs=5), LinearSoftmax(problem(SHAPE))

    model.save(tmp_path)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))
    assert scores_of(again, images[:0]).shape == (0, 10)


def test_images_without_one_size_are_refused():
    model = LinearSoftmax(Problem("classification", ("a", "b"), {"image": InputSpec((None, None, 3))}))

    with pytest.raises(DataError) as error:
        model.fit(split(np.zeros((2, 2, 2, 3), np.uint8), [0, 1]), None, context())

    assert str(error.value) == "linear_softmax needs images of one size, and these differ."
