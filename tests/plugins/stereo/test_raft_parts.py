"""The parts of RAFT-Stereo beside plain loops: what is found in the rows, and estimates at full size."""

from __future__ import annotations

import math

import pytest
import torch

from mlcvbench_stereo.raft_stereo import QUARTER, upsampled
from mlcvbench_stereo.row_pyramid import looked_up, row_pyramid


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_level_of_the_pyramid_compares_with_means_of_features():
    left, right = drawn(2, 6, 3, 8), drawn(2, 6, 3, 8) + 1

    pyramid = row_pyramid(left, right, 3)

    assert [tuple(pairs.shape) for pairs in pyramid] == [(2, 3, 8, 8), (2, 3, 8, 4), (2, 3, 8, 2)]
    # the mean of products with neighbours is the product with the mean of neighbours
    for level, pairs in enumerate(pyramid):
        coarse = right.unflatten(3, (-1, 2**level)).mean(4)
        wanted = torch.einsum("bchx,bchy->bhxy", left, coarse) / math.sqrt(6)
        assert torch.allclose(pairs, wanted, atol=1e-5)


def test_what_is_found_around_an_estimate_is_that_of_plain_loops():
    radius, pyramid = 2, row_pyramid(drawn(1, 4, 2, 8), drawn(1, 4, 2, 8) - 1, 2)
    x = torch.tensor([[0.0, 0.25, 2.0, 3.5, 6.75, 7.0, -3.0, 12.0], [1.0, 1.5, 4.0, 0.125, 7.5, -0.5, 2.25, 5.0]])[None]

    found = looked_up(pyramid, x, radius)

    def at(pairs, row, column, place):
        before = math.floor(place)
        values = [pairs[0, row, column, k].item() if 0 <= k < pairs.shape[3] else 0.0 for k in (before, before + 1)]
        return values[0] + (place - before) * (values[1] - values[0])

    for row in range(2):
        for column in range(8):
            wanted = [
                at(pairs, row, column, x[0, row, column].item() / 2**level + step)
                for level, pairs in enumerate(pyramid)
                for step in range(-radius, radius + 1)
            ]
            assert found[0, :, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


def test_no_gradient_comes_through_the_place_that_is_looked_at():
    left, x = drawn(1, 4, 2, 8).requires_grad_(), torch.full((1, 2, 8), 2.5, requires_grad=True)

    looked_up(row_pyramid(left, drawn(1, 4, 2, 8), 2), x, 2).sum().backward()

    assert left.grad is not None
    assert x.grad is None


def test_disparities_at_full_size_are_in_its_pixels_and_between_those_around():
    coarse, logits = drawn(1, 1, 4, 5), drawn(1, 9 * QUARTER**2, 4, 5)

    fine = upsampled(coarse, logits)

    assert fine.shape == (1, 1, 16, 20)
    inner = fine[0, 0, 4:12, 4:16]
    around = QUARTER * coarse[0, 0].unfold(0, 3, 1).unfold(1, 3, 1).flatten(2)
    low, high = (torch.kron(bound, torch.ones(4, 4)) for bound in (around.amin(2), around.amax(2)))
    assert ((inner >= low - 1e-5) & (inner <= high + 1e-5)).all()


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_sure_weight_takes_one_of_the_nine_around(place):
    coarse = drawn(1, 1, 4, 5)
    logits = torch.full((1, 9, QUARTER, QUARTER, 4, 5), -1e4)
    logits[:, place, 1, 2] = 1e4

    fine = upsampled(coarse, logits.flatten(1, 3))

    down, right = place // 3 - 1, place % 3 - 1
    for row in range(1, 3):
        for column in range(1, 4):
            found = fine[0, 0, QUARTER * row + 1, QUARTER * column + 2]
            assert found == pytest.approx(QUARTER * coarse[0, 0, row + down, column + right].item(), rel=1e-5)
