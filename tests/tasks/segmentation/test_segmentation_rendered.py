"""Rendered scenes and bodies: labels fit pixels, splits share nothing, what is not known is not scored."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mlcvbench.errors import RequestError
from mlcvbench.plan.definitions import load_definition
from mlcvbench.registry import get_registry
from mlcvbench.testing import check_dataset
from mlcvbench_scenes import CLASSES
from mlcvbench_scenes.bodies import PARTS, render_body
from mlcvbench_scenes.compose import compose
from mlcvbench_scenes.dataset import FIRST_NUMBER
from mlcvbench_scenes.render import render
from mlcvbench_segmentation.bodies import load_bodies
from mlcvbench_segmentation.palette import class_colors, label_colors
from mlcvbench_segmentation.pictures import GAP, depth_picture, picture_of
from mlcvbench_segmentation.scenes import load_scenes, without_borders
from mlcvbench_segmentation.scoring import SegmentationScorer, background_of
from mlcvbench_segmentation.task import SegmentationTask

SMALL = {"level": "medium", "size": (48, 64), "train": 3, "val": 2, "test": 4}


def scenes(seed=0, **params):
    return load_scenes(SMALL | params, seed)


def bodies(seed=0, **params):
    return load_bodies(SMALL | {"size": (64, 64)} | params, seed)


def test_scenes_are_the_renderers_frames_and_labels():
    data = scenes()

    batch, targets = data.splits["test"].read([1])
    frame = render(compose(0, FIRST_NUMBER["test"] + 1, "medium", size=(48, 64)))

    assert data.problem.classes == CLASSES
    np.testing.assert_array_equal(batch.inputs["image"][0], frame.image)
    np.testing.assert_array_equal(targets["label_map"][0], frame.semantic)


def test_bodies_are_the_renderers_depth_and_parts():
    data = bodies(background="kept")

    batch, targets = data.splits["train"].read([2])
    frame = render_body(0, 2, "medium", size=(64, 64))

    assert data.problem.classes == PARTS
    np.testing.assert_array_equal(batch.inputs["depth"][0], frame.depth)
    np.testing.assert_array_equal(targets["label_map"][0], np.where(frame.depth > 0, frame.parts, 255))


def test_a_person_cut_out_has_depth_and_is_scored_on_the_same_pixels_and_no_others():
    data, whole = bodies(), bodies(background="kept")

    depth, labels = (side["depth" if i == 0 else "label_map"] for i, side in enumerate(data.splits["test"].arrays()))
    kept = whole.splits["test"].targets()["label_map"]

    assert data.problem.classes == PARTS[1:]
    assert data.problem.inputs["depth"].dtype == depth.dtype.name == "float32"
    np.testing.assert_array_equal(depth > 0, labels != 255)
    np.testing.assert_array_equal(depth > 0, (kept > 0) & (kept != 255))
    np.testing.assert_array_equal(labels[depth > 0], kept[depth > 0] - 1)


@pytest.mark.parametrize("load", [scenes, bodies])
def test_splits_share_no_sample_no_id_and_no_group(load):
    splits = load().splits

    assert {name: len(split) for name, split in splits.items()} == {"train": 3, "val": 2, "test": 4}
    for a, b in itertools.combinations(splits.values(), 2):
        kind = next(iter(a.arrays()[0]))
        assert not set(a.ids) & set(b.ids)
        assert not set(a.groups) & set(b.groups)
        assert not {x.tobytes() for x in a.arrays()[0][kind]} & {x.tobytes() for x in b.arrays()[0][kind]}


@pytest.mark.parametrize("load", [scenes, bodies])
def test_the_seed_says_which_samples_and_the_counts_do_not(load):
    assert load().fingerprint() == load().fingerprint() != load(seed=1).fingerprint()
    more, fewer = load(test=4).splits["test"], load(test=2).splits["test"]

    assert more.take([0, 1]).read([0, 1])[0].ids.tolist() == fewer.ids.tolist()
    assert more.take([0, 1], "test").arrays()[1]["label_map"].tolist() == fewer.arrays()[1]["label_map"].tolist()


@pytest.mark.parametrize("load", [scenes, bodies])
def test_a_split_of_no_samples_is_left_out_and_test_must_have_some(load):
    assert sorted(load(val=0).splits) == ["test", "train"]
    with pytest.raises(RequestError) as caught:
        load(test=0)

    assert str(caught.value) == "data.test=0: wanted at least one scene to test on."


def test_borders_of_a_width_are_not_scored_when_asked():
    labels = scenes().splits["test"].targets()["label_map"]

    bordered = scenes(border=1).splits["test"].targets()["label_map"]

    for one, other in zip(labels, bordered, strict=True):
        framed = np.pad(one, 1, mode="edge")
        around = [framed[r : r + one.shape[0], c : c + one.shape[1]] for r in range(3) for c in range(3)]
        mixed = np.any([neighbour != one for neighbour in around], axis=0)
        np.testing.assert_array_equal(other == 255, mixed)
        np.testing.assert_array_equal(other[~mixed], one[~mixed])
    assert (bordered == 255).any()
    assert without_borders(labels, 0, 255) is labels


@pytest.mark.parametrize("name", ["scenes", "bodies"])
def test_the_data_sets_keep_the_contract(name):
    small = {"size": (32, 32), "train": 2, "val": 1, "test": 2}
    from mlcvbench.registry import get_registry

    results = check_dataset(get_registry().dataset(name, "segmentation").spec, params=small)

    assert [result for result in results if result.passed is False] == []


def test_class_accuracy_ranks_by_the_mean_over_classes_and_gives_the_same_numbers():
    problem = bodies().problem
    ranked, plain = (
        SegmentationScorer(f"{first}/ignore255/absent-skip@1", problem) for first in ("class-accuracy", "miou")
    )
    targets = bodies().splits["test"].targets()
    guess = {"label_map": [np.zeros((64, 64), np.uint8)] * 4}

    values = ranked.summarise(ranked.rows(guess, targets, np.arange(4)))

    assert (ranked.primary().name, plain.primary().name) == ("mean_accuracy", "miou")
    assert values["mean_accuracy"] == pytest.approx(1 / 11)
    assert values == plain.summarise(plain.rows(guess, targets, np.arange(4)))


def test_a_preview_shows_each_sample_beside_its_labels_above_a_legend():
    data = scenes()
    test = data.splits["test"]

    panels = SegmentationTask().preview(test, data.problem, 2)

    assert [panel.caption for panel in panels] == [test.ids[0], test.ids[3]]
    batch, targets = test.read([3])
    scale = panels[1].image.shape[1] // (2 * 64)
    left, right = panels[1].image[:, : 64 * scale], panels[1].image[:, 64 * scale + GAP :]
    assert panels[1].image.dtype == np.uint8
    np.testing.assert_array_equal(left[: 48 * scale : scale, ::scale], batch.inputs["image"][0])
    colors = label_colors(targets["label_map"][0], len(CLASSES))
    np.testing.assert_array_equal(right[: 48 * scale : scale, ::scale], colors)
    seen = {tuple(pixel) for pixel in panels[1].image[48 * scale :].reshape(-1, 3).tolist()}
    assert {tuple(class_colors(len(CLASSES))[index].tolist()) for index in np.unique(targets["label_map"][0])} <= seen


def test_previews_of_depth_are_drawn_too_and_counts_beyond_the_split_give_all_of_it():
    data = bodies()

    panels = SegmentationTask().preview(data.splits["test"], data.problem, 99)

    depth = data.splits["test"].arrays()[0]["depth"][0]
    assert panels[0].caption == f"test-00000, {depth[depth > 0].min():.2f} to {depth.max():.2f} m, near is yellow"
    assert len(panels) == 4
    assert len({panel.image.shape for panel in panels}) == 1


def test_a_depth_picture_grows_darker_with_the_distance_and_is_black_where_nothing_is_known():
    depth = np.array([[0.0, 1.0, 2.0, 3.0]], np.float32)

    picture = depth_picture(depth)

    brightness = picture[0].astype(int) @ [299, 587, 114]
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert brightness[1] > brightness[2] > brightness[3] > 0
    assert not depth_picture(np.zeros((2, 2), np.float32)).any()


def test_grey_images_are_drawn_as_they_are():
    from mlcvbench.contract import Batch

    grey = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)

    picture = picture_of(Batch(np.array(["a"]), {"image": grey}), 0)

    assert picture.shape == (2, 3, 3)
    assert (picture == grey[0][..., None]).all()


@pytest.mark.parametrize("name", ["scenes-semantic", "scenes-semantic-large"])
def test_the_boards_of_scenes_show_how_well_solids_are_cut_out_beside_how_well_they_are_told_apart(name):
    definition = load_definition(name, get_registry())
    data = scenes()

    scorer = SegmentationTask().scorer_for(data, definition.protocol, definition.metrics)

    assert scorer.primary().name == "miou"
    assert definition.columns == ("foreground_iou", "boundary_f")
    assert background_of(data.problem) == ("ground", "wall")
