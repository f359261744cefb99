"""A missing file is reported by what lies in the folder, not by the name that was hoped for."""

from pathlib import Path

import pytest

from mlcvbench.file_sets import files_by_id
from mlcvbench.missing_files import missing_files

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
