"""Means over nothing, half precision, and shapes that would broadcast."""

from __future__ import annotations

import pytest
import torch

from mlcvbench_networks.arithmetic import check_shapes, in_full, mean_over, mean_over_images


def test_a_mean_takes_the_chosen_values_only_also_beside_infinite_ones():
    values = torch.tensor([1.0, torch.inf, 3.0], requires_grad=True)
    mean = mean_over(values, torch.tensor([True, False, True]))
    mean.backward()

    assert float(mean.detach()) == 2.0
    assert values.grad is not None
    assert values.grad.tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("mean", [mean_over, mean_over_images])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (2, 0)])
def test_a_mean_over_nothing_is_0_with_a_gradient_of_zeros(mean, shape):
    values = torch.full(shape, torch.nan).requires_grad_()
    result = mean(values, torch.zeros(shape, dtype=torch.bool))
    result.backward()

    assert float(result.detach()) == 0.0
    assert values.grad is not None
    assert torch.equal(values.grad, torch.zeros(shape))


def test_a_mean_of_images_gives_each_one_the_same_weight_and_leaves_those_without_a_pixel_out():
    values = torch.tensor([[1.0, 2.0, 3.0], [10.0, 0.0, 0.0], [5.0, 5.0, 5.0]])
    chosen = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])

    assert float(mean_over_images(values, chosen)) == (2.0 + 10.0) / 2
    assert float(mean_over(values, chosen)) == (1 + 2 + 3 + 10) / 4


def test_half_precision_becomes_float32_and_the_rest_stays():
    types = [torch.bfloat16, torch.float16, torch.float32, torch.float64]

    assert [in_full(torch.zeros(1, dtype=kind)).dtype for kind in types] == [*[torch.float32] * 3, torch.float64]


def test_shapes_that_differ_are_refused_by_name_for_they_would_broadcast():
    with pytest.raises(ValueError, match=r"^wanted tensors of one shape, got one \(2, 1, 3\), other \(2, 3\)\.$"):
        check_shapes(one=torch.zeros(2, 1, 3), other=torch.zeros(2, 3))
