"""The rendered data sets of depth: what they hold, what supervision changes, and how samples are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Device, FitContext, JoinedSplit, Problem
from mlcvbench.errors import DataError
from mlcvbench.plan.definitions import load_definition
from mlcvbench.registry import get_registry
from mlcvbench.storage import cache
from mlcvbench_depth.pictures import HIDDEN, UNKNOWN, map_panel, preview
from mlcvbench_depth.scenes import load_scenes_mono, load_scenes_mono_varied, load_scenes_stereo
from mlcvbench_depth.scoring import scorer_of
from mlcvbench_monodepth.depth_prior import DepthPrior
from mlcvbench_monodepth.patch_depth import PatchDepth
from mlcvbench_scenes import compose, render, render_stereo
from mlcvbench_scenes.dataset import SceneSettings, baselines, stereo_frames
from mlcvbench_scenes.sequences import sequence_frames, sequence_poses

PARAMS = {"level": "medium", "size": [32, 48], "train": 3, "val": 2, "test": 2}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def test_pairs_have_disparity_and_what_is_hidden():
    data = load_scenes_stereo(PARAMS, 0)
    batch, targets = data.splits["val"].read(slice(0, 2))

    assert {name: len(split) for name, split in data.splits.items()} == {"train": 3, "val": 2, "test": 2}
    assert batch.inputs["left"].shape == batch.inputs["right"].shape == (2, 32, 48, 3)
    assert (targets["disparity"].dtype, targets["occluded"].dtype) == (np.float32, np.bool_)
    assert targets["disparity"].min() > 0
    assert batch.meta["baseline"].shape == (2,)
    assert batch.meta["intrinsics"].shape == (2, 3, 3)


@pytest.mark.parametrize(("width", "expected"), [(32, 16), (64, 16), (65, 32), (128, 32), (640, 160)])
def test_the_search_range_is_a_quarter_of_the_width_and_holds_every_disparity(width, expected):
    data = load_scenes_stereo({**PARAMS, "size": [32, width], "train": 0, "val": 0}, 0)

    assert data.problem.extra["disparities"] == expected
    assert np.max(data.splits["test"].targets()["disparity"]) < expected
    assert data.problem.extra["trained"] is False


def test_a_given_search_range_is_told_to_the_methods():
    assert load_scenes_stereo({**PARAMS, "disparities": 48}, 0).problem.extra["disparities"] == 48


@pytest.mark.parametrize(
    ("supervision", "inputs", "targets", "meta"),
    [
        ("depth", {"image"}, {"depth"}, {"intrinsics", "pose"}),
        ("none", {"image"}, set(), {"intrinsics", "pose"}),
        ("stereo", {"image", "right"}, set(), {"intrinsics", "pose", "baseline"}),
        ("sequence", {"image", "frames"}, set(), {"intrinsics", "pose", "poses"}),
    ],
)
def test_supervision_says_what_training_sees_and_leaves_the_test_alone(supervision, inputs, targets, meta):
    data = load_scenes_mono({**PARAMS, "supervision": supervision, "frames": 4}, 0)

    batch, known = data.splits["train"].read(slice(0, 2))
    assert (set(batch.inputs), set(known), set(batch.meta)) == (inputs, targets, meta)
    batch, known = data.splits["val"].read(slice(0, 2))
    assert (set(batch.inputs), set(known), set(batch.meta)) == (inputs, {"depth"}, meta)
    batch, known = data.splits["test"].read([0])
    assert (set(batch.inputs), set(known), set(batch.meta)) == ({"image"}, {"depth"}, meta)
    assert data.splits["test"].fingerprint() == load_scenes_mono(PARAMS, 0).splits["test"].fingerprint()
    assert (data.splits["test"].content() == "") == (meta == {"intrinsics", "pose"})


def test_facts_that_are_not_drawn_are_those_of_what_is():
    settings = SceneSettings.of(PARAMS, 0)

    np.testing.assert_array_equal(baselines(settings, "val"), stereo_frames(settings, "val").baseline)
    np.testing.assert_array_equal(sequence_poses(settings, "val", 4), sequence_frames(settings, "val", 4).poses)


def test_what_training_lacks_is_not_read_from_validation_samples_joined_to_it():
    data = load_scenes_mono({**PARAMS, "supervision": "stereo"}, 0)
    joined = JoinedSplit([data.splits["train"], data.splits["val"]], "train+val")

    assert joined.targets() == {}
    for index in ([0], [len(joined) - 1], [0, len(joined) - 1]):
        batch, targets = joined.read(index)
        assert (set(batch.inputs), targets) == ({"image", "right"}, {})


@pytest.mark.parametrize("length", [2, 3, 6])
def test_a_sequence_has_its_length_and_the_image_in_the_middle(length):
    data = load_scenes_mono({**PARAMS, "supervision": "sequence", "frames": length}, 0)
    batch, _ = data.splits["train"].read(slice(0, 3))

    assert batch.inputs["frames"].shape == (3, length, 32, 48, 3)
    np.testing.assert_array_equal(batch.inputs["frames"][:, length // 2], batch.inputs["image"])
    np.testing.assert_array_equal(batch.meta["poses"][:, length // 2], batch.meta["pose"])
    assert len({frame.tobytes() for frame in batch.inputs["frames"][0]}) == length


def test_noise_differs_from_moment_to_moment():
    scene = compose(0, 0, "hard", size=(32, 48))
    clean = render(replace(scene, noise=0.0)).image.astype(float)

    grain = [(render(scene, moment=moment).image - clean).ravel() for moment in (0, 1)]

    assert grain[0].std() > 5
    assert abs(np.corrcoef(grain)[0, 1]) < 0.05


def test_a_pair_is_drawn_as_four_panels():
    data = load_scenes_stereo(PARAMS, 0)
    panels = preview(data.splits["test"], data.problem, 5)
    batch, targets = data.splits["test"].read([0])

    assert len(panels) == 8
    assert [panel.caption.split(" ")[0] for panel in panels[:4]] == ["test-00000,", "right", "disparity", "hidden"]
    np.testing.assert_array_equal(panels[1].image, batch.inputs["right"][0])
    np.testing.assert_array_equal((panels[3].image == HIDDEN).all(axis=2), targets["occluded"][0])


def test_a_sequence_is_drawn_frame_by_frame():
    data = load_scenes_mono({**PARAMS, "supervision": "sequence"}, 0)

    captions = [panel.caption for panel in preview(data.splits["train"], data.problem, 1)]

    assert captions == ["train-00000", "frame 0", "frame 1", "frame 2"]


def test_near_is_red_far_is_blue_and_unknown_grey_in_both_maps():
    near_left = np.tile(np.linspace(9, 1, 40, dtype=np.float32), (4, 1))
    near_left[0] = 0

    disparity, depth = map_panel("disparity", near_left), map_panel("depth", near_left[:, ::-1])

    for image in (disparity.image, depth.image):
        red, blue = image[2, 2].astype(int), image[2, -3].astype(int)
        assert red[0] > red[2]
        assert blue[2] > blue[0]
        assert (image[0] == UNKNOWN).all()
    assert disparity.caption == "disparity 1.0 to 9.0 px, near red, unknown grey: 25%"
    assert map_panel("depth", np.zeros((3, 3), np.float32)).caption == "depth: unknown everywhere"


def test_maps_without_images_are_drawn_alone():
    class Bare(ArraySplit):
        def read(self, index):
            raise DataError("no images")

    split = Bare("test", {"image": np.zeros((2, 4, 4))}, {"depth": np.ones((2, 4, 4), np.float32)})

    panels = preview(split, Problem("depth", (), {}, {"field": "depth"}), 2)

    assert [panel.caption for panel in panels] == ["depth 1.0 to 1.0 m, near red"] * 2


def test_pixels_that_the_right_camera_does_not_see_can_be_left_out():
    from mlcvbench_depth.task import DepthTask

    data = load_scenes_stereo(PARAMS, 0)
    _, targets = data.splits["test"].read(slice(0, 2))
    wrong_where_hidden = list(np.where(targets["occluded"], np.float32(1e-2), targets["disparity"]))

    def bad(protocol: str) -> float:
        scorer = DepthTask().scorer(protocol, data.problem)
        rows = scorer.rows({"disparity": wrong_where_hidden}, targets, np.arange(2))
        return scorer.summarise(rows)["bad_0_5"]

    assert bad("stereo/noc/holes-bad@1") == 0
    assert bad("stereo/holes-bad@1") == pytest.approx(np.mean(targets["occluded"]), abs=1e-9)


def test_cameras_of_the_varied_set_differ_and_say_how_in_meta():
    data = load_scenes_mono_varied({**PARAMS, "test": 6}, 0)
    batch, _ = data.splits["test"].read(slice(0, 6))

    focal, height = batch.meta["intrinsics"][:, 0, 0], batch.meta["pose"][:, 2, 3]

    assert data.name == "scenes-mono-varied"
    assert len(set(focal.tolist())) == len(set(height.tolist())) == 6
    alike, _ = load_scenes_mono({**PARAMS, "test": 6}, 0).splits["test"].read(slice(0, 6))
    assert set(alike.meta["intrinsics"][:, 0, 0].tolist()) == {0.95 * 48}


@pytest.mark.parametrize("supervision", ["stereo", "sequence"])
def test_pairs_and_walks_of_varied_cameras_are_theirs(supervision):
    data = load_scenes_mono_varied({**PARAMS, "supervision": supervision}, 0)
    batch, _ = data.splits["train"].read(slice(0, 3))

    assert len(set(batch.meta["intrinsics"][:, 0, 0].tolist())) == 3
    if supervision == "stereo":
        drawn = render_stereo(compose(0, 1, size=(32, 48), cameras="varied"))
        np.testing.assert_array_equal(batch.inputs["right"][1], drawn.right.image)
    else:
        np.testing.assert_array_equal(batch.inputs["frames"][:, 1], batch.inputs["image"])


@pytest.mark.parametrize("name", ["scenes-stereo", "scenes-stereo-large", "scenes-stereo-noc"])
def test_boards_of_stereo_count_missing_estimates_as_bad_and_show_the_density(name):
    definition = load_definition(name, get_registry())
    scorer = scorer_of(definition.protocol)
    truth, estimate = np.full((4, 5), 8, np.float32), np.full((4, 5), 8, np.float32)
    estimate[0] = 0  # no estimate

    targets = {"disparity": [truth], "occluded": [np.zeros((4, 5), np.bool_)]}
    values = scorer.summarise(scorer.rows({"disparity": [estimate]}, targets, np.arange(1)))

    assert scorer.primary().name == definition.metrics[0] == "bad_2"
    assert (values["bad_2"], values["density"]) == (0.25, 0.75)
    assert "density" in definition.columns


@pytest.mark.slow
def test_a_prior_without_pixels_is_worse_by_far_than_patches_where_cameras_vary():
    params = {"level": "medium", "size": [64, 64], "train": 120, "val": 0, "test": 60}
    gaps = []
    for load in (load_scenes_mono, load_scenes_mono_varied):
        data, errors = load(params, 0), []
        for method in (DepthPrior, PatchDepth):
            model = method(data.problem, size=[64, 64], cell=4, penalty=100.0)
            model.fit(data.splits["train"], None, FitContext(seed=0, device=Device()))
            batch, targets = data.splits["test"].read(slice(0, 60))
            scorer = scorer_of("mono/full/cap20/metric@1")
            errors.append(scorer.summarise(scorer.rows(model.predict(batch), targets, np.arange(60)))["abs_rel"])
        gaps.append(errors[0] - errors[1])

    assert gaps[1] > 3 * gaps[0] > 0
