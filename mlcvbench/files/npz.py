"""The npz format: untrusted files are read safely, and equal arrays give equal bytes.

Reading never unpickles and allocates nothing before the sizes in the zip directory, in each array's header and on disk
agree; the header is matched against a pattern, not evaluated.

A board reads one small file of replicates per run, and for 10,000 of them the zip module alone takes seconds (335 us
per file against 76). So vectors in the plain form that this module and `np.savez` write (stored, float64) are read
straight from the bytes of the file; anything else takes the general reader. Layout: PKWARE APPNOTE 4.3 (zip) and
numpy's format note (npy 1.0).
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError, MlcvbenchError, RecordError
from mlcvbench.files.ahead import ahead
from mlcvbench.files.zip_members import Member, MemberArchive, deflated, stored
from mlcvbench.limits import MAX_ARRAY_BYTES

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000
_CHUNK = 1 << 20
_DEFLATE_GAIN = 1032
"""No deflate stream unpacks to more than this many times its size."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, KeyError, OverflowError)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_HEADER = re.compile(
    r"\{\s*'descr'\s*:\s*'([<>|=]?[biufUS]\d{1,6})'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    r"\s*'shape'\s*:\s*\(([\d\s,]*)\)\s*,?\s*\}\s*",
    re.ASCII,
)
_PLAIN_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f8', 'fortran_order': False, 'shape': \((\d{1,9}),\), \} *\n", re.DOTALL
)
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MOST_VECTORS = 1_000
_LEVELS = (1, 9)
"""Of zlib: quickly, and well."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Header:
    """The header of an array: dtype, shape and order."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzReader:
    """An open npz file; `headers` are known and consistent, the data are read on demand, by several threads at once.

    `others`: the members that are not arrays, of the suffixes that are allowed beside them.
    """

    def __init__(
        self, archive: zipfile.ZipFile, path: Path, error: type[MlcvbenchError], beside: tuple[str, ...] = ()
    ) -> None:
        self._archive, self._path, self._error = archive, path, error
        self._lock = threading.Lock()
        self.headers: dict[str, Header] = {}
        self.others = frozenset(name for name in archive.namelist() if beside and name.endswith(beside))
        self._check_directory()
        for info in archive.infolist():
            if info.filename in self.others:
                continue
            with archive.open(info) as stream:
                header, length = self._read_header(stream, info.filename)
            if header.nbytes != info.file_size - length:
                raise error(
                    f"{path}: array {info.filename!r} says shape {header.shape} of {header.dtype} = {header.nbytes} "
                    f"bytes, but holds {info.file_size - length}."
                )
            self.headers[info.filename.removesuffix(".npy")] = header

    def read(self, name: str) -> NDArray[Any]:
        """Return an array; a wrong checksum is an error like any other damage."""
        header = self.headers[name]
        data = np.empty(header.nbytes, dtype=np.uint8)
        view, filled = data.data, 0
        with self._opened(f"{name}.npy") as stream:
            self._read_header(stream, name)
            while filled < len(data):
                got = stream.readinto(view[filled : filled + _CHUNK])  # type: ignore[attr-defined]
                if not got:
                    raise self._error(f"{self._path}: array {name!r} ends after {filled} of {len(data)} bytes.")
                filled += got
            stream.read(1)
        order: Any = "F" if header.fortran_order else "C"
        return np.ascontiguousarray(data.view(header.dtype).reshape(header.shape, order=order))

    def content(self, name: str) -> bytes:
        """Return the bytes of a member that is not an array; a wrong checksum is an error like any other damage."""
        with self._opened(name) as stream:
            return stream.read()

    @contextlib.contextmanager
    def _opened(self, member: str) -> Iterator[IO[bytes]]:
        """Open a member; the archive counts who reads from it, and nobody else may count meanwhile."""
        with self._lock:
            stream = self._archive.open(member)
        try:
            yield stream
        finally:
            with self._lock:
                stream.close()

    def _check_directory(self) -> None:
        infos = self._archive.infolist()
        names = [info.filename for info in infos]
        for info in infos:
            if not (info.filename.endswith(".npy") or info.filename in self.others) or names.count(info.filename) > 1:
                raise self._error(f"{self._path}: wanted one .npy array per name, got {info.filename[:100]!r}.")
            if info.flag_bits & 1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise self._error(f"{self._path}: array {info.filename!r} is encrypted or packed in an unknown way.")
            if info.file_size > info.compress_size * _DEFLATE_GAIN + 64:
                raise self._error(
                    f"{self._path}: array {info.filename!r} claims {info.file_size} bytes from {info.compress_size}."
                )
        total = sum(info.file_size for info in infos)
        if total > MAX_ARRAY_BYTES:
            raise self._error(f"{self._path}: holds {total} bytes of arrays; the most is {MAX_ARRAY_BYTES}.")

    def _read_header(self, stream: IO[bytes], name: str) -> tuple[Header, int]:
        """Return the header and the bytes it took."""
        start = stream.read(8)
        width = 2 if start[6:7] == b"\x01" else 4
        length = int.from_bytes(stream.read(width), "little")
        if start[:6] != _MAGIC or start[6:7] not in {b"\x01", b"\x02", b"\x03"} or length > _MAX_HEADER:
            raise self._error(f"{self._path}: {name[:100]!r} is not an npy array.")
        match = _HEADER.fullmatch(stream.read(length).decode("latin-1"))
        if match is None:
            raise self._error(
                f"{self._path}: array {name[:100]!r} has a damaged header, or holds neither plain numbers nor text."
            )
        try:
            dtype = np.dtype(match[1])
        except TypeError:
            raise self._error(f"{self._path}: array {name[:100]!r} has an unknown type {match[1]!r}.") from None
        shape = tuple(int(size) for size in match[3].replace(",", " ").split())
        return Header(dtype, shape, match[2] == "True"), 8 + width + length


@contextlib.contextmanager
def open_npz(path: Path, error: type[MlcvbenchError] = DataError, beside: tuple[str, ...] = ()) -> Iterator[NpzReader]:
    """Open an npz file for reading; any fault becomes one `error` that names the file.

    `beside`: suffixes of the files that it may hold beside its arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield NpzReader(archive, path, error, beside)
    except FileNotFoundError:
        raise error(f"{path}: no such file.") from None
    except _DAMAGE as bad:
        raise error(f"{path}: is not an npz file, or is damaged ({bad}).") from None


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers or text, sorted by name and uncompressed: equal arrays give equal bytes anywhere."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            plain = np.ascontiguousarray(little).reshape(array.shape)  # reshape: it turns scalars into (1,)
            head, data = io.BytesIO(), plain.reshape(-1).view(np.uint8)
            np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(plain))
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.create_system, info.file_size = 3, head.tell() + len(data)
            with archive.open(info, "w") as stream:
                stream.write(head.getbuffer())
                for start in range(0, len(data), _CHUNK):  # avoids a second copy in memory
                    stream.write(data[start : start + _CHUNK].data)


def array_member(name: str, array: NDArray[Any], level: int) -> Member:
    """Return an array as a member of an npz, compressed at a zlib level; equal arrays give equal bytes."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(little), version=(1, 0), allow_pickle=False)
    return deflated(f"{name}.npy", buffer.getbuffer(), level)


def shrink_npz(path: Path, most: int, *, halves: bool, beside: tuple[str, ...] = ()) -> None:
    """Compress the arrays of an npz, first quickly, then well, until it has at most `most` bytes.

    `halves`: float32 arrays whose numbers are all numbers of float16 are stored as those. `beside`: see `open_npz`.
    """
    for level in _LEVELS:
        smaller = path.with_name(f".{path.name}.smaller")
        with open_npz(path, RecordError, beside) as file, MemberArchive(smaller, "w") as archive:

            def member(name: str, file: NpzReader = file, level: int = level) -> Member:
                if name in file.others:
                    return stored(name, file.content(name))
                array = file.read(name)
                return array_member(name, _half(array) if halves else array, level)

            for one in ahead(member, sorted([*file.headers, *file.others]), lambda one: one.info.file_size):
                archive.add(one)
        smaller.replace(path)
        if path.stat().st_size <= most:
            return


def _half(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in float16 if it is float32 and nothing is lost, else as it is."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array, equal_nan=True) else array


def read_vectors(path: Path, names: Collection[str] | None, most: int) -> dict[str, Floats]:
    """Return the float64 vectors (n,) of an npz file, those in `names` only when given.

    RecordError when the file cannot be read, or an array is not a float64 vector of at most `most` numbers.
    """
    limit = 64 * 1024 + _MOST_VECTORS * 8 * most
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - twice as fast as pathlib, and called for each of ten thousand files
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise RecordError(f"{path}: is too large: {size} bytes; the most is {limit}.")
            data = file.read(min(size, limit))
        values = _plain_vectors(data, names)
    except (_OtherFormError, struct.error):
        values = _any_vectors(path, names, most)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}.") from None
    for name, value in values.items():
        if len(value) > most:
            raise _no_vector(path, name, Header(value.dtype, value.shape, False), most)
    return values


class _OtherFormError(Exception):
    """The file is not in the plain form; the general reader reads or refuses it."""


def _plain_vectors(data: bytes, names: Collection[str] | None) -> dict[str, Floats]:
    """Read stored float64 vectors straight from the bytes of a zip file without comment."""
    mark, _, _, _, count, _, place, comment = _END.unpack_from(data, max(0, len(data) - _END.size))
    if mark != b"PK\x05\x06" or comment or count > _MOST_VECTORS:
        raise _OtherFormError
    values = {}
    for _ in range(count):
        entry = _ENTRY.unpack_from(data, place)
        mark, method, crc, size, stored = entry[0], entry[4], entry[7], entry[8], entry[9]
        start = place + _ENTRY.size
        member = data[start : start + entry[10]].decode("ascii", "replace")
        place = start + entry[10] + entry[11] + entry[12]
        if mark != b"PK\x01\x02" or method or size != stored or not member.endswith(".npy"):
            raise _OtherFormError
        if names is None or member[:-4] in names:
            values[member[:-4]] = _vector(data, entry[16], size, crc)
    return values


def _vector(data: bytes, offset: int, size: int, crc: int) -> Floats:
    local = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + local[9] + local[10]
    content = data[start : start + size]
    header = _PLAIN_HEADER.match(content)
    if local[0] != b"PK\x03\x04" or header is None or len(content) - header.end() != 8 * int(header[1]):
        raise _OtherFormError
    if zlib.crc32(content) != crc:
        raise _OtherFormError  # damage: the general reader reports it
    return np.frombuffer(content, dtype="<f8", offset=header.end())


def _any_vectors(path: Path, names: Collection[str] | None, most: int) -> dict[str, Floats]:
    with open_npz(path, RecordError) as file:
        wanted = [name for name in file.headers if names is None or name in names]
        for name in wanted:
            header = file.headers[name]
            if header.dtype != np.float64 or len(header.shape) != 1 or header.shape[0] > most:
                raise _no_vector(path, name, header, most)
        return {name: file.read(name) for name in wanted}


def _no_vector(path: Path, name: str, header: Header, most: int) -> RecordError:
    got = f"{header.dtype} {header.shape}"
    return RecordError(f"{path}: {name!r} should be float64 (n,) with n at most {most}, got {got}.")
