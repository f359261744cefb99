"""Cost volumes against loops over pixels and disparities; what soft-argmin finds between levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench_networks.stereo.volumes import concatenation, correlation, soft_argmin


def features(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2))
    return left, right


@pytest.mark.parametrize("levels", [1, 4, 9])  # 9: more than the map has columns
def test_a_correlation_is_the_mean_product_with_the_pixel_d_to_the_left(levels):
    left, right = features(2, 3, 2, 6)
    wanted = np.zeros((2, levels, 2, 6))
    for image, level, row, column in np.ndindex(wanted.shape):
        if column >= level:
            own, other = left[image, :, row, column], right[image, :, row, column - level]
            wanted[image, level, row, column] = float((own * other).mean())

    assert correlation(left, right, levels).numpy() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("levels", [1, 5, 32, 40])
@pytest.mark.parametrize("width", [31, 32, 33, 100])
def test_a_correlation_is_the_same_on_either_side_of_a_block_of_columns(levels, width):
    left, right = features(2, 5, 3, width)
    padded = torch.nn.functional.pad(right, (levels - 1, 0))
    shifts = [padded[..., levels - 1 - level : levels - 1 - level + width] for level in range(levels)]

    assert torch.allclose(correlation(left, right, levels), torch.stack([(left * own).mean(1) for own in shifts], 1))


@pytest.mark.parametrize("levels", [1, 4, 9])
def test_a_concatenation_holds_both_features_and_zeros_where_one_is_missing(levels):
    left, right = features(2, 3, 2, 6)
    wanted = np.zeros((2, 6, levels, 2, 6))
    for image, level, row, column in np.ndindex(2, levels, 2, 6):
        if column >= level:
            both = [left[image, :, row, column], right[image, :, row, column - level]]
            wanted[image, :, level, row, column] = torch.cat(both)

    assert np.array_equal(concatenation(left, right, levels).numpy(), wanted)


def test_the_best_level_of_a_shifted_map_is_the_shift():
    wide = torch.randn(1, 16, 3, 20, generator=torch.Generator().manual_seed(0))
    left, right = wide[..., :14], wide[..., 3:17]  # what is at x on the left is at x - 3 on the right

    best = correlation(left, right, 6).argmax(1)

    assert bool((best[..., 3:] == 3).all())


def test_soft_argmin_has_the_value_of_the_catalogue():
    costs = torch.tensor([4.0, 0.0, 2.0, 5.0], dtype=torch.float64)[None, :, None, None]

    assert float(soft_argmin(costs)) == pytest.approx(1.112458, abs=5e-7)
    assert soft_argmin(costs.expand(2, 4, 3, 5)).shape == (2, 1, 3, 5)


@given(st.floats(6, 12), st.floats(0.3, 0.7))
@settings(max_examples=50, deadline=None)
def test_soft_argmin_finds_the_bottom_of_a_parabola_between_levels(bottom, steepness):
    costs = steepness * (torch.arange(19, dtype=torch.float64) - bottom) ** 2

    assert float(soft_argmin(costs[None, :, None, None])) == pytest.approx(bottom, abs=1e-3)


def test_soft_argmin_of_two_equal_matches_lies_between_them():
    costs = torch.tensor([9.0, 0.0, 9.0, 9.0, 9.0, 0.0, 9.0])[None, :, None, None]

    assert float(soft_argmin(costs)) == pytest.approx(3.0)


def test_a_sure_match_is_its_level_times_the_step():
    costs = torch.full((1, 5, 1, 1), 1000.0)
    costs[0, 3] = 0

    assert float(soft_argmin(costs, step=4.0)) == 12.0


def test_disparities_of_half_precision_costs_are_float32():
    costs = torch.zeros(1, 192, 1, 1, dtype=torch.bfloat16)

    assert float(soft_argmin(costs)) == pytest.approx(95.5, abs=1e-4)  # bfloat16 has 95.5 and then 96


@pytest.mark.parametrize("volume", [correlation, concatenation])
def test_gradients_are_those_of_central_differences(volume):
    left, right = features(1, 2, 2, 4)

    assert torch.autograd.gradcheck(
        lambda one, other: volume(one, other, 3), (left.requires_grad_(), right.requires_grad_())
    )
    assert torch.autograd.gradcheck(soft_argmin, (features(2, 5, 1, 2)[0].requires_grad_(),))


@pytest.mark.parametrize("volume", [correlation, concatenation])
def test_maps_of_two_shapes_are_refused(volume):
    with pytest.raises(
        ValueError, match=r"^wanted tensors of one shape, got left \(1, 2, 3, 4\), right \(1, 2, 3, 5\)\.$"
    ):
        volume(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), 2)
