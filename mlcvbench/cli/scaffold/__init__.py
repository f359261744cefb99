"""The package that `mlcvbench plugin new` writes: an installable plugin with one working method."""

from __future__ import annotations

from pathlib import Path
from string import Template

from mlcvbench.errors import RequestError, StoreError
from mlcvbench.specs.checks import RESERVED_NAMES

PREFIX = "mlcvbench_"
_FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    "$package/__init__.py": "init.py.tmpl",
    "$package/model.py": "model.py.tmpl",
    "$package/py.typed": "",
    "tests/test_$name.py": "test.py.tmpl",
}


def write_plugin(name: str, parent: Path) -> Path:
    """Write the package of a method `name` into a new folder below `parent` and return the folder.

    RequestError when the name cannot be a Python name, StoreError when the folder exists or cannot be written.
    """
    short = short_name(name)
    if not (short.isascii() and short.isidentifier() and short.islower()) or short in RESERVED_NAMES or len(short) > 60:
        raise RequestError(
            f"{name!r} cannot name a plugin; wanted small letters, digits and _, at most 60, such as nearest_mean."
        )
    package = PREFIX + short
    words = {
        "name": short,
        "package": package,
        "distribution": package.replace("_", "-"),
        "class_name": "".join(part.capitalize() for part in short.split("_")) or "Method",
    }
    folder = parent / words["distribution"]
    try:
        folder.mkdir(parents=True)
        for target, template in _FILES.items():
            path = folder / Template(target).substitute(words)
            path.parent.mkdir(exist_ok=True)
            path.write_text(_render(template, words) if template else "", encoding="utf-8")
    except FileExistsError:
        raise StoreError(f"{folder} exists already; choose another name or another folder with --into.") from None
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: cannot be written: {error.strerror}.") from None
    return folder


def short_name(name: str) -> str:
    """Return the name of the method from a new plugin's name.

    >>> short_name("mlcvbench-my-method")
    'my_method'
    """
    return name.replace("-", "_").removeprefix(PREFIX)


def _render(template: str, words: dict[str, str]) -> str:
    source = (Path(__file__).parent / template).read_text(encoding="utf-8")
    return Template(source).substitute(words)
