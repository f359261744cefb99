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
    columns: dict = {name: column.copy() for name, column in GOOD.columns().items()}
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
        (data_of(people=PEOPLE[:3]), ": wanted 4 values of the target 'identity', one per sample, got 3."),
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
            data_of(pairs=Pairs(GOOD.first, GOOD.second, GOOD.fold, np.ones(5, bool))),
            ": wanted pairs.same as bool (6,), got bool (5,).",
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


def folded(folds: int) -> Pairs:
    return Pairs(GOOD.first, GOOD.second, (np.arange(6) % folds).astype(np.int16))


@pytest.mark.parametrize(
    ("protocol", "pairs"),
    [("pairs/cosine@1", GOOD), ("pairs/10fold/given@1", folded(2)), ("identification/closed-set/l1@1", GOOD)],
)
def test_a_protocol_whose_pairs_and_people_are_there_is_taken(protocol, pairs):
    VerificationTask().check_protocol(data_of(pairs=pairs), protocol)


@pytest.mark.parametrize("pairs", [GOOD, folded(1)])
@pytest.mark.parametrize("family", ["pairs/10fold", "lfw/10fold"])
def test_folds_that_are_not_there_are_refused_with_what_needs_none(family, pairs):
    with pytest.raises(DataError) as caught:
        VerificationTask().check_protocol(data_of(pairs=pairs), f"{family}/declared@1")

    assert str(caught.value) == (
        f"protocol '{family}/declared@1' compares pairs in two folds or more, and those of data set 'mine' lie in "
        "none; name folds in a column 'fold' of data.pairs, or use 'pairs/declared@1'."
    )


@pytest.mark.parametrize(
    ("people", "got"),
    [
        (np.zeros(4, np.int64), "6 pairs, all of them genuine"),
        (np.arange(4), "6 pairs, all of them impostors"),
    ],
)
def test_pairs_of_one_kind_are_refused_before_anything_runs(people, got):
    with pytest.raises(DataError) as caught:
        VerificationTask().check_protocol(data_of(people=people), "pairs/l2@1")

    assert str(caught.value) == (
        f"protocol 'pairs/l2@1' compares genuine with impostor pairs, but data set 'mine' has {got}; wanted both kinds."
    )


def test_a_list_without_pairs_is_refused():
    empty = Pairs(GOOD.first[:0], GOOD.second[:0], GOOD.fold[:0])

    with pytest.raises(DataError, match=r"data set 'mine' has no pairs; wanted both kinds\.$"):
        VerificationTask().check_protocol(data_of(pairs=empty), "pairs/l2@1")


def test_labels_decide_which_pairs_are_of_which_kind():
    pairs = Pairs(GOOD.first, GOOD.second, GOOD.fold, np.ones(6, bool))

    with pytest.raises(DataError, match="6 pairs, all of them genuine"):
        VerificationTask().check_protocol(data_of(pairs=pairs), "pairs/l2@1")


def test_looking_people_up_wants_people_with_two_images():
    protocol = "identification/closed-set/cosine@1"
    with pytest.raises(DataError) as caught:
        VerificationTask().check_protocol(data_of(people=np.arange(4)), protocol)
    unknown = data_of()
    unknown.problem.extra["people"] = "pairs"
    with pytest.raises(DataError) as other:
        VerificationTask().check_protocol(unknown, protocol)

    assert str(caught.value) == (
        f"protocol {protocol!r} looks people up, but nobody in data set 'mine' has two images or more."
    )
    assert str(other.value) == (
        f"protocol {protocol!r} looks people up, but data set 'mine' knows people only by pairs; use a "
        "protocol such as 'pairs/cosine@1'."
    )
