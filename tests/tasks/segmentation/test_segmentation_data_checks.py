"""A data set whose label maps contradict its problem is refused, with split, sample, field, wanted and got."""

from dataclasses import replace

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_segmentation.task import SegmentationTask

LABELS = np.array([[[0, 1, 2], [255, 1, 0]]] * 3, np.uint8)


def data_of(labels, name: str = "label_map") -> LoadedData:
    splits = {}
    for part, target in (("train", LABELS), ("test", labels)):
        key = "label_map" if part == "train" else name
        splits[part] = ArraySplit(part, {"image": np.zeros((3, 2, 3, 3), np.uint8)}, {key: target}, ids=list("abc"))
    problem = Problem("segmentation", ("sky", "road", "car"), {"image": InputSpec((2, 3, 3))})
    return LoadedData("mine", "1", problem, splits)


def test_label_maps_of_the_size_of_their_image_pass():
    SegmentationTask().check_data(data_of(LABELS))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (data_of(LABELS, "labels"), ": has no target 'label_map'; got labels."),
        (data_of(LABELS[:2]), ": wanted 3 values of the target 'label_map', one per sample, got 2."),
        (
            data_of(LABELS[:, :1]),
            ", sample 'a': wanted the target 'label_map' as uint8 (2, 3), got uint8 (1, 3).",
        ),
        (
            data_of(LABELS.astype(np.int64)),
            ", sample 'a': wanted the target 'label_map' as uint8 (2, 3), got int64 (2, 3).",
        ),
        (
            data_of([LABELS[0], LABELS[0], LABELS[0].tolist()]),
            ", sample 'c': wanted the target 'label_map' as uint8 (2, 3), got list.",
        ),
        (
            data_of(np.where(LABELS == 2, np.uint8(3), LABELS)),
            ", sample 'a': wanted labels from 0 to 2, or 255 (not scored), in the target 'label_map', got 3.",
        ),
    ],
)
def test_wrong_label_maps_are_refused(data, said):
    with pytest.raises(DataError) as caught:
        SegmentationTask().check_data(data)

    assert str(caught.value) == f"data set 'mine', split 'test'{said}"


@pytest.mark.parametrize("protocol", ["miou/ignore-none/absent-skip@1", "class-accuracy/ignore-none/absent-zero@1"])
def test_a_protocol_that_scores_every_pixel_is_refused_for_labels_that_leave_some_out(protocol):
    SegmentationTask().check_protocol(data_of(np.where(LABELS == 255, np.uint8(0), LABELS)), protocol)
    SegmentationTask().check_protocol(data_of(LABELS), protocol.replace("-none", "255"))
    labels = [np.where(LABELS[0] == 255, np.uint8(0), LABELS[0]), LABELS[0], LABELS[0]]

    with pytest.raises(DataError) as caught:
        SegmentationTask().check_protocol(data_of(labels), protocol)

    other = protocol.replace("-none", "255")
    assert str(caught.value) == (
        f"data set 'mine': sample 1 of the split has pixels that are not scored, and protocol '{protocol}' scores "
        f"every pixel; use '{other}'."
    )


def test_the_foreground_is_not_scored_for_data_without_a_background():
    protocol = "miou/ignore255/absent-skip/foreground/bf0.75@1"
    data = data_of(LABELS)
    SegmentationTask().check_protocol(
        replace(data, problem=replace(data.problem, extra={"background": ("sky",)})), protocol
    )

    with pytest.raises(DataError) as caught:
        SegmentationTask().check_protocol(data, protocol)

    assert str(caught.value) == (
        f"data set 'mine' says of none of its classes that it is background, and protocol '{protocol}' scores the "
        "foreground; use 'miou/ignore255/absent-skip/bf0.75@1', or call a class 'background'."
    )
