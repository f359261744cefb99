"""Files of a data set: found by name, without what programs leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlcvbench.errors import DataError
from mlcvbench.files.folders import entries, files_by_id


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_of_macos_and_editors_are_no_samples(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "x/b.PNG", "._a.png", "x/._b.png", ".ipynb_checkpoints/a.png", "__MACOSX/x/b.png")

    assert list(files_by_id(tmp_path, (".png",))) == ["a", "x/b"]


def test_a_folder_below_a_hidden_one_is_read(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/set/a.png")

    assert list(files_by_id(tmp_path / ".cache" / "set", (".png",))) == ["a"]


def test_entries_are_sorted_and_without_litter(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a/c.png", ".DS_Store", "Thumbs.db", "desktop.ini")

    assert [path.name for path in entries(tmp_path)] == ["a", "b.png"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        entries(tmp_path / "missing")

    assert str(caught.value) == f"{tmp_path / 'missing'}: cannot be read (No such file or directory)."


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.pgm")

    with pytest.raises(DataError) as caught:
        files_by_id(tmp_path, (".png", ".pgm"))

    assert str(caught.value) == f"{tmp_path / 'a.png'}: a.pgm has the same name; wanted one file per sample."
