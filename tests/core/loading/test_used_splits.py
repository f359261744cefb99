"""What a run does not use of its data is neither listed nor read, and no part of its key."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.runs import config_for

from mlcvbench.errors import DataError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.description import describe_data, forget
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.config import RunConfig


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images, two classes, for training and for the test."""
    for split, count in (("train", 12), ("test", 3)):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((8, 8, 3), number, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


def config(root: Path, *words: str) -> RunConfig:
    return config_for("task=classification", "data=image-folder", f"data.root={root}", "model=majority", *words)


def break_training(root: Path) -> None:
    for path in (root / "train" / "dog").iterdir():
        path.write_bytes(b"no image")


@pytest.mark.parametrize("size", ["", "data.size=[8,8]"])
def test_a_run_with_given_weights_does_not_look_at_training_data(root: Path, tmp_path: Path, size: str) -> None:
    (tmp_path / "weights").mkdir()
    words = [size] if size else []
    given = config(root, f"weights={tmp_path / 'weights'}", *words)
    before = describe_data(given)

    break_training(root)
    (root / "train" / "dog" / "more.png").write_bytes(b"")
    os.mkfifo(root / "train" / "cat" / "pipe.png")  # reading it would hang
    forget()

    assert list(load_data(resolve(given), given.splits).splits) == ["test"]
    assert describe_data(given) == before
    assert before["sizes"] == {"test": 6}


def test_a_run_that_fits_looks_at_all(root: Path) -> None:
    fitted = config(root)
    before = describe_data(fitted)
    assert before["sizes"] == {"train": 22, "val": 2, "test": 6}

    break_training(root)
    forget()

    with pytest.raises(DataError, match=r"dog.*cannot be decoded"):
        describe_data(fitted)


def test_a_loader_that_is_not_told_has_the_other_splits_taken_away(tmp_path: Path) -> None:
    digits = config_for("model=majority", f"weights={tmp_path}")

    assert list(load_data(resolve(digits), digits.splits).splits) == ["test"]
    assert set(load_data(resolve(digits)).splits) == {"train", "val", "test"}
