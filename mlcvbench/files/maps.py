"""Stored predictions that are one map an image: an npz with the ids and a compressed array each.

Maps are written and read one at a time. Equal maps give equal bytes (with the same zlib): members are in the order of
the split and carry no date.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import PredictionError, RecordError
from mlcvbench.files.lazy_columns import LazyColumn
from mlcvbench.files.npz import open_npz

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FASTEST = 1


def write_maps(path: Path, field: str, maps: Iterable[NDArray[Any]], ids: NDArray[Any]) -> None:
    """Write the maps of a split under the names `<field>_000000` ...; `maps` is gone through once."""
    with zipfile.ZipFile(path, "w") as archive:
        _write(archive, "ids", np.asarray(ids, dtype=np.str_))
        for index, one in enumerate(maps):
            _write(archive, _member(field, index), one)


def stored_field(path: Path, fields: Collection[str]) -> str:
    """Return which of `fields` a file holds; RecordError when it is none."""
    with open_npz(path, RecordError) as file:
        for field in fields:
            if _member(field, 0) in file.headers:
                return field
    raise RecordError(f"{path}: wanted maps of {' or '.join(fields)}, found none.")


def stored_maps(path: Path, field: str, split_ids: NDArray[Any], dtypes: Collection[str]) -> LazyColumn[NDArray[Any]]:
    """Return the stored maps, read one at a time; RecordError or PredictionError when they do not fit the split.

    Args:
        path: what `write_maps` wrote.
        field: their name.
        split_ids: ids (N,) of the split, in order.
        dtypes: names of the storage types that a map may have.

    """
    with open_npz(path, RecordError) as file:
        names = {"ids", *(_member(field, index) for index in range(len(split_ids)))}
        if set(file.headers) != names:
            odd = sorted(set(file.headers) ^ names)
            raise RecordError(f"{path}: wanted ids and {len(split_ids)} maps, odd: {', '.join(odd[:3])}.")
        ids = file.read("ids")
        if ids.shape != split_ids.shape or (ids != split_ids).any():
            raise PredictionError(f"{path}: its {ids.size} ids are not the {len(split_ids)} of the split, in order.")
        for name, header in file.headers.items():
            if name != "ids" and (header.dtype.name not in dtypes or len(header.shape) != 2):
                wanted = " or ".join(dtypes)
                raise RecordError(f"{path}: {name}: wanted {wanted} (H, W), got {header.dtype} {header.shape}.")

    @contextmanager
    def source() -> Iterator[Callable[[int], NDArray[Any]]]:
        with open_npz(path, RecordError) as file:
            yield lambda index: file.read(_member(field, index))

    return LazyColumn(source, range(len(split_ids)))


def _member(field: str, index: int) -> str:
    return f"{field}_{index:06d}"


def _write(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(little), version=(1, 0), allow_pickle=False)
    info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
    info.create_system = 3
    archive.writestr(info, buffer.getbuffer(), zipfile.ZIP_DEFLATED, _FASTEST)
