"""A data set that contradicts its own problem is refused, with the split and the sample."""

from dataclasses import replace

import numpy as np
import pytest

from mlcvbench import ArraySplit, InputSpec, LoadedData, Problem, Split
from mlcvbench.contract import check_inputs, check_labels
from mlcvbench.errors import DataError


def data_of(images=None, labels=None, spec: InputSpec | None = None, classes=("a", "b")) -> LoadedData:
    """Return five samples, in training and test, whose ids are `s0` to `s4`."""
    images = np.zeros((5, 4, 6), np.uint8) if images is None else images
    labels = np.arange(5) % 2 if labels is None else labels
    ids = [f"s{index}" for index in range(5)]
    splits = {name: ArraySplit(name, {"image": images}, {"label": labels}, ids=ids) for name in ("train", "test")}
    problem = Problem("classification", classes, {"image": spec or InputSpec((4, 6))})
    return LoadedData("shapes", "1", problem, splits)


def refusal(check, data: LoadedData) -> str:
    with pytest.raises(DataError) as caught:
        check(data)
    return str(caught.value)


def test_data_that_keep_their_word_pass():
    check_inputs(data_of())
    check_labels(data_of())


def test_another_shape_than_declared_is_refused():
    assert refusal(check_inputs, data_of(spec=InputSpec((4, 4)))) == (
        "data set 'shapes', split 'train', sample 's0': wanted image as uint8 (4, 4), as the problem's InputSpec says, "
        "got uint8 (4, 6)."
    )


def test_another_number_of_axes_is_refused():
    assert refusal(check_inputs, data_of(spec=InputSpec((None, None, 3)))) == (
        "data set 'shapes', split 'train', sample 's0': wanted image as uint8 (any, any, 3), as the problem's "
        "InputSpec says, got uint8 (4, 6)."
    )


def test_float_images_are_refused_where_bytes_are_declared():
    assert refusal(check_inputs, data_of(images=np.zeros((5, 4, 6), np.float32))) == (
        "data set 'shapes', split 'train', sample 's0': wanted image as uint8 (4, 6), as the problem's InputSpec says, "
        "got float32 (4, 6)."
    )


def test_images_cannot_be_declared_as_floats():
    assert refusal(check_inputs, data_of(spec=InputSpec((4, 6), "float32"))) == (
        "data set 'shapes': the problem says that image inputs are float32; wanted uint8."
    )


def test_images_of_unequal_size_are_declared_with_none():
    images = [np.zeros((4 + index, 6), np.uint8) for index in range(5)]

    check_inputs(data_of(images, spec=InputSpec((None, 6))))

    assert "sample 's4': wanted image as uint8 (4, 6)" in refusal(check_inputs, data_of(images))


def test_only_two_samples_of_a_split_are_read():
    asked: list[list[int]] = []

    class Counting(Split):
        name, ids, groups = "test", np.array(["a", "b", "c"]), np.array(["a", "b", "c"])

        def read(self, index):
            asked.append(list(index))
            return data_of().splits["test"].read(index)

        def targets(self):
            return {}

        def fingerprint(self):
            return ""

    check_inputs(replace(data_of(), splits={"test": Counting()}))

    assert asked == [[0], [2]]


def test_a_split_of_targets_only_passes():
    class TargetsOnly(ArraySplit):
        def read(self, index):
            raise DataError("there are no images.")

    split = TargetsOnly("test", {"image": np.zeros((2, 4, 6))}, {"label": np.arange(2)})

    check_inputs(replace(data_of(), splits={"test": split}))


def test_a_label_outside_the_classes_is_refused():
    assert refusal(check_labels, data_of(labels=np.array([0, 1, 2, 0, 5]))) == (
        "data set 'shapes', split 'train', sample 's2': wanted a label from 0 to 1, since the problem names 2 classes, "
        "got 2."
    )
    assert "sample 's0': wanted a label from 0 to 1" in refusal(check_labels, data_of(labels=np.full(5, -1)))


def test_labels_that_are_no_whole_numbers_are_refused():
    assert refusal(check_labels, data_of(labels=np.zeros(5))) == (
        "data set 'shapes', split 'train': wanted the target 'label' as integers (5,), got float64 (5,)."
    )


def test_labels_under_another_name_are_refused():
    data = data_of()
    splits = {"test": ArraySplit("test", {"image": np.zeros((5, 4, 6), np.uint8)}, {"labels": np.arange(5)})}

    assert refusal(check_labels, replace(data, splits=splits)) == (
        "data set 'shapes', split 'test': has no target 'label'; got labels."
    )
