"""Depth learned from a moving camera: the published networks, motions, and what the loss counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.fitting import context
from support.monocular import SMALL, depths, fitted, model_of, multiply_adds, parameters, toy_of

from mlcvbench.errors import DataError
from mlcvbench.testing.toy import toy_data
from mlcvbench_monodepth.monodepth2 import MotionNetwork, depth_of, rigid, upright
from mlcvbench_networks.backbones import backbone
from mlcvbench_training.sample_batch import SampleBatch

PUBLISHED = {
    "backbone": "torchvision:resnet18",
    "widths": [16, 32, 64, 128, 256],
    "decoder": "published",
    "finest": 0,
    "scales": 4,
}
DECODER = (  # inside, outside, stride of the output, before it is enlarged
    (512, 256, 32), (512, 256, 16), (256, 128, 16), (256, 128, 8), (128, 64, 8), (128, 64, 4), (64, 32, 4),
    (96, 32, 2), (32, 16, 2), (16, 16, 1), (16, 1, 1),
)  # fmt: skip
SIZE = SMALL["monodepth2"]


def test_as_published_both_networks_have_the_parameters_of_the_catalogue():
    model = model_of("monodepth2", **PUBLISHED)
    network = model.build()

    assert parameters(network) == 14_329_236
    assert parameters(network.backbone) == 11_176_512
    assert parameters(network.decoder) == 3_152_724
    assert parameters(model.beside_of(None)) == 12_500_492


def test_the_decoder_makes_the_multiply_adds_of_its_layers():
    network = model_of("monodepth2", **PUBLISHED).build()
    products = sum(a * b * 9 * (192 // s) * (640 // s) for a, b, s in DECODER)

    encoder = multiply_adds(backbone("torchvision:resnet18"), 192, 640)
    assert multiply_adds(network, 192, 640) - encoder == products


def test_outputs_from_0_to_1_are_depths_from_100_to_a_tenth():
    assert depth_of(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([100, 0.1])


def test_motions_are_those_of_scipys_rotation_vectors_and_have_a_slope_at_none():
    turn, move = torch.tensor([[0.1, -0.4, 0.2], [0.0, 0.0, 0.0]], requires_grad=True), torch.rand(2, 3)

    motion = rigid(turn, move)
    motion[1, 0, 1].backward()

    np.testing.assert_allclose(
        motion[:, :3, :3].detach(), Rotation.from_rotvec(turn.detach().numpy()).as_matrix(), atol=1e-6
    )
    assert torch.equal(motion[:, :3, 3], move)
    assert motion[:, 3].tolist() == [[0, 0, 0, 1]] * 2
    assert turn.grad[1].tolist() == pytest.approx([0, 0, -1])


def test_a_camera_begins_almost_still():
    motion = MotionNetwork(backbone("small", 3, images=2)).eval()

    with torch.no_grad():
        found = motion(torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96))

    assert float((found - torch.eye(4)).abs().max()) < 0.02


def test_the_camera_of_a_mirrored_image_looks_at_a_mirrored_world():
    mirrored = torch.tensor([[[-90.0, 0, 70], [0, 90, 40], [0, 0, 1]]])

    assert upright(mirrored).tolist() == [[[90.0, 0, 70], [0, 90, 40], [0, 0, 1]]]
    assert torch.equal(upright(upright(mirrored)), upright(mirrored))


class Sideways(torch.nn.Module):
    """A camera that moves `step` metres to the right from frame to frame."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = step

    def forward(self, earlier, later):
        motion = torch.eye(4).repeat(len(earlier), 1, 1)
        motion[:, 0, 3] = -self.step  # points move to the left
        return motion


def walk(step: int, count: int = 3) -> torch.Tensor:
    """Return frames (2, T, 3, 32, 64) of a wall of which so many pixels go by from frame to frame."""
    wide = torch.rand(2, 3, 32, 64 + step * (count - 1), generator=torch.Generator().manual_seed(0))
    return torch.stack([wide[..., place * step : place * step + 64] for place in range(count)], 1)


def loss_of(frames, motion, depth, **settings):
    """Return the loss where this depth is told everywhere, with a focal length of 80 px."""
    model = model_of("monodepth2", **SIZE, **settings)
    model.beside = motion
    camera = torch.tensor([[80.0, 0, 31.5], [0, 80, 15.5], [0, 0, 1]]).repeat(len(frames), 1, 1)
    batch = SampleBatch({"image": frames[:, 1], "frames": frames}, facts={"intrinsics": camera})
    told = torch.full((len(frames), 1, 32, 64), (1 / depth - 0.01) / (10 - 0.01))
    return float(model.loss(lambda images: [told], batch, torch.Generator())["appearance"])


def test_the_true_motion_and_depth_make_the_middle_frame_of_both_others():
    frames = walk(4)

    true = loss_of(frames, Sideways(0.1), 2.0)  # 80 px x 0.1 m / 2 m = 4 px

    assert true < 0.001
    assert loss_of(frames, Sideways(-0.1), 2.0, automask=False) > 0.2
    assert loss_of(frames, Sideways(0.1), 3.0, automask=False) > 0.1


def test_a_camera_that_stands_still_teaches_nothing_with_the_mask():
    still = walk(0)

    assert loss_of(still, Sideways(0.1), 2.0) == 0.0
    assert loss_of(still, Sideways(0.1), 2.0, automask=False) > 0.1


def test_a_pixel_hidden_in_one_frame_is_judged_by_the_other():
    frames = walk(4)
    frames[:, 2] = 0.5  # something stands before the camera

    least, mean = (loss_of(frames, Sideways(0.1), 2.0, minimum=minimum, automask=False) for minimum in (True, False))

    assert least < 0.2 * mean


def test_it_learns_from_sequences_without_depth():
    model, data = model_of("monodepth2", **SIZE), toy_of("monodepth2")

    history = fitted(model, data, epochs=1, batch=8, lr=0.003).history

    assert "depth" not in data.splits["train"].targets()
    assert np.isfinite(history["loss"]).all()
    assert model.beside is None
    assert all((one > 0).all() for one in depths(model, data))


def test_data_without_sequences_are_refused():
    with pytest.raises(DataError, match=r"wanted the input 'frames' to train on"):
        model_of("monodepth2", **SIZE).fit(toy_data("depth")["toy"].splits["train"], None, context(epochs=1))
