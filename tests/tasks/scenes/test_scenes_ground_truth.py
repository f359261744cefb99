"""The data sets' ground truth, found right by other means than the renderer's own: the data sets check one another.

Detection, segmentation, stereo and mono depth show the same scenes, so boxes, masks, labels, depth and disparity of
one image can be held against each other, and the images of a pair or a sequence against the geometry.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mlcvbench.storage import cache
from mlcvbench_depth.scenes import load_scenes_mono, load_scenes_stereo
from mlcvbench_detection.scenes import load_scenes as load_detection
from mlcvbench_scenes import CLASSES, LEVELS
from mlcvbench_scenes.scene import FIRST_SOLID
from mlcvbench_segmentation.scenes import load_scenes as load_segmentation

SIZE = (96, 128)
COUNT = 3


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def sample(load, level="medium", split="test", **params):
    """Return inputs, targets and meta of the split's `COUNT` samples."""
    data = load({"level": level, "size": list(SIZE), "train": COUNT, "val": 0, "test": COUNT, **params}, 3)
    batch, targets = data.splits[split].read(slice(0, COUNT))
    return batch.inputs, targets, batch.meta


def interpolated(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the image's colours at places between pixels, float32."""
    return cv2.remap(
        image.astype(np.float32), columns.astype(np.float32), rows.astype(np.float32), interpolation=cv2.INTER_LINEAR
    )


def dense(masks) -> np.ndarray:
    """Return run-length masks as bool (n, H, W)."""
    return np.stack([masks.dense(index) for index in range(len(masks))]).astype(bool)


def inner(depth: np.ndarray) -> np.ndarray:
    """Return the pixels whose neighbourhood has no jump of depth, bool (H, W)."""
    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) < 0.15 * depth


@pytest.mark.parametrize("level", list(LEVELS))
def test_the_left_depth_carries_the_right_image_to_the_left_within_the_noise(level):
    inputs, targets, meta = sample(load_scenes_stereo, level)
    rows, columns = np.indices(SIZE)
    for place in range(COUNT):
        depth = meta["intrinsics"][place][0, 0] * meta["baseline"][place] / targets["disparity"][place]
        points = np.stack([columns, rows, np.ones(SIZE)], axis=-1) @ np.linalg.inv(meta["intrinsics"][place]).T
        points = points * depth[..., None] - [meta["baseline"][place], 0, 0]
        seen = points @ meta["intrinsics"][place].T
        carried = interpolated(inputs["right"][place], seen[..., 1] / seen[..., 2], seen[..., 0] / seen[..., 2])
        unseen = targets["occluded"][place]
        fair = inner(depth) & ~unseen

        error = np.abs(carried - inputs["left"][place])
        # Of two noisy images, one interpolated: at most sqrt(2) times the noise, whose median is 0.67 of its spread.
        assert np.median(error[fair]) < 0.67 * np.sqrt(2) * LEVELS[level].noise + 1
        assert np.median(error[unseen]) > 2 * np.median(error[fair])


def test_matches_of_features_lie_in_the_same_row_and_shifted_by_the_disparity():
    inputs, targets, _ = sample(load_scenes_stereo, "easy", size=[256, 256])
    finder, found = cv2.SIFT.create(contrastThreshold=0.01), []
    for left, right, disparity in zip(inputs["left"], inputs["right"], targets["disparity"], strict=True):
        ours, descriptions = finder.detectAndCompute(cv2.cvtColor(left, cv2.COLOR_RGB2GRAY), None)
        theirs, others = finder.detectAndCompute(cv2.cvtColor(right, cv2.COLOR_RGB2GRAY), None)
        for match in cv2.BFMatcher(crossCheck=True).match(descriptions, others):
            (x, y), (u, v) = ours[match.queryIdx].pt, theirs[match.trainIdx].pt
            if match.distance < 150:
                found.append((y - v, x - u - disparity[min(round(y), 255), min(round(x), 255)]))
    down, across = np.abs(np.array(found)).T

    assert len(found) > 100
    assert np.median(down) < 0.25
    assert np.median(across) < 0.35
    assert np.mean(down < 1.5) > 0.9


def test_disparity_is_focal_length_times_baseline_over_the_depth_of_the_mono_data_set():
    pairs, disparity, meta = sample(load_scenes_stereo)
    images, depth, camera = sample(load_scenes_mono)

    np.testing.assert_array_equal(pairs["left"], images["image"])
    np.testing.assert_array_equal(meta["intrinsics"], camera["intrinsics"])
    expected = (camera["intrinsics"][:, 0, 0] * meta["baseline"])[:, None, None] / depth["depth"]
    np.testing.assert_allclose(disparity["disparity"], expected, rtol=1e-5)


@pytest.mark.parametrize("level", list(LEVELS))
def test_pixels_hidden_from_the_right_camera_are_those_that_a_nearer_one_covers_or_that_leave_the_image(level):
    _, targets, _ = sample(load_scenes_stereo, level)
    for disparity, occluded in zip(targets["disparity"], targets["occluded"], strict=True):
        columns = np.arange(SIZE[1]) - disparity
        outside = columns < -0.5
        nearest = np.zeros((SIZE[0], SIZE[1] + 1))
        for row in range(SIZE[0]):  # the nearest surface that lands in each column of the right image
            inside = ~outside[row]
            np.maximum.at(nearest[row], np.round(columns[row, inside]).astype(int), disparity[row, inside])
        sides = [np.clip(side(columns).astype(int), 0, SIZE[1]) for side in (np.floor, np.ceil)]
        surely, maybe = (
            choose([np.take_along_axis(nearest, side, axis=1) for side in sides]) > disparity + 1
            for choose in (np.minimum.reduce, np.maximum.reduce)
        )

        assert occluded[outside].all()
        assert np.mean(occluded[surely & ~outside]) > 0.97
        near = cv2.dilate((maybe | outside).astype(np.uint8), np.ones((1, 3), np.uint8)).astype(bool)
        assert np.mean(near[occluded]) > 0.95
        assert near.mean() < 3 * occluded.mean()


@pytest.mark.parametrize("level", list(LEVELS))
def test_boxes_are_the_tight_bounds_of_masks_and_masks_part_what_the_labels_join(level):
    pictures, objects, _ = sample(load_detection, level, masks=True)
    images, labels, _ = sample(load_segmentation, level)

    np.testing.assert_array_equal(pictures["image"], images["image"])
    for place in range(COUNT):
        masks = dense(objects["masks"][place])
        label = labels["label_map"][place]
        np.testing.assert_array_equal(masks.sum(axis=0), label >= FIRST_SOLID)
        for mask, (x, y, width, height), kind, area in zip(
            masks, objects["xywh"][place], objects["labels"][place], objects["area"][place], strict=True
        ):
            rows, columns = np.nonzero(mask)
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
            assert area == len(rows)
            assert set(label[rows, columns]) == {FIRST_SOLID + kind}


@pytest.mark.parametrize("level", list(LEVELS))
def test_depth_jumps_are_borders_of_masks_or_labels(level):
    _, objects, _ = sample(load_detection, level, masks=True)
    _, labels, _ = sample(load_segmentation, level)
    _, depths, _ = sample(load_scenes_mono, level)
    for place in range(COUNT):
        depth, label = depths["depth"][place], labels["label_map"][place]
        masks = dense(objects["masks"][place])
        surface = np.where(masks.any(axis=0), FIRST_SOLID + masks.argmax(axis=0), label)
        ground = label == CLASSES.index("ground")
        for axis in (0, 1):
            jump = (
                np.abs(np.diff(np.log(depth), axis=axis)) > 0.2
            )  # a side of a box seen at a grazing angle reaches 0.18
            border = np.diff(surface.astype(int), axis=axis) != 0
            one, other = np.take(ground, range(SIZE[axis] - 1), axis), np.take(ground, range(1, SIZE[axis]), axis)
            receding = one & other  # the ground itself recedes by as much from row to row

            assert jump.any()
            assert not (jump & ~border & ~receding).any()


def test_the_depth_of_an_image_and_the_poses_carry_the_frames_of_a_sequence_to_it():
    inputs, _, meta = sample(load_scenes_mono, "easy", split="train", supervision="sequence", frames=3)
    _, targets, _ = sample(load_scenes_mono, "easy", split="train")
    rows, columns = np.indices(SIZE)
    for place in range(COUNT):
        image, depth, intrinsics = inputs["image"][place], targets["depth"][place], meta["intrinsics"][place]
        np.testing.assert_array_equal(inputs["frames"][place][1], image)
        np.testing.assert_array_equal(meta["poses"][place][1], meta["pose"][place])
        pixels = np.stack([columns, rows, np.ones(SIZE)], axis=-1)
        points = (pixels @ np.linalg.inv(intrinsics).T) * depth[..., None]
        for frame in (0, 2):
            motion = np.linalg.inv(meta["poses"][place][frame]) @ meta["pose"][place]
            seen = (points @ motion[:3, :3].T + motion[:3, 3]) @ intrinsics.T
            u, v = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
            inside = (u > 0) & (u < SIZE[1] - 1) & (v > 0) & (v < SIZE[0] - 1)
            carried = interpolated(inputs["frames"][place][frame], v, u)
            fair = inner(depth) & inside

            moved = np.median(np.hypot(u - columns, v - rows)[inside])
            error = np.median(np.abs(carried - image)[fair])
            assert moved > 1
            assert error < 0.67 * np.sqrt(2) * LEVELS["easy"].noise + 1
            assert error < 0.8 * np.median(np.abs(inputs["frames"][place][frame].astype(float) - image)[fair])
