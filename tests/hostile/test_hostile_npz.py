"""Npz archives that lie about names, sizes or types: one sentence that names the file, nothing unpacked."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlcvbench.errors import DataError
from mlcvbench.files.npz import open_npz


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape: str, descr: str = "<f4") -> bytes:
    """Return an npy file that claims a shape and holds nothing."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def read_all(path: Path) -> list[np.ndarray]:
    with open_npz(path) as file:
        return [file.read(name) for name in file.headers]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NO_NUMBERS = "array 'a.npy' has a damaged header, or holds neither plain numbers nor text."
ONE = npy(np.ones(2))


@pytest.mark.parametrize("name", ["../../x.npy", "/etc/x.npy", "a/b.npy"])
def test_names_never_become_paths(tmp_path, monkeypatch, name):
    """A name is only a key: nothing is written wherever it points."""
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "a.npz", (name, ONE))

    with open_npz(path) as file:
        assert file.read(name.removesuffix(".npy")).tolist() == [1, 1]

    assert [child.name for child in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.txt", b"x")], "wanted one .npy array per name, got 'a.txt'."),
        ([("a.npy", b"x" * 40)], "'a.npy' is not an npy array."),
        (
            [("a.npy", header("(1000000, 1000000)"))],
            "array 'a.npy' says shape (1000000, 1000000) of float32 = 4000000000000 bytes, but holds 0.",
        ),
        (
            [("a.npy", header("(2, 3)") + bytes(23))],
            "array 'a.npy' says shape (2, 3) of float32 = 24 bytes, but holds 23.",
        ),
        ([("a.npy", header("(-1,)"))], NO_NUMBERS),
        (
            [("a.npy", header("(1,)", "|O"))],
            NO_NUMBERS,
        ),
        (
            [("a.npy", npy(np.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f4")])))],
            NO_NUMBERS,
        ),
    ],
)
def test_lying_members_are_refused(tmp_path, members, said):
    path = archive(tmp_path / "a.npz", *members)

    assert refusal(path) == f"{path}: {said}"


def test_a_name_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "a.npz", ("a.npy", ONE), ("a.npy", ONE))

    assert refusal(path) == f"{path}: wanted one .npy array per name, got 'a.npy'."


def test_objects_are_refused_without_being_unpickled(tmp_path):
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "canary",))

    np.savez(tmp_path / "a.npz", a=np.array([Canary()], dtype=object))

    assert refusal(tmp_path / "a.npz").startswith(f"{tmp_path / 'a.npz'}: array 'a.npy' has a damaged header")
    assert not (tmp_path / "canary").exists()


def test_a_directory_that_claims_terabytes_costs_nothing(tmp_path):
    path = archive(tmp_path / "a.npz", ("a.npy", header("(1000000000000,)")))
    tracemalloc.start()

    assert refusal(path).startswith(f"{path}: array 'a.npy' says shape (1000000000000,)")

    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"x" * 1000])
def test_what_is_no_archive_is_named(tmp_path, raw):
    path = tmp_path / "a.npz"
    path.write_bytes(raw)

    assert refusal(path).startswith(f"{path}: is not an npz file, or is damaged (")
