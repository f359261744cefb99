"""The package that `mlcvbench plugin new` writes: an installable plugin with one working method of a task kind."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import NamedTuple

from mlcvbench.errors import RequestError, StoreError
from mlcvbench.specs.checks import RESERVED_NAMES

PREFIX = "mlcvbench_"
_FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    "$package/__init__.py": "init.py.tmpl",
    "$package/model.py": "${library}_$kind.py.tmpl",
    "$package/py.typed": "",
    "tests/test_$name.py": "test_$library.py.tmpl",
}
_DEPENDENCIES = {"numpy": '"numpy>=2.0"', "torch": '"numpy>=2.0", "torch>=2.6", "torchvision>=0.21"'}


class _Method(NamedTuple):
    """What a template's method is: its summary, family, `model.*` settings and whether images may differ in size."""

    summary: str
    family: str
    params: str = ""
    ragged: bool = False


_WIDTH = 'Param("width", "int", 16, "channels of the first layer", low=1)'
_FIT = """from mlcvbench_training.settings import {settings}, {declare}

FIT = {settings}(batch=16, epochs=10, lr=0.003)
\"\"\"How the network is trained unless `fit.*` says otherwise.\"\"\"
"""
_METHODS = {
    ("classification", "numpy"): _Method(
        "The class whose mean training image is nearest",
        "nearest mean",
        'Param("shrink", "float", 0.0, "moves the class means to the overall mean", low=0, high=1)',
    ),
    ("detection", "numpy"): _Method("The average training object of each class", "mean box", ragged=True),
    ("segmentation", "numpy"): _Method(
        "The class whose mean training colour is nearest", "nearest colour", ragged=True
    ),
    ("verification", "numpy"): _Method(
        "Compares faces by the mean grey of the cells of a grid",
        "coarse pixels",
        'Param("cells", "int", 8, "cells of the grid in each direction", low=1)',
        ragged=True,
    ),
    ("depth", "numpy"): _Method(
        "The mean training depth at the height of the pixel",
        "depth by the row",
        'Param("bands", "int", 16, "bands of equal height, each with one depth", low=1)',
        ragged=True,
    ),
    ("classification", "torch"): _Method("A small convolutional network", "cnn", _WIDTH),
    ("detection", "torch"): _Method("A small detector without anchors", "dense detector", _WIDTH, ragged=True),
    ("segmentation", "torch"): _Method("A small encoder and decoder", "fcn", _WIDTH, ragged=True),
    ("verification", "torch"): _Method("A small network that embeds faces", "embedding", _WIDTH),
    ("depth", "torch"): _Method("A small network for depth from one image", "monodepth", _WIDTH, ragged=True),
}
KINDS = tuple(kind for kind, library in _METHODS if library == "numpy")
"""The task kinds that a package can be begun for."""


def write_plugin(name: str, parent: Path, kind: str = "classification", *, torch: bool = False) -> Path:
    """Write the package of a method `name` for a task kind into a new folder below `parent` and return the folder.

    `torch`: the method is a small network. RequestError when the name cannot be a Python name, StoreError when the
    folder exists or cannot be written.
    """
    short = short_name(name)
    if not (short.isascii() and short.isidentifier() and short.islower()) or short in RESERVED_NAMES or len(short) > 60:
        raise RequestError(
            f"{name!r} cannot name a plugin; wanted small letters, digits and _, at most 60, such as nearest_mean."
        )
    package = PREFIX + short
    library = "torch" if torch else "numpy"
    words = {
        "name": short,
        "package": package,
        "distribution": package.replace("_", "-"),
        "class_name": "".join(part.capitalize() for part in short.split("_")) or "Method",
        "kind": kind,
        "library": library,
        "dependencies": _DEPENDENCIES[library],
        **_declaration(_METHODS[kind, library], _declare(kind) if torch else None),
    }
    folder = parent / words["distribution"]
    try:
        folder.mkdir(parents=True)
        for target, template in _FILES.items():
            path = folder / Template(target).substitute(words)
            path.parent.mkdir(exist_ok=True)
            path.write_text(_render(Template(template).substitute(words), words) if template else "", encoding="utf-8")
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


def _declare(kind: str) -> tuple[str, str]:
    """Return what the settings of a network of a task kind are called, and the function that declares them."""
    return ("Settings", "fit_params") if kind == "classification" else ("NetworkSettings", "network_fit_params")


def _declaration(method: _Method, fit: tuple[str, str] | None) -> dict[str, str]:
    """Return the words of a method's spec: its summary, its family and the lines of its settings.

    `fit`: what its training is called with, None for a method that is not trained by the engine.
    """
    settings = [f"params=({method.params},)"] if method.params else []
    settings += [f"fit={fit[1]}(FIT)"] if fit else []
    settings += ["ragged=True"] if method.ragged else []
    return {
        "summary": method.summary,
        "family": method.family,
        "settings": "".join(f"{line},\n" for line in settings).replace("\n", "\n            "),
        "names": "ModelSpec, Param, hookimpl" if method.params else "ModelSpec, hookimpl",
        "imports": _FIT.format(settings=fit[0], declare=fit[1]) if fit else "",
    }


def _render(template: str, words: dict[str, str]) -> str:
    source = (Path(__file__).parent / template).read_text(encoding="utf-8")
    return Template(source).substitute(words)
