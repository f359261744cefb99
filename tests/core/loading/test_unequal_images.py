"""Images of unequal size are refused before the fit of a model that wants one size, in one sentence."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.runs import config_for

from mlcvbench.contract import ArraySplit, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench.loading.data import refuse_ragged
from mlcvbench.loading.resolved import resolve
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


def test_where_the_data_set_cannot_resize_the_models_that_need_no_resizing_are_named(tmp_path: Path):
    resolved = resolve(config_for("task=classification", "data=image-folder", f"data.root={tmp_path}", "model=knn"))
    sizes = [np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)]
    train = ArraySplit("train", {"image": sizes}, {"label": np.zeros(2, np.int64)})
    data = LoadedData("photos", "1", Problem("classification", ("a",), {}), {"train": train, "test": train})
    fixed = replace(resolved.entries.dataset.spec, params=())
    dataset = replace(resolved.entries.dataset, spec=fixed)

    with pytest.raises(DataError) as caught:
        refuse_ragged(data, replace(resolved, entries=replace(resolved.entries, dataset=dataset)))

    assert "data.size" not in str(caught.value)
    assert str(caught.value).startswith(
        "model 'knn' needs images of one size, and those of data set 'photos' differ; it cannot resize them; models "
        "that take them as they are: "
    )
    named = str(caught.value).rpartition(": ")[2]
    assert "majority" in named
    assert "knn" not in named.rstrip(".").split(", ")


def test_resized_images_are_taken(tmp_path: Path):
    assert run_on(tmp_path, "model=knn", "data.size=[8,8]").status == "ok"


def test_a_model_that_takes_any_size_is_run(tmp_path: Path):
    assert run_on(tmp_path, "model=majority").status == "ok"
