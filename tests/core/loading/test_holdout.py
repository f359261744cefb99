"""Which samples decide between settings: the validation split, or whole groups held out of train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.runs import config_for

from mlcvbench.contract import ArraySplit, LoadedData, Problem
from mlcvbench.errors import DataError, RequestError
from mlcvbench.loading.holdout import hold_out, validation_of
from mlcvbench.loading.resolved import resolve

CONFIG = config_for("model=knn")
RUN = resolve(CONFIG)


def split(count: int, labels: np.ndarray | None = None, groups: np.ndarray | None = None) -> ArraySplit:
    images = np.zeros((count, 2, 2), np.uint8)
    return ArraySplit("train", {"image": images}, {} if labels is None else {"label": labels}, groups=groups)


def loaded(**splits: ArraySplit) -> LoadedData:
    return LoadedData("toy", "1", Problem("classification", ("a", "b"), {}), splits)


def test_every_label_gives_its_share():
    labels = np.repeat([0, 1, 2], [600, 300, 100])

    stay, held = hold_out(split(1000, labels), 0.2, seed=0)

    assert np.bincount(labels[held]).tolist() == [120, 60, 20]
    assert np.array_equal(np.sort(np.concatenate([stay, held])), np.arange(1000))
    assert (np.diff(stay) > 0).all()
    assert (np.diff(held) > 0).all()


@pytest.mark.parametrize("labelled", [True, False])
def test_groups_stay_on_one_side(labelled: bool):
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 40, 1000)
    labels = groups % 2 if labelled else None

    stay, held = hold_out(split(1000, labels, groups), 0.25, seed=0)

    assert not set(groups[stay]) & set(groups[held])
    assert 0.15 < len(held) / 1000 < 0.35


def test_the_seed_alone_decides_what_is_held_out():
    labels = np.arange(100) % 3

    first, again, other = (hold_out(split(100, labels), 0.2, seed)[1] for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_labels_with_a_single_sample_do_not_stop_it():
    labels = np.r_[np.zeros(50, int), 1, 2]

    stay, held = hold_out(split(52, labels), 0.2, seed=0)

    assert len(stay) + len(held) == 52
    assert 8 <= len(held) <= 13


def test_two_samples_of_two_labels_can_be_parted():
    stay, held = hold_out(split(2, np.array([0, 1])), 0.5, seed=0)

    assert (len(stay), len(held)) == (1, 1)


@pytest.mark.parametrize("count", [3, 7, 24, 39, 100])
def test_of_unlabelled_groups_the_share_is_held_out_to_the_nearest_one(count: int):
    _, held = hold_out(split(count), 0.2, seed=0)

    assert len(held) == max(1, round(0.2 * count))


def test_one_group_cannot_be_parted():
    with pytest.raises(DataError) as caught:
        hold_out(split(9, groups=np.zeros(9)), 0.2, seed=0)

    assert str(caught.value) == "split 'train' has 1 group of samples; wanted at least 2 to hold some out."


def test_a_validation_split_is_used_where_there_is_one():
    data = loaded(train=split(80), val=split(20), test=split(10))

    found = validation_of(data, RUN)

    assert (found.train, found.split, found.described) == (data.splits["train"], data.splits["val"], "val")
    with pytest.raises(RequestError) as caught:
        validation_of(data, RUN, 0.3)
    assert str(caught.value) == "select_share=0.3 has no effect: data set 'toy' has a validation split."


def test_without_one_a_fifth_of_train_is_held_out():
    found = validation_of(loaded(train=split(100, np.arange(100) % 2), test=split(10, np.arange(10) % 2)), RUN)

    assert (len(found.train), len(found.split), found.described) == (80, 20, "20 % of train, held out")


def test_data_without_train_have_nothing_to_compare_on():
    with pytest.raises(DataError) as caught:
        validation_of(loaded(test=split(10)), RUN)

    assert str(caught.value) == (
        "data set 'toy' has no training split, so no settings can be fitted and compared on it; choose them on data "
        "that have one, and give them here as single values."
    )


def test_samples_that_cannot_be_scored_as_test_is_decide_nothing():
    data = loaded(train=split(80), test=split(10, np.arange(10) % 2))

    with pytest.raises(DataError) as caught:
        validation_of(data, RUN)

    assert str(caught.value) == (
        "data set 'toy': split 'train/held-out' has no label, as test has, so nothing can be scored and settings "
        "cannot be compared on it; add what is missing to the data, or choose by hand on other data."
    )


def test_a_fit_sees_the_judge_only_where_it_chooses_on_it():
    data = loaded(train=split(80), val=split(20), test=split(10))
    blind = RUN.spec
    seeing = replace(blind, uses_val=True)

    found = validation_of(data, RUN)

    assert set(found.for_fit(CONFIG, blind).splits) == {"train", "test"}
    assert set(found.for_fit(CONFIG, seeing).splits) == {"train", "val", "test"}
