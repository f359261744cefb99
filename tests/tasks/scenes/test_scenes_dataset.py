"""Splits of rendered scenes: no scene twice, each drawn once, and a scene stays what it is whatever the counts are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench.storage import cache
from mlcvbench_scenes import dataset as module
from mlcvbench_scenes import render_stereo
from mlcvbench_scenes.dataset import SceneSettings, left_frames, scene_ids, scene_of, stereo_frames


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))


def settings(seed=0, **params) -> SceneSettings:
    return SceneSettings.of({"level": "medium", "size": (32, 48), "train": 3, "val": 1, "test": 2, **params}, seed)


def test_a_split_has_its_count_of_frames_with_their_truth():
    frames = left_frames(settings(), "train")

    assert frames.image.shape == (3, 32, 48, 3)
    assert frames.depth.shape == frames.semantic.shape == frames.surface.shape == (3, 32, 48)
    assert frames.intrinsics.shape == (3, 3, 3)
    assert frames.pose.shape == (3, 4, 4)
    assert frames.ids.tolist() == ["train-00000", "train-00001", "train-00002"]
    for place, instances in enumerate(frames.instances):
        masks = frames.masks(place)
        assert masks.sum(axis=(1, 2)).tolist() == instances.area.tolist()
        for mask, label in zip(masks, instances.label, strict=True):
            assert (frames.semantic[place][mask] == label).all()


def test_stereo_frames_are_what_the_renderer_draws_and_their_left_ones_are_the_left_frames():
    asked = settings()

    pairs = stereo_frames(asked, "test")
    drawn = render_stereo(scene_of(asked, "test", 1))

    np.testing.assert_array_equal(pairs.left.image, left_frames(asked, "test").image)
    np.testing.assert_array_equal(pairs.left.image[1], drawn.left.image)
    np.testing.assert_array_equal(pairs.left.depth[1], drawn.left.depth)
    np.testing.assert_array_equal(pairs.right[1], drawn.right.image)
    np.testing.assert_array_equal(pairs.disparity[1], drawn.disparity)
    np.testing.assert_array_equal(pairs.occluded[1], drawn.occluded)
    np.testing.assert_array_equal(pairs.right_disparity[1], drawn.right_disparity)
    np.testing.assert_array_equal(pairs.right_occluded[1], drawn.right_occluded)
    assert pairs.baseline.tolist() == [drawn.rig.baseline] * 2


def test_no_scene_is_in_two_splits_and_no_id():
    asked = settings()

    images = [image.tobytes() for split in asked.splits for image in left_frames(asked, split).image]
    ids = [name for split in asked.splits for name in scene_ids(asked, split)]

    assert len(set(images)) == len(images) == 6
    assert len(set(ids)) == 6


def test_a_larger_split_begins_with_the_smaller_one_also_across_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2)

    few, many = (left_frames(settings(train=count), "train") for count in (3, 5))

    np.testing.assert_array_equal(many.image[:3], few.image)
    np.testing.assert_array_equal(many.ids[:3], few.ids)
    for one, other in zip(few.instances, many.instances[:3], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_a_frame_is_drawn_once(monkeypatch):
    first = left_frames(settings(), "test")
    monkeypatch.setattr(module, "render", None)

    np.testing.assert_array_equal(left_frames(settings(), "test").image, first.image)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"level": "hard"}, {"size": (32, 32)}, {"half_size": (0.6, 0.9)}, {"cameras": "varied"}],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_changes_the_scenes(change):
    base, other = (left_frames(settings(**asked), "test") for asked in ({}, change))

    assert base.image.shape != other.image.shape or not np.array_equal(base.image, other.image)


def test_a_split_of_no_scenes_does_not_exist():
    assert settings(val=0).splits == ("train", "test")
    assert settings(val=None, train=None).splits == ("test",)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"test": 0}, "data.test=0: wanted at least one scene to test on."),
        ({"train": 1_000_001}, "data.train=1000001: wanted 0 to 1000000 scenes."),
        ({"val": -1}, "data.val=-1: wanted 0 to 1000000 scenes."),
        ({"half_size": (0.9, 0.15)}, "data.half_size=[0.9,0.15]: wanted the least half size first, in metres."),
    ],
)
def test_counts_that_cannot_be_are_refused(params, message):
    with pytest.raises(RequestError) as caught:
        settings(**params)

    assert str(caught.value) == message


def test_an_unknown_level_is_named():
    with pytest.raises(UnknownNameError, match="unknown level 'brutal'"):
        left_frames(dataclasses.replace(settings(), level="brutal"), "test")


def test_unknown_cameras_are_named():
    with pytest.raises(UnknownNameError, match="unknown cameras 'wild'"):
        left_frames(settings(cameras="wild"), "test")


def test_solids_have_half_sizes_of_the_given_range():
    spheres = [
        thing.solid.size[0]
        for number in range(30)
        for thing in settings(half_size=(0.6, 0.9)).scene(number).things
        if thing.solid.kind == "sphere"
    ]

    assert len(spheres) > 10
    assert 0.6 <= min(spheres) <= max(spheres) <= 0.9


def test_varied_cameras_differ_in_height_pitch_and_focal_length():
    alike, varied = (
        [settings(cameras=cameras).scene(number).rig.left for number in range(40)] for cameras in ("alike", "varied")
    )

    for cameras, heights, drops, focals in (
        (alike, (1.5, 2.1), (0.28, 0.49), (0.95, 0.95)),
        (varied, (1.0, 2.6), (-0.17, 0.71), (0.7, 1.3)),
    ):
        for found, (low, high) in (
            ([camera.position[2] for camera in cameras], heights),
            ([-camera.rotation[2][2] for camera in cameras], drops),
            ([camera.focal / camera.width for camera in cameras], focals),
        ):
            assert low - 1e-9 <= min(found) <= max(found) <= high + 1e-9
            assert max(found) - min(found) >= 0.6 * (high - low) - 1e-9
