"""Writing npz files: the bytes are those of numpy's own arrays in one go, and no array is held twice."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlcvbench.files import npz
from mlcvbench.files.npz import write_npz

ARRAYS = {
    "floats": np.linspace(0, 1, 3003, dtype=np.float32).reshape(3, -1),
    "columns": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "big_end_first": np.arange(5, dtype=">i4"),
    "words": np.array(["a", "über", ""]),
    "flags": np.array([True, False]),
    "scalar": np.array(2.5),
    "nothing": np.empty((0, 4)),
    "no_words": np.array([], dtype=np.str_),
}


def in_one_go(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            data, array = io.BytesIO(), np.array(arrays[name], order="C")
            np.lib.format.write_array(data, array.astype(array.dtype.newbyteorder("<")), version=(1, 0))
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            archive.writestr(info, data.getvalue())


def test_the_bytes_are_those_of_arrays_written_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_CHUNK", 1000)

    write_npz(tmp_path / "ours.npz", ARRAYS)

    in_one_go(tmp_path / "plain.npz", ARRAYS)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()
    with np.load(tmp_path / "ours.npz") as found:
        assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_an_array_is_written_without_a_second_copy_of_it(tmp_path: Path) -> None:
    scores = np.zeros((4_000, 1_000), dtype=np.float32)
    tracemalloc.start()

    write_npz(tmp_path / "scores.npz", {"scores": scores})

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scores.nbytes / 4
