"""Joint proposals: how they are checked, that they are not stored, how near they come, and their crosses."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mlcvbench.contract import ArraySplit, Outcome, Problem
from mlcvbench.errors import PredictionError
from mlcvbench.running.scoring import tabulate
from mlcvbench_scenes.bodies import render_body
from mlcvbench_segmentation.bodies import load_bodies
from mlcvbench_segmentation.joints import best_of, in_space, joint_breakdown, nearness, part_middles
from mlcvbench_segmentation.task import SegmentationTask

TASK = SegmentationTask()
PROBLEM = Problem("segmentation", ("head", "torso"), {})
IDS = np.array(["a", "b"])
MAPS = {"label_map": [np.zeros((4, 5), np.uint8)] * 2}
JOINTS = [np.array([[1, 2.5, 3, 2.0, 0.5], [0, 1, 1, 2.5, 0.25]]), np.zeros((0, 5))]


@pytest.fixture(scope="module")
def bodies():
    return load_bodies({"size": (48, 64), "train": 2, "val": 0, "test": 8, "level": "medium"}, 0)


def test_joints_are_kept_beside_the_label_maps_and_not_stored(tmp_path):
    checked = TASK.check(MAPS | {"joints": JOINTS}, IDS, PROBLEM)
    joined = TASK.merge([checked, checked])
    path = TASK.save(checked, IDS, tmp_path)

    assert [one.dtype for one in checked["joints"]] == [np.float32, np.float32]
    assert [len(one) for one in joined["joints"]] == [2, 0, 2, 0]
    assert "joints" in TASK.check(checked, IDS, PROBLEM)
    assert set(TASK.load(path, IDS, PROBLEM)) == {"label_map"}


def test_a_model_that_gives_joints_for_some_batches_only_is_refused():
    with pytest.raises(PredictionError, match="predictions change their fields between batches"):
        TASK.merge([TASK.check(MAPS | {"joints": JOINTS}, IDS, PROBLEM), TASK.check(MAPS, IDS, PROBLEM)])


@pytest.mark.parametrize(
    ("joints", "said"),
    [
        (JOINTS[:1], "field 'joints': wanted one array (n, 5) for each of 2 samples, got 1 entries."),
        (7, "field 'joints': wanted one array (n, 5) for each of 2 samples, got int."),
        (
            [np.ones((2, 4)), JOINTS[1]],
            "field 'joints', sample 'a': wanted numbers (n, 5), class, x, y, z, confidence; got float64 (2, 4).",
        ),
        (
            [np.array([[0, np.nan, 1, 1, 1]]), JOINTS[1]],
            "field 'joints', sample 'a': wanted finite numbers, got [0.0, nan, 1.0, 1.0, 1.0].",
        ),
        (
            [JOINTS[1], np.array([[2, 1, 1, 1, 1]])],
            "field 'joints', sample 'b': wanted classes 0 to 1, got 2.",
        ),
        (
            [JOINTS[1], np.array([[0.5, 1, 1, 1, 1]])],
            "field 'joints', sample 'b': wanted classes 0 to 1, got 0.5.",
        ),
        (
            [np.array([[0, 1, 1, 0, 1]]), JOINTS[1]],
            "field 'joints', sample 'a': wanted a z above 0 m, got 0.",
        ),
    ],
)
def test_bad_joints_are_refused(joints, said):
    with pytest.raises(PredictionError) as caught:
        TASK.check(MAPS | {"joints": joints}, IDS, PROBLEM)

    assert str(caught.value) == said


def test_the_best_of_a_class_is_its_most_confident_one():
    joints = np.array([[1, 0, 0, 1, 0.2], [0, 1, 0, 1, 0.1], [1, 2, 0, 1, 0.9]])

    assert best_of(joints)[:, :2].tolist() == [[0, 1], [1, 2]]
    assert best_of(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_scikit_learns_times_the_recall(seed):
    rng = np.random.default_rng(seed)
    confidences = [-np.sort(-rng.random(count)) for count in rng.integers(0, 4, 30)]
    distances = [rng.uniform(0, 0.2, len(own)) for own in confidences]
    shown = (rng.random(30) < 0.8).tolist()

    found = nearness(distances, confidences, shown)

    right = []
    for own, seen in zip(distances, shown, strict=True):
        near = [place for place, distance in enumerate(own) if distance <= 0.1] if seen else []
        right += [place == near[0] if near else False for place in range(len(own))]
    whole = average_precision_score(right, np.concatenate(confidences))
    assert found.average_precision == pytest.approx(whole * sum(right) / sum(shown))
    best = [own[0] for own, seen in zip(distances, shown, strict=True) if seen and len(own)]
    assert (found.shown, found.right) == (sum(shown), sum(distance <= 0.1 for distance in best))
    assert found.distance == np.median(best)


def test_a_second_near_proposal_is_wrong_and_an_unseen_part_is_not_missed():
    twice = nearness([np.array([0.05, 0.01])], [np.array([0.9, 0.8])], [True])
    unseen = nearness([np.zeros(1), np.zeros(0)], [np.ones(1), np.zeros(0)], [True, False])

    assert (twice.average_precision, twice.right) == (1.0, 1)
    first = nearness([np.array([0.5, 0.01])], [np.array([0.9, 0.8])], [True])
    assert (first.average_precision, first.right) == (0.5, 0)
    assert unseen.average_precision == 1.0
    assert nearness([np.zeros(1)], [np.ones(1)], [False]).shown == 0


def test_the_middle_of_a_part_is_that_of_its_measured_surface():
    camera = np.array([[10.0, 0, 2], [0, 10.0, 1], [0, 0, 1]])
    label_map = np.array([[0, 0, 255], [1, 0, 2]], np.uint8)
    depth = np.array([[2.0, 4.0, 1.0], [0.0, 2.0, 3.0]], np.float32)

    middles = part_middles(label_map, depth, camera, 4)

    own = np.array([[-0.4, -0.2, 2], [-0.4, -0.4, 4], [-0.2, 0, 2]])
    np.testing.assert_allclose(middles[0], np.average(own, axis=0, weights=[4, 16, 4]))
    assert np.isnan(middles[[1, 3]]).all()
    np.testing.assert_allclose(middles[2], [0, 0, 3])


def true_joints(split, classes):
    """Return a proposal at the true place of every part."""
    batch, targets = split.read(slice(0, None))
    found = []
    for depth, label_map, camera in zip(
        batch.inputs["depth"], targets["label_map"], batch.meta["intrinsics"], strict=True
    ):
        middles = part_middles(label_map, depth, camera, classes)
        seen = np.flatnonzero(~np.isnan(middles[:, 0]))
        x, y, _ = camera @ middles[seen].T / middles[seen, 2]
        found.append(np.stack([seen, x, y, middles[seen, 2], np.ones(len(seen))], axis=1))
    return found


def outcome_of(data, joints, split=None):
    split = split or data.splits["test"]
    targets = split.targets()
    maps = [np.where(one == 255, 0, one) for one in targets["label_map"]]
    predictions = TASK.check({"label_map": maps, "joints": joints}, split.ids, data.problem)
    scorer = TASK.scorer("class-accuracy/ignore255/absent-skip@1", data.problem)
    table = tabulate(scorer, predictions, targets, len(split))
    return Outcome(predictions, targets, split, data.problem, scorer.protocol_id, table)


def test_places_in_space_and_in_the_image_are_each_others_inverse():
    camera = np.array([[100.0, 3, 20], [0, 90.0, 30], [0, 0, 1]])
    pixels = np.array([[0.0, 0, 1], [40, 10, 2.5]])

    points = in_space(pixels, camera)

    back = points @ camera.T
    np.testing.assert_allclose(back[:, :2] / back[:, 2:], pixels[:, :2], atol=1e-9)
    assert points[:, 2].tolist() == [1, 2.5]


def test_proposals_at_the_true_places_are_all_right_and_moved_ones_all_wrong(bodies):
    joints = true_joints(bodies.splits["test"], 11)
    away = [one + np.array([0, 0, 0, 0.11, 0]) for one in joints]

    (right,) = TASK.breakdowns(outcome_of(bodies, joints))
    (wrong,) = TASK.breakdowns(outcome_of(bodies, away))

    assert (right.title, right.of, right.names[0]) == ("Joint proposals", "part", "all parts")
    assert list(right.names[1:]) == [name for name in bodies.problem.classes if name in right.names]
    for column in ("best within 0.1 m", "average precision"):
        assert right.columns[column] == ("fraction", [1.0] * len(right.names))
        assert wrong.columns[column] == ("fraction", [0.0] * len(right.names))
    seen = right.columns["seen"][1]
    assert seen[0] == sum(len(one) for one in joints) == sum(seen[1:])
    distances = wrong.columns["median distance"][1]
    assert distances[0] is None
    assert all(0.11 <= distance < 0.13 for distance in distances[1:])


def test_without_proposals_or_a_camera_nothing_is_said_of_them(bodies):
    inputs, targets = bodies.splits["test"].arrays()
    blind = ArraySplit("test", inputs, targets, ids=bodies.splits["test"].ids)
    joints = true_joints(bodies.splits["test"], 11)

    assert joint_breakdown(outcome_of(bodies, joints, blind)) is None
    outcome = outcome_of(bodies, joints)
    outcome.predictions.pop("joints")
    assert TASK.breakdowns(outcome) == []


def test_crosses_are_drawn_where_the_best_proposals_are_and_the_text_says_so(bodies, tmp_path):
    outcome = outcome_of(bodies, true_joints(bodies.splits["test"], 11))
    plain = outcome_of(bodies, true_joints(bodies.splits["test"], 11))
    plain.predictions.pop("joints")

    crossed, bare = (
        {plot.file: plot.alt for plot in TASK.plot(tmp_path / name, one)}
        for name, one in (("crossed", outcome), ("bare", plain))
    )

    for file in ("worst.png", "best.png"):
        assert crossed[file] == f"{bare[file]} A cross is the best joint proposal of its part."
        assert (tmp_path / "crossed" / file).read_bytes() != (tmp_path / "bare" / file).read_bytes()
    assert (tmp_path / "crossed" / "classes.png").read_bytes() == (tmp_path / "bare" / "classes.png").read_bytes()


def test_bodies_tell_the_renderers_cameras_and_keep_the_fingerprint_of_data_without_them(bodies):
    test = bodies.splits["test"]
    batch = test.read([3])[0]
    inputs, targets = test.arrays()

    frame = render_body(0, 2_000_003, "medium", size=(48, 64))

    np.testing.assert_array_equal(batch.meta["intrinsics"][0], frame.camera.intrinsics)
    assert test.fingerprint() == ArraySplit("test", inputs, targets, ids=test.ids).fingerprint()
