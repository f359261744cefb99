"""A data set whose annotations contradict its problem is refused, with split, sample, field, wanted and got."""

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.geometry.rle import Masks, encode_dense
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.task import DetectionTask

STARTS = np.array([0, 2, 2, 3])
GOOD = {
    "xywh": np.array([[0, 0, 4, 4], [1, 2, 3, 0], [5, 5, 2, 2]], np.float64),
    "labels": np.array([0, 1, 1]),
    "area": np.array([16.0, 0, 4]),
    "crowd": np.zeros(3, bool),
    "difficult": np.zeros(3, bool),
}


def data_of(size=(8, 9), masks: Masks | None = None, without: str = "", **changed: np.ndarray) -> LoadedData:
    targets = {name: Ragged(values, STARTS) for name, values in (GOOD | changed).items()}
    targets["size"] = np.tile(np.array(size), (3, 1))
    if masks is not None:
        targets["masks"] = RaggedMasks(masks, STARTS)
    targets.pop(without, None)
    test = ArraySplit("test", {"image": np.zeros((3, 8, 9, 3), np.uint8)}, targets, ids=list("abc"))
    return LoadedData(
        "mine", "1", Problem("detection", ("cat", "dog"), {"image": InputSpec((8, 9, 3))}), {"test": test}
    )


def masks_of(height: int = 8, width: int = 9, count: int = 3) -> Masks:
    return encode_dense(np.ones((count, height, width), bool))


def changed(name: str, row: int, value) -> dict[str, np.ndarray]:
    values = GOOD[name].copy()
    values[row] = value
    return {name: values}


@pytest.mark.parametrize("data", [data_of(), data_of((0, 0)), data_of(masks=masks_of())])
def test_annotations_of_their_image_pass(data):
    DetectionTask().check_data(data)


def test_lists_of_arrays_pass_as_well():
    targets = {
        "xywh": [np.zeros((1, 4)), np.zeros((0, 4))],
        "labels": [np.zeros(1, np.int64), np.zeros(0, np.int64)],
        "size": np.array([[8, 9], [8, 9]]),
    }
    test = ArraySplit("test", {"image": np.zeros((2, 8, 9), np.uint8)}, targets)

    DetectionTask().check_data(
        LoadedData("mine", "1", Problem("detection", ("cat",), {"image": InputSpec((8, 9))}), {"test": test})
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (data_of(without="xywh"), ": has no target 'xywh'; got area, crowd, difficult, labels, size."),
        (
            data_of(xywh=GOOD["xywh"].astype(np.float32)),
            ", sample 'a': wanted the target 'xywh' as float64 (any, 4), got float32 (2, 4).",
        ),
        (
            data_of(xywh=GOOD["xywh"][:, :3]),
            ", sample 'a': wanted the target 'xywh' as float64 (any, 4), got float64 (2, 3).",
        ),
        (
            data_of(**changed("xywh", 2, np.nan)),
            ", sample 'c': wanted finite numbers in the target 'xywh', got nan.",
        ),
        (
            data_of(**changed("xywh", 1, [5, 5, -2, 1])),
            ", sample 'a', object 1: wanted x, y, width, height with no negative size in the target 'xywh', "
            "got box [5.0, 5.0, -2.0, 1.0] and label 1.",
        ),
        (
            data_of(**changed("xywh", 0, [1e9, 0, 1, 1])),
            ", sample 'a', object 0: wanted numbers within 1e+07 pixels in the target 'xywh', "
            "got box [1000000000.0, 0.0, 1.0, 1.0] and label 0.",
        ),
        (
            data_of(**changed("labels", 2, 2)),
            ", sample 'c', object 0: wanted a label from 0 to 1 in the target 'labels', "
            "got box [5.0, 5.0, 2.0, 2.0] and label 2.",
        ),
        (
            data_of(labels=GOOD["labels"].astype(np.float64)),
            ", sample 'a': wanted the target 'labels' as int64 (2,), got float64 (2,).",
        ),
        (
            data_of(crowd=np.zeros(3, np.uint8)),
            ", sample 'a': wanted the target 'crowd' as bool (2,), got uint8 (2,).",
        ),
        (
            data_of(**changed("area", 0, np.inf)),
            ", sample 'a': wanted finite numbers in the target 'area', got inf.",
        ),
        (data_of((9, 8)), ", sample 'a': wanted the target 'size' [8, 9], as its image has, got [9, 8]."),
        (data_of(masks=masks_of(9, 8)), ", sample 'a': wanted mask 0 of size [8, 9], got [9, 8]."),
    ],
)
def test_wrong_annotations_are_refused(data, said):
    with pytest.raises(DataError) as caught:
        DetectionTask().check_data(data)

    assert str(caught.value) == f"data set 'mine', split 'test'{said}"


def test_masks_that_are_no_run_lengths_are_refused():
    data = data_of()
    data.splits["test"].targets()["masks"] = [
        np.ones((2, 8, 9), bool),
        np.ones((0, 8, 9), bool),
        np.ones((1, 8, 9), bool),
    ]

    with pytest.raises(DataError) as caught:
        DetectionTask().check_data(data)

    assert str(caught.value) == (
        "data set 'mine', split 'test', sample 'a': wanted 2 run-length masks in the target 'masks', got ndarray."
    )
