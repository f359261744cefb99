"""The same seed gives the same bytes, on any processor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlcvbench_scenes import CAMERAS, LEVELS, Camera, compose, render, render_sequence, render_stereo
from mlcvbench_scenes.scene import Scene

GOLDEN = {
    "easy": "d3fc3ac4b71378ebb47e0b636184453955dbb55c43eddeaddb12aeb510056c56",
    "medium": "dcba6118b5daada6722bd0c70ad7afed2425dad3db55587a45f531eb4b73b209",
    "hard": "5847c38975010da7e9fb37c49ced1b63f562be2bd8552c6542f8d19244dcb745",
}
GOLDEN_VARIED = "729cec66582fba1b0b859b25667ad61a3c33ae48b07371e47bafb5d452453607"


def digest(level: str) -> str:
    """Return a hash of all that a moving rig gives of three scenes, with and without anti-aliasing."""
    total = hashlib.sha256()
    for index, size in enumerate(((48, 64), (64, 64), (65, 47))):
        scene = compose(11, index, level, size=size)
        rigs = scene.rig.path([((0.05, 0.0, 0.1), (0.0, 0.01, 0.0))])
        for frame in [*render_sequence(scene, rigs), render_stereo(scene, antialias=False)]:
            for eye in (frame.left, frame.right):
                found = eye.instances
                for array in (eye.image, eye.depth, eye.surface, eye.semantic, found.box, found.visible, found.area):
                    total.update(array.tobytes())
            for array in (frame.disparity, frame.occluded, frame.right_disparity, frame.right_occluded):
                total.update(array.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("level", list(GOLDEN))
def test_renders_have_the_golden_bytes(level):
    assert digest(level) == GOLDEN[level]


def test_scenes_of_varied_cameras_and_sizes_have_the_golden_bytes():
    total = hashlib.sha256()
    level = replace(LEVELS["medium"], size=(0.15, 0.9))
    for index, size in enumerate(((48, 64), (64, 64), (65, 47))):
        frame = render(compose(11, index, level, size=size, cameras="varied"))
        for array in (frame.image, frame.depth, frame.surface, frame.instances.box, frame.camera.intrinsics):
            total.update(array.tobytes())

    assert total.hexdigest() == GOLDEN_VARIED


@pytest.mark.parametrize("disabled", ["AVX512_ICL AVX512_SPR AVX512_SKX X86_V4", "everything"])
def test_bytes_do_not_depend_on_vector_instructions(disabled):
    """NumPy chooses its loops when it starts, so a fresh interpreter renders with fewer instructions allowed."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    wanted = __cpu_dispatch__ if disabled == "everything" else disabled.split()
    names = [name for name in wanted if name in __cpu_dispatch__ and __cpu_features__.get(name)]
    if not names:
        pytest.skip("this processor has none of these instructions")
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "import test_scenes_bytes as scenes, test_scenes_bodies as bodies, test_scenes_faces as faces; "
        "print(scenes.digest('medium') == scenes.GOLDEN['medium'], *(m.digest() == m.GOLDEN for m in (bodies, faces)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(names)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert done.stdout.split() == ["True", "True", "True"]


def test_another_seed_another_index_and_another_moment_give_other_pictures():
    first, again = render(compose(1, 0)).image, render(compose(1, 0)).image
    by_seed, by_index = render(compose(2, 0)).image, render(compose(1, 1)).image
    moments = [render_stereo(compose(1, 0), moment=moment).left.image for moment in (0, 1)]

    assert first.tobytes() == again.tobytes()
    assert len({image.tobytes() for image in (first, by_seed, by_index)}) == 3
    assert moments[0].tobytes() == first.tobytes() != moments[1].tobytes()


def test_more_solids_do_not_change_the_earlier_ones():
    few = compose(5, 3, replace(LEVELS["medium"], solids=(3, 3)))
    many = compose(5, 3, replace(LEVELS["medium"], solids=(9, 9)))

    assert many.things[:3] == few.things
    assert len(many.things) > 3
    assert (many.planes, many.light, many.rig) == (few.planes, few.light, few.rig)


def test_the_view_of_one_camera_is_the_left_of_the_pair():
    scene: Scene = compose(4, 2, "hard", size=(40, 56))
    camera: Camera = scene.rig.left

    assert render(scene, camera).image.tobytes() == render_stereo(scene).left.image.tobytes()


def test_other_cameras_leave_the_world_as_it_is_where_it_does_not_depend_on_them():
    alike, varied = (compose(5, 3, cameras=cameras) for cameras in ("alike", "varied"))

    assert (alike.planes, alike.light) == (varied.planes, varied.light)
    assert alike.rig != varied.rig
    assert compose(5, 3, cameras=CAMERAS["varied"]) == varied
