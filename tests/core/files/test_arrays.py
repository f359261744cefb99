"""Stored arrays: what is written is read back, and damage is named."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.errors import RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays

WANTED = {"images": ("uint8", 2)}


def message_of(path, wanted=None) -> str:
    with pytest.raises(RecordError) as error:
        read_arrays(path, wanted or WANTED)
    return str(error.value)


def test_arrays_come_back_with_their_types(tmp_path):
    images = np.arange(6, dtype=np.uint8).reshape(2, 3)

    write_arrays(tmp_path / "a.safetensors", {"images": images})

    assert np.array_equal(read_arrays(tmp_path / "a.safetensors", WANTED)["images"], images)


def test_a_missing_file_is_named(tmp_path):
    assert message_of(tmp_path / "a.safetensors") == "a.safetensors: there is no such file among the stored weights."


def test_a_missing_or_different_array_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"images": np.zeros(3, np.uint8)})

    assert message_of(path) == "a.safetensors: array 'images': wanted uint8 with 2 axes, got uint8 with 1 axes."
    assert (
        message_of(path, {"labels": ("int32", 1)})
        == "a.safetensors: array 'labels': wanted int32 with 1 axes, got nothing."
    )


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"images": np.zeros((50, 50), np.uint8)})
    path.write_bytes(path.read_bytes()[:-7])

    assert message_of(path).startswith("a.safetensors: not a readable safetensors file (")
