"""Atrous spatial pyramid pooling against torchvision's, and what a small map does to it."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.segmentation import deeplabv3

from mlcvbench_networks.dense.aspp import ASPP, rates_at


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(9, 13), (40, 33)])
def test_torchvisions_weights_give_torchvisions_maps(training, size):
    theirs = deeplabv3.ASPP(6, rates_at(16), 5)
    ours = ASPP(6, rates_at(16), 5)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    maps = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    answers = []
    for network in (ours, theirs):
        network.train(training)
        torch.manual_seed(3)  # of dropout
        answers.append(network(maps))

    assert answers[0].shape == (2, 5, *size)
    assert torch.equal(*answers)
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


def test_the_papers_head_at_stride_8_has_torchvisions_number_of_parameters():
    count = sum(parameter.numel() for parameter in ASPP(2048, rates_at(8)).parameters())

    assert count == sum(parameter.numel() for parameter in deeplabv3.ASPP(2048, (12, 24, 36)).parameters())


def test_a_rate_as_large_as_the_map_leaves_the_middle_of_the_kernel():
    branch = ASPP(3, (8,), 4, image_pooling=False).eval().convs[1]
    maps = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = branch(maps)
        branch[0].weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 7.0

        assert torch.allclose(whole, branch(maps))


def test_a_training_batch_of_one_image_is_refused_with_what_to_do():
    network, maps = ASPP(3, (2,), 4), torch.zeros(1, 3, 5, 5)

    with pytest.raises(ValueError, match=r"^image pooling leaves one value .* or with image_pooling=False\.$"):
        network.train()(maps)
    assert network.eval()(maps).shape == (1, 4, 5, 5)
    assert ASPP(3, (2,), 4, image_pooling=False).train()(maps).shape == (1, 4, 5, 5)
