"""Bodies: parts where they belong, depth as a sensor gives it, the same bytes everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mlcvbench.errors import UnknownNameError
from mlcvbench_scenes.bodies import EFFORTS, PARTS, render_body

GOLDEN = "44b99bfaa79bc61744667e1bc020989274ef595fa2fba4aad3bdbb91d34dbd23"


def digest() -> str:
    total = hashlib.sha256()
    for index, level in enumerate(EFFORTS):
        frame = render_body(1, index, level, size=(60, 50))
        for array in (frame.depth, frame.exact, frame.parts):
            total.update(array.tobytes())
    return total.hexdigest()


def test_bodies_have_the_golden_bytes():
    assert digest() == GOLDEN


def middle(parts: np.ndarray, name: str) -> np.ndarray:
    return np.argwhere(parts == PARTS.index(name)).mean(axis=0)


@pytest.mark.parametrize("index", range(6))
def test_a_standing_person_has_the_head_above_and_the_left_hand_on_the_right_of_the_image(index):
    parts = render_body(0, index, "easy").parts

    rows = [middle(parts, name)[0] for name in ("head", "torso", "hips", "left thigh", "left shin")]
    assert rows == sorted(rows)
    for name in ("upper arm", "forearm", "thigh"):
        assert middle(parts, f"left {name}")[1] > middle(parts, f"right {name}")[1]


@pytest.mark.parametrize("level", list(EFFORTS))
def test_all_parts_occur_and_the_person_stands_out_of_the_background(level):
    frames = [render_body(2, index, level) for index in range(8)]

    assert {int(part) for frame in frames for part in np.unique(frame.parts)} == set(range(len(PARTS)))
    for frame in frames:
        person = frame.parts > 0
        assert 0.03 < person.mean() < 0.4
        assert not person[0].any()
        assert np.isfinite(frame.exact).all()
        assert 1.0 < frame.exact[person].mean() < 4.0


@pytest.mark.parametrize("level", list(EFFORTS))
def test_measured_depth_is_the_exact_one_with_noise_that_grows_with_its_square(level):
    frame = render_body(4, 1, level, size=(160, 160))
    measured = frame.depth > 0
    share = ((frame.depth - frame.exact) / frame.exact**2)[measured]

    assert abs(share.mean()) < EFFORTS[level].noise / 10
    assert share.std() == pytest.approx(EFFORTS[level].noise, rel=0.1)


def test_measurements_are_missing_only_at_jumps_of_depth():
    frame = render_body(4, 2, "hard", size=(120, 120))
    padded = np.pad(frame.exact, 1, mode="edge")
    around = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    jump = np.max([abs(side - frame.exact) for side in around], axis=0) > 0.1

    holes = frame.depth == 0
    assert not (holes & ~jump).any()
    assert holes.sum() / jump.sum() == pytest.approx(EFFORTS["hard"].holes, abs=0.06)


def test_harder_levels_bend_further():
    spread = []
    for level in EFFORTS:
        widths = []
        for index in range(12):
            columns = np.argwhere(render_body(6, index, level).parts > 0)[:, 1]
            widths.append(columns.max() - columns.min())
        spread.append(np.std(widths))

    assert spread[0] < spread[1] < spread[2]


def test_an_unknown_level_names_the_near_one():
    with pytest.raises(UnknownNameError, match=r"^unknown level 'haard'. Did you mean 'hard'\?$"):
        render_body(0, 0, "haard")
