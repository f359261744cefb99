"""The cache: entries are there whole or not at all, and it finds a place to live."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from mlcvbench.errors import StoreError
from mlcvbench.storage import cache, claims


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    cache._resolve.cache_clear()
    yield tmp_path / "cache"
    cache._resolve.cache_clear()


def write(text):
    return lambda folder: (folder / "state").write_text(text)


def test_what_was_put_is_got_and_what_was_not_is_none(place):
    assert cache.get("fits", "key") is None

    folder = cache.put("fits", "key", write("weights"))

    assert folder == cache.get("fits", "key") == place / "fits" / "key"
    assert (folder / "state").read_text() == "weights"


def test_the_first_of_two_writers_stays():
    def second(folder):
        cache.put("fits", "key", write("first"))
        (folder / "state").write_text("second")

    folder = cache.put("fits", "key", second)

    assert (folder / "state").read_text() == "first"


def test_a_writer_that_fails_leaves_nothing(place):
    def fail(folder):
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        cache.put("fits", "key", fail)

    assert list((place / "fits").iterdir()) == []
    assert cache.get("fits", "key") is None


@pytest.mark.parametrize(("kind", "key"), [("fits", "../../x"), ("..", "key"), ("fits", ""), ("fits", "a/b")])
def test_keys_cannot_leave_the_cache(kind, key):
    with pytest.raises(StoreError, match=r"wanted letters, digits and \._- in a kind and a key\.$"):
        cache.get(kind, key)


def test_a_place_that_was_asked_for_and_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "file"))

    with pytest.raises(StoreError) as caught:
        cache.cache_dir()

    assert str(caught.value) == (
        f"cannot write the cache folder {str(tmp_path / 'file')!r}: File exists. Set MLCVBENCH_CACHE to another one."
    )


def test_the_usual_place_is_the_platforms(tmp_path, monkeypatch):
    monkeypatch.delenv("MLCVBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    assert cache.cache_dir() == tmp_path / "xdg" / "mlcvbench"


def test_a_home_that_cannot_be_written_is_one_line_and_a_private_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("MLCVBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    folder = cache.cache_dir()

    cache.cache_dir()
    usual, private = tmp_path / "file" / "mlcvbench", tmp_path / "tmp" / f"mlcvbench-{os.getuid()}"
    assert folder == private
    assert folder.stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr().err == (
        f"mlcvbench: note: cannot write the cache folder {str(usual)!r} (Not a directory); using {str(private)!r}. "
        "Set MLCVBENCH_CACHE to choose another.\n"
    )


def test_a_guessable_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    private = tmp_path / f"mlcvbench-{os.getuid()}"
    private.mkdir()
    private.chmod(0o777)
    monkeypatch.delenv("MLCVBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(StoreError, match=r": others can write to it\. Set MLCVBENCH_CACHE to another one\.$"):
        cache.cache_dir()


def test_what_a_killed_writer_left_is_removed_by_the_next(place):
    from mlcvbench.storage.claims import boot_token

    left = place / "fits" / f".tmp-key-{2**22 - 1}-{boot_token()}"
    left.mkdir(parents=True)

    cache.put("fits", "other", write("x"))

    assert [path.name for path in Path(place / "fits").iterdir()] == ["other"]


def stop_in_a_block(reason: BaseException) -> None:
    """Write something in an interruptible block and leave it by an exception."""
    with suppress(type(reason)), cache.interruptible("checkpoints", "key") as folder:
        (folder / "epoch").write_text("3")
        raise reason


def test_what_an_interrupted_block_left_is_there_for_the_next_one(place):
    stop_in_a_block(KeyboardInterrupt())

    with cache.interruptible("checkpoints", "key") as folder:
        left = (folder / "epoch").read_text()

    assert left == "3"
    assert not (place / "checkpoints" / "key").exists()


def test_a_block_that_fails_leaves_nothing(place):
    stop_in_a_block(ValueError())

    assert not (place / "checkpoints" / "key").exists()


def test_a_folder_in_which_another_process_works_is_not_given_out(place, monkeypatch):
    with cache.interruptible("checkpoints", "key"):
        monkeypatch.setattr(claims, "this_process", lambda: claims.Owner(1, 0, "another"))
        monkeypatch.setattr(claims, "alive", lambda owner: True)

        with cache.interruptible("checkpoints", "key") as folder:
            assert folder is None

        monkeypatch.undo()
        assert (place / "checkpoints" / "key").is_dir()
