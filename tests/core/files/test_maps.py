"""Stored maps: packed and unpacked by several threads, with the bytes and errors of one."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from mlcvbench.errors import DataError, RecordError
from mlcvbench.files import maps as module
from mlcvbench.files.ahead import readers
from mlcvbench.files.lazy_columns import file_column
from mlcvbench.files.maps import stored_maps, write_maps
from mlcvbench.files.zip_members import Member

IDS = np.array([f"{index:02d}" for index in range(40)])


@pytest.fixture
def some_maps() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 5, (30, 40 + index)).astype(np.uint8) for index in range(len(IDS))]


@pytest.fixture
def packers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The threads that pack maps."""
    seen: set[str] = set()
    pack = module.array_member

    def watched(name: str, array: np.ndarray, level: int) -> Member:
        seen.add(threading.current_thread().name)
        return pack(name, array, level)

    monkeypatch.setattr(module, "array_member", watched)
    return seen


def test_any_number_of_threads_writes_the_same_bytes(
    some_maps: list[np.ndarray], packers: set[str], tmp_path: Path
) -> None:
    contents = []
    for count in (0, 3):
        with readers(count):
            write_maps(tmp_path / "maps.npz", "label_map", some_maps, IDS)
        contents.append((tmp_path / "maps.npz").read_bytes())

    assert contents[0] == contents[1]
    assert len(packers) > 1


def test_any_number_of_threads_reads_the_same_maps(some_maps: list[np.ndarray], tmp_path: Path) -> None:
    write_maps(tmp_path / "maps.npz", "label_map", some_maps, IDS)

    for count in (0, 3):
        with readers(count):
            found = list(stored_maps(tmp_path / "maps.npz", "label_map", IDS, ("uint8",)))
            assert all(np.array_equal(one, other) for one, other in zip(found, some_maps, strict=True))


def test_the_first_map_that_cannot_be_read_is_named_whoever_reads_it(tmp_path: Path) -> None:
    def read(path: Path) -> np.ndarray:
        if int(path.name) in {7, 9, 30}:
            raise DataError(f"{path}: is no map.")
        return np.zeros((3, 4), np.uint8)

    for count in (0, 3):
        column = file_column([Path(name) for name in IDS], read)
        with readers(count), pytest.raises(DataError, match="07: is no map"):
            write_maps(tmp_path / "maps.npz", "label_map", column, IDS)


def test_damage_of_a_stored_map_is_a_fault_of_the_file_whoever_reads_it(
    some_maps: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "maps.npz"
    write_maps(path, "label_map", some_maps, IDS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)

    for count in (0, 3):
        with readers(count), pytest.raises(RecordError, match=r"maps\.npz: "):
            list(stored_maps(path, "label_map", IDS, ("uint8",)))
