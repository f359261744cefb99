"""Modes of a part's density are where climbing to the top by brute force ends, and joints lie where the part does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import MeanShift

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import RequestError
from mlcvbench.registry import get_registry
from mlcvbench.specs import load_target
from mlcvbench.specs.values import complete
from mlcvbench_pixel_forest.joints import PartSettings, density_modes, joint_proposals
from mlcvbench_segmentation.bodies import load_bodies

PLAIN = PartSettings(bandwidth=0.2, threshold=0.14, offset=0.0)
CAMERA = np.array([[110.0, 0, 47.5], [0, 110.0, 31.5], [0, 0, 1]])


def density(points, weights, bandwidth, places):
    distance = np.square((places[:, None] - points) / bandwidth).sum(axis=2)
    return np.exp(-distance) @ weights


def climbed(points, weights, starts, bandwidth):
    """Equation 7 climbed from every start by itself, to the last digit: {mode: sum of the weights that reach it}."""
    modes: list[list] = []
    for place, weight in zip(points[starts], weights[starts], strict=True):
        for _ in range(5000):
            pull = weights * np.exp(-np.square((points - place) / bandwidth).sum(axis=1))
            before, place = place, pull @ points / pull.sum()  # noqa: PLW2901
            if np.abs(place - before).max() < 1e-9 * bandwidth:
                break
        for mode in modes:
            if np.linalg.norm(mode[0] - place) < bandwidth / 2:
                mode[1] += weight
                break
        else:
            modes.append([place, weight])
    return sorted(modes, key=lambda mode: -mode[1])


def surface(rng, count=250):
    """Points on three limbs, with their weights, and which are starts."""
    ends = rng.uniform(-0.5, 0.5, (3, 2, 3)) + np.array([0, 0, 3.0])
    along = rng.random((count, 1))
    limb = ends[rng.integers(0, 3, count)]
    points = limb[:, 0] * along + limb[:, 1] * (1 - along) + rng.normal(0, 0.03, (count, 3))
    return points, rng.uniform(0.01, 1, count), rng.random(count) < 0.6


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bandwidth", [0.12, 0.3])
def test_modes_are_those_of_climbing_from_every_start(seed, bandwidth):
    points, weights, starts = surface(np.random.default_rng(seed))

    found = density_modes(points, weights, starts, bandwidth)
    wanted = climbed(points, weights, starts, bandwidth)

    assert found.confidence.sum() == pytest.approx(weights[starts].sum())
    assert (np.diff(found.confidence) <= 0).all()
    for place, weight in [mode for mode in wanted if mode[1] > 0.1 * weights[starts].sum()]:
        nearest = np.linalg.norm(found.places - place, axis=1).argmin()
        assert np.linalg.norm(found.places[nearest] - place) < 0.1 * bandwidth
        assert found.confidence[nearest] == pytest.approx(weight, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_mode_is_denser_than_all_around_it(seed):
    points, weights, starts = surface(np.random.default_rng(seed))
    found = density_modes(points, weights, starts, 0.2)

    around = np.random.default_rng(9).normal(size=(200, 3))
    around *= 0.3 * 0.2 / np.linalg.norm(around, axis=1, keepdims=True)
    for mode in found.places:
        (top,) = density(points, weights, 0.2, mode[None])
        assert (density(points, weights, 0.2, mode + around) < 1.002 * top).all()


def test_well_parted_clusters_have_the_modes_that_scikit_learn_finds():
    """A flat kernel and a Gaussian one agree where clusters are far smaller than the bandwidth and far apart."""
    rng = np.random.default_rng(0)
    points = np.concatenate([at + rng.normal(0, 0.002, (size, 3)) for at, size in ((0, 40), (1, 30), (5, 20))])

    found = density_modes(points, np.ones(90), np.ones(90, dtype=bool), 0.2)
    theirs = MeanShift(bandwidth=0.2).fit(points)

    np.testing.assert_allclose(found.places, theirs.cluster_centers_, atol=1e-4)
    assert found.confidence.tolist() == [40.0, 30.0, 20.0]


def test_a_heavy_point_pulls_and_only_starts_are_counted():
    points = np.array([[0.0, 0, 1], [0.1, 0, 1], [3.0, 0, 1]])

    alone = density_modes(points, np.array([1.0, 3.0, 9.0]), np.array([True, False, False]), 0.5)

    assert alone.confidence.tolist() == [1.0]
    np.testing.assert_allclose(alone.places, [[0.075, 0, 1]], atol=2e-3)


def test_without_a_start_or_a_weight_there_is_no_mode():
    points = np.zeros((3, 3))
    for weights, starts in ((np.ones(3), np.zeros(3, dtype=bool)), (np.zeros(3), np.ones(3, dtype=bool))):
        found = density_modes(points, weights, starts, 0.1)
        assert (found.places.shape, found.confidence.shape) == ((0, 3), (0,))


def test_many_points_cost_what_the_cubes_they_lie_in_cost_and_the_mode_stays():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.1, (200_000, 3))

    found = density_modes(points, np.ones(len(points)), np.ones(len(points), dtype=bool), 0.5)

    assert found.confidence.tolist() == [200_000]
    np.testing.assert_allclose(found.places, 0, atol=2e-3)


def wall(distance, scale=1):
    """A wall of 0.4 m by 0.4 m on the axis of a camera, at `scale` times the resolution."""
    camera = CAMERA * [[scale], [scale], [1]]
    rows, columns = np.mgrid[: 64 * scale, : 96 * scale]
    x, y = ((columns - camera[0, 2]) * distance / camera[0, 0], (rows - camera[1, 2]) * distance / camera[1, 1])
    inside = (np.abs(x) < 0.2) & (np.abs(y) < 0.2)
    return np.where(inside, np.float32(distance), np.float32(0)), camera


@pytest.mark.parametrize(("distance", "scale"), [(1.0, 1), (2.0, 1), (2.0, 3)])
def test_confidence_is_the_area_that_is_seen_at_any_distance_and_resolution(distance, scale):
    image, camera = wall(distance, scale)
    places = np.flatnonzero(image)

    joints = joint_proposals(image, places, np.full((len(places), 1), 0.5), camera, {0: PLAIN})

    assert joints.dtype == np.float32
    label, x, y, z, confidence = joints[0].tolist()
    assert (label, x, y) == (0, pytest.approx(camera[0, 2], abs=0.5), pytest.approx(camera[1, 2], abs=0.5))
    assert z == pytest.approx(distance)
    assert confidence == pytest.approx(0.5 * 0.16, rel=0.12)


def test_a_proposal_is_pushed_back_from_the_surface_into_the_body():
    image, camera = wall(2.0)
    image[:, :48] = 0  # the wall's right half, beside the axis
    places = np.flatnonzero(image)
    sure = np.ones((len(places), 1))

    before = joint_proposals(image, places, sure, camera, {0: PLAIN})[0]
    behind = joint_proposals(image, places, sure, camera, {0: PLAIN._replace(offset=0.5)})[0]

    assert behind[3] == pytest.approx(before[3] + 0.5)
    assert behind[1] - 47.5 == pytest.approx((before[1] - 47.5) * 2.0 / 2.5, rel=1e-4)


def test_each_part_has_its_own_threshold_and_the_most_confident_comes_first():
    image, camera = wall(2.0)
    places = np.flatnonzero(image)
    probabilities = np.tile([0.3, 0.5, 0.2], (len(places), 1))

    joints = joint_proposals(
        image, places, probabilities, camera, {0: PLAIN, 1: PLAIN, 2: PLAIN._replace(threshold=0.25)}
    )

    assert joints[:2, 0].tolist() == [1.0, 0.0]
    assert 2.0 not in joints[:, 0]


def test_depths_that_no_camera_measures_give_finite_proposals():
    image = np.array([[1e30, 1e-30], [3e38, 2.0]], np.float32)

    joints = joint_proposals(image, np.arange(4), np.ones((4, 1)), CAMERA, {0: PLAIN})

    assert len(joints)
    assert np.isfinite(joints).all()


@pytest.fixture(scope="module")
def bodies():
    return load_bodies({"size": (48, 48), "train": 30, "val": 0, "test": 3, "level": "easy"}, 0)


def built(problem, **params):
    spec = get_registry().model("depth_forest", "segmentation").spec
    return load_target(spec.target)(problem, **complete(spec.params, {"trees": 3, "depth": 8, "features": 40} | params))


def predicted(data, **params):
    model = built(data.problem, **params)
    model.to(Device())
    model.fit(data.splits["train"], None, FitContext(0, Device()))
    return model.predict(next(data.splits["test"].inputs(99)))


def test_the_forest_proposes_joints_beside_unchanged_label_maps(bodies):
    with_joints, without = predicted(bodies), predicted(bodies, joints=False)

    assert set(without) == {"label_map"}
    np.testing.assert_array_equal(np.stack(with_joints["label_map"]), np.stack(without["label_map"]))
    depth = bodies.splits["test"].arrays()[0]["depth"]
    for joints, image in zip(with_joints["joints"], depth, strict=True):
        assert set(range(11)) >= set(joints[:, 0].tolist()) >= {0, 1, 2}  # the head, torso and hips of everyone
        rows, columns = np.nonzero(image)
        assert (joints[:, 1] >= columns.min()).all()
        assert (joints[:, 1] <= columns.max()).all()
        head, hips = (joints[joints[:, 0] == part][0] for part in (0, 2))
        assert rows.min() <= head[2] < hips[2]


def test_data_without_a_camera_get_label_maps_alone(bodies):
    inputs, targets = bodies.splits["test"].arrays()
    model = built(bodies.problem)
    model.fit(bodies.splits["train"], None, FitContext(0, Device()))

    assert set(model.predict(next(ArraySplit("test", inputs, targets).inputs(9)))) == {"label_map"}


def test_the_background_is_no_part():
    spec = {"depth": InputSpec((4, 4), "float32")}
    plain = built(Problem("segmentation", ("background", "a", "b"), spec))
    named = built(Problem("segmentation", ("a", "wall", "b"), spec, {"background": ("wall",)}))

    assert (list(plain.parts), list(named.parts)) == ([1, 2], [0, 2])


def test_a_setting_has_one_number_or_one_for_each_class():
    problem = Problem("segmentation", ("a", "b"), {"depth": InputSpec((4, 4), "float32")})

    model = built(problem, bandwidth=[0.1, 0.3], offset=[0.04])

    assert model.parts == {0: PartSettings(0.1, 0.14, 0.04), 1: PartSettings(0.3, 0.14, 0.04)}
    with pytest.raises(RequestError) as caught:
        built(problem, threshold=[0.1, 0.2, 0.3])
    assert (
        str(caught.value)
        == "depth_forest: model.threshold has 3 numbers; wanted one, or one for each of the 2 classes."
    )
