"""Faces: an identity stays itself over shots, pixels alone do not give it away, the same bytes everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench_scenes.faces import RANGES, SPREAD, draw_identity, draw_shot, render_face, render_non_face

GOLDEN = "8dcaa613a706fc96899e6a409b6582bdd8a505fb81228a61688b6ac5d50f36d6"


def digest() -> str:
    total = hashlib.sha256()
    for number, level in enumerate(SPREAD):
        for size in (24, 33):
            total.update(render_face(draw_identity(2, number), draw_shot(2, number, 1, level), size).tobytes())
    for number in range(6):
        total.update(render_non_face(2, number, 32).tobytes())
    return total.hexdigest()


def test_faces_have_the_golden_bytes():
    assert digest() == GOLDEN


def area_under_roc(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return how often a genuine pair is nearer than an impostor pair."""
    return float((genuine[:, None] < impostor[None]).mean())


@pytest.mark.parametrize("level", list(SPREAD))
def test_raw_pixels_tell_identities_apart_only_poorly(level):
    people, shots = 24, 3
    images = np.array(
        [
            render_face(draw_identity(5, n), draw_shot(5, n, k, level), 32).ravel()
            for n in range(people)
            for k in range(shots)
        ],
        dtype=np.float64,
    )
    who = np.repeat(np.arange(people), shots)
    apart = ((images[:, None] - images[None]) ** 2).sum(axis=-1)
    one, other = np.triu_indices(len(who), 1)
    same = who[one] == who[other]

    area = area_under_roc(apart[one, other][same], apart[one, other][~same])

    assert 0.5 < area < 0.8


def test_an_oracle_that_knows_the_measures_tells_all_identities_apart():
    vectors = np.array([draw_identity(5, number).vector for number in range(200)])
    apart = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=-1))

    assert vectors.shape == (200, len(RANGES))
    assert vectors.min() >= 0
    assert vectors.max() <= 1
    assert apart[np.triu_indices(200, 1)].min() > 0.9
    np.testing.assert_array_equal(draw_identity(5, 7).vector, draw_identity(5, 7).vector)


@pytest.mark.parametrize("name", [name for name in RANGES if name != "mole_x"])
def test_every_measure_shows_in_the_picture(name):
    person, shot = draw_identity(3, 0), replace(draw_shot(3, 0, 0, "easy"), noise=0.0)
    middle = {key: 0.5 * (low + high) for key, (low, high) in RANGES.items()} | {"beard": 0.3, "mole": 0.03}
    low, high = (
        render_face(replace(person, values=middle | {name: value}), shot, 64).astype(int) for value in RANGES[name]
    )

    assert np.abs(low - high).max() > 8


@pytest.mark.parametrize("change", ["yaw", "pitch", "roll", "smile", "mouth_open", "brow_raise", "gaze"])
def test_pose_and_expression_show_in_the_picture(change):
    person, shot = draw_identity(3, 1), replace(draw_shot(3, 1, 0, "easy"), noise=0.0)
    moved = replace(shot, **{change: getattr(shot, change) + 0.06})

    assert np.abs(render_face(person, moved).astype(int) - render_face(person, shot)).max() > 8


def test_a_face_turned_to_its_right_side_moves_its_features_right():
    """Eyes are the brightest spots of a dark face; a positive yaw carries them to the right."""
    person = draw_identity(3, 2)
    dark = replace(person, values=person.values | {"skin_light": 0.16, "hair_light": 0.01, "beard": -1.0})
    plain = replace(draw_shot(3, 2, 0, "easy"), noise=0.0, shift=(0.0, 0.0), roll=0.0, light=(0.0, 0.0, 1.0))

    places = []
    for yaw in (-0.2, 0.2):
        image = render_face(dark, replace(plain, yaw=yaw), 64)[16:40, 14:50].astype(int).sum(axis=-1)
        places.append(np.argwhere(image > np.percentile(image, 97))[:, 1].mean())

    assert places[0] + 3 < places[1]


def test_pictures_without_a_face_are_of_the_same_form_and_differ():
    pictures = [render_non_face(1, number, 40) for number in range(9)]

    assert {picture.shape for picture in pictures} == {(40, 40, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    assert len({picture.tobytes() for picture in pictures}) == 9


def test_shots_of_one_person_differ_and_repeat():
    person = draw_identity(0, 0)
    first, again, other = (render_face(person, draw_shot(0, 0, shot)) for shot in (0, 0, 1))

    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_impossible_faces_are_refused():
    with pytest.raises(UnknownNameError, match=r"^unknown level 'esy'. Did you mean 'easy'\?$"):
        draw_shot(0, 0, 0, "esy")
    with pytest.raises(RequestError, match=r"^a face of 8 pixels cannot be drawn; wanted at least 16\.$"):
        render_face(draw_identity(0, 0), draw_shot(0, 0, 0), 8)
