"""Selective search: what it finds in pictures whose objects are known, beside OpenCV's, in any image."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_detection.proposal_recall import recall_by_proposals
from mlcvbench_detection.scenes import load_scenes
from mlcvbench_rcnn.selective_search import MODES, Search, in_colours, selective_search


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of three coloured rectangles on grey, and their boxes."""
    image = np.full((60, 90, 3), 120, dtype=np.uint8)
    boxes = np.array([[5, 5, 25, 40], [30, 10, 60, 30], [65, 35, 85, 55]])
    for (x0, y0, x1, y1), colour in zip(boxes, ([220, 30, 30], [30, 200, 60], [40, 60, 230]), strict=True):
        image[y0:y1, x0:x1] = colour
    return image, boxes


@pytest.fixture(scope="module")
def scenes():
    """Return pictures of rendered scenes and the corners of the objects in each."""
    params = {"level": "medium", "size": (128, 128), "train": 0, "val": 0, "test": 24, "masks": False}
    batch, targets = load_scenes(params, 0).splits["test"].read(slice(0, 24))
    corners = []
    for xywh, crowd in zip(targets["xywh"], targets["crowd"], strict=True):
        own = xywh[~crowd]
        corners.append(np.concatenate([own[:, :2], own[:, :2] + own[:, 2:]], axis=1))
    return batch.inputs["image"], corners


@pytest.mark.parametrize("mode", MODES)
def test_plain_objects_and_the_image_are_proposed_to_within_a_pixel(mode):
    image, boxes = squares()

    found = selective_search(image, Search(mode), 0)

    assert np.abs(found[:, None] - boxes).max(axis=2).min(axis=0).max() <= 1
    assert [0, 0, 90, 60] in found.tolist()
    assert found.dtype == np.float32


def test_no_box_comes_twice_and_all_lie_inside():
    found = selective_search(squares()[0], Search("quality"), 0)

    assert len(np.unique(found, axis=0)) == len(found)
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] <= [90, 60]).all()
    assert (found[:, 2:] > found[:, :2]).all()


def test_the_order_is_random_by_the_seed_and_begins_with_what_was_merged_last(scenes):
    image = scenes[0][0]

    first, again, other = (selective_search(image, Search(), seed) for seed in (0, 0, 1))
    areas = np.mean([(own[:, 2:] - own[:, :2]).prod(axis=1)[:400] for own in (first, other)], axis=0)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(map(tuple, first.tolist())) == set(map(tuple, other.tolist()))
    assert areas[:40].mean() > 3 * areas[-40:].mean()


def test_more_strategies_propose_more(scenes):
    single, fast = (len(selective_search(scenes[0][0], Search(mode), 0)) for mode in ("single", "fast"))

    assert single < fast


@pytest.fixture(scope="module")
def opencvs(scenes):
    """Return the recall of OpenCV's fast selective search."""
    import cv2

    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    found = []
    for image in scenes[0]:
        search.setBaseImage(np.ascontiguousarray(image[:, :, ::-1]))
        search.switchToSelectiveSearchFast()
        xywh = search.process().astype(np.float64)
        found.append(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1))
    return recall_by_proposals(found, scenes[1])


def test_it_finds_more_than_opencvs(scenes, opencvs):
    images, corners = scenes

    found = recall_by_proposals([selective_search(image, Search(), 0) for image in images], corners)

    assert found.at_half[-1] >= max(0.97, opencvs.at_half[-1])
    assert found.average[-1] >= opencvs.average[-1] + 0.1


def test_with_regions_as_coarse_as_opencvs_it_finds_as_much_with_as_few(scenes, opencvs):
    images, corners = scenes
    coarse = Search(thresholds=(150.0,), smallest=50)

    found = recall_by_proposals([selective_search(image, coarse, 0) for image in images], corners)

    assert found.proposals == pytest.approx(opencvs.proposals, rel=0.2)
    assert found.at_half[2] >= opencvs.at_half[2] - 0.05
    assert found.average[2] >= opencvs.average[2] - 0.05


def test_a_large_image_is_shrunk_and_its_boxes_are_those_of_the_large_one():
    image, boxes = squares()
    large = np.kron(image, np.ones((20, 20, 1), dtype=np.uint8))

    found = selective_search(large, Search(side=180), 0)

    assert np.abs(found[:, None] - 20 * boxes).max(axis=2).min(axis=0).max() <= 20
    assert found.max(axis=0).tolist()[2:] == [1800, 1200]


@pytest.mark.parametrize("shape", [(16, 16, 3), (1, 1, 3), (1, 40, 3), (37, 61), (300, 20, 3)], ids=str)
def test_images_of_any_shape_have_proposals(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    found = selective_search(image, Search("quality"), 0)

    assert [0, 0, shape[1], shape[0]] in found.tolist()


def test_grey_is_the_same_picture_in_three_channels():
    grey = squares()[0][:, :, 0]

    alone, three = (selective_search(image, Search(), 0) for image in (grey, np.stack([grey] * 3, axis=2)))

    assert np.array_equal(alone, three)


def test_colour_spaces_tell_apart_what_their_names_say():
    pixel, darker = (np.array([[colour]], dtype=np.uint8) for colour in ([200, 100, 50], [100, 50, 25]))

    assert in_colours(pixel, "rgi")[0, 0].tolist() == [146, 73, 124]
    assert in_colours(darker, "rgi")[0, 0, :2].tolist() == [146, 73]
    assert in_colours(pixel, "h").tolist() == in_colours(darker, "h").tolist()
    assert in_colours(pixel, "grey")[0, 0].tolist() == [124]
    assert in_colours(np.zeros((1, 1, 3), np.uint8), "rgi")[0, 0].tolist() == [0, 0, 0]
