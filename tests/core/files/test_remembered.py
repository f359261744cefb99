"""What was found out about files is remembered while they are as they were, and found out again otherwise."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from mlcvbench.errors import DataError
from mlcvbench.files import remembered as module
from mlcvbench.files.folders import file_digest
from mlcvbench.files.remembered import rechecked, remembered


class Counted:
    """Digests files and counts how often."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> bytes:
        self.read.append(path.name)
        return file_digest(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; a look into it is worth it from the first file on."""
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "WORTH_FILES", 1)
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five files that changed an hour ago, as far as their times go."""
    folder = tmp_path / "data"
    folder.mkdir()
    paths = [folder / f"{number}.bin" for number in range(5)]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    return paths


@pytest.fixture(autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda now=time.time: now() + 3600)


def digests(paths: list[Path]) -> list[bytes]:
    return [hashlib.sha256(path.read_bytes()).digest() for path in paths]


def test_files_as_they_were_are_not_read_again(cache: Path, files: list[Path]) -> None:
    first, second = Counted(), Counted()

    assert remembered("sha256", files, first) == remembered("sha256", files, second) == digests(files)
    assert sorted(first.read) == [path.name for path in files]
    assert second.read == []


def test_a_file_that_changed_or_was_only_touched_is_read_again_alone(cache: Path, files: list[Path]) -> None:
    remembered("sha256", files, Counted())
    files[1].write_bytes(b"other")
    os.utime(files[3])

    again = Counted()
    assert remembered("sha256", files, again) == digests(files)
    assert sorted(again.read) == ["1.bin", "3.bin"]


def test_kinds_are_kept_apart(cache: Path, files: list[Path]) -> None:
    remembered("sha256", files, Counted())

    assert remembered("first byte", files, lambda path: path.read_bytes()[:1]) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_file_changed_with_its_state_kept_is_found_by_a_recheck(
    cache: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered("sha256", files, Counted())
    before, stat = files[2].stat(), os.stat
    files[2].write_bytes(files[2].read_bytes()[::-1])
    monkeypatch.setattr(module.os, "stat", lambda path: before if path == files[2] else stat(path))

    wrong = remembered("sha256", files, Counted())
    assert wrong[2] != digests(files)[2]
    with rechecked():
        assert remembered("sha256", files, Counted()) == digests(files)
    assert remembered("sha256", files, Counted()) == digests(files)


def test_a_file_that_changed_just_now_is_not_remembered(
    cache: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.time, "time", lambda: files[4].stat().st_ctime)
    remembered("sha256", files, Counted())

    again = Counted()
    remembered("sha256", files, again)
    assert sorted(again.read) == [path.name for path in files]


def test_few_small_files_never_reach_the_cache(cache: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_FILES", 6)

    assert remembered("sha256", files, Counted()) == digests(files)
    assert not (cache / module.FILE).exists()


def test_a_file_that_is_not_there_is_named_and_what_was_read_before_is_kept(cache: Path, files: list[Path]) -> None:
    missing = files[0].with_name("none.bin")
    with pytest.raises(DataError, match=r"none\.bin: cannot be read"):
        remembered("sha256", [*files[:2], missing, *files[2:]], Counted())

    again = Counted()
    remembered("sha256", files[:2], again)
    assert again.read == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 4000, b"no database at all" * 300])
def test_a_damaged_cache_is_begun_anew(cache: Path, files: list[Path], content: bytes) -> None:
    remembered("sha256", files, Counted())
    (cache / module.FILE).write_bytes(content)

    assert remembered("sha256", files, Counted()) == digests(files)
    remembered("sha256", files, Counted())
    last = Counted()
    assert remembered("sha256", files, last) == digests(files)
    assert last.read == []


@pytest.mark.parametrize("value", ["'text'", "NULL", "5", "x''", "x'00'", "substr(value, 1, 20)", "zeroblob(36)"])
def test_what_a_damaged_cache_holds_instead_of_a_value_is_found_out_again(
    cache: Path, files: list[Path], value: str
) -> None:
    remembered("sha256", files, Counted())
    with closing(sqlite3.connect(cache / module.FILE)) as memory, memory:
        memory.execute(f"UPDATE found SET value = {value}")

    again, last = Counted(), Counted()
    assert remembered("sha256", files, again) == digests(files)
    assert len(again.read) == 5
    assert remembered("sha256", files, last) == digests(files)
    assert last.read == []


def test_the_value_of_another_file_is_not_taken_for_that_of_this_one(cache: Path, files: list[Path]) -> None:
    remembered("sha256", files, Counted())
    with closing(sqlite3.connect(cache / module.FILE)) as memory, memory:
        memory.execute("UPDATE found SET value = (SELECT value FROM found ORDER BY inode LIMIT 1)")

    assert remembered("sha256", files, Counted()) == digests(files)


@pytest.mark.parametrize("nanoseconds", [-62_135_596_800 * 10**9, 253_370_764_800 * 10**9, -1])
def test_times_of_any_year_are_read_and_no_error(
    cache: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, nanoseconds: int
) -> None:
    stat = os.stat

    def odd(path: Path) -> os.stat_result:
        status = stat(path)
        times = {"st_mtime_ns": nanoseconds, "st_ctime_ns": status.st_ctime_ns}
        return os.stat_result(status, times)

    monkeypatch.setattr(module.os, "stat", odd)
    assert remembered("sha256", files, Counted()) == remembered("sha256", files, Counted()) == digests(files)


def test_a_cache_that_somebody_else_holds_costs_a_reading_and_nothing_else(
    cache: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered("sha256", files, Counted())
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    with closing(sqlite3.connect(cache / module.FILE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        again = Counted()
        assert remembered("sha256", files, again) == digests(files)
    assert len(again.read) == 5
