"""The npz format, read with suspicion and written the same way every time.

Reading never unpickles and allocates nothing before the sizes in the zip directory, in each array's header and on disk
agree; the header is matched against a pattern, not evaluated. Writing gives equal bytes for equal arrays.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError, MlcvbenchError
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


@dataclass(frozen=True, slots=True)
class Header:
    """What an array says about itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzReader:
    """An open npz file; `headers` are known and consistent, the data are read on demand."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, error: type[MlcvbenchError]) -> None:
        self._archive, self._path, self._error = archive, path, error
        self.headers: dict[str, Header] = {}
        self._check_directory()
        for info in archive.infolist():
            with archive.open(info) as stream:
                header, length = self._read_header(stream, info.filename)
            if header.nbytes != info.file_size - length:
                raise error(
                    f"{path}: array {info.filename!r} says shape {header.shape} of {header.dtype} = {header.nbytes} "
                    f"bytes, but holds {info.file_size - length}."
                )
            self.headers[info.filename.removesuffix(".npy")] = header

    def read(self, name: str) -> NDArray[Any]:
        """Return an array; a checksum that does not fit is an error like any other damage."""
        header = self.headers[name]
        data = np.empty(header.nbytes, dtype=np.uint8)
        view, filled = data.data, 0
        with self._archive.open(f"{name}.npy") as stream:
            self._read_header(stream, name)
            while filled < len(data):
                got = stream.readinto(view[filled : filled + _CHUNK])  # type: ignore[attr-defined]
                if not got:
                    raise self._error(f"{self._path}: array {name!r} ends after {filled} of {len(data)} bytes.")
                filled += got
            stream.read(1)
        order: Any = "F" if header.fortran_order else "C"
        return np.ascontiguousarray(data.view(header.dtype).reshape(header.shape, order=order))

    def _check_directory(self) -> None:
        infos = self._archive.infolist()
        names = [info.filename for info in infos]
        for info in infos:
            if not info.filename.endswith(".npy") or names.count(info.filename) > 1:
                raise self._error(f"{self._path}: wanted one .npy array a name, got {info.filename[:100]!r}.")
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
            raise self._error(f"{self._path}: {name[:100]!r} is no npy array.")
        match = _HEADER.fullmatch(stream.read(length).decode("latin-1"))
        if match is None:
            raise self._error(
                f"{self._path}: array {name[:100]!r} has a header that is damaged or not of plain numbers or text."
            )
        try:
            dtype = np.dtype(match[1])
        except TypeError:
            raise self._error(f"{self._path}: array {name[:100]!r} has an unknown type {match[1]!r}.") from None
        shape = tuple(int(size) for size in match[3].replace(",", " ").split())
        return Header(dtype, shape, match[2] == "True"), 8 + width + length


@contextlib.contextmanager
def open_npz(path: Path, error: type[MlcvbenchError] = DataError) -> Iterator[NpzReader]:
    """Open an npz file for reading; whatever is wrong with it becomes one `error` that names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield NpzReader(archive, path, error)
    except FileNotFoundError:
        raise error(f"{path}: no such file.") from None
    except _DAMAGE as bad:
        raise error(f"{path}: is no npz file or is damaged ({bad}).") from None


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers or text, sorted by name and uncompressed: equal arrays give equal bytes anywhere."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(little), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.create_system = 3
            archive.writestr(info, buffer.getbuffer())
