"""The code that decides what a model does: its plugin's package, and the libraries of the bench that this imports.

Imports are parsed from the sources, also those inside functions; nothing is imported. A library of the bench is a
package called `mlcvbench_...`, or any package of a plugin, so that plugins which import each other are identified by
the code of both. Other libraries are identified by their version, see `identity`.
"""

from __future__ import annotations

import ast
import importlib.util
import warnings
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from mlcvbench.storage.digests import file_hash

PREFIX = "mlcvbench_"


def sources_of(packages: Iterable[str], plugins: Collection[str]) -> dict[str, str | None]:
    """Return the sha256, by name, of each of `packages` and of every library of the bench that they import,
    transitively.

    `plugins`: the packages that plugins come from.
    """
    waiting, found = set(packages) - {""}, dict[str, str | None]()
    while waiting:
        package = waiting.pop()
        found[package] = source_hash(package)
        for name in _imported(package, found[package]):
            if name not in found and (name.startswith(PREFIX) or name in plugins):
                waiting.add(name)
    return dict(sorted(found.items()))


def source_hash(package: str) -> str | None:
    """Return the sha256 over the Python sources of an importable package, None when it has none on disk."""
    files, root = _files(package)
    return file_hash(files, root) if files else None


def _files(package: str) -> tuple[list[Path], Path]:
    """Return the sources of a package or a single-file module, and their folder."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        return list(root.rglob("*.py")), root
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    return ([origin], origin.parent) if origin is not None else ([], Path())


@lru_cache(maxsize=256)
def _imported(package: str, _digest: str | None) -> frozenset[str]:
    """Return the top-level names of the packages that a package imports; the digest is part of the cache key."""
    files, _ = _files(package)
    return frozenset(name for file in files for name in _names_in(file.read_bytes())) - {package}


def _names_in(source: bytes) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            waiting: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError):
        return  # Python cannot import it either
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            waiting += node.orelse  # imports under TYPE_CHECKING do nothing at run time
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
        waiting += ast.iter_child_nodes(node)
