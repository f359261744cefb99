"""The IDX format of MNIST: a magic number with type and dimension count, big-endian sizes, then the bytes.

http://yann.lecun.com/exdb/mnist/ describes it; images and labels of every MNIST-like set are of type 0x08 (uint8),
the only one read here. The size in the header is compared with the size of the file before anything is allocated.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_ARRAY_BYTES, MAX_IDX_DIMENSIONS

UINT8 = 0x08
GZIP_MAGIC = b"\x1f\x8b"
MOST_DEFLATE_GAIN = 1032
"""No deflate stream expands by more than this factor, so a header that claims more is wrong."""
CHUNK_BYTES = 1 << 20


def read_idx(path: Path, dimensions: int) -> Array:
    """Return the uint8 array of an IDX file, plain or gzipped, with the given number of dimensions.

    DataError names the file and says what is wrong: missing, not an IDX file, another type or dimension count, an empty
    or absurd size, too few or too many bytes, a damaged gzip stream.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            size = os.fstat(raw.fileno()).st_size
            if packed:
                with gzip.GzipFile(fileobj=raw) as stream:
                    return _read_array(
                        cast("IO[bytes]", stream), path, dimensions, most=size * MOST_DEFLATE_GAIN, exact=False
                    )
            return _read_array(raw, path, dimensions, most=size, exact=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; wanted an IDX file of {dimensions} dimension(s).") from None
    except EOFError:
        raise DataError(f"{path}: the gzip stream ends too early; fetch the file again.") from None
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None


def _read_array(stream: IO[bytes], path: Path, dimensions: int, *, most: int, exact: bool) -> Array:
    """Read header and data; `most` bounds the bytes of the file, `exact` says that it has exactly that many."""
    shape, header_bytes = _read_header(stream, path, dimensions)
    wanted = math.prod(shape)
    held = most - header_bytes
    if wanted > min(held, MAX_ARRAY_BYTES) or (exact and wanted != held):
        raise DataError(
            f"{path}: its header says {_times(shape)} = {wanted} bytes of data, "
            f"but the file holds {held if exact else f'at most {min(held, MAX_ARRAY_BYTES)}'}."
        )
    data = np.empty(wanted, dtype=np.uint8)
    view, filled = data.data, 0
    while filled < wanted:
        got = stream.readinto(view[filled : filled + CHUNK_BYTES])  # type: ignore[attr-defined]
        if not got:
            raise DataError(f"{path}: its header says {_times(shape)} = {wanted} bytes of data, got {filled}.")
        filled += got
    if stream.read(1):
        raise DataError(f"{path}: its header says {_times(shape)} = {wanted} bytes of data, but more follow.")
    return data.reshape(shape)


def _read_header(stream: IO[bytes], path: Path, dimensions: int) -> tuple[tuple[int, ...], int]:
    """Return the shape and the length of the header in bytes."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(
            f"{path}: wanted an IDX file (two zero bytes, type, dimensions), got {magic.hex(' ') or 'nothing'}."
        )
    kind, count = magic[2], magic[3]
    if kind != UINT8:
        raise DataError(f"{path}: wanted IDX type 0x08 (uint8), got 0x{kind:02x}.")
    if count != dimensions or count > MAX_IDX_DIMENSIONS:
        raise DataError(f"{path}: wanted {dimensions} dimension(s), got {count}.")
    sizes = stream.read(4 * count)
    if len(sizes) < 4 * count:
        raise DataError(f"{path}: the header ends after {4 + len(sizes)} bytes, wanted {4 + 4 * count}.")
    shape = struct.unpack(f">{count}I", sizes)
    if 0 in shape:
        raise DataError(f"{path}: its header says {_times(shape)}, so it holds nothing.")
    return shape, 4 + 4 * count


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
