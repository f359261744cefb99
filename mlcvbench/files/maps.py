"""Stored predictions with one map per image: an npz with the ids and one compressed array per image.

A submitted picture that already holds the map as it would be stored takes the place of its array. Maps are read, packed
and unpacked ahead of whoever writes or uses them, a few at a time. Equal maps give equal bytes (with the same zlib):
members are in the order of the split and carry no date.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError, PredictionError, RecordError
from mlcvbench.files.ahead import ahead
from mlcvbench.files.lazy_columns import LazyColumn, Original
from mlcvbench.files.npz import NpzReader, open_npz
from mlcvbench.files.rasters import decode_raster
from mlcvbench.files.zip_members import Member, MemberArchive, deflated, stored

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FASTEST = 1
PICTURE = ".png"
"""The suffix of pictures that are stored as submitted."""
SCALE = "scale"
"""The member that holds the divisor of the numbers in pictures."""


def write_maps(
    path: Path, field: str, maps: Sequence[NDArray[Any]] | LazyColumn[NDArray[Any]], ids: NDArray[Any]
) -> None:
    """Write the maps of a split under the names `<field>_000000` ...; each is read once.

    A map submitted as a picture that can be stored unchanged becomes `<field>_000000.png`.
    """
    column = maps if isinstance(maps, LazyColumn) else None
    first = None if column is None else column.original(0)

    def member(index: int) -> Member:
        original = None if column is None or first is None else column.original(index)
        name = _member(field, index)
        return _packed(name, maps[index]) if original is None else _as_it_is(name, original)

    members: Iterable[Member] = map(member, range(len(maps)))
    if column is None or column.threaded:
        members = ahead(member, range(len(maps)), lambda one: one.info.file_size)
    with MemberArchive(path, "w") as archive:
        archive.add(_packed("ids", np.asarray(ids, dtype=np.str_)))
        if first is not None and first.scale != 1.0:
            archive.add(_packed(SCALE, np.array([first.scale])))
        for one in members:
            archive.add(one)


def stored_field(path: Path, fields: Collection[str]) -> str:
    """Return which of `fields` a file holds; RecordError when it holds none."""
    with open_npz(path, RecordError, (PICTURE,)) as file:
        for field in fields:
            if {_member(field, 0), _member(field, 0) + PICTURE} & {*file.headers, *file.others}:
                return field
    raise RecordError(f"{path}: wanted maps of {' or '.join(fields)}, found none.")


def stored_maps(path: Path, field: str, split_ids: NDArray[Any], dtypes: Collection[str]) -> LazyColumn[NDArray[Any]]:
    """Return the stored maps, read one at a time; RecordError or PredictionError when they do not fit the split.

    Args:
        path: what `write_maps` wrote.
        field: their name.
        split_ids: ids (N,) of the split, in order.
        dtypes: names of the storage types that a map may have; pictures have the first, or what their scale makes them.

    """
    with open_npz(path, RecordError, (PICTURE,)) as file:
        wanted = {_member(field, index) for index in range(len(split_ids))}
        pictures = {name.removesuffix(PICTURE) for name in file.others}
        names = {*pictures, *file.headers} - {"ids", SCALE}
        if names != wanted or "ids" not in file.headers or pictures & set(file.headers):
            odd = sorted(names ^ wanted)
            raise RecordError(f"{path}: wanted ids and {len(split_ids)} maps, odd: {', '.join(odd[:3])}.")
        ids, scale = file.read("ids"), _scale(path, file)
        if ids.shape != split_ids.shape or (ids != split_ids).any():
            raise PredictionError(f"{path}: its {ids.size} ids are not the {len(split_ids)} of the split, in order.")
        for name, header in file.headers.items():
            if name not in {"ids", SCALE} and (header.dtype.name not in dtypes or len(header.shape) != 2):
                types = " or ".join(dtypes)
                raise RecordError(f"{path}: {name}: wanted {types} (H, W), got {header.dtype} {header.shape}.")
    kind = np.dtype(next(iter(dtypes)))

    @contextmanager
    def source() -> Iterator[Callable[[int], NDArray[Any]]]:
        with open_npz(path, RecordError, (PICTURE,)) as file:

            def read(index: int) -> NDArray[Any]:
                name = _member(field, index)
                return _picture(path, file, name + PICTURE, kind, scale) if name in pictures else file.read(name)

            yield read

    return LazyColumn(source, range(len(split_ids)), threaded=True)


def _scale(path: Path, file: NpzReader) -> float:
    """Return the divisor of the numbers in pictures; RecordError unless it is a positive number."""
    if SCALE not in file.headers:
        return 1.0
    scale = file.read(SCALE)
    if scale.shape != (1,) or scale.dtype != np.float64 or not (np.isfinite(scale) & (scale > 0)).all():
        raise RecordError(f"{path}: {SCALE}: wanted one positive float64, got {scale.dtype} {scale.shape}.")
    return float(scale[0])


def _picture(path: Path, file: NpzReader, name: str, kind: np.dtype[Any], scale: float) -> NDArray[Any]:
    try:
        values = decode_raster(file.content(name), f"{path}: {name}")
    except DataError as error:
        raise RecordError(str(error)) from None
    return values.astype(kind, copy=False) if scale == 1.0 else (values / scale).astype(kind)


def original_picture(path: Path, scale: float = 1.0) -> Original:
    """Return a PNG as submitted, whose numbers are to be divided by `scale`. DataError when it cannot be read."""
    try:
        return Original(PICTURE, path.read_bytes(), scale)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _member(field: str, index: int) -> str:
    return f"{field}_{index:06d}"


def _packed(name: str, array: NDArray[Any]) -> Member:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(little), version=(1, 0), allow_pickle=False)
    return deflated(_info(f"{name}.npy"), buffer.getbuffer(), _FASTEST)


def _as_it_is(name: str, original: Original) -> Member:
    return stored(_info(f"{name}{original.suffix}"), original.content)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.create_system = 3
    return info
