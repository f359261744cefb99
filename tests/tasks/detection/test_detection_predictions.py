"""What a detector may return: the contract, its rounding, and what each breach is answered with."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench.contract import Problem
from mlcvbench.errors import PredictionError, RecordError
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.task import DetectionTask

TASK = DetectionTask()
PROBLEM = Problem("detection", ("cat", "dog"), {}, {"category_ids": (7, 90), "masks": True})
IDS = np.array(["139", "285"])
EMPTY = np.zeros((0, 4))
MASK = {"size": [3, 4], "counts": [2, 4, 6]}


def returned(**fields: object) -> dict[str, object]:
    """Return good predictions for two images, the second without detections, with fields replaced or left out."""
    good = {
        "boxes": [np.array([[1.5, 2.0, 11.5, 22.0], [0.1, 0.2, 0.3, 0.4]]), EMPTY],
        "scores": [np.array([0.9, 0.3]), np.zeros(0)],
        "labels": [np.array([1, 0]), np.zeros(0, int)],
    }
    return {name: value for name, value in {**good, **fields}.items() if value is not ...}


def test_boxes_and_scores_are_rounded_to_float32_and_kept_exactly():
    checked = TASK.check(returned(), IDS, PROBLEM)

    corner, far = np.float32([0.1, 0.2]), np.float32([0.3, 0.4])
    size = far.astype(np.float64) - corner.astype(np.float64)
    assert checked["xywh"][0].tolist() == [[1.5, 2.0, 10.0, 20.0], [*map(float, corner), *size]]
    assert checked["scores"][0].tolist() == [float(np.float32(0.9)), float(np.float32(0.3))]
    assert checked["labels"].values.dtype == np.int64
    assert checked["xywh"].counts.tolist() == [2, 0]


def test_what_is_checked_can_be_checked_again():
    checked = TASK.check(returned(), IDS, PROBLEM)
    again = TASK.check(checked, IDS, PROBLEM)

    assert all(np.array_equal(checked[name].values, again[name].values) for name in checked)


def test_a_model_may_change_its_arrays_afterwards():
    given_boxes = returned()["boxes"]

    checked = TASK.check(returned(boxes=given_boxes), IDS, PROBLEM)
    given_boxes[0][:] = 0

    assert checked["xywh"][0][0].tolist() == [1.5, 2.0, 10.0, 20.0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"boxes": ...}, "predictions have no field 'boxes'; got labels, scores."),
        ({"scores": ...}, "predictions have no field 'scores'; got boxes, labels."),
        ({"labels": ...}, "predictions have no field 'labels'; got boxes, scores."),
        ({"scores": 0.5}, "field 'scores': wanted a list with one entry per image, got float."),
        ({"scores": np.zeros((2, 2))}, "field 'scores': wanted a list with one entry per image, got ndarray."),
        ({"scores": [np.zeros(2)]}, "field 'scores': wanted 2 samples, got 1."),
        (
            {"scores": [np.zeros((2, 1)), np.zeros(0)]},
            "field 'scores', sample '139': wanted float32 (n,), got float64 (2, 1).",
        ),
        (
            {"scores": [np.array(["a", "b"]), np.zeros(0)]},
            "field 'scores', sample '139': wanted float32 (n,), got <U1 (2,).",
        ),
        (
            {"scores": [np.array([0.5, np.nan]), np.zeros(0)]},
            "field 'scores', sample '139', detection 1: wanted finite numbers, got nan.",
        ),
        (
            {"scores": [np.array([0.5, 1e300]), np.zeros(0)]},
            "field 'scores', sample '139', detection 1: wanted finite numbers, got inf.",
        ),
        (
            {"boxes": [np.zeros((2, 5)), EMPTY]},
            "field 'boxes', sample '139': wanted float32 (n, 4), got float64 (2, 5).",
        ),
        (
            {"boxes": [np.array([[0, 0, 5, 5], [4, 0, 3, 5.0]]), EMPTY]},
            "field 'boxes', sample '139', detection 1: wanted x1 <= x2 and y1 <= y2, all within 1e+07 pixels, "
            "got x1, y1, width, height [4.0, 0.0, -1.0, 5.0].",
        ),
        (
            {"boxes": [np.array([[0, 0, 5, 5], [0, 0, 3, 5e8]]), EMPTY]},
            "field 'boxes', sample '139', detection 1: wanted x1 <= x2 and y1 <= y2, all within 1e+07 pixels, "
            "got x1, y1, width, height [0.0, 0.0, 3.0, 500000000.0].",
        ),
        (
            {"labels": [np.array([1, 2]), np.zeros(0, int)]},
            "field 'labels', sample '139', detection 1: wanted 0 to 1, got 2.",
        ),
        (
            {"labels": [np.array([1.0, 0.0]), np.zeros(0, int)]},
            "field 'labels', sample '139': wanted int64 (n,), got float64 (2,).",
        ),
        ({"labels": [np.array([1]), np.zeros(0, int)]}, "sample '139': has 2 scores but 1 labels."),
        ({"boxes": [np.zeros((1, 4)), EMPTY]}, "sample '139': has 2 scores but 1 boxes."),
        ({"masks": [[MASK], []]}, "sample '139': has 2 scores but 1 masks."),
        (
            {"masks": [np.zeros((2, 3, 4)), []]},
            "field 'masks', sample '139': wanted bool (n, height, width), got float64 (2, 3, 4).",
        ),
        (
            {"masks": [[MASK, {"size": [3], "counts": "T3"}], []]},
            "field 'masks', sample '139', mask 1: wanted an object with size [height, width] and counts.",
        ),
        (
            {"masks": [[MASK, {"size": [3, 4], "counts": [2, 4]}], []]},
            "field 'masks', sample '139', mask 1: its runs cover 6 of 3 x 4 pixels.",
        ),
    ],
)
def test_a_breach_names_field_sample_and_what_was_wanted(fields, says):
    with pytest.raises(PredictionError) as error:
        TASK.check(returned(**fields), IDS, PROBLEM)

    assert str(error.value) == says


def test_what_is_no_dict_is_refused():
    with pytest.raises(PredictionError) as error:
        TASK.check([1, 2], IDS, PROBLEM)  # type: ignore[arg-type]

    assert str(error.value) == "predictions: wanted a dict of lists, got list."


def test_masks_may_be_dense_or_run_lengths():
    dense = np.zeros((2, 3, 4), dtype=bool)
    dense[:, :, 1] = True
    coded = {"size": [3, 4], "counts": [3, 3, 6]}

    one = TASK.check(returned(masks=[dense, []]), IDS, PROBLEM)
    other = TASK.check(returned(masks=[[coded, coded], np.zeros((0, 3, 4), bool)]), IDS, PROBLEM)

    assert one["masks"].values.runs.tolist() == other["masks"].values.runs.tolist()
    assert isinstance(one["masks"], RaggedMasks)


def test_with_masks_the_boxes_may_be_left_out():
    checked = TASK.check(returned(boxes=..., masks=[[MASK, MASK], []]), IDS, PROBLEM)

    assert set(checked) == {"scores", "labels", "masks"}


def test_batches_are_joined_in_order():
    one, other = TASK.check(returned(), IDS, PROBLEM), TASK.check(returned(), np.array(["1", "2"]), PROBLEM)

    joined = TASK.merge([one, other])

    assert len(joined["scores"]) == 4
    assert joined["scores"].counts.tolist() == [2, 0, 2, 0]
    assert joined["xywh"][2].tolist() == one["xywh"][0].tolist()
    assert joined["labels"].published == (7, 90)


def test_batches_of_other_fields_cannot_be_joined():
    one = TASK.check(returned(), IDS, PROBLEM)
    other = TASK.check(returned(masks=[[MASK, MASK], []]), IDS, PROBLEM)

    with pytest.raises(PredictionError) as error:
        TASK.merge([one, other])

    assert str(error.value) == (
        "predictions change their fields between batches: labels, masks, scores, xywh / labels, scores, xywh."
    )


@pytest.mark.parametrize("masks", [False, True])
def test_stored_predictions_come_back_to_the_bit(masks, tmp_path):
    extra = {"masks": [[MASK, {"size": [3, 4], "counts": "\\1"}], []]} if masks else {}
    problem = Problem("detection", PROBLEM.classes, {}, {**PROBLEM.extra, "masks": masks})
    if masks:  # a counts text with a backslash, which JSON must escape
        extra["masks"][0][1]["counts"] = [0, 12]
    checked = TASK.check(returned(**extra), IDS, problem)

    path = TASK.save(checked, IDS, tmp_path)
    first = path.read_bytes()
    back = TASK.load(path, IDS, problem)

    assert path.name == "predictions.json"
    assert set(back) == set(checked)
    assert all(checked[name].starts.tolist() == back[name].starts.tolist() for name in checked)
    assert all(checked[name].values.tobytes() == back[name].values.tobytes() for name in checked if name != "masks")
    assert TASK.save(back, IDS, tmp_path).read_bytes() == first


finite = st.floats(-1e6, 1e6, width=64)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.lists(
        st.tuples(finite, finite, finite.map(abs), finite.map(abs), st.floats(allow_nan=False, allow_infinity=False))
    )
)
def test_any_numbers_come_back_to_the_bit(rows):
    values = np.array(rows, dtype=np.float64).reshape(-1, 5)
    starts = np.array([0, len(rows) // 2, len(rows)])
    stored = {
        "xywh": Ragged(values[:, :4].copy(), starts),
        "scores": Ragged(values[:, 4].copy(), starts),
        "labels": Ragged(np.arange(len(rows)) % 2, starts),
    }
    problem = Problem("detection", PROBLEM.classes, {}, {"category_ids": (7, 90)})
    checked = TASK.check(stored, IDS, problem)
    with tempfile.TemporaryDirectory() as folder:
        back = TASK.load(TASK.save(checked, IDS, Path(folder)), IDS, problem)

    assert all((checked[name].values == back[name].values).all() for name in checked)
    assert all(checked[name].starts.tolist() == back[name].starts.tolist() for name in checked)


def test_stored_predictions_of_another_set_are_refused(tmp_path):
    path = TASK.save(TASK.check(returned(), IDS, PROBLEM), IDS, tmp_path)
    problem = Problem("detection", PROBLEM.classes, {}, {"category_ids": (7, 90)})

    with pytest.raises(RecordError) as error:
        TASK.load(path, np.array(["1", "2"]), problem)

    assert str(error.value) == (
        f"{path}, [0].image_id: image 139 is not in the set of 2 images; 2 of 2 results are for such images."
    )


def test_columns_can_be_cut_like_lists():
    column = Ragged.of([np.arange(3), np.arange(0), np.arange(5, 7)])

    assert [part.tolist() for part in column] == [[0, 1, 2], [], [5, 6]]
    assert column[-1].tolist() == [5, 6]
    assert column[1:].values.tolist() == [5, 6]
    assert column[::2].starts.tolist() == [0, 3, 5]
    assert column[np.array([2, 2])].values.tolist() == [5, 6, 5, 6]
    assert column[3:].values.tolist() == []
    assert column.units.tolist() == [0, 0, 0, 2, 2]
