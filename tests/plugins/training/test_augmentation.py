"""Random changes of images: what they may do, and that nothing is drawn when they are off."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mlcvbench_training.augmentation import (
    GREY,
    YIQ,
    augment,
    change_colour,
    cut_out,
    flip,
    shift,
    turn_and_crop,
    turn_hues,
)
from mlcvbench_training.settings import Settings


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def ramp(height: int = 8, width: int = 8) -> torch.Tensor:
    """Return an image (1, 1, H, W) of all different values in [0, 1]."""
    return torch.linspace(0, 1, height * width).reshape(1, 1, height, width)


def test_shifted_images_are_windows_of_the_padded_image():
    image = torch.arange(28 * 28, dtype=torch.float32).reshape(1, 1, 28, 28)

    moved = shift(image.repeat(200, 2, 1, 1), generator())

    padded = nn.functional.pad(image, (2, 2, 2, 2), mode="replicate")[0, 0]
    windows = {padded[y : y + 28, x : x + 28].numpy().tobytes() for y in range(5) for x in range(5)}
    assert {picture[0].numpy().tobytes() for picture in moved} == windows
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_a_share_of_the_images_is_mirrored():
    image = ramp()
    changed = flip(image.repeat(1000, 1, 1, 1), 0.3, generator())

    mirrored = (changed == image.flip(3)).all(3).all(2).all(1)
    assert ((changed == image).all(3).all(2).all(1) | mirrored).all()
    assert mirrored.float().mean() == pytest.approx(0.3, abs=0.05)


def test_no_turn_and_the_whole_window_leave_the_image_as_it_is():
    image = ramp(6, 9)

    assert torch.allclose(turn_and_crop(image, 0.0, 1.0, generator()), image, atol=1e-6)


def test_a_window_is_a_linear_part_of_a_ramp_and_lies_inside():
    across = torch.linspace(0, 1, 41).expand(300, 1, 21, 41)

    changed = turn_and_crop(across, 0.0, 0.5, generator())

    slopes = (changed[:, 0, 10, 30] - changed[:, 0, 10, 10]) / (0.5)
    assert slopes.min() == pytest.approx(0.5, abs=0.03)
    assert slopes.max() == pytest.approx(1.0, abs=0.03)
    assert changed[:, 0, 10, 0].min() < 0.02
    assert changed[:, 0, 10, 0].max() > 0.4


def test_turns_keep_the_middle_and_stay_below_the_angle():
    side = 41
    down, right = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    disc = torch.stack([right, down]).expand(500, 2, side, side)

    changed = turn_and_crop(disc, 30.0, 1.0, generator())

    middle, beside = changed[:, :, 20, 20], changed[:, :, 20, 30]
    angles = torch.atan2(beside[:, 1], beside[:, 0]).rad2deg()
    assert middle.abs().max() < 1e-5
    assert angles.abs().max() == pytest.approx(30, abs=1)
    assert angles.mean().abs() < 2
    assert torch.allclose(beside.norm(dim=1), torch.tensor(0.5), atol=1e-3)


def test_a_turn_is_rigid_on_oblong_images():
    height, width = 20, 60
    pixels = torch.stack(torch.meshgrid(torch.arange(60.0), torch.arange(20.0), indexing="xy"))  # (x, y)
    changed = turn_and_crop(pixels.expand(50, 2, height, width), 10.0, 1.0, generator())

    right = changed[:, :, 10, 35] - changed[:, :, 10, 30]
    down = changed[:, :, 12, 30] - changed[:, :, 10, 30]
    assert torch.allclose(right.norm(dim=1), torch.tensor(5.0), atol=1e-2)
    assert (right * down).sum(1).abs().max() < 1e-2


def test_colours_change_by_at_most_their_strength_and_stay_in_range():
    grey = torch.full((400, 3, 4, 4), 0.5)

    changed = change_colour(grey, 0.4, generator())

    assert changed.min() == pytest.approx(0.3, abs=0.01)
    assert changed.max() == pytest.approx(0.7, abs=0.01)
    picture = torch.rand(50, 3, 4, 4, generator=generator())
    assert ((change_colour(picture, 1.0, generator()) - 0.5).abs() <= 0.5).all()
    assert change_colour(picture[:, :1], 0.5, generator()).shape == (50, 1, 4, 4)


def test_hues_turn_about_grey_by_at_most_their_angle():
    grey = torch.rand(1, 1, 6, 6, generator=generator()).expand(1, 3, 6, 6)
    colours = 0.4 + 0.2 * torch.rand(64, 3, 4, 4, generator=generator())

    turned = turn_hues(colours, 30.0, generator())

    weights = torch.tensor(GREY)[:, None, None]
    assert torch.allclose(turn_hues(grey, 180.0, generator()), grey, atol=1e-5)
    assert torch.allclose((turned * weights).sum(1), (colours * weights).sum(1), atol=1e-5)
    chroma = torch.tensor(YIQ[1:])
    before, after = (torch.einsum("ci,bihw->bchw", chroma, images) for images in (colours, turned))
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), atol=1e-5)
    angle = torch.rad2deg(torch.acos((before * after).sum(1) / before.norm(dim=1) / after.norm(dim=1)))[:, 1, 1]
    assert angle.amax() <= 30.1
    assert angle.amax() > 25


def test_hues_of_all_angles_stay_in_range_and_grey_images_have_none():
    images, grey = torch.rand(32, 3, 8, 8, generator=generator()), torch.rand(2, 1, 8, 8, generator=generator())

    turned = turn_hues(images, 180.0, generator())

    assert turned.amin() >= 0
    assert turned.amax() <= 1
    assert turn_hues(grey, 180.0, generator()) is grey


@pytest.mark.parametrize("side", [1, 3, 4])
def test_a_square_inside_is_whole_and_in_half_of_the_images(side):
    changed = cut_out(torch.ones(2000, 2, 6, 9), side, inside=True, generator=generator())

    black = (changed == 0).sum((2, 3))
    assert set(black.flatten().tolist()) == {0, side * side}
    assert torch.equal(black[:, 0], black[:, 1])
    assert (black[:, 0] > 0).float().mean() == pytest.approx(0.5, abs=0.05)
    hit = (changed[:, 0] == 0).float().mean(0)
    assert hit[0, 0] > 0
    assert hit[-1, -1] > 0


def test_a_square_anywhere_has_its_centre_in_the_image_and_is_in_all_of_them():
    changed = cut_out(torch.ones(3000, 1, 6, 6), 4, inside=False, generator=generator())

    black = (changed[:, 0] == 0).sum((1, 2))
    assert black.min() == 4  # a corner's quarter, as the centre is a pixel
    assert black.max() == 16
    assert len(set(black.tolist())) > 3


def test_changes_that_are_off_draw_nothing():
    order = generator()
    before = order.get_state()
    image = ramp()

    assert augment(image, Settings(), order) is image
    assert torch.equal(order.get_state(), before)


@pytest.mark.parametrize(
    "change",
    [{"augmentation": "shift"}, {"flip": 1.0}, {"rotate": 20.0}, {"crop": 0.6}, {"colour": 0.5}, {"cutout": "any"}],
)
def test_each_setting_changes_images_from_the_loops_generator_only(change):
    images = ramp().repeat(20, 1, 1, 1)
    state = torch.get_rng_state()

    one, same = (augment(images, Settings(**change), generator()) for _ in range(2))

    assert torch.equal(one, same)
    assert not torch.equal(one, images)
    assert one.shape == images.shape
    assert torch.equal(torch.get_rng_state(), state)


def test_a_cutout_is_a_quarter_of_the_image_unless_its_size_is_said():
    images = torch.ones(100, 1, 16, 16)

    usual = augment(images, Settings(cutout="inside"), generator())
    small = augment(images, Settings(cutout="inside", cutout_size=2), generator())

    assert int((usual == 0).sum((1, 2, 3)).max()) == 16
    assert int((small == 0).sum((1, 2, 3)).max()) == 4
