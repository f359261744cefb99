"""Writes plugins to disk as pip would have installed them, installs them by it, and makes registries of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from mlcvbench.registry import Registry, discover

PROGRAM = [sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())"]
TOY_TASK = """
from mlcvbench import DatasetSpec, ModelSpec, Param, TaskSpec, hookimpl

@hookimpl
def mlcvbench_tasks():
    return [TaskSpec("classification", "toytask.task:Task", "Name the class.", default="small", package="toytask")]

@hookimpl
def mlcvbench_datasets():
    return [
        DatasetSpec("small", ("classification",), "toytask.data:small", "Small data."),
        DatasetSpec("stereo", ("classification",), "toytask.data:stereo", "Pairs.", provides=("left", "right")),
        DatasetSpec(
            "folder", ("classification",), "toytask.data:folder", "Files.",
            params=(Param("root", "path", required=True, help="folder of files"), Param("size", "ints")),
        ),
    ]

@hookimpl
def mlcvbench_models():
    return [
        ModelSpec("floor", ("classification",), "toytask.models:Floor", "The floor."),
        ModelSpec(
            "knn", ("classification",), "toytask.models:KNN", "Neighbours.",
            params=(Param("k", "int", 5, "neighbours", low=1), Param("metric", "str", "l2", choices=("l1", "l2"))),
        ),
        ModelSpec(
            "cnn", ("classification",), "toytask.models:CNN", "A network.",
            params=(Param("width", "float", 1.0, low=0.1, high=4), Param("layers", "ints", (8, 16)),
                    Param("k", "int", 3, low=1)),
            fit=(Param("epochs", "int", 10, low=1), Param("augment", "bool", True)),
        ),
        ModelSpec("hub:", ("classification",), "toytask.models:Hub", "Any of a hub."),
    ]
"""
TOY_SCORES = """
from mlcvbench.contract import MetricSpec
from mlcvbench.errors import UnknownNameError

METRICS = {"top1@1": ("top1", "nll", "recall_CLASS"), "top5@1": ("top5",)}


class Task:
    def metrics_of(self, protocol):
        if protocol not in METRICS:
            raise UnknownNameError("toy protocol", protocol, METRICS)
        return tuple(MetricSpec(name, "A number.") for name in METRICS[protocol])

    def protocols(self):
        return tuple(METRICS)

    def about(self, protocol):
        return ""
"""
SMALL = """\
name: small
kind: classification
summary: Small data.
data: {name: small}
protocol: top1@1
metrics: [top1]
models: [floor, knn]
fit: {budget: 60}
"""
FOLDER = "name: folder\nkind: classification\ndata:\n  name: folder\nprotocol: top1@1\n"


def install(
    place: Path,
    name: str,
    files: Mapping[str, str],
    entry_points: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> Path:
    """Write modules and a dist-info folder into `place`; by default the entry point `name` is the module `name`."""
    for file, source in files.items():
        path = place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
    info = place / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this one\n")
    lines = [f"{key} = {value}" for key, value in (entry_points or {name: name}).items()]
    (info / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n\n[mlcvbench]\n" + "\n".join(lines) + "\n")
    return info


def pip_install(sources: Sequence[Path], target: Path) -> Path:
    """Install projects into the folder `target` by pip, as a stranger does, and return it."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    installer = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run(
        [*installer, *options, *map(str, sources)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return target


def call(words: list[str], place: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the bench with what is installed in `place`, in the folder `cwd`."""
    return subprocess.run(
        [*PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": str(place), "MLCVBENCH_CACHE": str(cwd / "cache")},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@contextmanager
def importable(place: Path) -> Iterator[str]:
    """Put `place` first on `sys.path`, and forget the modules that were imported from it afterwards."""
    sys.path.insert(0, str(place))
    try:
        yield str(place)
    finally:
        sys.path.remove(str(place))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(place)):
                del sys.modules[name]


def install_toy_task(place: Path) -> None:
    """Install the plugin `toytask`: a task, three data sets, four models and two definitions."""
    install(
        place,
        "toytask",
        {
            "toytask/__init__.py": TOY_TASK,
            "toytask/task.py": TOY_SCORES,
            "toytask/definitions/small.yaml": SMALL,
            "toytask/definitions/folder.yaml": FOLDER,
        },
    )


def toy_registry(place: Path) -> Registry:
    """Return a registry of what is installed in `place` and nothing else; `place` must be importable."""
    return discover([str(place)])


def hub_names() -> list[str]:
    """Return the names that a made-up hub knows."""
    return ["resnet10t", "tiny_vit"]
