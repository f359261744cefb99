"""Warping against rendered scenes: the true geometry of a pair, and of a camera that moves, makes pictures agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.stereo.losses import left_right, photometric
from mlcvbench_networks.stereo.warping import Warped, warp_by_disparity, warp_by_pose
from mlcvbench_scenes import Scene, StereoFrame, compose, render_sequence

SCENES = [compose(0, number, "medium", size=(96, 96)) for number in range(2)]


def picture(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def one_map(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values)[None, None]


def frames(scene: Scene) -> list[StereoFrame]:
    """Return a pair, and the one after a step forward and to the side with a small turn."""
    return render_sequence(scene, scene.rig.path([((0.1, 0.0, 0.25), (0.0, 0.02, 0.0))]))


def error(image: torch.Tensor, warped: Warped, visible: torch.Tensor | bool = True) -> float:
    return float(mean_over(photometric(image, warped.image), warped.inside & visible))


@pytest.mark.parametrize("scene", SCENES)
def test_the_right_image_moved_by_the_true_disparity_is_the_left_one(scene):
    pair = frames(scene)[0]
    left, right, disparity = picture(pair.left.image), picture(pair.right.image), one_map(pair.disparity)
    seen = ~one_map(pair.occluded)

    true = error(left, warp_by_disparity(right, disparity), seen)

    assert true < 0.6 * error(left, warp_by_disparity(right, 0 * disparity), seen)
    assert true < 0.6 * error(left, warp_by_disparity(right, -disparity), seen)
    assert true < 0.8 * error(left, warp_by_disparity(right, disparity + 1), seen)
    own, other = warp_by_disparity(left, -one_map(pair.right_disparity)), ~one_map(pair.right_occluded)
    assert error(right, own, other) < 0.6 * error(right, Warped(left, own.inside), other)


@pytest.mark.parametrize("scene", SCENES)
def test_true_disparities_of_both_cameras_agree_where_others_do_not(scene):
    pair = frames(scene)[0]
    left, right = one_map(pair.disparity), one_map(pair.right_disparity)

    assert float(left_right(left, right)) < 0.1  # pixels, for something is hidden from either
    assert float(left_right(left + 1, right)) > 1.8  # one in each direction


@pytest.mark.parametrize("scene", SCENES)
def test_depth_intrinsics_and_poses_of_the_data_bring_a_later_frame_back(scene):
    first, second = (frame.left for frame in frames(scene))
    now, later, depth = picture(first.image), picture(second.image), one_map(first.depth)
    intrinsics = torch.from_numpy(first.camera.intrinsics)[None]
    motion = torch.from_numpy(np.linalg.inv(second.camera.pose) @ first.camera.pose)[None]

    true = error(now, warp_by_pose(later, depth, intrinsics, motion))

    assert true < 0.7 * error(now, Warped(later, torch.ones_like(depth) > 0))
    assert true < 0.7 * error(now, warp_by_pose(later, depth, intrinsics, motion.inverse()))
    assert true < 0.9 * error(now, warp_by_pose(later, 2 * depth, intrinsics, motion))
