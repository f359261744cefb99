"""A data set whose people or pairs contradict its images is refused, with split, sample or pair, wanted and got."""

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_verification.pairs import Pairs, all_pairs
from mlcvbench_verification.task import VerificationTask

PEOPLE = np.array([0, 0, 1, 1])
GOOD = all_pairs(4)


class FaceArrays(ArraySplit):
    """Images in memory with pairs over all of them."""

    def __init__(self, name: str, people, pairs) -> None:
        super().__init__(name, {"image": np.zeros((4, 5, 5), np.uint8)}, {"identity": people})
        self._pairs = pairs

    def targets(self):
        return super().targets() | ({} if self._pairs is None else {"pairs": self._pairs})


def data_of(people=PEOPLE, pairs=GOOD) -> LoadedData:
    problem = Problem("verification", (), {"image": InputSpec((5, 5))})
    splits = {"train": FaceArrays("train", PEOPLE, None), "test": FaceArrays("test", people, pairs)}
    return LoadedData("mine", "1", problem, splits)


def pairs_of(row: int, **changed: int) -> Pairs:
    columns = {name: column.copy() for name, column in GOOD.columns().items()}
    for name, value in changed.items():
        columns[name][row] = value
    return Pairs(**columns)


def test_people_and_pairs_of_the_split_pass():
    VerificationTask().check_data(data_of())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            data_of(people=PEOPLE.astype(np.float64)),
            ", sample '00000': wanted the target 'identity' as int64 (), got float64 ().",
        ),
        (data_of(people=PEOPLE[:3]), ": wanted 4 values of the target 'identity', one a sample, got 3."),
        (data_of(pairs=None), ": wanted the target 'pairs' as Pairs over its images, got NoneType."),
        (
            data_of(pairs=np.zeros((3, 2), int)),
            ": wanted the target 'pairs' as Pairs over its images, got ndarray.",
        ),
        (
            data_of(pairs=Pairs(GOOD.first, GOOD.second[:5], GOOD.fold)),
            ": wanted pairs.second as int32 (6,), got int32 (5,).",
        ),
        (
            data_of(pairs=Pairs(GOOD.first.astype(np.int64), GOOD.second, GOOD.fold)),
            ": wanted pairs.first as int32 (6,), got int64 (6,).",
        ),
        (
            data_of(pairs=pairs_of(2, second=4)),
            ", pair 2 of the target 'pairs': wanted places of images from 0 to 3, got images 0 and 4 in fold -1.",
        ),
        (
            data_of(pairs=pairs_of(1, first=-1)),
            ", pair 1 of the target 'pairs': wanted places of images from 0 to 3, got images -1 and 2 in fold -1.",
        ),
        (
            data_of(pairs=pairs_of(0, second=0)),
            ", pair 0 of the target 'pairs': wanted two different images, got images 0 and 0 in fold -1.",
        ),
        (
            data_of(pairs=pairs_of(5, fold=-2)),
            ", pair 5 of the target 'pairs': wanted a fold from 0, or -1 for none, got images 2 and 3 in fold -2.",
        ),
    ],
)
def test_wrong_people_and_pairs_are_refused(data, said):
    with pytest.raises(DataError) as caught:
        VerificationTask().check_data(data)

    assert str(caught.value) == f"data set 'mine', split 'test'{said}"
