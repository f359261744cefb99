"""The parts of convolutional networks are what the course says they are: equalities, not only shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.measure.layers.tabulate import tabulate


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (5, 2, 0, 1), ((3, 2), (1, 2), (2, 1), (2, 1))]
)
def test_a_convolution_is_its_definition(kernel, stride, padding, dilation):
    """y(j, i) = sum over n, m, l of K_n(m, l) I_n(j S + m d - P, i S + l d - P) + b: a cross-correlation."""
    convolution = nn.Conv2d(2, 3, kernel, stride, padding, dilation)
    images = noise(1, 2, 9, 8)
    (sy, sx), (py, px), (dy, dx) = convolution.stride, convolution.padding, convolution.dilation
    framed = functional.pad(images, (px, px, py, py))[0].double().numpy()
    weights, biases = convolution.weight.detach().double().numpy(), convolution.bias.detach().double().numpy()

    got = convolution(images)[0].detach().numpy()

    wanted = np.zeros(got.shape)
    for out, j, i in np.ndindex(*got.shape):
        wanted[out, j, i] = biases[out]
        for n, m, l in np.ndindex(*weights.shape[1:]):  # noqa: E741 - the letters of the formula
            wanted[out, j, i] += weights[out, n, m, l] * framed[n, j * sy + m * dy, i * sx + l * dx]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    ky, kx = convolution.kernel_size
    assert got.shape[1] == (9 - ((ky - 1) * dy + 1) + 2 * py) // sy + 1
    assert got.shape[2] == (8 - ((kx - 1) * dx + 1) + 2 * px) // sx + 1


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 2, 2), (11, 4, 2)])
def test_a_convolution_is_a_matrix_product_of_unfolded_windows(kernel, stride, padding):
    convolution = nn.Conv2d(3, 8, kernel, stride, padding)
    images = noise(2, 3, 31, 27)

    columns = functional.unfold(images, kernel, padding=padding, stride=stride)  # (B, Cin k k, L)
    product = convolution.weight.flatten(1) @ columns + convolution.bias[:, None]

    made = convolution(images)
    assert (product.view_as(made) - made).abs().max() < 1e-5


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 2, 2), (4, 2, 1)])
def test_a_transposed_convolution_is_the_product_with_the_transposed_matrix_folded_back(kernel, stride, padding):
    filters, maps = noise(6, 3, kernel, kernel), noise(2, 6, 8, 8, seed=1)

    side = (8 - 1) * stride + kernel - 2 * padding
    columns = filters.flatten(1).T @ maps.flatten(2)  # (B, Cin k k, L)
    folded = functional.fold(columns, side, kernel, padding=padding, stride=stride)

    assert torch.allclose(folded, functional.conv_transpose2d(maps, filters, None, stride, padding), atol=1e-5)


def test_a_convolution_is_a_product_with_a_matrix_that_shares_its_weights():
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    side = 6
    units = torch.eye(side * side).view(-1, 1, side, side)

    matrix = convolution(units).flatten(1).T.detach()  # column p: what pixel p does to every output

    images = noise(4, 1, side, side)
    assert torch.allclose((matrix @ images.flatten(1).T).T, convolution(images).flatten(1), atol=1e-5)
    assert set(matrix[matrix != 0].tolist()) == set(convolution.weight.flatten().tolist())
    assert (matrix != 0).sum(1).max() == 9


def test_a_convolution_of_stride_1_shifts_with_its_input_away_from_the_border():
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    images = noise(1, 3, 20, 20)
    shifted = torch.roll(images, (2, 5), dims=(2, 3))

    moved = torch.roll(convolution(images), (2, 5), dims=(2, 3))

    inside = slice(6, -6)
    difference = (convolution(shifted) - moved).abs()
    assert difference[:, :, inside, inside].max() < 1e-5
    assert difference.max() > 1e-2  # the border is not


def test_a_convolution_of_stride_2_does_not_shift_with_its_input():
    convolution = nn.Conv2d(1, 1, 3, stride=2)
    images = noise(1, 1, 21, 21)

    once = convolution(torch.roll(images, 1, dims=3))
    twice = convolution(torch.roll(images, 2, dims=3))

    assert (once - convolution(images))[..., 2:-2].abs().max() > 1e-2
    assert torch.allclose(twice[..., 2:-2], convolution(images)[..., 1:-3], atol=1e-5)


@pytest.mark.parametrize(("kernel", "side"), [(1, 9), (3, 9), (5, 9), (2, 10), (4, 10)])
def test_half_a_kernel_of_padding_keeps_the_size_for_odd_kernels_only(kernel, side):
    images = noise(1, 1, 9, 9)

    assert nn.Conv2d(1, 1, kernel, padding=kernel // 2)(images).shape[-1] == side


def test_the_effective_receptive_field_is_much_smaller_than_the_field():
    """Of ten 3x3 convolutions, the middle third of the 21x21 field has nine tenths of the gradient."""
    module = nn.Sequential(*(nn.Conv2d(1, 1, 3, bias=False) for _ in range(10)))
    for layer in module:
        nn.init.ones_(layer.weight)
    images = torch.ones(1, 1, 21, 21, requires_grad=True)

    module(images).sum().backward()

    share = images.grad[0, 0] / images.grad.sum()
    assert (share > 0).all()
    assert share[7:14, 7:14].sum() > 0.6
    assert share[5:16, 5:16].sum() > 0.9


def test_the_receptive_field_is_1_plus_the_sum_of_kernel_less_1_times_the_strides_before():
    layers = [nn.Conv2d(1, 1, 7, 2), nn.MaxPool2d(3, 2), nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, 5)]
    module = nn.Sequential(*layers)

    field, jump = 1, 1
    for layer in layers:
        kernel, stride, dilation = (v[0] if isinstance(v, tuple) else v
                                    for v in (layer.kernel_size, layer.stride, layer.dilation))  # fmt: skip
        field, jump = field + (kernel - 1) * dilation * jump, jump * stride

    rows = tabulate(module, lambda: module(torch.zeros(1, 1, 99, 99)), (1, 99, 99))
    assert (rows[-1].field, rows[-1].jump) == ((field, field), (jump, jump)) == ((43, 43), (4, 4))


def test_two_3x3_convolutions_see_what_one_5x5_sees_and_three_what_a_7x7_sees():
    for count, kernel in ((2, 5), (3, 7)):
        small = nn.Sequential(*(nn.Conv2d(8, 8, 3, bias=False) for _ in range(count)))
        large = nn.Conv2d(8, 8, kernel, bias=False)

        fields = [tabulate(m, lambda m=m: m(torch.zeros(1, 8, 16, 16)), (8, 16, 16))[-1].field for m in (small, large)]

        assert fields[0] == fields[1] == (kernel, kernel)
        assert parameters(small) == count * 9 * 64 < parameters(large) == kernel * kernel * 64


def test_max_pools_pad_with_less_than_any_value_and_average_pools_with_zeros_that_count():
    images = -1 - noise(2, 3, 7, 7).abs()  # all below zero, so that a padding of zero would win

    largest = functional.max_pool2d(images, 3, 2, padding=1)
    averages = functional.avg_pool2d(images, 3, 2, padding=1)
    without = functional.avg_pool2d(images, 3, 2, padding=1, count_include_pad=False)

    framed = functional.pad(images, (1, 1, 1, 1), value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2)
    assert torch.equal(largest, framed.amax((4, 5)))
    assert torch.equal(largest[..., 0, 0], images[..., :2, :2].amax((2, 3)))
    assert torch.allclose(averages[..., 0, 0], images[..., :2, :2].sum((2, 3)) / 9)
    assert torch.allclose(without[..., 0, 0], images[..., :2, :2].mean((2, 3)))
    assert torch.allclose(averages[..., 1, 1], without[..., 1, 1])


def test_pools_have_no_parameters_and_keep_each_channel_to_itself():
    images = noise(1, 4, 8, 8)

    for pool in (nn.MaxPool2d(3, 2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)):
        changed = images.clone()
        changed[:, 2] += 1
        difference = (pool(changed) - pool(images)).abs().amax((0, 2, 3))
        assert parameters(pool) == 0
        assert difference[2] > 0.5
        assert difference[[0, 1, 3]].max() == 0


def test_a_global_average_pool_is_the_mean_of_each_channel_and_has_no_parameters():
    images = noise(2, 5, 6, 4)

    assert torch.allclose(nn.AdaptiveAvgPool2d(1)(images), images.mean((2, 3), keepdim=True))
    assert not list(nn.AdaptiveAvgPool2d(1).parameters())


def test_batch_norm_takes_the_batch_in_training_and_the_running_averages_in_testing():
    norm = nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    images = 2 + 3 * noise(4, 3, 5, 6)
    mean = images.mean((0, 2, 3))
    biased, unbiased = images.var((0, 2, 3), correction=0), images.var((0, 2, 3), correction=1)

    def normalised(mean, variance):
        shape = (1, 3, 1, 1)
        scaled = (images - mean.view(shape)) / torch.sqrt(variance.view(shape) + norm.eps)
        return scaled * norm.weight.view(shape) + norm.bias.view(shape)

    trained = norm.train()(images)
    tested = norm.eval()(images)

    assert torch.allclose(trained, normalised(mean, biased), atol=1e-5)
    # momentum 0.1 is the weight of the new batch; the running variance is the unbiased one
    assert torch.allclose(norm.running_mean, 0.1 * mean, atol=1e-6)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * unbiased, atol=1e-6)
    assert torch.allclose(tested, normalised(norm.running_mean, norm.running_var), atol=1e-5)
    assert (trained - tested).abs().max() > 0.5
    assert parameters(norm) == 2 * 3
    assert sum(buffer.numel() for buffer in norm.buffers()) == 2 * 3 + 1


def test_batch_norm_moves_and_scales_and_leaves_the_shape_of_the_values():
    """It standardises mean and variance of each channel; what is skewed stays so, and no normal distribution comes."""
    skewed = torch.rand(16, 2, 9, 9, generator=torch.Generator().manual_seed(0)).log().neg()  # exponential
    made = nn.BatchNorm2d(2).train()(skewed).detach()

    def skewness(values):
        centred = values - values.mean((0, 2, 3), keepdim=True)
        return (centred**3).mean((0, 2, 3)) / (centred**2).mean((0, 2, 3)) ** 1.5

    assert made.mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(made.var((0, 2, 3), correction=0), torch.ones(2), atol=1e-3)
    assert torch.allclose(skewness(made), skewness(skewed), atol=1e-3)
    assert skewness(made).min() > 1.5


def test_a_norm_over_channels_looks_at_one_place_and_one_over_all_features_at_the_whole_image():
    from timm.layers.norm import LayerNorm2d

    images = noise(2, 3, 5, 6)
    changed = images.clone()
    changed[:, :, 0, 0] += 5
    moved = {}
    for name, norm in (("channels", LayerNorm2d(3)), ("all", nn.LayerNorm((3, 5, 6)))):
        moved[name] = (norm(changed) - norm(images)).abs()[:, :, 1:, 1:].max()

    assert moved["channels"] == 0
    assert moved["all"] > 0.1
    alone = nn.functional.layer_norm(images.permute(0, 2, 3, 1), (3,), eps=1e-6).permute(0, 3, 1, 2)
    assert torch.allclose(LayerNorm2d(3)(images), alone, atol=1e-6)


def test_batch_norm_of_one_value_a_channel_cannot_train_and_can_test():
    norm = nn.BatchNorm2d(3)

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm.train()(noise(1, 3, 1, 1))
    assert norm.eval()(noise(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("axes", [(3, 5, 6), (6,)])
def test_layer_norm_is_the_same_in_training_and_testing_and_for_any_batch(axes):
    norm = nn.LayerNorm(axes)
    images = noise(4, 3, 5, 6)
    over = tuple(range(4 - len(axes), 4))

    trained, tested = norm.train()(images), norm.eval()(images)

    assert torch.equal(trained, tested)
    assert torch.allclose(trained[:1], norm(images[:1]), atol=1e-6)
    mean, variance = images.mean(over, keepdim=True), images.var(over, correction=0, keepdim=True)
    assert torch.allclose(trained, (images - mean) / torch.sqrt(variance + norm.eps), atol=1e-5)
    assert not list(norm.buffers())


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_a_grouped_convolution_is_so_many_separate_ones(groups):
    grouped = nn.Conv2d(8, 16, 3, padding=1, groups=groups)
    images = noise(2, 8, 9, 9)
    inside, outside = 8 // groups, 16 // groups

    parts = []
    for group in range(groups):
        alone = nn.Conv2d(inside, outside, 3, padding=1)
        alone.weight.data = grouped.weight.data[group * outside : (group + 1) * outside]
        alone.bias.data = grouped.bias.data[group * outside : (group + 1) * outside]
        parts.append(alone(images[:, group * inside : (group + 1) * inside]))

    assert torch.allclose(torch.cat(parts, 1), grouped(images), atol=1e-5)
    assert grouped.weight.numel() * groups == nn.Conv2d(8, 16, 3).weight.numel()


def test_a_depthwise_separable_convolution_costs_1_over_channels_plus_1_over_the_window():
    full = nn.Conv2d(256, 256, 3, padding=1, bias=False)
    separable = nn.Sequential(
        nn.Conv2d(256, 256, 3, padding=1, groups=256, bias=False), nn.Conv2d(256, 256, 1, bias=False)
    )
    image = (256, 14, 14)

    costs = [sum(row.macs for row in tabulate(m, lambda m=m: m(torch.zeros(1, *image)), image))
             for m in (separable, full)]  # fmt: skip

    ratio = costs[0] / costs[1]
    assert ratio == pytest.approx(1 / 256 + 1 / 9, abs=1e-12)
    assert round(ratio, 4) == 0.1150
    assert parameters(separable) / parameters(full) == pytest.approx(ratio, abs=1e-12)
