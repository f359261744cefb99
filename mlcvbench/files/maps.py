"""Stored predictions with one map per image: an npz with the ids and one compressed array per image.

A submitted picture that already holds the map as it would be stored takes the place of its array. Maps are read, packed
and unpacked ahead of whoever writes or uses them, a few at a time. Equal maps give equal bytes (with the same zlib):
members are in the order of the split and carry no date.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError, PredictionError, RecordError
from mlcvbench.files.ahead import ahead, noted
from mlcvbench.files.lazy_columns import LazyColumn, Original
from mlcvbench.files.npz import NpzReader, array_member, open_npz
from mlcvbench.files.rasters import decode_raster, divided
from mlcvbench.files.zip_members import Member, MemberArchive, stored

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
        return (
            array_member(name, maps[index], _FASTEST)
            if original is None
            else stored(f"{name}{original.suffix}", original.content)
        )

    members: Iterable[Member] = map(member, range(len(maps)))
    if column is None or column.threaded:
        members = ahead(member, range(len(maps)), lambda one: one.info.file_size)
    with MemberArchive(path, "w") as archive:
        archive.add(array_member("ids", np.asarray(ids, dtype=np.str_), _FASTEST))
        if first is not None and first.scale is not None:
            archive.add(array_member(SCALE, np.array([first.scale]), _FASTEST))
        for one in noted(members, len(maps)):
            archive.add(one)


def stored_field(path: Path, fields: Collection[str]) -> str:
    """Return which of `fields` a file holds; RecordError when it holds none."""
    with open_npz(path, RecordError, (PICTURE,)) as file:
        for field in fields:
            if {_member(field, 0), _member(field, 0) + PICTURE} & {*file.headers, *file.others}:
                return field
    raise RecordError(f"{path}: wanted maps of {' or '.join(fields)}, found none.")


def stored_maps(
    path: Path,
    field: str,
    split_ids: NDArray[Any],
    dtypes: Collection[str],
    quantise: Callable[[NDArray[Any]], NDArray[Any]] = lambda measured: measured,
) -> LazyColumn[NDArray[Any]]:
    """Return the stored maps, read one at a time; RecordError or PredictionError when they do not fit the split.

    Args:
        path: what `write_maps` wrote.
        field: their name.
        split_ids: ids (N,) of the split, in order.
        dtypes: names of the storage types that a map may have; float16 arrays stand for float32. Pictures without a
            scale have the first.
        quantise: gives the map of a picture with a scale from its numbers divided by that, in float32.

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
            held = "float32" if header.dtype == np.float16 else header.dtype.name
            if name not in {"ids", SCALE} and (held not in dtypes or len(header.shape) != 2):
                types = " or ".join(dtypes)
                raise RecordError(f"{path}: {name}: wanted {types} (H, W), got {header.dtype} {header.shape}.")
    kind = np.dtype(next(iter(dtypes)))

    @contextmanager
    def source() -> Iterator[Callable[[int], NDArray[Any]]]:
        with open_npz(path, RecordError, (PICTURE,)) as file:

            def read(index: int) -> NDArray[Any]:
                name = _member(field, index)
                if name in pictures:
                    numbers = _picture(path, file, name + PICTURE)
                    if scale is None:
                        return numbers.astype(kind, copy=False)
                    return quantise(divided(numbers, scale))
                values = file.read(name)
                return values.astype(np.float32) if values.dtype == np.float16 else values

            yield read

    return LazyColumn(source, range(len(split_ids)), threaded=True)


def _scale(path: Path, file: NpzReader) -> float | None:
    """Return the divisor of the numbers in pictures, None when they are as stored; RecordError unless it is
    positive.
    """
    if SCALE not in file.headers:
        return None
    scale = file.read(SCALE)
    if scale.shape != (1,) or scale.dtype != np.float64 or not (np.isfinite(scale) & (scale > 0)).all():
        raise RecordError(f"{path}: {SCALE}: wanted one positive float64, got {scale.dtype} {scale.shape}.")
    return float(scale[0])


def _picture(path: Path, file: NpzReader, name: str) -> NDArray[Any]:
    try:
        return decode_raster(file.content(name), f"{path}: {name}")
    except DataError as error:
        raise RecordError(str(error)) from None


def original_picture(path: Path, scale: float | None = None) -> Original:
    """Return a PNG as submitted; `scale`: what its numbers are to be divided by, None: they are as stored."""
    try:
        return Original(PICTURE, path.read_bytes(), scale)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _member(field: str, index: int) -> str:
    return f"{field}_{index:06d}"
