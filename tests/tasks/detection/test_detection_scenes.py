"""Rendered scenes as a detection data set: tight boxes of masks, slivers that nobody is asked to find, pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mlcvbench.contract import Batch
from mlcvbench.plan.definitions import load_definition
from mlcvbench.registry import get_registry
from mlcvbench.testing.datasets import check_dataset
from mlcvbench_detection.geometry.rle import encode_dense
from mlcvbench_detection.pictures.preview import class_colors, preview
from mlcvbench_detection.scenes import SLIVER_AREA, SLIVER_VISIBLE, SOLIDS, SceneSplit, load_scenes, load_scenes_256
from mlcvbench_detection.task import DetectionTask
from mlcvbench_scenes.dataset import SceneSettings, left_frames

PARAMS = {"level": "hard", "size": (64, 64), "train": 3, "val": 1, "test": 6}


@pytest.fixture(scope="module")
def data():
    return load_scenes({**PARAMS, "masks": True}, 0)


@pytest.fixture(scope="module")
def frames():
    return left_frames(SceneSettings.of(PARAMS, 0), "test")


def test_boxes_are_the_tight_bounds_of_masks_and_areas_their_pixels(data):
    targets = data.splits["test"].targets()
    masks = targets["masks"].values

    np.testing.assert_array_equal(masks.boxes(), targets["xywh"].values)
    np.testing.assert_array_equal(masks.area(), targets["area"].values)


def test_masks_are_the_pixels_of_each_solid(data, frames):
    targets = data.splits["test"].targets()

    for place in range(len(frames.ids)):
        own = targets["masks"][place]
        dense = np.stack([own.dense(index) for index in range(len(own))])
        np.testing.assert_array_equal(dense, frames.masks(place))


def test_slivers_are_crowds_and_flags_come_from_the_renderer(data, frames):
    targets = data.splits["test"].targets()
    visible = np.concatenate([solids.visible for solids in frames.instances])
    area = np.concatenate([solids.area for solids in frames.instances])

    sliver = (visible < SLIVER_VISIBLE) | (area < SLIVER_AREA * 64 * 64)
    np.testing.assert_array_equal(targets["crowd"].values, sliver)
    assert sliver.any()
    assert not sliver.all()
    np.testing.assert_array_equal(targets["occluded"].values, visible < 1)
    np.testing.assert_array_equal(targets["truncated"].values, np.concatenate([s.truncated for s in frames.instances]))


def test_a_perfect_answer_without_slivers_scores_one_and_one_with_them_too(data):
    split, task = data.splits["test"], DetectionTask()
    targets = split.targets()
    scorer = task.scorer("coco/segm/maxdet100@2", data.problem)

    for keep_slivers in (False, True):
        chosen = [np.flatnonzero(keep_slivers | ~crowd) for crowd in targets["crowd"]]
        answer = {
            "labels": [labels[own] for labels, own in zip(targets["labels"], chosen, strict=True)],
            "scores": [np.ones(len(own)) for own in chosen],
            "masks": [
                np.stack([targets["masks"][place].dense(index) for index in own]) for place, own in enumerate(chosen)
            ],
        }
        checked = task.check(answer, split.ids, data.problem)
        values = scorer.summarise(scorer.rows(checked, targets, np.arange(len(split))))

        assert values["mask_ap"] == 1.0
        assert values["mask_ar100"] == 1.0


def test_without_masks_the_rest_is_the_same(data):
    plain = load_scenes({**PARAMS, "masks": False}, 0)

    mine, full = plain.splits["test"].targets(), data.splits["test"].targets()

    assert set(full) - set(mine) == {"masks"}
    np.testing.assert_array_equal(mine["xywh"].values, full["xywh"].values)
    assert plain.problem.extra["masks"] is False
    assert data.problem.extra["masks"] is True
    assert plain.problem.classes == SOLIDS == ("sphere", "box", "cylinder", "cone", "capsule")


def test_annotations_are_numbered_from_one_since_coco_never_finds_number_zero(data):
    numbers = data.splits["train"].targets()["annotation"].values

    np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))


def test_the_fingerprint_knows_the_pictures(data, frames):
    changed = frames.image.copy()
    changed[0, 0, 0, 0] ^= 1
    other = SceneSplit("test", dataclasses.replace(frames, image=changed), masks=True)

    assert SceneSplit("test", frames, masks=True).fingerprint() == data.splits["test"].fingerprint()
    assert other.fingerprint() != data.splits["test"].fingerprint()


def test_the_data_set_keeps_the_contract():
    results = check_dataset(get_registry().dataset("scenes", "detection").spec, params=PARAMS)

    assert [result for result in results if result.passed is False] == []


def test_a_preview_spreads_over_the_split_and_counts_what_is_to_be_found(data):
    split = data.splits["test"]
    crowd = split.targets()["crowd"]

    panels = preview(split, data.problem, 4)

    assert len(panels) == 4
    for panel, place in zip(panels, (0, 2, 3, 5), strict=True):
        skipped = crowd[place].sum()
        tail = f", {skipped} not scored (dashed)" if skipped else ""
        assert panel.caption == f"{split.ids[place]}: {(~crowd[place]).sum()} to find{tail}"
        assert panel.image.shape == (384, 384, 3)


def test_a_preview_frames_boxes_in_the_colour_of_their_class_and_dashes_crowds(data):
    color = class_colors(len(SOLIDS))[1]

    (panel,) = preview(Picture(np.zeros((96, 96, 3), np.uint8)), data.problem, 1)

    assert panel.image.shape == (384, 384, 3)
    drawn = (panel.image == color).all(axis=2)
    assert drawn[119, 20:100].all()  # x 5 to 25, y 20 to 30, four times as large
    assert drawn[80:120, [20, 99]].all()
    dashes = drawn[359, 160:360]
    assert 0.4 < dashes.mean() < 0.6
    assert not drawn[200:300, 100:300].any()


def test_a_preview_outlines_masks(data):
    mask = np.zeros((1, 96, 96), np.uint8)
    mask[0, 40:60, 40:60] = 1
    color = class_colors(len(SOLIDS))[1]

    (panel,) = preview(Picture(np.zeros((96, 96, 3), np.uint8), [encode_dense(mask)]), data.problem, 1)

    drawn = (panel.image == color).all(axis=2)
    assert drawn[160, 160:240].all()
    assert drawn[239, 160:240].all()
    assert not drawn[161:239, 161:239].any()


@pytest.mark.parametrize(("height", "width", "wanted"), [(1200, 900, (768, 576)), (64, 600, (64, 600))])
def test_large_pictures_are_shrunk_and_long_ones_stay(height, width, wanted):
    split = Picture(np.zeros((height, width, 3), np.uint8))

    (panel,) = preview(split, load_scenes({**PARAMS, "test": 1}, 0).problem, 1)

    assert panel.image.shape == (*wanted, 3)


class Picture:
    """A split of one picture: an object, and a crowd unless there are masks."""

    name, ids = "test", np.array(["one"])

    def __init__(self, image, masks=None):
        self._image, self._masks = image, masks

    def __len__(self):
        return 1

    def each(self, read, places):
        return map(read, places)

    def read(self, index):
        assert list(index) == [0]
        count = 2 if self._masks is None else 1
        targets = {
            "xywh": [np.array([[5.0, 20, 20, 10], [40, 75, 50, 15]])[:count]],
            "labels": [np.array([1, 1])[:count]],
            "crowd": [np.array([False, True])[:count]],
        }
        return Batch(self.ids, {"image": [self._image]}), targets | ({"masks": self._masks} if self._masks else {})


def test_scenes_256_are_scenes_of_solids_of_all_sizes():
    params = {"level": "medium", "size": (64, 64), "half_size": (0.15, 0.9), "train": 2, "val": 1, "test": 3}

    data = load_scenes_256(params, 0)

    frames = left_frames(SceneSettings.of(params, 0), "test")
    batch, _ = data.splits["test"].read(slice(0, 3))
    assert data.name == "scenes-256"
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 2, "val": 1, "test": 3}
    np.testing.assert_array_equal(batch.inputs["image"], frames.image)
    plain = load_scenes({**params, "half_size": None}, 0).splits["test"].read(slice(0, 3))[0]
    assert (plain.inputs["image"] != batch.inputs["image"]).any()


def test_scenes_256_keep_the_contract():
    params = {"size": (48, 48), "train": 3, "val": 1, "test": 6}

    results = check_dataset(get_registry().dataset("scenes-256", "detection").spec, params=params)

    assert [result for result in results if result.passed is False] == []


@pytest.mark.parametrize("name", ["scenes-256", "scenes-256-masks"])
def test_the_boards_of_scenes_256_say_how_well_each_size_is_found(name):
    definition = load_definition(name, get_registry())

    assert [column.rpartition("_")[2] for column in definition.columns] == ["small", "medium", "large"]
    assert definition.dataset == "scenes-256"
