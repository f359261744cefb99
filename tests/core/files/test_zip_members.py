"""Members that are packed beforehand are those that the zip module would have written."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from mlcvbench.files.zip_members import MemberArchive, deflated, stored


def test_a_file_has_the_bytes_that_the_zip_module_gives_it(tmp_path: Path) -> None:
    contents = [np.random.default_rng(0).integers(0, 9, 70_000).astype(np.uint8).tobytes(), b"", b"as it is"]
    dated = [zipfile.ZipInfo(f"{index}", (1980, 1, 1, 0, 0, 0)) for index in range(3)]
    with zipfile.ZipFile(tmp_path / "theirs", "w") as archive:
        for info, content in zip(dated[:2], contents, strict=False):
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 1)
        archive.writestr(dated[2], contents[2], zipfile.ZIP_STORED)

    with MemberArchive(tmp_path / "ours", "w") as ours:
        for index in range(2):
            ours.add(deflated(f"{index}", memoryview(contents[index]), 1))
        ours.add(stored("2", contents[2]))

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    with zipfile.ZipFile(tmp_path / "ours") as archive:
        assert archive.testzip() is None
