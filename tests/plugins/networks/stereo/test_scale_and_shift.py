"""The loss that takes no notice of scale and shift, against numpy's least squares, medians and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench_networks.stereo.scale_and_shift import (
    aligned,
    gradient_difference,
    scale_and_shift_invariant,
    standardised,
)


def example(seed: int = 0, unknown: float = 0.3, size: tuple[int, int] = (6, 7)) -> tuple[torch.Tensor, ...]:
    """Return prediction, truth float64 (2, 1, H, W) and what is known."""
    rng = np.random.default_rng(seed)
    prediction, truth = (torch.from_numpy(rng.uniform(0.1, 2, (2, 1, *size))) for _ in range(2))
    return prediction, truth, torch.from_numpy(rng.random((2, 1, *size)) >= unknown)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_alignment_is_numpys_least_squares_over_known_pixels(seed):
    prediction, truth, known = example(seed)

    found = aligned(prediction, truth, known)

    for image in range(2):
        x, y = prediction[image][known[image]].numpy(), truth[image][known[image]].numpy()
        (scale, shift), *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)
        assert found[image].numpy() == pytest.approx(scale * prediction[image].numpy() + shift)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_standardised_maps_have_a_median_of_0_and_a_mean_deviation_of_1(seed):
    maps, _, known = example(seed)
    found = standardised(maps, known)

    for image in range(2):
        own = maps[image][known[image]].numpy()
        middle = np.sort(own)[(len(own) - 1) // 2]
        wanted = (maps[image].numpy() - middle) / np.abs(own - middle).mean()
        assert found[image].numpy() == pytest.approx(wanted)


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-50, 50), st.booleans())
@settings(max_examples=40, deadline=None)
def test_scale_and_shift_of_a_prediction_do_not_matter(seed, scale, shift, robust):
    prediction, truth, known = example(seed)

    plain = scale_and_shift_invariant(prediction, truth, known, robust=robust)
    changed = scale_and_shift_invariant(scale * prediction + shift, truth, known, robust=robust)

    assert float(changed) == pytest.approx(float(plain), rel=1e-6)
    exact = scale_and_shift_invariant(scale * truth + shift, truth, known, robust=robust)
    assert float(exact) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("trim", [0.0, 0.2, 0.5])
def test_the_robust_loss_leaves_each_images_largest_residuals_out(trim):
    prediction, truth, known = example(2)
    residual = (standardised(prediction, known) - standardised(truth, known)).abs()
    wanted = []
    for image in range(2):
        own = np.sort(residual[image][known[image]].numpy())
        wanted.append(own[: len(own) - int(trim * len(own))].sum() / (2 * len(own)))

    assert float(scale_and_shift_invariant(prediction, truth, known, trim=trim, gradients=0)) == pytest.approx(
        np.mean(wanted)
    )


def test_an_outlier_of_the_truth_is_trimmed_away_but_moves_least_squares():
    truth = torch.linspace(1, 2, 30, dtype=torch.float64).reshape(1, 1, 5, 6)
    known = torch.ones_like(truth) > 0
    spoilt = truth.clone()
    spoilt[0, 0, 2, 2] = 1000.0

    robust, squares = (
        [float(scale_and_shift_invariant(truth, own, known, robust=robust, gradients=0)) for own in (truth, spoilt)]
        for robust in (True, False)
    )

    assert robust[0] == pytest.approx(squares[0], abs=1e-9) == 0
    assert robust[1] < 1.5
    assert squares[1] > 15


def test_gradients_are_compared_at_four_scales_between_known_neighbours():
    residual, _, known = example(3, size=(9, 11))
    wanted = 0.0
    for step in (1, 2, 4, 8):
        means = []
        for image in range(2):
            values, own = residual[image, 0, ::step, ::step].numpy(), known[image, 0, ::step, ::step].numpy()
            total = 0.0
            for row, column in np.ndindex(values.shape):
                for below, right in ((1, 0), (0, 1)):
                    end = (row + below, column + right)
                    if end[0] < values.shape[0] and end[1] < values.shape[1] and own[row, column] and own[end]:
                        total += abs(values[end] - values[row, column])
            if own.any():
                means.append(total / own.sum())
        wanted += np.mean(means) if means else 0.0

    assert float(gradient_difference(residual, known)) == pytest.approx(wanted)


def test_a_constant_residual_has_no_gradient_difference():
    assert float(gradient_difference(torch.full((1, 1, 9, 9), 3.0), torch.ones(1, 1, 9, 9) > 0)) == 0.0


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("count", [0, 2])
def test_of_nothing_known_the_loss_is_0_and_its_gradient_zeros(robust, count):
    prediction = torch.rand(count, 1, 4, 5).requires_grad_()
    unknown = torch.zeros(count, 1, 4, 5, dtype=torch.bool)
    value = scale_and_shift_invariant(prediction, torch.zeros(count, 1, 4, 5), unknown, robust=robust)
    value.backward()

    assert float(value.detach()) == 0.0
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("unknown", [torch.nan, torch.inf, 0.0])
def test_what_stands_for_unknown_reaches_neither_value_nor_gradient(robust, unknown):
    prediction, truth, known = example(8)
    own = prediction.requires_grad_()
    value = scale_and_shift_invariant(own, truth.masked_fill(~known, unknown), known, robust=robust)
    value.backward()

    assert torch.equal(value, scale_and_shift_invariant(own, truth, known, robust=robust))
    assert own.grad is not None
    assert bool((own.grad[~known] == 0).all())
    assert bool(own.grad.isfinite().all())


@pytest.mark.parametrize("robust", [True, False])
def test_an_image_without_truth_does_not_thin_the_others(robust):
    prediction, truth, known = example(4)
    known[1] = False

    assert torch.allclose(
        scale_and_shift_invariant(prediction, truth, known, robust=robust),
        scale_and_shift_invariant(prediction[:1], truth[:1], known[:1], robust=robust),
    )


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1234.5])
def test_a_constant_map_is_aligned_to_the_mean_and_leaves_a_finite_gradient(robust, kind, value):
    _, truth, known = example(5, size=(60, 70))
    prediction = torch.full_like(truth, value, dtype=kind).requires_grad_()
    truth = truth.to(kind)
    loss = scale_and_shift_invariant(prediction, truth, known, robust=robust)
    loss.backward()

    assert bool(loss.isfinite())
    assert prediction.grad is not None
    assert float(prediction.grad.abs().max()) < 10
    mean = torch.stack([own[seen].mean() for own, seen in zip(truth, known, strict=True)])[:, None, None, None]
    torch.testing.assert_close(aligned(prediction, truth, known).detach(), mean.expand_as(truth), rtol=1e-4, atol=1e-5)
    assert bool(scale_and_shift_invariant(truth, prediction.detach(), known, robust=robust).isfinite())


@pytest.mark.parametrize("robust", [True, False])
def test_gradients_are_those_of_central_differences(robust):
    prediction, truth, known = example(6, size=(4, 5))

    assert torch.autograd.gradcheck(
        lambda own: scale_and_shift_invariant(own, truth, known, robust=robust), (prediction.requires_grad_(),)
    )


@pytest.mark.parametrize("robust", [True, False])
def test_half_precision_is_computed_in_float32(robust):
    prediction, truth, known = example(7)
    half, sure = prediction.bfloat16(), truth.float()

    value = scale_and_shift_invariant(half, sure, known, robust=robust)

    assert torch.equal(value, scale_and_shift_invariant(half.float(), sure, known, robust=robust))


def test_maps_of_another_shape_are_refused():
    prediction, truth, known = example()

    with pytest.raises(
        ValueError, match=r"^wanted tensors of one shape, got prediction \(2, 1, 6, 7\), truth \(2, 6, 7\)"
    ):
        scale_and_shift_invariant(prediction, truth[:, 0], known)
