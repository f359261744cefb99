"""Losses of pictures, disparity and depth against loops, closed forms and the values of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench_networks.stereo.losses import (
    SSIM_CONSTANTS,
    berhu,
    left_right,
    minimum_reprojection,
    photometric,
    silog,
    smoothness,
    ssim,
)


def draw(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=generator)


def brute_force_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return SSIM (H, W) of two images (H, W) over windows of 3 x 3."""
    flat, still = SSIM_CONSTANTS
    one, other = np.pad(first, 1, mode="reflect"), np.pad(second, 1, mode="reflect")
    values = np.empty_like(first)
    for row, column in np.ndindex(first.shape):
        a, b = (own[row : row + 3, column : column + 3] for own in (one, other))
        together = ((a - a.mean()) * (b - b.mean())).mean()
        above = (2 * a.mean() * b.mean() + flat) * (2 * together + still)
        values[row, column] = above / ((a.mean() ** 2 + b.mean() ** 2 + flat) * (a.var() + b.var() + still))
    return values


def test_ssim_is_what_a_loop_over_windows_gives():
    first, second = draw(2, 3, 5, 6), draw(2, 3, 5, 6, seed=1)

    found = ssim(first, second)

    for image, channel in np.ndindex(2, 3):
        wanted = brute_force_ssim(first[image, channel].numpy(), second[image, channel].numpy())
        assert found[image, channel].numpy() == pytest.approx(wanted, abs=1e-12)


@given(st.integers(0, 10**6), st.sampled_from([3, 5]))
@settings(max_examples=30, deadline=None)
def test_ssim_is_1_of_equal_images_symmetric_and_never_beyond_1(seed, window):
    first, second = draw(1, 1, 5, 6, seed=seed), draw(1, 1, 5, 6, seed=seed + 1)

    assert torch.allclose(ssim(first, first, window), torch.ones_like(first))
    assert torch.equal(ssim(first, second, window), ssim(second, first, window))
    assert float(ssim(first, second, window).abs().max()) <= 1 + 1e-12


def test_flat_images_have_the_photometric_error_of_the_closed_form():
    dark, bright = (
        torch.full((1, 3, 4, 4), 0.2, dtype=torch.float64),
        torch.full((1, 3, 4, 4), 0.6, dtype=torch.float64),
    )
    alike = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)

    error = photometric(dark, bright)

    assert error.shape == (1, 1, 4, 4)
    assert error.numpy() == pytest.approx(0.85 * (1 - alike) / 2 + 0.15 * 0.4)
    assert photometric(dark, bright, share=0.0).numpy() == pytest.approx(0.4)
    assert float(photometric(dark, dark).abs().max()) == pytest.approx(0, abs=1e-12)


def test_smoothness_is_what_a_loop_over_neighbours_gives():
    disparity, image = draw(2, 1, 3, 4, low=1, high=5), draw(2, 3, 3, 4, seed=1)
    maps, pixels = disparity[:, 0].numpy(), image.numpy()
    maps = maps / (maps.mean((1, 2), keepdims=True) + 1e-7)
    across = [
        abs(maps[n, y, x + 1] - maps[n, y, x]) * math.exp(-np.abs(pixels[n, :, y, x + 1] - pixels[n, :, y, x]).mean())
        for n, y, x in np.ndindex(2, 3, 3)
    ]
    down = [
        abs(maps[n, y + 1, x] - maps[n, y, x]) * math.exp(-np.abs(pixels[n, :, y + 1, x] - pixels[n, :, y, x]).mean())
        for n, y, x in np.ndindex(2, 2, 4)
    ]

    assert float(smoothness(disparity, image)) == pytest.approx(np.mean(across) + np.mean(down), rel=1e-12)


def test_a_step_is_cheaper_where_the_image_has_an_edge():
    disparity, edge = torch.ones(1, 1, 2, 4), torch.zeros(1, 3, 2, 4)
    disparity[..., 2:], edge[..., 2:] = 2.0, 1.0

    flat = smoothness(disparity, torch.zeros_like(edge), normalised=False)

    assert float(flat) == pytest.approx(1 / 3)
    assert float(smoothness(disparity, edge, normalised=False)) == pytest.approx(math.exp(-1) / 3)


def test_smoothness_cannot_be_had_by_shrinking_unless_it_is_not_normalised():
    disparity, image = draw(1, 1, 4, 4, low=1, high=2), draw(1, 3, 4, 4, seed=1)

    assert float(smoothness(0.01 * disparity, image)) == pytest.approx(float(smoothness(disparity, image)), rel=1e-4)
    plain = [float(smoothness(scale * disparity, image, normalised=False)) for scale in (0.01, 1.0)]
    assert plain[0] == pytest.approx(0.01 * plain[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_smoothness_of_one_row_or_column_is_finite(shape):
    assert bool(smoothness(torch.rand(2, 1, *shape), torch.rand(2, 3, *shape)).isfinite())
    assert float(smoothness(torch.rand(2, 1, 1, 1), torch.rand(2, 3, 1, 1))) == 0.0


def test_left_and_right_disparities_of_a_slanted_plane_agree():
    x = torch.arange(40.0, dtype=torch.float64)
    left = (2 + 0.1 * x).expand(1, 1, 3, 40)
    right = ((2 + 0.1 * x) / 0.9).expand(1, 1, 3, 40)  # at x - d(x) stands d(x)

    assert float(left_right(left, right)) == pytest.approx(0, abs=1e-12)
    assert float(left_right(left, right + 1)) > 1.5


def test_two_constant_disparities_differ_by_their_difference_in_both_directions():
    assert float(left_right(torch.full((1, 1, 2, 9), 3.0), torch.full((1, 1, 2, 9), 2.5))) == pytest.approx(1.0)


def test_disparities_that_leave_the_image_everywhere_cost_nothing():
    left = torch.full((1, 1, 2, 4), 9.0, requires_grad=True)
    value = left_right(left, torch.full((1, 1, 2, 4), 9.0))
    value.backward()

    assert float(value.detach()) == 0.0
    assert left.grad is not None
    assert torch.equal(left.grad, torch.zeros_like(left))


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


ALL = row(1, 1, 1, 1) > 0


def test_each_error_has_its_mask():
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        minimum_reprojection([row(1, 2, 3, 4)] * 2, [ALL])


def test_the_least_error_counts_at_each_pixel():
    assert float(minimum_reprojection([row(1, 5, 3, 0), row(4, 2, 3, 1)], [ALL, ALL])) == (1 + 2 + 3 + 0) / 4


def test_what_one_image_does_not_show_is_taken_from_another_and_what_none_shows_from_nowhere():
    first, second = row(0, 1, 1, 0) > 0, row(0, 0, 1, 1) > 0

    assert float(minimum_reprojection([row(0, 4, 5, 0), row(0, 0, 3, 2)], [first, second])) == (4 + 3 + 2) / 3


def test_what_the_unmoved_image_explains_as_well_is_left_out():
    errors, unmoved = row(1, 2, 3, 4), row(2, 2, 1, 9)

    assert float(minimum_reprojection([errors], [ALL], [unmoved])) == (1 + 4) / 2
    assert float(minimum_reprojection([errors], [ALL], [unmoved, row(0, 0, 0, 5)])) == 4


@pytest.mark.parametrize(("inside", "unmoved"), [(~ALL, []), (ALL, [row(0, 0, 0, 0)])])
def test_without_a_pixel_left_the_reprojection_is_0_and_its_gradient_zeros(inside, unmoved):
    errors = row(1, 2, 3, 4).requires_grad_()
    value = minimum_reprojection([errors], [inside], unmoved)
    value.backward()

    assert float(value.detach()) == 0.0
    assert errors.grad is not None
    assert torch.equal(errors.grad, torch.zeros_like(errors))


def test_silog_has_the_value_of_the_catalogue():
    errors = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)[None, None, None]

    assert float(silog(errors.exp(), torch.ones_like(errors), errors < 1)) == pytest.approx(0.044444, abs=5e-7)


@given(st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_silog_with_a_share_of_1_takes_no_notice_of_scale(scale):
    prediction, truth = draw(2, 1, 3, 4, low=1, high=9), draw(2, 1, 3, 4, seed=1, low=1, high=9)
    known = truth > 2

    plain = float(silog(prediction, truth, known, share=1.0))

    assert float(silog(scale * prediction, truth, known, share=1.0)) == pytest.approx(plain, abs=1e-9)
    assert float(silog(scale * truth, truth, known, share=0.0)) == pytest.approx(math.log(scale) ** 2, abs=1e-9)


def test_silog_is_a_mean_over_images_whose_unknown_pixels_count_nowhere():
    prediction, truth = draw(3, 1, 3, 4, low=1, high=9), draw(3, 1, 3, 4, seed=1, low=1, high=9)
    known = draw(3, 1, 3, 4, seed=2) > 0.4
    known[1] = False
    truth[~known] = 0.0  # unknown
    wanted = []
    for image in (0, 2):
        error = (prediction[image].log() - truth[image].log())[known[image]].numpy()
        wanted.append((error**2).mean() - 0.5 * error.mean() ** 2)

    own = prediction.requires_grad_()
    value = silog(own, truth, known)
    value.backward()

    assert float(value.detach()) == pytest.approx(np.mean(wanted))
    assert own.grad is not None
    assert bool((own.grad[~known] == 0).all())
    assert bool((own.grad[known] != 0).all())


@pytest.mark.parametrize("count", [0, 2])
def test_silog_of_nothing_known_is_0_and_its_gradient_zeros(count):
    prediction = torch.zeros(count, 1, 3, 4, requires_grad=True)
    value = silog(prediction, torch.zeros(count, 1, 3, 4), torch.zeros(count, 1, 3, 4, dtype=torch.bool))
    value.backward()

    assert float(value.detach()) == 0.0
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


KNOWN = draw(2, 1, 4, 5, seed=9) > 0.3
CALLS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "ssim": lambda one, other: ssim(one, other).mean(),
    "photometric": lambda one, other: photometric(one, other).mean(),
    "smoothness": smoothness,
    "left_right": left_right,
    "minimum_reprojection": lambda one, other: minimum_reprojection([one, other], [KNOWN, KNOWN], [one * 0 + 0.9]),
    "silog": lambda one, other: silog(one + 0.1, other + 0.1, KNOWN),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_those_of_central_differences(name):
    one, other = draw(2, 1, 4, 5, seed=3), draw(2, 1, 4, 5, seed=4)

    assert torch.autograd.gradcheck(CALLS[name], (one.requires_grad_(), other.requires_grad_()))


@pytest.mark.parametrize("name", CALLS)
def test_half_precision_is_computed_in_float32_under_autocast_too(name):
    one, other = draw(2, 1, 4, 5, seed=3).bfloat16(), draw(2, 1, 4, 5, seed=4).bfloat16()
    wanted = CALLS[name](one.float(), other.float())
    if name not in {"minimum_reprojection", "silog"}:  # their lambdas compute before they call
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(CALLS[name](one, other), wanted)
    assert wanted.dtype == torch.float32


@pytest.mark.parametrize("name", CALLS)
def test_maps_of_another_shape_are_refused(name):
    with pytest.raises(ValueError, match=r"^wanted tensors of one shape, got "):
        CALLS[name](torch.rand(2, 1, 4, 5), torch.rand(2, 1, 1, 5))


def test_the_reverse_huber_is_absolute_up_to_a_fifth_of_the_largest_error_and_a_square_beyond():
    error = np.array([0.0, 0.5, -1.0, 2.0, 5.0, 80.0])
    truth = torch.zeros(1, 1, 1, 6, dtype=torch.float64)
    known = torch.tensor([True] * 5 + [False])[None, None, None]
    wanted = [abs(e) if abs(e) <= 1.0 else (e**2 + 1.0) / 2 for e in error[:5]]  # c = 5 / 5

    assert float(berhu(torch.from_numpy(error)[None, None, None], truth, known)) == pytest.approx(np.mean(wanted))


def test_the_reverse_huber_of_the_truth_and_of_nothing_known_is_0_with_a_gradient():
    told = torch.full((2, 1, 3, 4), 2.0, requires_grad=True)
    for known in (torch.ones(2, 1, 3, 4, dtype=torch.bool), torch.zeros(2, 1, 3, 4, dtype=torch.bool)):
        value = berhu(told, torch.full((2, 1, 3, 4), 2.0), known)
        value.backward()

        assert float(value.detach()) == 0.0
        assert bool(told.grad.isfinite().all())
