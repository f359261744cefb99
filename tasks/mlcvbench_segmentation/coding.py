"""The meaning of values and colours in label files: a class, or not scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError
from mlcvbench.files.lazy_columns import Original
from mlcvbench.files.maps import PICTURE, original_picture
from mlcvbench.files.rasters import raster_bits, read_pixels
from mlcvbench_segmentation.colors import UNKNOWN, ColorClasses, color_text
from mlcvbench_segmentation.counting import ignore_value, map_dtype
from mlcvbench_segmentation.label_arrays import ARRAY_SUFFIXES, read_label_array

VALUES = 1 << 16
LEVELS = 256
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours (r, g, b) of values in the file `where`; a file with different ones is refused with `advice`."""

    colors: Sequence[Sequence[int]]
    where: str
    advice: str

    def refuse_other(self, path: Path, values: Array, colors: Array) -> None:
        """DataError when a value of the file at `path` has a different colour."""
        shared = min(len(colors), len(self.colors))
        known = np.array(self.colors[:shared], dtype=np.uint8)
        differs = (colors[:shared] != known).any(axis=1)
        if not differs.any():
            return
        used = np.bincount(values.ravel(), minlength=LEVELS)[:shared] > 0
        if (used & differs).any():
            value = int(np.flatnonzero(used & differs)[0])
            raise DataError(
                f"{path}: value {value} has the colour {color_text(colors[value])} here and "
                f"{color_text(known[value])} in {self.where}; {self.advice}."
            )


@dataclass(frozen=True, slots=True)
class Coding:
    """The class of what label files hold.

    `table` int32 (65536,): for each value 0..C-1, the ignored value, or -1 for unknown; None where only colours have a
    meaning, and a grey level v is the colour (v, v, v). `colors`: the class of each colour. `by_color`: files with a
    palette are read by their colours, else by their values, whose colours must be those of `palette` if there is one.
    `explicit`: from a user's table. `key`: the setting that names such a table. `no_values`: why files of values are
    refused.
    """

    table: Array | None
    count: int
    colors: ColorClasses = field(default_factory=ColorClasses)
    by_color: bool = False
    palette: Palette | None = None
    explicit: bool = False
    key: str = "data.label_map"
    no_values: str = ""

    @staticmethod
    def plain(count: int, ignore: int | None) -> Coding:
        """Values are class indices; the value `ignore` (in the files) is not scored."""
        table = np.full(VALUES, UNKNOWN, dtype=np.int32)
        table[:count] = np.arange(count)
        if ignore is not None:
            table[ignore] = ignore_value(count)
        return Coding(table, count)

    @staticmethod
    def mapped(values: Mapping[int, int | None], count: int, colors: Mapping[int, int | None] | None = None) -> Coding:
        """Values and colours 0xRRGGBB have the given class, None = not scored; any other one is an error.

        Where only colours have classes, values have no meaning.
        """
        table = np.full(VALUES, UNKNOWN, dtype=np.int32)
        for value, index in values.items():
            table[value] = ignore_value(count) if index is None else index
        known = {color: ignore_value(count) if index is None else index for color, index in (colors or {}).items()}
        numbered = not known or any(index is not None for index in values.values())
        return Coding(table if numbered else None, count, ColorClasses(known), by_color=bool(known), explicit=True)

    @property
    def identity(self) -> bool:
        """Whether the values 0..C-1 are the classes 0..C-1."""
        return self.table is not None and np.array_equal(self.table[: self.count], np.arange(self.count))

    def original(self, path: Path) -> Original | None:
        """Return the file itself where its values are the label map as stored, else None."""
        bits = raster_bits(path) if self._by_value and path.suffix.lower() == PICTURE else None
        wide = map_dtype(self.count).itemsize > 1
        return original_picture(path) if bits == 8 or (bits and wide) else None

    @property
    def _by_value(self) -> bool:
        """Whether values are used, even in files with a palette."""
        if self.table is None or self.no_values or self.by_color:
            return False
        return bool((self._unchanged(self.table) | self._bad(self.table, ignored=False)).all())

    def decode(self, path: Path, *, ignored: bool) -> Array:
        """Return the label map of a file, uint8 or uint16 (H, W); `ignored`: whether ignored pixels are allowed.

        DataError names the file and the first value or colour without a meaning.
        """
        if path.suffix.lower() in ARRAY_SUFFIXES:
            return self._decode_values(path, read_label_array(path), None, ignored)
        values, palette = read_pixels(path)
        if values.ndim == 2:
            return self._decode_values(path, values, palette, ignored)
        if not self.colors:
            raise DataError(
                f"{path}: holds colours (RGB); save the class numbers, or say with {self.key}=FILE which colour is "
                "which class (lines r,g,b,class)."
            )
        classes = self.colors.of_pixels(values)
        bad = self._bad(classes, ignored)
        if bad.any():
            raise DataError(
                f"{path}: {int(bad.sum())} pixels have colours of no class, such as {color_text(values[bad][0])}; "
                f"resizing and JPEG mix colours, and {self.key}=FILE says which there are."
            )
        return classes.astype(map_dtype(self.count))

    def _decode_values(self, path: Path, values: Array, palette: Array | None, ignored: bool) -> Array:
        most = int(values.max()) + 1 if values.size else 0
        table = self._table_for(path, values, palette)[:most]
        bad = self._bad(table, ignored)
        if bad.any() and bad[values].any():
            first = np.flatnonzero((np.bincount(values.ravel(), minlength=most) > 0) & bad)[0]
            raise DataError(f"{path}: {self._meaningless(first, palette, ignored)}")
        if (self._unchanged(table) | bad).all():
            return values.astype(map_dtype(self.count), copy=False)
        decoded: Array = table.astype(map_dtype(self.count))[values]
        return decoded

    def _table_for(self, path: Path, values: Array, palette: Array | None) -> Array:
        """Return the class of each value in a file with one channel, int32 (65536,)."""
        if palette is not None and self.by_color:
            return _padded(self.colors.of_colors(palette))
        if self.no_values:
            raise DataError(f"{path}: {self.no_values}.")
        if palette is not None and self.palette is not None:
            self.palette.refuse_other(path, values, palette)
        if self.table is None:
            return _padded(self.colors.of_colors(np.repeat(np.arange(LEVELS, dtype=np.uint8)[:, None], 3, axis=1)))
        return self.table

    def _unchanged(self, table: Array) -> Array:
        return np.asarray(table == np.arange(len(table)))

    def _bad(self, classes: Array, ignored: bool) -> Array:
        return classes < 0 if ignored else (classes < 0) | (classes >= self.count)

    def _meaningless(self, value: int, palette: Array | None, ignored: bool) -> str:
        what = "a class or the ignored value" if ignored else "a class"
        if palette is not None and self.by_color:
            color = color_text(palette[value]) if value < len(palette) else "no colour"
            return f"value {value} has {color}, which is not {what}; {self.key}=FILE says which colours there are."
        if self.table is None:
            return f"grey level {value} is not the colour of {what}; {self.key}=FILE says which colours there are."
        known = np.flatnonzero((self.table >= 0) & (self.table < self.count)).tolist()
        said = f"classes have the values {_listed(known)} unless {self.key}=FILE says otherwise"
        return f"value {value} is not {what}; {said}."

    def plain_data(self) -> dict[str, Any]:
        """Return the meaning of values and colours as plain data, for `Problem.extra`."""
        data: dict[str, Any] = {"colors": list(self.colors.classes.items())}
        if self.table is not None:
            known = np.flatnonzero(self.table >= 0)
            data |= {"values": known.tolist(), "classes": self.table[known].tolist()}
        return data

    @staticmethod
    def from_plain(data: Mapping[str, Any], count: int) -> Coding:
        """Rebuild what `plain_data` gave."""
        table = np.full(VALUES, UNKNOWN, dtype=np.int32)
        if "values" in data:
            table[data["values"]] = data["classes"]
        colors = ColorClasses(dict(data.get("colors", ())))
        return Coding(table if "values" in data else None, count, colors, by_color=bool(colors))

    def digest(self) -> bytes:
        """Return bytes that identify the meaning."""
        values = b"" if self.table is None else self.table.astype("<i4").tobytes()
        return values + np.array(sorted(self.colors.classes.items()), dtype="<i8").tobytes()


def _padded(classes: Array) -> Array:
    table = np.full(VALUES, UNKNOWN, dtype=np.int32)
    table[: len(classes)] = classes
    return table


def _listed(values: list[int]) -> str:
    """Return values in words: a range where there are no gaps.

    >>> _listed([0, 1, 2]), _listed([0, 255]), _listed([0, 7, 8, 11, 12, 13, 17])
    ('0 to 2', '0 and 255', '0, 7, 8, 11, 12 and 2 more')
    """
    if not values:
        return "none"
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} to {values[-1]}"
    words = [str(value) for value in values[:_LISTED]]
    if len(values) > _LISTED:
        return f"{', '.join(words)} and {len(values) - _LISTED} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
