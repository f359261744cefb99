"""Upsampling against interpolation, the catalogue's values and sizes that are no multiple of the factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlcvbench_networks.dense.upsampling import Transposed, bilinear, enlarging, nearest


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_nearest_takes_the_pixel_that_a_place_lies_in():
    small = torch.tensor([[0.0, 1.0], [2.0, 3.0]])[None, None]

    large = nearest(small, (3, 4))[0, 0]

    assert large.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]


def test_bilinear_interpolates_between_pixel_centres_and_goes_on_beyond_the_outermost():
    line = torch.tensor([0.0, 4.0, 8.0]).expand(1, 1, 1, 3)

    assert bilinear(line, (1, 6))[0, 0, 0].tolist() == [0, 1, 3, 5, 7, 8]
    centres = (np.arange(7) + 0.5) * 3 / 7 - 0.5  # of the new pixels, in the old ones
    wanted = np.interp(centres, np.arange(3), [0, 4, 8])
    assert bilinear(line, (1, 7))[0, 0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_transposed_convolution_adds_the_kernel_up_as_in_the_catalogue():
    layer = Transposed(1, 1)
    layer.weight = torch.nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 3.0]])[None, None])

    spread = layer(torch.tensor([[0.0, 1.0], [2.0, 3.0]])[None, None])

    assert spread[0, 0].tolist() == [[0, 0, 1], [0, 4, 6], [4, 12, 9]]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8, 16])
def test_a_fresh_transposed_convolution_is_bilinear_inside_and_never_mixes_channels(factor):
    source = maps(2, 3, 5, 6)

    enlarged = Transposed(3, factor)(source)

    wanted = bilinear(source, (5 * factor, 6 * factor))
    inside = slice(factor, -factor) if factor > 1 else slice(None)
    assert enlarged.shape == wanted.shape
    torch.testing.assert_close(enlarged[:, :, inside, inside], wanted[:, :, inside, inside])


def test_a_constant_map_fades_within_a_factor_of_the_border_only():
    enlarged = Transposed(1, 4)(torch.ones(1, 1, 4, 4)).detach()[0, 0]

    assert torch.equal(enlarged[2:-2, 2:-2], torch.ones(12, 12))
    assert bool((enlarged[0] < 1).all())


@pytest.mark.parametrize("size", [(51, 49), (56, 56), (1, 1)])
def test_an_odd_size_is_met_exactly_without_a_change_of_scale(size):
    layer, source = Transposed(2, 8), maps(1, 2, 7, 7)

    assert torch.equal(layer(source, size), layer(source)[:, :, : size[0], : size[1]])


def test_more_pixels_than_the_factor_gives_are_refused():
    with pytest.raises(ValueError, match=r"^8 times the map is 56x56 pixels, less than the wanted 57x50\.$"):
        Transposed(2, 8)(maps(1, 2, 7, 7), (57, 50))


def test_a_factor_below_1_is_refused():
    with pytest.raises(ValueError, match=r"^wanted a factor of at least 1 to enlarge by, got 0\.$"):
        Transposed(2, 0)


def test_the_kernel_learns():
    layer = Transposed(2, 2)
    layer(maps(1, 2, 3, 3)).square().sum().backward()

    assert layer.weight.grad is not None
    assert bool((layer.weight.grad != 0).any(3).any(2).all())  # other channels too, which begin at 0


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_each_kind_enlarges_by_a_whole_factor_and_only_one_of_them_learns(factor):
    source, size = maps(2, 3, 5, 6), (5 * factor, 6 * factor)

    assert torch.equal(enlarging("nearest", 3, factor)(source), nearest(source, size))
    assert torch.equal(enlarging("bilinear", 3, factor)(source), bilinear(source, size))
    assert torch.equal(enlarging("transposed", 3, factor)(source), Transposed(3, factor)(source))
    assert not list(enlarging("bilinear", 3, factor).parameters())
