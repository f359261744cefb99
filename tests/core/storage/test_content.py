"""What a file or folder holds decides its digest; where it lies and when it was written does not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mlcvbench.errors import DataError
from mlcvbench.storage import cache
from mlcvbench.storage import digests as content
from mlcvbench.storage.digests import content_hash


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_remembered", {})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, in order."""
    seen: list[str] = []
    read = content._read
    monkeypatch.setattr(content, "_read", lambda files: (seen.extend(name for name, _, _ in files), read(files))[1])
    return seen


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written count as old."""
    monkeypatch.setattr(content, "SETTLED_SECONDS", -3600.0)


def folder_of(place: Path, **files: str) -> Path:
    for name, text in files.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    assert content_hash(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_a_copy_of_a_folder_has_its_digest_and_a_changed_one_another(tmp_path: Path) -> None:
    one, two = (folder_of(tmp_path / name, a="1", sub__b="2") for name in ("one", "two"))

    assert content_hash(one) == content_hash(two)
    (two / "sub" / "b").write_text("3")
    assert content_hash(one) != content_hash(two)


def test_a_renamed_file_of_a_folder_changes_its_digest(tmp_path: Path) -> None:
    one, two = folder_of(tmp_path / "one", a="1"), folder_of(tmp_path / "two", b="1")

    assert content_hash(one) != content_hash(two)


def test_a_file_rewritten_at_once_with_as_many_bytes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "best.txt"
    path.write_text("0")
    before = content_hash(path)
    status = path.stat()

    path.write_text("4")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert content_hash(path) != before


def test_an_unchanged_folder_is_read_once(tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    folder = folder_of(tmp_path / "big", a="1", b="2")

    assert content_hash(folder) == content_hash(folder)
    assert reads == ["a", "b"]
    (folder / "b").write_text("other")
    content_hash(folder)
    assert reads == ["a", "b", "a", "b"]


def test_the_digest_of_a_large_file_is_kept_for_the_next_process(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    monkeypatch.setattr(content, "LARGE_BYTES", 3)
    large, small = folder_of(tmp_path / "large", a="1234"), folder_of(tmp_path / "small", b="1")
    digests = [content_hash(large), content_hash(small)]

    monkeypatch.setattr(content, "_remembered", {})

    assert [content_hash(large), content_hash(small)] == digests
    assert reads == ["a", "b", "b"]
    assert len(cache.entries("digests")) == 1


def test_a_link_to_a_folder_above_is_not_entered(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "one", a="1")
    plain = content_hash(folder)

    (folder / "loop").symlink_to(folder)

    assert content_hash(folder) == plain


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(DataError) as caught:
        content_hash(pipe)

    assert str(caught.value) == f"{pipe}: wanted a file or a folder, got neither."


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        content_hash(tmp_path / "none")

    assert str(caught.value) == f"{tmp_path / 'none'}: cannot be read (No such file or directory)."
