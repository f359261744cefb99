"""Renders cached between runs, under a key of all they depend on: the request and the renderer's source."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError
from mlcvbench.storage import cache

Arrays = dict[str, NDArray[Any]]
KIND = "scenes"


def kept(what: str, params: Mapping[str, Any], draw: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `draw` makes, from the cache when they were made before.

    - `what`, `params`: all that `draw` depends on besides this package: a name and values that JSON can write.
    - `draw`: returns named arrays, none of objects; names are file names without a suffix.

    DataError names a file of the cache that cannot be read; StoreError when the cache cannot be written.
    """
    key = key_of(what, params)
    folder = cache.get(KIND, key)
    if folder is not None:
        return {path.stem: _read(path) for path in sorted(folder.glob("*.npy"))}
    arrays = draw()
    cache.put(KIND, key, lambda place: _write(place, arrays))
    return arrays


def key_of(what: str, params: Mapping[str, Any]) -> str:
    """Return the key, 64 hexadecimal digits: it changes with the name, any parameter and any line of the renderer."""
    asked = json.dumps([what, dict(params)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(f"{_source()}\n{asked}".encode()).hexdigest()


@functools.cache
def _source() -> str:
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _write(folder: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _read(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete its folder to render it again.") from None
    return array
