"""Warping against slices, loops and projected points: which pixel is taken, and which ones mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench_networks.stereo.warping import ROUNDING, sample, warp_by_disparity, warp_by_pose

HEIGHT, WIDTH = 6, 9
INTRINSICS = torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 2.5], [0.0, 0.0, 1.0]], dtype=torch.float64)[None]


def images(count: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, HEIGHT, WIDTH, dtype=torch.float64, generator=generator)


def constant(value: float, count: int = 2) -> torch.Tensor:
    return torch.full((count, 1, HEIGHT, WIDTH), value, dtype=torch.float64)


def on_image(x: float, y: float) -> bool:
    return -ROUNDING <= x <= WIDTH - 1 + ROUNDING and -ROUNDING <= y <= HEIGHT - 1 + ROUNDING


def rotation(axis: str, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def pose(turn: np.ndarray, position: tuple[float, float, float]) -> np.ndarray:
    """Return a camera to world, (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, position
    return matrix


def moved(turn: np.ndarray, position: tuple[float, float, float]) -> torch.Tensor:
    """Return the motion from a camera at the origin to one with this pose, (1, 4, 4)."""
    return torch.from_numpy(np.linalg.inv(pose(turn, position)))[None]


def test_a_disparity_of_0_leaves_an_image_as_it_is():
    warped = warp_by_disparity(images(), constant(0))

    assert torch.allclose(warped.image, images(), atol=1e-12)
    assert bool(warped.inside.all())


@pytest.mark.parametrize("pixels", [1, 3, -2])
def test_a_whole_disparity_takes_the_pixel_that_far_to_the_left(pixels):
    warped = warp_by_disparity(images(), constant(pixels))

    own = slice(max(pixels, 0), WIDTH + min(pixels, 0))
    other = slice(max(-pixels, 0), WIDTH - max(pixels, 0))
    assert torch.allclose(warped.image[..., own], images()[..., other], atol=1e-12)
    assert bool(warped.inside[..., own].all())
    assert int(warped.inside.sum()) == 2 * HEIGHT * (WIDTH - abs(pixels))


def test_half_a_pixel_is_the_mean_of_two():
    warped = warp_by_disparity(images(), constant(0.5))

    assert torch.allclose(warped.image[..., 1:], (images()[..., 1:] + images()[..., :-1]) / 2)
    assert not bool(warped.inside[..., 0].any())


def test_beyond_the_border_its_value_goes_on_and_the_place_has_no_gradient():
    disparity = constant(100.0).requires_grad_()
    warped = warp_by_disparity(images(), disparity)
    warped.image.sum().backward()

    assert torch.allclose(warped.image, images()[..., :1].expand_as(warped.image))
    assert not bool(warped.inside.any())
    assert disparity.grad is not None
    assert torch.equal(disparity.grad, torch.zeros_like(disparity))


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_sample_is_the_bilinear_mean_of_four_pixels(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, WIDTH, (2, 1, 3)), rng.uniform(-1, HEIGHT, (2, 1, 3))
    source = images()

    values, inside = sample(source, torch.from_numpy(x), torch.from_numpy(y))

    for image, column in np.ndindex(2, 3):
        at_x, at_y = x[image, 0, column], y[image, 0, column]
        assert bool(inside[image, 0, 0, column]) == on_image(at_x, at_y)
        at_x, at_y = min(max(at_x, 0), WIDTH - 1), min(max(at_y, 0), HEIGHT - 1)
        left, top = int(min(at_x, WIDTH - 2)), int(min(at_y, HEIGHT - 2))
        across, down = at_x - left, at_y - top
        block = source[image, :, top : top + 2, left : left + 2].numpy()
        wanted = block @ [1 - across, across] @ [1 - down, down]
        assert values[image, :, 0, column].numpy() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_an_image_of_one_row_or_column_is_its_own_sample(shape):
    source = torch.rand(1, 1, *shape)

    warped = warp_by_disparity(source, torch.zeros(1, 1, *shape))

    assert torch.allclose(warped.image, source)
    assert bool(warped.inside.all())


def test_without_motion_depth_does_not_matter():
    depth = 1 + 9 * images()[:, :1]
    warped = warp_by_pose(images(), depth, INTRINSICS.expand(2, 3, 3), torch.eye(4).expand(2, 4, 4))

    assert torch.allclose(warped.image, images(), atol=1e-9)


def test_a_step_to_the_right_is_a_disparity_of_focal_length_times_baseline_over_depth():
    depth = 2 + 3 * images()[:, :1]
    baseline = 0.5

    by_pose = warp_by_pose(images(), depth, INTRINSICS, moved(np.eye(3), (baseline, 0, 0)))
    by_disparity = warp_by_disparity(images(), 8.0 * baseline / depth)

    assert torch.allclose(by_pose.image, by_disparity.image)
    assert torch.equal(by_pose.inside, by_disparity.inside)


def test_a_quarter_turn_about_the_axis_turns_the_image():
    square = torch.rand(1, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    intrinsics = torch.tensor([[[7.0, 0, 2], [0, 7, 2], [0, 0, 1]]])

    warped = warp_by_pose(square, torch.full((1, 1, 5, 5), 3.0), intrinsics, moved(rotation("z", np.pi / 2), (0, 0, 0)))

    assert torch.allclose(
        warped.image, square.rot90(-1, (2, 3)), atol=1e-5
    )  # the camera to the right, what it sees to the left


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_pixel_comes_from_where_its_point_in_the_world_is_seen(seed):
    rng = np.random.default_rng(seed)
    first, second = (
        pose(rotation("x", rng.normal(0, 0.1)) @ rotation("y", rng.normal(0, 0.1)), tuple(rng.normal(0, 0.3, 3)))
        for _ in range(2)
    )
    depth = rng.uniform(1, 5, (1, 1, HEIGHT, WIDTH))
    camera = INTRINSICS[0].numpy()
    places = torch.from_numpy(np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))[None].astype(float))

    motion = torch.from_numpy(np.linalg.inv(second) @ first)[None]
    warped = warp_by_pose(places, torch.from_numpy(depth), INTRINSICS, motion)

    for row, column in np.ndindex(HEIGHT, WIDTH):
        ray = np.array([(column - camera[0, 2]) / camera[0, 0], (row - camera[1, 2]) / camera[1, 1], 1.0])
        world = first[:3, :3] @ (ray * depth[0, 0, row, column]) + first[:3, 3]
        x, y, z = camera @ (second[:3, :3].T @ (world - second[:3, 3]))
        seen = on_image(x / z, y / z)
        assert bool(warped.inside[0, 0, row, column]) == seen
        if seen:
            assert warped.image[0, :, row, column].numpy() == pytest.approx([x / z, y / z], abs=ROUNDING)


def test_rows_that_do_not_move_stay_inside_whatever_their_last_digit():
    depth = 1 + 50 * torch.rand(1, 1, 480, 640, generator=torch.Generator().manual_seed(0))
    intrinsics = torch.tensor([[[517.3, 0, 318.6], [0, 516.5, 255.3], [0, 0, 1]]])

    warped = warp_by_pose(torch.zeros(1, 1, 480, 640), depth, intrinsics, torch.eye(4)[None])

    assert bool(warped.inside.all())


def test_what_lies_behind_the_camera_is_not_inside_and_has_no_gradient():
    depth = constant(2.0, 1).requires_grad_()
    warped = warp_by_pose(images(1), depth, INTRINSICS, moved(np.eye(3), (0, 0, 2.0)))
    warped.image.sum().backward()

    assert not bool(warped.inside.any())
    assert depth.grad is not None
    assert torch.equal(depth.grad, torch.zeros_like(depth))


def test_gradients_are_those_of_central_differences():
    generator = torch.Generator().manual_seed(1)
    disparity = (0.2 + 3 * torch.rand(1, 1, HEIGHT, WIDTH, dtype=torch.float64, generator=generator)).requires_grad_()
    depth = (2 + torch.rand(1, 1, HEIGHT, WIDTH, dtype=torch.float64, generator=generator)).requires_grad_()
    motion = moved(rotation("y", 0.05), (0.13, 0.07, 0.11)).requires_grad_()
    source = images(1).requires_grad_()

    assert torch.autograd.gradcheck(lambda own, d: warp_by_disparity(own, d).image, (source, disparity))
    assert torch.autograd.gradcheck(
        lambda own, far, motion: warp_by_pose(own, far, INTRINSICS, motion).image, (source, depth, motion)
    )


def test_places_are_computed_in_float32_under_autocast():
    wide = torch.arange(800.0).expand(1, 1, 2, 800)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        warped = warp_by_disparity(wide, torch.full((1, 1, 2, 800), 1.5, dtype=torch.bfloat16))
        posed = warp_by_pose(wide, torch.ones(1, 1, 2, 800), INTRINSICS, moved(np.eye(3), (0.125, 0, 0)))

    assert torch.allclose(warped.image[..., 2:], wide[..., 2:] - 1.5, atol=1e-3)
    assert torch.allclose(posed.image[..., 2:], wide[..., 2:] - 1.0, atol=1e-3)


@pytest.mark.parametrize("count", [0, 1])
def test_batches_of_none_stay_so(count):
    depth = constant(1.0, count)

    assert warp_by_disparity(images(count), depth).image.shape == (count, 3, HEIGHT, WIDTH)
    assert warp_by_pose(images(count), depth, INTRINSICS, torch.eye(4)[None]).inside.shape == depth.shape


def test_maps_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"^wanted tensors of one shape, got image \(2, 1, 6, 9\), disparity \(2, 6, 9\)"
    ):
        warp_by_disparity(images(), constant(1)[:, 0])
    with pytest.raises(
        ValueError, match=r"^wanted tensors of one shape, got image \(2, 1, 6, 9\), depth \(2, 1, 3, 9\)"
    ):
        warp_by_pose(images(), constant(1)[:, :, :3], INTRINSICS, torch.eye(4)[None])
