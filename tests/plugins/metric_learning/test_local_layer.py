"""Locally connected layers: a brute-force loop agrees, with strides and shapes, and so do gradients."""

from __future__ import annotations

import pytest
import torch

from mlcvbench_metric_learning.local_layer import LocallyConnected


def brute_force(layer, maps, kernel, stride):
    """Return what the layer's definition says, place by place and output by output."""
    count, inside, _, _ = maps.shape
    rows, columns = layer.size
    out = torch.zeros(count, layer.bias.shape[1], rows, columns, dtype=maps.dtype)
    weight = layer.weight.view(rows, columns, inside, kernel, kernel, -1)
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            patch = maps[:, :, top : top + kernel, left : left + kernel]
            for one in range(out.shape[1]):
                own = weight[row, column, ..., one]
                out[:, one, row, column] = (patch * own).sum((1, 2, 3)) + layer.bias[row * columns + column, one]
    return out


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 1, (6, 7)), (2, 2, (7, 6)), (4, 3, (10, 4)), (1, 1, (2, 3))], ids=str
)
def test_every_place_has_a_kernel_of_its_own(kernel, stride, size):
    torch.manual_seed(0)
    layer = LocallyConnected(3, 4, kernel, size, stride).double()
    torch.nn.init.normal_(layer.bias)
    maps = torch.randn(2, 3, *size, dtype=torch.float64)

    assert torch.allclose(layer(maps), brute_force(layer, maps, kernel, stride))


def test_with_one_kernel_everywhere_it_is_a_convolution():
    convolution = torch.nn.Conv2d(3, 5, 3)
    layer = LocallyConnected(3, 5, 3, (8, 9))
    maps = torch.randn(2, 3, 8, 9)
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.flatten(1).T.expand_as(layer.weight))
        layer.bias.copy_(convolution.bias.expand_as(layer.bias))

    assert torch.allclose(layer(maps), convolution(maps), atol=1e-5)


def test_gradients_are_those_of_central_differences():
    torch.manual_seed(0)
    layer = LocallyConnected(2, 2, 2, (3, 4)).double()

    assert torch.autograd.gradcheck(layer, torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True))


def test_it_has_a_matrix_and_biases_for_each_place():
    layer = LocallyConnected(16, 16, 9, (63, 63))

    assert sum(part.numel() for part in layer.parameters()) == 55 * 55 * 16 * (9 * 9 * 16 + 1) == 62_774_800
