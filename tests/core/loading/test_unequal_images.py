"""Images of unequal size are refused before the fit of a model that wants one size, in one sentence."""

from pathlib import Path

import cv2
import numpy as np
from support.runs import config_for

from mlcvbench.running import stages


def folder_of_images(root: Path) -> Path:
    """Write four images a class, of four sizes, into `train` and `test`."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for index in range(4):
                cv2.imwrite(str(root / split / name / f"{index}.png"), np.full((5 + index, 6), 40 * index, np.uint8))
    return root


def run_on(tmp_path: Path, *settings: str):
    data = folder_of_images(tmp_path / "data")
    out = tmp_path / "run"
    out.mkdir()
    return stages.execute(
        config_for("task=classification", "data=image-folder", f"data.root={data}", *settings, intervals=False), out
    )


def test_a_model_that_wants_one_size_is_told_before_its_fit(tmp_path: Path):
    record = run_on(tmp_path, "model=knn")

    assert (record.status, record.error.stage, record.error.type) == ("error", "resolve", "DataError")
    assert record.error.message == (
        "model 'knn' needs images of one size, and those of data set 'image-folder' differ; "
        "set data.size=[H,W] to resize them."
    )


def test_resized_images_are_taken(tmp_path: Path):
    assert run_on(tmp_path, "model=knn", "data.size=[8,8]").status == "ok"


def test_a_model_that_takes_any_size_is_run(tmp_path: Path):
    assert run_on(tmp_path, "model=majority").status == "ok"
