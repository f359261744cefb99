"""Batches and splits: columnar, ordered, fingerprinted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcvbench.contract import ArraySplit, Batch, JoinedSplit, fingerprint_columns
from mlcvbench.contract.batch import join, take
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import counting, readers


def split_of(n: int = 5, name: str = "train", offset: int = 0) -> ArraySplit:
    images = (np.arange(n * 4, dtype=np.uint8) + offset).reshape(n, 2, 2)
    return ArraySplit(name, {"image": images}, {"label": np.arange(n) + offset}, ids=[f"{name}{i}" for i in range(n)])


def test_a_sample_of_a_batch_is_a_view() -> None:
    batch, _ = split_of().read(slice(0, 3))

    sample = batch[1]

    assert sample.id == "train1"
    assert np.shares_memory(sample.inputs["image"], batch.inputs["image"])


def test_batches_are_fixed_consecutive_blocks_with_a_short_last_one() -> None:
    sizes = [len(batch) for batch in split_of(5).inputs(2)]

    assert sizes == [2, 2, 1]


def test_inputs_carry_no_targets() -> None:
    batch = next(split_of().inputs(2))

    assert isinstance(batch, Batch)
    assert set(batch.inputs) == {"image"}


def test_batches_follow_given_indices() -> None:
    labels = [targets["label"].tolist() for _, targets in split_of(5).batches(2, np.array([4, 0, 3]))]

    assert labels == [[4, 0], [3]]


def test_a_ragged_column_is_a_list_and_refuses_to_be_one_array() -> None:
    split = ArraySplit(
        "test", {"image": [np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)]}, {"label": np.zeros(2)}
    )

    assert split.ragged
    with pytest.raises(DataError) as error:
        split.arrays()
    assert str(error.value) == (
        "split 'test': the image inputs differ in size, so they do not form one array; "
        "read them in batches, which hold lists."
    )


def test_joining_columns_of_unequal_shapes_gives_a_list() -> None:
    joined = join([np.zeros((1, 2, 2)), np.zeros((2, 3, 2))])

    assert isinstance(joined, list)
    assert [value.shape for value in joined] == [(2, 2), (3, 2), (3, 2)]


@given(st.lists(st.integers(0, 7), max_size=20))
def test_a_joined_split_reads_like_the_concatenation(indices: list[int]) -> None:
    left, right = split_of(5, "a"), split_of(3, "b", offset=50)
    both = JoinedSplit([left, right], "a+b")
    images = np.concatenate([left.arrays()[0]["image"], right.arrays()[0]["image"]])

    if not indices:
        assert len(both) == 8
        return
    batch, targets = both.read(indices)

    assert np.array_equal(batch.inputs["image"], images[indices])
    assert targets["label"].tolist() == np.concatenate([np.arange(5), np.arange(3) + 50])[indices].tolist()
    assert batch.ids.tolist() == both.ids[indices].tolist()


def test_a_sub_split_of_a_sub_split_keeps_ids_groups_and_targets() -> None:
    part = split_of(5).take([4, 2, 0]).take([1, 2])

    assert part.ids.tolist() == ["train2", "train0"]
    assert part.groups.tolist() == ["train2", "train0"]
    assert part.targets()["label"].tolist() == [2, 0]


def test_the_fingerprint_changes_with_a_pixel_a_label_an_id_an_order_and_a_dtype() -> None:
    base = split_of()
    images, labels, ids = base.arrays()[0]["image"], base.targets()["label"], list(base.ids)
    pixel = images.copy()
    pixel[0, 0, 0] += 1
    variants = [
        ArraySplit("train", {"image": pixel}, {"label": labels}, ids=ids),
        ArraySplit("train", {"image": images}, {"label": labels[::-1]}, ids=ids),
        ArraySplit("train", {"image": images}, {"label": labels}, ids=ids[::-1]),
        ArraySplit("train", {"image": images.astype(np.int16)}, {"label": labels}, ids=ids),
        base.take([1, 0, 2, 3, 4]),
    ]

    digests = {base.fingerprint(), *(variant.fingerprint() for variant in variants)}

    assert len(digests) == 6


def test_the_fingerprint_does_not_depend_on_byte_order_or_memory_layout() -> None:
    values = np.arange(6, dtype=">i4").reshape(2, 3)

    digests = {
        fingerprint_columns(np.array(["a"]), {"x": variant})
        for variant in (values, values.astype("<i4"), np.asfortranarray(values))
    }

    assert len(digests) == 1


def test_taking_a_slice_of_an_array_column_is_a_view() -> None:
    column = np.arange(6)

    assert np.shares_memory(take(column, slice(1, 3)), column)


def test_arrays_leave_targets_that_form_none_as_they_are() -> None:
    boxes = [np.zeros((2, 4)), np.zeros((0, 4))]
    split = ArraySplit("train", {"image": np.zeros((2, 4, 4), np.uint8)}, {"boxes": boxes, "label": np.array([0, 1])})

    inputs, targets = split.arrays()

    assert inputs["image"].shape == (2, 4, 4)
    assert targets["boxes"] is not None
    assert [len(one) for one in targets["boxes"]] == [2, 0]
    assert targets["label"].tolist() == [0, 1]


def test_images_in_a_list_that_are_of_one_size_form_an_array() -> None:
    images = [np.full((4, 4), value, np.uint8) for value in range(3)]
    split = ArraySplit("train", {"image": images}, {"map": images})

    inputs, targets = split.arrays()

    assert inputs["image"].shape == targets["map"].shape == (3, 4, 4)


class Threaded(ArraySplit):
    """A split that may be read by several threads."""

    threaded = True


@pytest.mark.parametrize("threads", [0, 3])
def test_arrays_read_in_blocks_are_those_of_one_reading_and_are_counted(threads: int) -> None:
    plain, seen = split_of(150), list[tuple[int, int]]()
    split = Threaded("train", *plain_columns(plain), plain.ids)

    with readers(threads), counting(lambda done, total: seen.append((done, total))):
        inputs, targets = split.arrays()

    wanted_inputs, wanted_targets = plain.arrays()
    assert {name: column.dtype for name, column in inputs.items()} == {"image": np.dtype(np.uint8)}
    assert np.array_equal(inputs["image"], wanted_inputs["image"])
    assert np.array_equal(targets["label"], wanted_targets["label"])
    assert seen == [(64, 150), (128, 150), (150, 150)]


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("ragged", [False, True])
def test_blocks_that_threads_share_at_the_end_are_the_same_batches(threads: int, ragged: bool) -> None:
    images = np.random.default_rng(0).random((70, 3, 4))
    column = [image[: 1 + place % 3] for place, image in enumerate(images)] if ragged else images
    order = np.random.default_rng(1).permutation(70)
    split = Threaded("test", {"image": column}, {"label": np.arange(70)}, meta={"scale": np.arange(70) / 7})

    with readers(threads):
        found = list(split.inputs(16, order))

    assert [len(batch) for batch in found] == [16, 16, 16, 16, 6]
    for batch, indices in zip(found, np.split(order, [16, 32, 48, 64]), strict=True):
        wanted, _ = split.read(indices)
        assert batch.ids.tolist() == wanted.ids.tolist()
        assert np.array_equal(batch.meta["scale"], wanted.meta["scale"])
        assert batch.ragged is ragged
        assert all(map(np.array_equal, batch.inputs["image"], wanted.inputs["image"]))


def test_the_last_blocks_alone_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcvbench.contract.split.usable_cores", lambda: 2)
    split, sizes = Threaded("test", {"image": np.zeros((70, 2))}, {"label": np.arange(70)}), []
    read = split.read
    monkeypatch.setattr(split, "read", lambda index: sizes.append(len(index)) or read(index))

    with readers(0):
        list(split.inputs(16, np.arange(70)))

    assert sizes == [16] * 3 + [2] * 8 + [2] * 3


def test_images_of_another_size_in_a_later_block_form_no_array() -> None:
    images = [np.zeros((4, 4 + (index == 100)), np.uint8) for index in range(130)]

    with pytest.raises(DataError, match="differ in size"):
        Threaded("train", {"image": images}, {"label": np.zeros(130, np.int64)}).arrays()


def test_images_of_another_size_in_all_of_a_later_block_form_no_array() -> None:
    images = [np.zeros((4, 4 + (index >= 64)), np.uint8) for index in range(128)]

    with pytest.raises(DataError, match="differ in size"):
        Threaded("train", {"image": images}, {"label": np.zeros(128, np.int64)}).arrays()


def plain_columns(split: ArraySplit) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    batch, targets = split.read(slice(0, len(split)))
    return {name: np.asarray(column) for name, column in batch.inputs.items()}, dict(targets)
