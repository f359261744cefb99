"""The names that an open-ended model such as `timm:` answers to: asked of its library, and remembered in the cache.

A library of a thousand networks takes seconds to import. So planning a run reads them from the cache, and so does what
is offered for a misspelt name or completed by a shell. A name that is not among those of this version is asked of the
library.
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
    """Return all names behind the colon, from the library, and remember them; none for a spec that does not tell."""
    if not spec.names:
        return []
    names = [str(name) for name in load_target(spec.names)()]
    with suppress(MlcvbenchError, OSError):  # a cache that cannot be written costs time, nothing else
        cache.put(KIND, _key(spec, origin), lambda folder: _write(folder, names))
    return names


def remembered_names(spec: ModelSpec, origin: Origin) -> list[str]:
    """Return the names that this version of the library was once found to have; none when it was never asked."""
    with suppress(MlcvbenchError, OSError, ValueError):
        folder = cache.get(KIND, _key(spec, origin)) if spec.names else None
        if folder is not None:
            return [str(name) for name in json.loads((folder / FILE).read_text(encoding="utf-8"))]
    return []


def offer_open_names(name: str, models: Sequence[tuple[ModelSpec, Origin]]) -> str:
    """Offer `timm:resnet10t` for `resnet10t`; nothing when no open-ended one of the models knows the name.

    Of names that are only alike those are offered when no other name is.
    """
    found: dict[str, list[str]] = {}
    for spec, origin in models:
        with suppress(Exception):  # a library that cannot be imported offers nothing
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
    """Return what the names depend on: the library that the model is named after, and the plugin."""
    library = spec.name.rstrip(":")
    try:
        version = metadata.version(library)
    except metadata.PackageNotFoundError:
        version = "none"
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"{library}-{version}-{origin.plugin}-{origin.version}")[:120]
