"""The deconvnet against one written out with unpooling and transposed convolutions, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.analysis.explain.deconvnet import deconvolved, project
from mlcvbench.errors import RequestError, UnknownNameError


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net() -> nn.Sequential:
    """Two stages of convolution, ReLU and pool, as in the paper, then a classifier."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 3 * 3, 5),
    )


def by_hand(net: nn.Sequential, image: torch.Tensor, channel: int) -> tuple[torch.Tensor, tuple[int, int], float]:
    """Project the strongest unit of a channel of the second pool back, step by step (the paper's section 2.1)."""
    first, second = net[0], net[3]
    with torch.no_grad():
        rectified1 = functional.relu(first(image))
        pooled1, switches1 = functional.max_pool2d(rectified1, 2, return_indices=True)
        rectified2 = functional.relu(second(pooled1))
        pooled2, switches2 = functional.max_pool2d(rectified2, 2, return_indices=True)
        place = int(pooled2[0, channel].argmax())
        row, column = divmod(place, pooled2.shape[3])
        alone = torch.zeros_like(pooled2)
        alone[0, channel, row, column] = pooled2[0, channel, row, column]
        signal = functional.relu(functional.max_unpool2d(alone, switches2, 2, output_size=rectified2.shape[2:]))
        signal = functional.conv_transpose2d(signal, second.weight, stride=2, padding=2, output_padding=1)
        signal = functional.relu(functional.max_unpool2d(signal, switches1, 2, output_size=rectified1.shape[2:]))
        signal = functional.conv_transpose2d(signal, first.weight, padding=1)
    return signal[0], (row, column), float(pooled2[0, channel, row, column])


def test_a_projection_is_that_of_unpooling_relu_and_transposed_filters(net: nn.Sequential) -> None:
    image = noise(1, 1, 24, 24)

    layer, found = project(net, image, 6, "5")

    assert layer == "5"
    assert len(found) >= 4
    for one in found:
        wanted, place, activation = by_hand(net, image, one.channel)
        assert (one.row, one.column) == place
        assert one.activation == pytest.approx(activation, rel=1e-5)
        np.testing.assert_allclose(one.pixels, wanted.numpy(), atol=1e-6)


def test_a_projection_is_not_the_gradient(net: nn.Sequential) -> None:
    image = noise(1, 1, 24, 24).requires_grad_()
    _, (one, *_) = project(net, image, 1, "5")

    value = net[:6](image)[0, one.channel, one.row, one.column]
    (gradient,) = torch.autograd.grad(value, image, value.detach())

    assert np.abs(one.pixels - gradient[0].numpy()).max() > 1e-2


def test_the_strongest_channels_come_first_and_silent_ones_not_at_all(net: nn.Sequential) -> None:
    with torch.no_grad():
        net[3].bias[:3] = -100.0
    image = noise(1, 1, 24, 24)

    _, found = project(net, image, 6, "4")

    activations = [one.activation for one in found]
    assert activations == sorted(activations, reverse=True)
    assert {one.channel for one in found} <= {3, 4, 5}
    peaks = net[:5](image).detach()[0].amax((1, 2))
    assert activations == pytest.approx(sorted((float(peak) for peak in peaks if peak > 0), reverse=True))


def test_without_a_layer_it_is_the_last_with_maps_larger_than_a_unit(net: nn.Sequential) -> None:
    assert project(net, noise(1, 1, 24, 24), 1)[0] == "5"
    narrow = nn.Sequential(*net[:6], nn.AdaptiveAvgPool2d(1))
    assert project(narrow, noise(1, 1, 24, 24), 1)[0] == "5"
    assert project(nn.Sequential(narrow), noise(1, 1, 24, 24), 1)[0] == "0.5"


def test_overlapping_pools_batch_norm_and_averages_go_back_too() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.AvgPool2d(2)
    ).eval()
    net[1].running_var.fill_(4.0)
    image = noise(1, 3, 17, 17)

    _, (one, *_) = project(net, image, 1, "4")

    with torch.no_grad():
        rectified = functional.relu(net[1](net[0](image)))
        seed = torch.zeros(1, 4, 7, 7)
        seed[0, one.channel, 2 * one.row : 2 * one.row + 2, 2 * one.column : 2 * one.column + 2] = one.activation / 4
        _, switches = functional.max_pool2d(rectified, 3, 2, return_indices=True)
        back = torch.zeros(1, 4, 15 * 15).scatter_add_(2, switches.flatten(2), seed.flatten(2)).view(1, 4, 15, 15)
        scale = (net[1].weight / torch.sqrt(net[1].running_var + net[1].eps)).view(1, 4, 1, 1)
        wanted = functional.conv_transpose2d(functional.relu(back) * scale, net[0].weight)
    np.testing.assert_allclose(one.pixels, wanted[0].numpy(), atol=1e-6)


def test_a_relu_called_as_a_function_is_one_too() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(functional.relu(self.inside(x)).relu() + x)

    torch.manual_seed(0)
    block = Block()
    image = noise(1, 2, 8, 8)

    _, (one, *_) = project(nn.Sequential(block), image, 1)

    with torch.no_grad():
        seed = torch.zeros(1, 2, 8, 8)
        seed[0, one.channel, one.row, one.column] = one.activation
        wanted = functional.conv_transpose2d(seed, block.inside.weight, padding=1) + seed
    np.testing.assert_allclose(one.pixels, wanted[0].numpy(), atol=1e-6)


class Residual(nn.Module):
    """A block as timm writes it: what the norm gave is added to in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut, x = x, self.norm(self.conv(x))
        x += shortcut
        return x


def test_a_layer_is_read_before_the_network_writes_over_it() -> None:
    torch.manual_seed(0)
    block = Residual().eval()
    image = noise(1, 2, 8, 8)

    _, found = project(nn.Sequential(block), image, 2, "0.norm")

    with torch.no_grad():
        made = block.norm(block.conv(image))
        assert [one.activation for one in found] == sorted(made[0].amax((1, 2)).tolist(), reverse=True)
        for one in found:
            alone = torch.zeros_like(made)
            alone[0, one.channel, one.row, one.column] = one.activation / math.sqrt(1 + block.norm.eps)
            wanted = functional.conv_transpose2d(alone, block.conv.weight, padding=1)  # and nothing of the shortcut
            np.testing.assert_allclose(one.pixels, wanted[0].numpy(), atol=1e-6)


def test_without_a_layer_a_sum_in_place_belongs_to_the_block_that_adds() -> None:
    torch.manual_seed(0)
    block = Residual().eval()
    image = noise(1, 2, 8, 8)

    layer, found = project(nn.Sequential(block), image, 1)

    assert layer == "0"
    assert found[0].activation == pytest.approx(float(block(image).detach().max()))


def test_an_input_normalised_by_constants_is_no_hindrance() -> None:
    class Prepared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Conv2d(3, 2, 3)
            self.register_buffer("std", torch.tensor([0.5, 1.0, 2.0]).view(1, 3, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network((x.expand(-1, 3, -1, -1) - 0.5) / self.std)

    _, found = project(Prepared(), noise(1, 1, 8, 8), 1)

    assert found[0].pixels.shape == (1, 8, 8)


def test_a_grouped_convolution_and_local_response_normalisation_go_back_as_in_the_paper() -> None:
    """Each group becomes its own transposed filters; the norm lets the signal through as it is."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 4, 5, stride=2, padding=2), nn.Conv2d(4, 6, 3, padding=1, groups=2)
    norm = nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=2.0)
    net = nn.Sequential(first, nn.ReLU(), norm, nn.MaxPool2d(2), second, nn.ReLU(), norm)
    image = noise(1, 1, 16, 16)

    _, found = project(net, image, 6)

    with torch.no_grad():
        rectified = functional.relu(first(image))
        pooled, switches = functional.max_pool2d(norm(rectified), 2, return_indices=True)
        made = norm(functional.relu(second(pooled)))
        for one in found:
            assert one.activation == pytest.approx(float(made[0, one.channel].max()))
            alone = torch.zeros_like(made)
            alone[0, one.channel, one.row, one.column] = one.activation
            halves = zip(alone.split(3, 1), second.weight.split(3), strict=True)
            signal = torch.cat([functional.conv_transpose2d(part, filters, padding=1) for part, filters in halves], 1)
            signal = functional.relu(functional.max_unpool2d(signal, switches, 2, output_size=rectified.shape[2:]))
            wanted = functional.conv_transpose2d(signal, first.weight, stride=2, padding=2, output_padding=1)
            np.testing.assert_allclose(one.pixels, wanted[0].numpy(), atol=1e-6)
    assert {one.channel // 3 for one in found} == {0, 1}


def test_forward_signals_are_those_of_the_network_itself() -> None:
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.LocalResponseNorm(5, k=2.0), nn.Conv2d(6, 2, 3, groups=2))
    image = noise(1, 1, 12, 12)

    with deconvolved():
        within = net(image)

    assert torch.equal(within, net(image))


class Contrasted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.std()


class Squashed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()


class Gated(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.mean((2, 3), keepdim=True)


@pytest.mark.parametrize(
    ("part", "step"),
    [
        (nn.GELU(), "Gelu"),
        (Squashed(), "Sigmoid"),
        (Gated(), "Mul"),
        (Contrasted(), "Div"),
        (nn.ReLU6(), "Hardtanh"),
    ],
)
def test_a_step_without_a_deconvolution_is_named(part: nn.Module, step: str) -> None:
    with pytest.raises(RequestError) as caught:
        project(nn.Sequential(nn.Conv2d(1, 4, 3), part, nn.Conv2d(4, 4, 3)), noise(1, 1, 9, 9), 1)

    assert str(caught.value) == (
        f"layer '2' depends on a step '{step}', which has no deconvolution: wanted convolutions, ReLU, pools, "
        "batch norm, local response norm, linear layers, sums and joins; show=occlusion takes any model."
    )


def test_what_comes_behind_the_layer_does_not_matter() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.GELU())

    assert project(net, noise(1, 1, 9, 9), 1, "1")[1]


def test_layers_without_maps_and_unknown_ones_are_refused(net: nn.Sequential) -> None:
    image = noise(1, 1, 24, 24)

    with pytest.raises(UnknownNameError, match=r"^unknown layer 'conv'\. Known: 0, 1, 2, 3, 4, 5\.$"):
        project(net, image, 1, "conv")
    with pytest.raises(RequestError, match=r"^layer '7' has no maps \(channels, height, width\) to project back\.$"):
        project(net, image, 1, "7")
    with pytest.raises(RequestError, match=r"^the network has no layer with maps"):
        project(nn.Sequential(nn.Flatten(), nn.Linear(576, 2)), image, 1)


def test_the_network_is_left_as_it_was(net: nn.Sequential) -> None:
    image = noise(1, 1, 24, 24)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    project(net, image, 2)

    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(part._forward_hooks for part in net.modules())
    value = noise(4).requires_grad_()
    functional.relu(value).sum().backward()
    assert torch.equal(value.grad, (value > 0).float())  # outside, a ReLU has its own gradient again


def test_within_a_relu_hands_back_the_positive_part_of_its_signal() -> None:
    value = torch.tensor([-1.0, 2.0, -3.0, 4.0], requires_grad=True)
    with deconvolved():
        made = torch.relu(value)

    made.backward(torch.tensor([1.0, -1.0, -1.0, 1.0]))

    assert made.tolist() == [0, 2, 0, 4]
    assert value.grad is not None
    assert value.grad.tolist() == [1, 0, 0, 1]
