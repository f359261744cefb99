"""Fitted state that must have exactly the layout that a model of these settings writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mlcvbench.contract import Array
from mlcvbench.errors import RecordError
from mlcvbench.files.arrays import read_arrays


class Layout(NamedTuple):
    """The dtype's name and the shape of an array; an axis of None has any length."""

    dtype: str
    shape: tuple[int | None, ...]

    def fits(self, array: Array) -> bool:
        """Return whether an array has this layout."""
        axes = len(self.shape) == array.ndim and all(
            wanted in {None, got} for wanted, got in zip(self.shape, array.shape, strict=True)
        )
        return axes and array.dtype.name == self.dtype

    def __str__(self) -> str:
        return f"{self.dtype} ({' x '.join('N' if axis is None else str(axis) for axis in self.shape)})"


def layout_of(array: Array) -> Layout:
    """Return the layout of an array."""
    return Layout(array.dtype.name, array.shape)


def read_exactly(path: Path, wanted: Mapping[str, Layout]) -> dict[str, Array]:
    """Return the arrays of `path`; RecordError names the first that is missing, too many or laid out otherwise."""
    arrays = read_arrays(path, {})
    for name in [*wanted, *sorted(arrays.keys() - wanted.keys())]:
        if name in arrays and name in wanted and wanted[name].fits(arrays[name]):
            continue
        got = layout_of(arrays[name]) if name in arrays else "nothing"
        raise RecordError(
            f"{path.name}: array {name!r}: wanted {wanted.get(name, 'nothing')}, got {got}; "
            "load it with the model and the settings that it was fitted with."
        )
    return arrays
