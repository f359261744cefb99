"""Lazy columns: read when asked for, ahead where several threads may, and kept for a while where that is wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlcvbench.files.lazy_columns import LazyColumn, file_column, keeping


class Files:
    """Counts how often each file is read; a file is as many bytes as its name says."""

    def __init__(self, *sizes: int) -> None:
        self.paths = [Path(str(size)) for size in sizes]
        self.read: list[str] = []

    def open(self) -> LazyColumn[np.ndarray]:
        def read(path: Path) -> np.ndarray:
            self.read.append(path.name)
            return np.zeros(int(path.name), dtype=np.uint8)

        return file_column(self.paths, read)


def test_what_is_read_twice_is_decoded_twice() -> None:
    files = Files(10, 20)
    column = files.open()

    _ = [*column, column[0]]

    assert sorted(files.read) == ["10", "10", "20"]


def test_inside_keeping_values_are_decoded_once_through_any_part_of_the_column() -> None:
    files = Files(10, 20, 30)
    column = files.open()

    with keeping():
        first = list(column)
        again = [column[2], *column[np.array([1, 0])]]

    assert sorted(files.read) == ["10", "20", "30"]
    assert again[0] is first[2]
    assert again[1] is first[1]


def test_what_is_kept_cannot_be_changed_by_who_gets_it() -> None:
    column = Files(10).open()

    with keeping(), pytest.raises(ValueError, match="read-only"):
        column[0][0] = 1


def test_no_more_is_kept_than_may_be_and_nothing_after_the_block() -> None:
    files = Files(10, 20, 5)
    column = files.open()

    with keeping(most=16):
        assert [len(value) for value in [*column, *column]] == [10, 20, 5, 10, 20, 5]
    assert files.read.count("20") == 2
    assert len(files.read) == 4
    _ = column[0]
    assert len(files.read) == 5


def test_a_block_inside_another_keeps_with_it() -> None:
    files = Files(10)
    column = files.open()

    with keeping():
        with keeping():
            _ = column[0]
        _ = column[0]

    assert files.read == ["10"]


def test_two_columns_do_not_share_what_is_kept() -> None:
    one, other = Files(10), Files(10)

    with keeping():
        _ = one.open()[0], other.open()[0]

    assert one.read == other.read == ["10"]
