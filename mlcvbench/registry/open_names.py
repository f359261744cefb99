"""The names that an open-ended model such as `timm:` accepts: listed by its library, and kept in the cache.

A library of a thousand networks takes seconds to import. So planning a run, suggestions for a misspelt name and shell
completion read the names from the cache. A name that is not cached for this version is looked up in the library.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from mlcvbench.errors import NEAR, MlcvbenchError, offer
from mlcvbench.specs import ModelSpec, Origin, load_target
from mlcvbench.storage import cache

KIND, FILE = "names", "names.json"


def read_names(spec: ModelSpec, origin: Origin) -> list[str]:
    """Return all names after the colon, from the library, and cache them; none for a spec that does not list any."""
    if not spec.names:
        return []
    names = [str(name) for name in load_target(spec.names)()]
    with suppress(MlcvbenchError, OSError):  # without a writable cache it only takes longer
        cache.put(KIND, _key(spec, origin), lambda folder: _write(folder, names))
    return names


def remembered_names(spec: ModelSpec, origin: Origin) -> list[str]:
    """Return the cached names of this version of the library; none when there are none."""
    with suppress(MlcvbenchError, OSError, ValueError):
        folder = cache.get(KIND, _key(spec, origin)) if spec.names else None
        if folder is not None:
            return [str(name) for name in json.loads((folder / FILE).read_text(encoding="utf-8"))]
    return []


def offer_open_names(name: str, models: Sequence[tuple[ModelSpec, Origin]]) -> str:
    """Suggest `timm:resnet10t` for `resnet10t`; nothing when no open-ended model knows the name.

    Similar names are suggested only when there is no exact one.
    """
    found: dict[str, list[str]] = {}
    for spec, origin in models:
        with suppress(Exception):  # a library that cannot be imported suggests nothing
            for one in remembered_names(spec, origin) or read_names(spec, origin):
                found.setdefault(one, []).append(f"{spec.name}{one}")
    if name in found:
        return offer(found[name])
    if difflib.get_close_matches(name, [spec.name for spec, _ in models], cutoff=NEAR):
        return ""
    near = difflib.get_close_matches(name, list(found), cutoff=NEAR)
    return offer([full for one in near for full in found[one]][:3]) if near else ""


def _write(folder: Path, names: list[str]) -> None:
    (folder / FILE).write_text(json.dumps(names), encoding="utf-8")


def _key(spec: ModelSpec, origin: Origin) -> str:
    """Return what the names depend on: the library that the model is named after, the task kinds and the plugin."""
    library = spec.name.rstrip(":")
    try:
        version = metadata.version(library)
    except metadata.PackageNotFoundError:
        version = "none"
    words = (library, version, *spec.kinds, origin.plugin, origin.version)
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(words))[:120]
