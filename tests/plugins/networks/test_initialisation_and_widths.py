"""First weights of heads, and the published sizes of EfficientDet."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mlcvbench_networks.initialisation import he_initialised, head_initialised, prior_bias, set_prior
from mlcvbench_networks.widths import EFFICIENTDET


def test_the_bias_is_the_logit_of_the_prior() -> None:
    assert prior_bias(0.01) == pytest.approx(-math.log(99))
    assert prior_bias(0.1) == pytest.approx(-2.19, abs=0.01)

    outputs = nn.Conv2d(4, 3, 1)
    set_prior(outputs, 0.01)

    assert torch.sigmoid(outputs.bias).tolist() == pytest.approx([0.01] * 3)


def test_a_head_starts_small_and_a_backbone_for_relu() -> None:
    torch.manual_seed(0)
    head = head_initialised(nn.Sequential(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3, bias=False)))
    layers = he_initialised(nn.Sequential(nn.Conv2d(64, 32, 3)))

    assert [head[place].weight.std().item() for place in (0, 2)] == pytest.approx([0.01, 0.01], rel=0.05)
    assert layers[0].weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.05)
    assert not head[0].bias.any()
    assert not layers[0].bias.any()


def test_efficientdet_has_the_sizes_of_its_table_1() -> None:
    assert [scale[1:] for scale in EFFICIENTDET] == [
        (512, 64, 3, 3),
        (640, 88, 4, 3),
        (768, 112, 5, 3),
        (896, 160, 6, 4),
        (1024, 224, 7, 4),
        (1280, 288, 7, 4),
        (1280, 384, 8, 5),
        (1536, 384, 8, 5),
    ]


def test_the_table_follows_the_equations_of_compound_scaling_but_for_its_rounding() -> None:
    for phi, scale in enumerate(EFFICIENTDET[:7]):
        assert scale.backbone.endswith(f"_b{phi}")
        assert scale.width == pytest.approx(64 * 1.35**phi, rel=0.06)
        assert scale.width % 8 == 0
        assert scale.layers == 3 + phi // 3
        assert scale.size % 128 == 0  # P7 has stride 128
        if phi < 5:
            assert scale.size == 512 + 128 * phi
            assert scale.cells == 3 + phi
