"""What data are, is found out in a child process before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.runs import config_for

import mlcvbench
from mlcvbench.errors import DataError
from mlcvbench.loading.description import describe_data


def test_data_are_described_in_a_child_and_remembered() -> None:
    first = describe_data(config_for())

    assert first["name"] == "digits"
    assert first["sizes"]["test"] == 797
    assert describe_data(config_for("model=knn")) == first


def test_a_metric_that_the_protocol_has_not_is_refused_with_the_data() -> None:
    config = config_for()
    misspelt = replace(config, definition=replace(config.definition, metrics=("top1", "macrof1")))

    with pytest.raises(DataError) as error:
        describe_data(misspelt)

    assert error.value.exit_code == 2
    assert str(error.value) == "unknown metric 'macrof1'. Did you mean 'macro_f1'?"


def test_a_protocol_that_the_task_has_not_is_refused_with_the_data() -> None:
    config = config_for()
    unknown = replace(config, definition=replace(config.definition, protocol="top1/single-crop@9"))

    with pytest.raises(DataError, match=r"^unknown classification protocol 'top1/single-crop@9'\. Did you mean"):
        describe_data(unknown)


def test_data_that_cannot_be_read_give_the_readers_sentence(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"short")
    config = config_for("task=fashion-mnist", f"data.root={tmp_path}")

    with pytest.raises(DataError) as error:
        describe_data(config)

    assert error.value.exit_code == 2
    assert str(tmp_path) in str(error.value)


def test_data_that_changed_within_a_session_are_described_anew(tmp_path: Path) -> None:
    shades = iter((0, 9))
    ids = []
    for shade in shades:
        paint(tmp_path / "data", shade)
        words = ["task=classification", "data=image-folder", f"data.root={tmp_path / 'data'}", "model=majority"]
        (record,) = mlcvbench.run(*words, "time=off", "threads=1", f"out={tmp_path / 'runs'}")
        ids.append(record.run_id)

    assert ids[0] != ids[1]


def paint(root: Path, shade: int) -> None:
    """Write a folder of two classes with two images each in two splits."""
    for split in ("train", "test"):
        for label in ("a", "b"):
            folder = root / split / label
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(2):
                Image.new("L", (8, 8), shade + number).save(folder / f"{number}.png")


def test_reading_that_takes_longer_than_a_run_may_is_ended_with_one_line() -> None:
    config = replace(config_for("data.seed=77"), seconds=0.05)

    with pytest.raises(DataError) as error:
        describe_data(config)

    assert error.value.exit_code == 2
    assert str(error.value) == (
        "reading data set 'digits' took longer than the limit of 0.05 s; give it more with timeout=SECONDS."
    )
