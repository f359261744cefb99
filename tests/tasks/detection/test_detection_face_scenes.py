"""Faces in scenes: boxes are tight, people and scenes differ between splits, and a larger set adds to a smaller one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mlcvbench.errors import RequestError
from mlcvbench.plan.definitions import load_definition
from mlcvbench.registry import get_registry
from mlcvbench.testing.datasets import check_dataset
from mlcvbench_detection.face_scenes import load_face_scenes
from mlcvbench_scenes.compose import compose
from mlcvbench_scenes.face_scenes import FaceSettings, draw_picture
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_face, render_head
from mlcvbench_scenes.render import render

PARAMS = {"level": "hard", "size": (80, 96), "sides": (20, 60), "most": 5, "train": 3, "val": 2, "test": 6}
GOLDEN = "f2fc94b2e3b9fc39a4502de3d3392fee47c4bd72e73432586511bd4d7d29f9f0"


@pytest.fixture(scope="module")
def data():
    return load_face_scenes(PARAMS, 0)


def test_pictures_have_the_golden_bytes(data):
    digest = hashlib.sha256()
    batch, targets = data.splits["test"].read(slice(0, None))
    digest.update(batch.inputs["image"].tobytes())
    for place in range(len(batch.ids)):
        digest.update(targets["xywh"][place].tobytes())

    assert digest.hexdigest() == GOLDEN


def test_boxes_hold_all_that_was_pasted_and_nothing_touches_another(data):
    settings = FaceSettings.of(PARAMS, 0)
    found = 0
    for number in range(6):
        image, boxes, areas = draw_picture(settings, number)
        behind = render(compose(0, number, "hard", size=(80, 96))).image
        covered = np.zeros((80, 96), int)
        for x0, y0, x1, y1 in boxes:
            covered[y0:y1, x0:x1] += 1

        assert covered.max(initial=0) <= 1
        np.testing.assert_array_equal(image[covered == 0], behind[covered == 0])
        assert (areas <= (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).all()
        assert (areas >= 0.6 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).all()
        heights = boxes[:, 3] - boxes[:, 1]
        assert ((heights >= 0.85 * 20) & (heights <= 1.15 * 60)).all()
        found += len(boxes)
    assert found > 6


def test_a_head_covers_what_its_photograph_shows_of_it():
    person, shot = draw_identity(0, 3), draw_shot(0, 3, 0)

    image, cover = render_head(person, shot, 40)

    np.testing.assert_array_equal(image, render_face(person, shot, 40))
    assert cover.shape == (40, 40)
    assert set(np.unique(cover)) <= {0, 0.25, 0.5, 0.75, 1}
    assert cover[20, 20] == 1
    assert cover[0, 0] == 0


def test_splits_share_nothing_and_a_larger_one_begins_with_a_smaller_one(data):
    more = load_face_scenes({**PARAMS, "test": 8, "train": 0}, 0)

    images = {name: split.read([0])[0].inputs["image"] for name, split in data.splits.items()}
    assert not (images["train"] == images["test"]).all()
    assert set(more.splits) == {"val", "test"}
    np.testing.assert_array_equal(
        more.splits["test"].read(slice(0, 6))[0].inputs["image"],
        data.splits["test"].read(slice(0, 6))[0].inputs["image"],
    )


@pytest.mark.parametrize("sides", [(60, 20), (20, 200)])
def test_heads_that_no_picture_holds_are_refused(sides):
    with pytest.raises(RequestError) as caught:
        load_face_scenes({**PARAMS, "sides": sides}, 0)

    assert str(caught.value) == (
        f"data.sides=[{sides[0]},{sides[1]}]: wanted the least height first, and none above 80 pixels."
    )


def test_it_keeps_the_contract_of_data_sets():
    params = {"size": (48, 48), "sides": (20, 40), "train": 3, "val": 1, "test": 4}

    results = check_dataset(get_registry().dataset("face-scenes", "detection").spec, params=params)

    assert [result for result in results if result.passed is False] == []


def test_the_board_names_the_method_that_is_at_home_there():
    definition = load_definition("face-scenes", get_registry())

    assert (definition.dataset, definition.models) == ("face-scenes", ("box_prior", "viola_jones"))
