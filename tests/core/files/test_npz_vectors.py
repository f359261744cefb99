"""Replicates files: read as numpy reads them, refused where numpy or we would refuse them."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlcvbench.errors import RecordError
from mlcvbench.files.npz import read_vectors, write_npz


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "digits-knn-s0-0123456789ab"
    folder.mkdir()
    return folder / "replicates.npz"


def vectors() -> dict[str, np.ndarray]:
    return {"top1": np.linspace(0, 1, 50), "nll": np.array([np.nan, 1.5]), "none": np.empty(0)}


@pytest.mark.parametrize("write", [lambda p, a: np.savez(p, **a), lambda p, a: np.savez_compressed(p, **a), write_npz])
def test_vectors_come_back_to_the_bit(path, write):
    write(path, vectors())

    found = read_vectors(path, None, 100)

    assert found.keys() == vectors().keys()
    assert all(np.array_equal(found[name], value, equal_nan=True) for name, value in vectors().items())


def test_only_what_is_asked_for_is_read(path):
    np.savez(path, **vectors())

    assert list(read_vectors(path, {"nll", "absent"}, 100)) == ["nll"]


def test_no_truncation_and_no_flipped_byte_gives_another_number(path):
    np.savez(path, top1=np.linspace(0, 1, 4))
    data = path.read_bytes()
    good = np.linspace(0, 1, 4)

    for place in range(len(data)):
        for changed in (data[:place], data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]):
            path.write_bytes(changed)
            with contextlib.suppress(RecordError):
                assert all(np.array_equal(value, good) for value in read_vectors(path, None, 100).values()), place


@pytest.mark.parametrize(
    ("arrays", "got"),
    [
        ({"top1": np.zeros(101)}, "float64 (101,)"),
        ({"top1": np.zeros((2, 3))}, "float64 (2, 3)"),
        ({"top1": np.zeros(3, np.float32)}, "float32 (3,)"),
    ],
)
def test_what_is_no_vector_of_ours_is_refused(path, arrays, got):
    np.savez(path, **arrays)

    with pytest.raises(
        RecordError, match=r"replicates\.npz: 'top1' should be float64 \(n,\) with n at most 100, got "
    ) as caught:
        read_vectors(path, None, 100)

    assert str(caught.value).endswith(f"got {got}.")


def test_a_pickle_is_never_loaded(path):
    np.savez(path, top1=np.array([{"a": 1}], dtype=object))

    with pytest.raises(RecordError, match=r"has a damaged header, or holds neither plain numbers nor text\.$"):
        read_vectors(path, None, 100)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(path):
    content = io.BytesIO()
    np.save(content, np.zeros(10_000_000))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top1.npy", content.getvalue())

    with pytest.raises(RecordError, match=r"got float64 \(10000000,\)\.$"):
        read_vectors(path, None, 1000)


def test_a_missing_file_is_one_clear_line(path):
    with pytest.raises(RecordError, match=r"replicates\.npz: cannot be read: No such file or directory\.$"):
        read_vectors(path, None, 100)
