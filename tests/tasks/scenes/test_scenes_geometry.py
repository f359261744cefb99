"""Depth, labels and boxes against closed forms and against marching along rays in small steps."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_scenes import (
    CLASSES,
    LEVELS,
    Camera,
    Frame,
    Light,
    Rig,
    Scene,
    Solid,
    StereoFrame,
    Texture,
    Thing,
    compose,
    looking,
    render,
    render_sequence,
    render_stereo,
)
from mlcvbench_scenes.shapes import KINDS, depth_below, enter
from mlcvbench_scenes.vectors import IDENTITY, from_quaternion

SIZES = {
    "sphere": (0.5, 0.5, 0.5),
    "box": (0.3, 0.4, 0.5),
    "cylinder": (0.3, 0.3, 0.5),
    "cone": (0.4, 0.4, 0.5),
    "capsule": (0.25, 0.25, 0.4),
}
PLAIN = Texture("cloud", 1.0, 0.0, 1.0, (0.0, 0.0, 0.0), ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))
TURNED = from_quaternion(0.8, 0.3, -0.4, 0.2)


def holds(kind: str, size: tuple[float, float, float], p: np.ndarray) -> np.ndarray:
    """Return whether points (..., 3) of a solid's own frame lie inside it: the definitions, without any ray."""
    x, y, z = np.moveaxis(p, -1, 0)
    around = np.hypot(x, y)
    a, b, c = size
    if kind == "sphere":
        return np.hypot(around, z) <= a
    if kind == "box":
        return (abs(x) <= a) & (abs(y) <= b) & (abs(z) <= c)
    if kind == "cylinder":
        return (around <= a) & (abs(z) <= c)
    if kind == "cone":
        return (abs(z) <= c) & (around <= a * (c - z) / (2 * c))
    return np.hypot(around, z - np.clip(z, -c, c)) <= a


def in_world(solid: Solid, points: np.ndarray) -> np.ndarray:
    return holds(solid.kind, solid.size, (points - np.array(solid.center)) @ np.array(solid.rotation))


def world_points(frame: Frame) -> np.ndarray:
    """Return the points the pixels show, (H, W, 3): depth times K^-1 (column, row, 1), moved by the pose."""
    height, width = frame.depth.shape
    rows, columns = np.indices((height, width))
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(frame.camera.intrinsics).T
    seen = rays * frame.depth[..., None].astype(np.float64)
    return seen @ frame.camera.pose[:3, :3].T + frame.camera.pose[:3, 3]


def single(kind: str, center=(0.1, 4.0, 0.8), rotation=TURNED, size=(64, 64)) -> Scene:
    scene = compose(0, 0, "easy", size=size)
    thing = Thing(Solid(kind, SIZES[kind], center, rotation), PLAIN)
    return replace(scene, things=(thing,), noise=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_rays_enter_a_solid_where_marching_along_them_first_finds_it(kind):
    rng = np.random.default_rng(0)
    origin = rng.normal(size=(600, 3))
    origin *= 3.0 / np.linalg.norm(origin, axis=1, keepdims=True)
    toward = rng.uniform(-0.55, 0.55, size=(600, 3)) - origin
    step = 0.002
    times = np.arange(0.5, 1.5, step)
    inside = holds(kind, SIZES[kind], origin[:, None] + times[None, :, None] * toward[:, None])

    with np.errstate(all="ignore"):
        t = enter(Solid(kind, SIZES[kind], (0, 0, 0), IDENTITY), tuple(origin.T), tuple(toward.T))

    clear = inside.sum(axis=1) != 0
    assert clear.sum() > 150
    np.testing.assert_allclose(t[clear], times[inside.argmax(axis=1)][clear], atol=step * 1.01)
    assert np.isinf(t[~clear]).mean() > 0.97  # a chord shorter than a step may be overlooked by marching


def test_depth_of_a_ball_and_of_the_ground_is_the_closed_form():
    scene = single("sphere")
    frame = render(scene)
    camera = scene.rig.left
    rows, columns = np.indices(frame.depth.shape)
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(camera.intrinsics).T
    rotation = np.array(camera.rotation)
    center = rotation @ (np.array(scene.things[0].solid.center) - camera.position)
    along = (rays @ center) / (rays * rays).sum(axis=-1)
    off = ((along[..., None] * rays - center) ** 2).sum(axis=-1)
    ball = along - np.sqrt(np.maximum(0.25 - off, 0) / (rays * rays).sum(axis=-1))
    ground = camera.position[2] / -(rays @ rotation)[..., 2]

    on_ball, on_ground = frame.surface == 2, frame.surface == 0
    np.testing.assert_array_equal(on_ball, off < 0.25)
    np.testing.assert_allclose(frame.depth[on_ball], ball[on_ball], rtol=1e-6)
    np.testing.assert_allclose(frame.depth[on_ground], ground[on_ground], rtol=1e-6)


@pytest.mark.parametrize("level", list(LEVELS))
def test_every_pixel_lies_on_the_surface_it_is_labelled_with(level):
    scene = compose(3, 1, level, size=(72, 96))
    frame = render(scene)
    points = world_points(frame)

    for number, thing in enumerate(scene.things):
        own = points[frame.surface == number + 2]
        solid = thing.solid
        middle = np.array(solid.center)
        assert in_world(solid, middle + (own - middle) * 0.9999).all()
        assert not in_world(solid, middle + (own - middle) * 1.0001).any()
        assert (frame.semantic[frame.surface == number + 2] == CLASSES.index(solid.kind)).all()
    np.testing.assert_allclose(points[frame.surface == 0][:, 2], 0.0, atol=1e-5)
    wall = scene.planes[1]
    np.testing.assert_allclose((points[frame.surface == 1] - wall.point) @ np.array(wall.axes[2]), 0.0, atol=1e-5)


@pytest.mark.parametrize("level", list(LEVELS))
def test_nothing_stands_between_the_camera_and_what_a_pixel_shows(level):
    scene = compose(8, 2, level, size=(40, 40))
    frame = render(scene)
    points, eye = world_points(frame), np.array(scene.rig.left.position)
    shares = np.linspace(0.05, 0.998, 400)[:, None]

    blocked = np.zeros(frame.depth.shape, dtype=bool)
    for row, column in np.ndindex(*blocked.shape):
        path = eye + shares * (points[row, column] - eye)
        blocked[row, column] = any(in_world(thing.solid, path).any() for thing in scene.things)

    assert not blocked.any()


def test_boxes_are_the_tight_bounds_of_their_masks():
    for index, level in itertools.product(range(4), LEVELS):
        frame = render(compose(2, index, level))
        found = frame.instances
        for box, mask, area in zip(found.box, frame.masks, found.area, strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert area == mask.sum() > 0


def test_masks_of_instances_part_what_the_labels_join():
    frame = render(compose(2, 5, "hard"))
    masks = frame.masks

    assert masks.sum(axis=0).max() == 1
    np.testing.assert_array_equal(masks.any(axis=0), frame.semantic >= 2)
    for mask, label in zip(masks, frame.instances.label, strict=True):
        assert set(frame.semantic[mask]) == {label}


def test_depth_jumps_only_where_the_surface_changes():
    """Within one convex surface, inverse depth bends by little between neighbours; jumps are borders."""
    frame = render(compose(6, 0, "hard", size=(128, 128)))
    for depth, surface in ((frame.depth, frame.surface), (frame.depth.T, frame.surface.T)):
        jump = abs(np.diff(depth, axis=1)) > 0.35
        border = surface[:, 1:] != surface[:, :-1]
        far_ground = surface[:, 1:] < 2  # the ground itself recedes by more than that from row to row
        assert not (jump & ~border & ~far_ground).any()


def test_visible_share_compares_with_the_solid_alone():
    scene = compose(9, 1, "hard")
    frame = render(scene)
    found = frame.instances
    assert found.occluded.any()
    for number, area, share in zip(found.number, found.area, found.visible, strict=True):
        alone = render(replace(scene, things=(scene.things[number],)))
        assert share == pytest.approx(area / alone.instances.area[0])
        assert alone.instances.visible[0] == 1.0


def test_truncated_solids_are_those_that_a_wider_image_shows_more_of():
    for index in range(6):
        scene = compose(14, index, "medium", size=(48, 48))
        wide = replace(scene.rig.left, height=96, width=96)
        near = {n: m for n, m in zip(*alone_areas(scene, scene.rig.left), strict=True) if m}
        far = dict(zip(*alone_areas(scene, wide), strict=True))
        found = render(scene).instances
        for number, truncated in zip(found.number.tolist(), found.truncated.tolist(), strict=True):
            assert truncated == (far[number] > near[number])


def alone_areas(scene: Scene, camera: Camera) -> tuple[list[int], list[int]]:
    areas = []
    for thing in scene.things:
        found = render(replace(scene, things=(thing,)), camera).instances.area
        areas.append(int(found[0]) if len(found) else 0)
    return list(range(len(areas))), areas


def test_disparity_is_focal_length_times_baseline_over_depth():
    frame = render_stereo(compose(1, 1, "medium"))
    camera, rig = frame.left.camera, frame.rig

    np.testing.assert_allclose(frame.disparity, camera.focal * rig.baseline / frame.left.depth, rtol=1e-6)
    assert camera.intrinsics[0, 0] == camera.focal
    assert frame.disparity.dtype == frame.left.depth.dtype == np.float32


def test_epipolar_lines_are_horizontal_and_disparity_is_the_shift_of_points():
    frame = render_stereo(compose(1, 2, "medium"))
    points = world_points(frame.left)
    right = frame.right.camera

    seen = (points - right.pose[:3, 3]) @ right.pose[:3, :3] @ right.intrinsics.T
    seen = seen[..., :2] / seen[..., 2:]

    rows, columns = np.indices(frame.disparity.shape)
    np.testing.assert_allclose(seen[..., 1], rows, atol=1e-4)
    np.testing.assert_allclose(seen[..., 0], columns - frame.disparity, atol=1e-4)


def carried_to_the_left(frame: StereoFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the right image sampled where the left depth says, and the pixels seen by both away from borders."""
    rows, columns = np.indices(frame.disparity.shape)
    last = frame.disparity.shape[1] - 1
    at = columns - frame.disparity
    low = np.clip(np.floor(at).astype(int), 0, last - 1)
    part = (at - low)[..., None]
    right = frame.right.image.astype(float)
    carried = (1 - part) * right[rows, low] + part * right[rows, low + 1]
    return carried, smooth(frame.left.surface) & ~frame.occluded & (at >= 0) & (at <= last)


@pytest.mark.parametrize("level", list(LEVELS))
def test_without_noise_the_left_depth_carries_the_right_image_to_the_left_within_a_grey_level(level):
    frame = render_stereo(replace(compose(21, 0, level, size=(160, 160)), noise=0.0))
    carried, both = carried_to_the_left(frame)

    error = np.abs(carried - frame.left.image)[both]
    displaced = np.abs(np.roll(carried, 2, axis=1) - frame.left.image)[both]

    assert both.mean() > 0.6
    assert np.median(error) < 0.5
    assert np.percentile(error, 90) < 1.5
    assert np.mean(error) < 0.3 * np.mean(displaced)


@pytest.mark.parametrize("level", list(LEVELS))
def test_with_noise_what_remains_is_the_noise_of_both_cameras(level):
    scene = compose(21, 1, level, size=(160, 160))
    frame = render_stereo(scene)
    carried, both = carried_to_the_left(frame)
    part = (np.floor(frame.disparity) - frame.disparity)[..., None] + 1
    spread = scene.noise * np.sqrt(1 + part**2 + (1 - part) ** 2)  # linear sampling averages two noisy pixels

    error = ((carried - frame.left.image) / spread)[both]

    assert abs(np.median(error)) < 0.1
    assert 1.4826 * np.median(np.abs(error)) == pytest.approx(1.0, abs=0.12)


def smooth(surface: np.ndarray) -> np.ndarray:
    """Return the pixels whose eight neighbours show the same surface."""
    padded = np.pad(surface, 1, mode="edge")
    height, width = surface.shape
    around = [padded[r : r + height, c : c + width] == surface for r in range(3) for c in range(3)]
    return np.logical_and.reduce(around)


@pytest.mark.parametrize("level", list(LEVELS))
def test_occluded_pixels_are_those_whose_point_the_other_camera_cannot_reach(level):
    scene = compose(17, 3, level, size=(40, 40))
    frame = render_stereo(scene)
    for eye, other, hidden, sign, shift in (
        (frame.left, frame.right, frame.occluded, -1, frame.disparity),
        (frame.right, frame.left, frame.right_occluded, 1, frame.right_disparity),
    ):
        points, target = world_points(eye), np.array(other.camera.position)
        shares = np.linspace(0.05, 0.9995, 1500)[:, None]
        blocked = np.zeros(hidden.shape, dtype=bool)
        for row, column in np.ndindex(*hidden.shape):
            path = target + shares * (points[row, column] - target)
            blocked[row, column] = any(in_world(thing.solid, path).any() for thing in scene.things)
        at = np.indices(hidden.shape)[1] + sign * shift
        blocked |= (at < -0.5) | (at > 39.5)

        assert (blocked != hidden).mean() < 0.002  # marching oversees chords shorter than its step
        assert hidden.any()


@pytest.mark.parametrize("level", list(LEVELS))
def test_shadows_fall_where_marching_to_the_sun_meets_another_solid(level):
    from mlcvbench_scenes.shading import shadows
    from mlcvbench_scenes.visibility import look

    scene = compose(30, 1, level, size=(40, 40))
    with np.errstate(all="ignore"):
        view = look(scene, scene.rig.left, 1, np.float64)
        dark = shadows(scene, view, 1)
    points, sun = world_points(render(scene)), np.array(scene.light.direction)
    steps = np.linspace(0.004, 4.0, 1200)[:, None]

    marched = np.zeros_like(dark)
    for row, column in np.ndindex(*dark.shape):
        path = points[row, column] + steps * sun
        for number, thing in enumerate(scene.things):
            if view.surface[row, column] != number + 2:
                marched[row, column] |= in_world(thing.solid, path).any()

    assert dark.any()
    assert (dark != marched).mean() < 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_brightness_follows_the_cosine_of_the_normal_found_from_depth(kind):
    """Normals from differences of depth, light from the formula: the picture of a plain solid in one colour."""
    flat = replace(PLAIN, colors=((0.3, 0.3, 0.3), (0.3, 0.3, 0.3)))
    sun = np.array([0.48, -0.6, 0.64])
    scene = single(kind, size=(160, 160))
    scene = replace(
        scene,
        things=(replace(scene.things[0], texture=flat),),
        light=Light((0.48, -0.6, 0.64), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)),
    )
    frame = render(scene, antialias=False)
    points = world_points(frame)
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    normal = np.cross(down, across)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)

    expected = 0.3 * (np.maximum(normal @ sun, 0) + 0.5 * (0.65 + 0.35 * normal[..., 2]))
    seen = (frame.image[1:-1, 1:-1, 0] / 255.0) ** 2
    own = (smooth(frame.surface) & (frame.surface == 2))[1:-1, 1:-1]

    error = np.abs(seen - expected)[own]
    assert own.sum() > 100
    assert np.median(error) < 0.01
    assert np.mean(error > 0.05) < 0.12  # at edges the differences mix two faces


def test_a_moving_rig_sees_one_unmoved_world():
    scene = compose(12, 0, "easy", size=(64, 64))
    rigs = scene.rig.path([((0.1, 0.0, 0.15), (0.0, 0.02, 0.0)), ((0.1, -0.05, 0.15), (0.01, 0.02, 0.0))])
    frames = render_sequence(scene, rigs)

    for frame in frames:
        for number, thing in enumerate(scene.things):
            own = world_points(frame.left)[frame.left.surface == number + 2]
            middle = np.array(thing.solid.center)
            assert in_world(thing.solid, middle + (own - middle) * 0.9999).all()
        rotation = frame.left.camera.pose[:3, :3]
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.norm(frames[2].left.camera.pose[:3, 3] - frames[0].left.camera.pose[:3, 3]) > 0.3
    step = np.linalg.inv(frames[0].left.camera.pose) @ frames[1].left.camera.pose
    np.testing.assert_allclose(step[:3, 3], [0.1, 0.0, 0.15], atol=1e-12)


def test_turning_right_moves_the_picture_to_the_left():
    rig = compose(12, 0, "easy").rig
    turned = rig.moved((0.0, 0.0, 0.0), (0.0, 0.05, 0.0))
    ahead = np.array(rig.left.rotation[2])

    assert (np.array(turned.left.rotation) @ ahead)[0] < 0


def test_the_right_camera_stands_the_baseline_to_the_right():
    rig: Rig = compose(0).rig

    apart = np.array(rig.right.position) - rig.left.position
    np.testing.assert_allclose(apart, rig.baseline * np.array(rig.left.rotation[0]), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_solids_rest_on_the_ground(kind):
    height = depth_below(kind, SIZES[kind], TURNED)
    directions = np.random.default_rng(1).normal(size=(30_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.linspace(0.05, 1.0, 120)
    lowest = min(
        (directions @ np.array(TURNED).T)[holds(kind, SIZES[kind], directions * length), 2].min(initial=0) * length
        for length in lengths
    )

    assert -height == pytest.approx(lowest, abs=0.02)
    assert -height <= lowest + 1e-9


def test_solids_stand_apart_and_levels_fill_up():
    counts = {}
    for level in LEVELS:
        scenes = [compose(40, index, level) for index in range(12)]
        counts[level] = np.mean([len(scene.things) for scene in scenes])
        for scene in scenes:
            for one, other in itertools.combinations([thing.solid for thing in scene.things], 2):
                gap = np.linalg.norm(np.subtract(one.center, other.center))
                assert gap >= one.radius + other.radius - 1e-9
    assert counts["easy"] < counts["medium"] < counts["hard"]


def test_harder_levels_hide_more_and_are_noisier():
    hidden = []
    for level in LEVELS:
        found = [render(compose(41, index, level, size=(96, 96)), antialias=False).instances for index in range(10)]
        hidden.append(np.mean(np.concatenate([one.visible for one in found]) < 0.9))

    assert hidden[0] == 0.0
    assert hidden[0] < hidden[1] < hidden[2]
    assert LEVELS["easy"].noise < LEVELS["medium"].noise < LEVELS["hard"].noise


def test_a_camera_that_looks_away_sees_nothing_and_says_so():
    scene = compose(0, 0, "easy", size=(32, 32))
    frame = render(scene, looking((0.0, 0.0, 1.0), (0.0, -5.0, 6.0), (32, 32), 30.0))

    assert np.isinf(frame.depth).all()
    assert set(frame.surface.ravel()) == set(frame.semantic.ravel()) == {255}
    assert len(frame.instances.label) == 0
    assert frame.masks.shape == (0, 32, 32)


def test_unknown_levels_and_kinds_name_the_near_ones():
    with pytest.raises(UnknownNameError, match=r"^unknown level 'eazy'. Did you mean 'easy'\?$"):
        compose(0, 0, "eazy")
    with pytest.raises(UnknownNameError, match=r"^unknown solid 'cones'. Did you mean 'cone'\?$"):
        compose(0, 0, kinds=("cones",))


def test_impossible_requests_are_refused():
    scene = compose(0, 0, "easy")
    with pytest.raises(RequestError) as too_small:
        compose(0, 0, size=(8, 64))
    with pytest.raises(RequestError) as camera:
        replace(scene.rig.left, focal=0.0)
    with pytest.raises(RequestError) as sun:
        replace(scene, light=replace(scene.light, direction=(1.0, 0.0, 0.0)))
    with pytest.raises(RequestError) as many:
        replace(scene, things=scene.things[:1] * 254)

    assert str(too_small.value) == (
        "a scene of 8 x 64 pixels and 5 kinds cannot be composed; wanted at least 16 x 16 pixels and one kind."
    )
    assert str(camera.value) == (
        "a camera of 128 x 128 pixels and focal length 0.0 cannot be built; wanted positive numbers."
    )
    assert str(sun.value) == "the sun stands at height 0; wanted a direction with a positive z."
    assert str(many.value) == "a scene has 254 solids; the most is 253."
