"""A data set whose measured maps contradict its problem is refused, with split, sample, field, wanted and got."""

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_depth.task import DepthTask

TRUTH = np.full((2, 4, 6), 3.5, np.float32)
HIDDEN = np.zeros((2, 4, 6), bool)


def data_of(targets, field: str = "disparity", train=None) -> LoadedData:
    pictures = {side: np.zeros((2, 4, 6, 3), np.uint8) for side in ("left", "right")}
    splits = {name: ArraySplit(name, pictures, one) for name, one in (("train", train or {}), ("test", targets))}
    problem = Problem("depth", (), {side: InputSpec((4, 6, 3)) for side in pictures}, {"field": field})
    return LoadedData("mine", "1", problem, splits)


@pytest.mark.parametrize("targets", [{"disparity": TRUTH}, {"disparity": TRUTH, "occluded": HIDDEN}])
def test_maps_of_the_size_of_their_images_pass_and_training_may_have_none(targets):
    DepthTask().check_data(data_of(targets))
    DepthTask().check_data(data_of(targets, train=targets))


def changed(value: float) -> np.ndarray:
    truth = TRUTH.copy()
    truth[1, 2, 3] = value
    return truth


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ({}, ": has no target 'disparity'; got none."),
        ({"depth": TRUTH}, ": has no target 'disparity'; got depth."),
        (
            {"disparity": TRUTH.astype(np.float64)},
            ", sample '00000': wanted the target 'disparity' as float32 (4, 6), got float64 (4, 6).",
        ),
        (
            {"disparity": TRUTH[:, :, :5]},
            ", sample '00000': wanted the target 'disparity' as float32 (4, 6), got float32 (4, 5).",
        ),
        ({"disparity": changed(np.inf)}, ", sample '00001': wanted finite numbers in the target 'disparity', got inf."),
        (
            {"disparity": changed(-1)},
            ", sample '00001': wanted numbers from 0 (unknown) in the target 'disparity', got -1.0.",
        ),
        (
            {"disparity": TRUTH, "occluded": HIDDEN.astype(np.uint8)},
            ", sample '00000': wanted the target 'occluded' as bool (4, 6), got uint8 (4, 6).",
        ),
    ],
)
def test_wrong_maps_are_refused(targets, said):
    with pytest.raises(DataError) as caught:
        DepthTask().check_data(data_of(targets))

    assert str(caught.value) == f"data set 'mine', split 'test'{said}"


def test_wrong_maps_of_the_training_split_are_refused_too():
    with pytest.raises(DataError, match=r"split 'train', sample '00001': wanted finite numbers"):
        DepthTask().check_data(data_of({"disparity": TRUTH}, train={"disparity": changed(np.nan)}))


def test_a_field_that_is_none_is_refused():
    with pytest.raises(DataError) as caught:
        DepthTask().check_data(data_of({"disparity": TRUTH}, field="distance"))

    assert str(caught.value) == ("data set 'mine': wanted problem.extra['field'] disparity or depth, got 'distance'.")


def test_a_protocol_whose_pixels_the_data_tell_is_taken():
    DepthTask().check_protocol(data_of({"disparity": TRUTH, "occluded": HIDDEN}), "stereo/noc/cap192@1")
    DepthTask().check_protocol(data_of({"disparity": TRUTH}), "kitti-d1/all@1")
    DepthTask().check_protocol(data_of({"depth": TRUTH}, field="depth"), "mono/nyu/cap10/scale-shift@1")


@pytest.mark.parametrize(
    ("protocol", "instead"),
    [
        ("stereo/noc@1", "stereo/all@1"),
        ("stereo/noc/holes-bad/cap192/per-image@1", "stereo/holes-bad/cap192/per-image@1"),
        ("kitti-d1/noc@1", "kitti-d1/all@1"),
    ],
)
def test_a_protocol_without_occluded_pixels_wants_data_that_tell_them(protocol, instead):
    with pytest.raises(DataError) as caught:
        DepthTask().check_protocol(data_of({"disparity": TRUTH}), protocol)

    assert str(caught.value) == (
        f"protocol {protocol!r} leaves occluded pixels out, but data set 'mine' does not mark them (a folder does with "
        f"occlusion/ or KITTI's disp_noc_0/); {instead!r} needs no masks."
    )


@pytest.mark.parametrize(
    ("field", "protocol", "said"),
    [
        (
            "disparity",
            "mono/full/cap80/metric@1",
            "compares depth, but data set 'mine' has disparity; its protocols begin with stereo/ and kitti-d1/.",
        ),
        (
            "depth",
            "kitti-d1/all@1",
            "compares disparity, but data set 'mine' has depth; its protocols begin with mono/.",
        ),
    ],
)
def test_a_protocol_of_the_other_field_is_refused(field, protocol, said):
    with pytest.raises(DataError) as caught:
        DepthTask().check_protocol(data_of({field: TRUTH}, field=field), protocol)

    assert str(caught.value) == f"protocol {protocol!r} {said}"
