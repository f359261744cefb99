"""Fitted state as named numpy arrays in one safetensors file, checked when read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlcvbench.errors import RecordError
from mlcvbench.files.weights import check_weights_header


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays to `path`."""
    from safetensors.numpy import save_file

    save_file(dict(arrays), str(path))


def read_arrays(path: Path, wanted: Mapping[str, tuple[str, int]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of `path`; `wanted` gives the dtype name and number of axes of each.

    RecordError names the file and the array that is missing or different.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise RecordError(f"{path.name}: there is no such file among the stored weights.")
    check_weights_header(path)
    try:
        arrays: dict[str, NDArray[Any]] = load_file(str(path))
    except SafetensorError as error:
        raise RecordError(f"{path.name}: not a readable safetensors file ({error}).") from None
    for name, (dtype, axes) in wanted.items():
        got = f"{arrays[name].dtype} with {arrays[name].ndim} axes" if name in arrays else "nothing"
        if got != f"{dtype} with {axes} axes":
            raise RecordError(f"{path.name}: array {name!r}: wanted {dtype} with {axes} axes, got {got}.")
    return arrays
