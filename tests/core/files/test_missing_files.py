"""A missing file is reported by what lies in the folder, not by the name that was hoped for."""

from pathlib import Path

import pytest

from mlcvbench.files.folders import files_by_id
from mlcvbench.files.missing import missing_files, no_file, no_files

WANTED = "maps (.png)"
REFUSED = {".jpg": "JPEG changes maps"}


def said(folder: Path, ids: list[str], *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(missing_files(folder, ids, files_by_id(folder, (".png",)), WANTED, REFUSED)).removeprefix(f"{folder}")


@pytest.mark.parametrize(
    ("ids", "names", "message"),
    [
        (["a", "b"], ["a.jpg", "b.jpg"], ": holds a.jpg: JPEG changes maps; wanted maps (.png)."),
        (["a", "b"], ["a.png", "b.tiff"], ": holds b.tiff; wanted maps (.png)."),
        (["x/a"], ["x/a.jpg"], ": holds x/a.jpg: JPEG changes maps; wanted maps (.png)."),
        (
            ["d0", "d1"],
            ["d0_pred.png", "d1_pred.png", "c.png"],
            ": has no file for 2 of 2 samples, such as 'd0'; it holds d0_pred.png and 2 more of other names; "
            "wanted maps (.png).",
        ),
        (
            ["a", "b", "c"],
            ["a.png", "z.png", "notes.txt"],
            ": has no file for 2 of 3 samples, such as 'b'; it holds z.png of other names; wanted maps (.png).",
        ),
        (
            ["a"],
            ["z.txt", ".DS_Store"],
            ": has no file for 1 of 1 samples, such as 'a'; it holds z.txt of other names; wanted maps (.png).",
        ),
        (
            ["a", "b"],
            ["a.png"],
            ": has no file for 1 of 2 samples, such as 'b'; wanted maps (.png), named like the samples.",
        ),
        (["a"], [], ": has no file for 1 of 1 samples, such as 'a'; wanted maps (.png), named like the samples."),
    ],
)
def test_what_lies_in_the_folder_is_named(tmp_path: Path, ids: list[str], names: list[str], message: str) -> None:
    assert said(tmp_path, ids, *names) == message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "set/maps: is empty; wanted maps (.png)."),
        (["maps/a.jpg", "maps/b.jpg"], "set/maps: holds a.jpg, b.jpg: JPEG changes maps; wanted maps (.png)."),
        (
            ["maps/x/1.txt", "maps/2", "maps/3", "maps/4", "maps/.hidden"],
            "set/maps: holds 2, 3, 4 and 1 more; wanted maps (.png).",
        ),
    ],
)
def test_a_folder_without_a_file_that_is_read_says_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set/maps/x").mkdir(parents=True)
    for name in names:
        (Path("set") / name).touch()

    assert str(no_files(Path("set/maps"), WANTED, REFUSED)) == message


@pytest.mark.parametrize(("beside", "holds"), [([], ""), (["masks", "images", ".git"], "; set holds images, masks")])
def test_a_folder_that_is_not_there_says_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: list[str], holds: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    for name in beside:
        (Path("set") / name).mkdir()

    assert str(no_files(Path("set/maps"), WANTED)) == f"set/maps: no such folder{holds}; wanted maps (.png) in it."


def test_files_that_begin_with_a_dot_are_no_samples(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", ".cache/b.png", "deep/.hidden/c.png", "deep/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert list(files_by_id(tmp_path, (".png",))) == ["a", "deep/d"]


def test_a_file_that_is_not_there_says_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set/labels").mkdir(parents=True)

    assert str(no_file(Path("set/classes.txt"), "names")) == (
        "set/classes.txt: no such file; set holds labels; wanted names."
    )
    assert str(no_file(Path("set/labels"), "names")) == "set/labels: is a folder; wanted names."
    assert str(no_file(Path("none/classes.txt"), "names")) == "none/classes.txt: no such file; wanted names."
