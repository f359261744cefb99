"""What it costs to ask mlcvbench a small question, in CPU time of `python -c pass` (getrusage, least of 11).

Goals: `--help` at most 8x, `list` at most 12x, ten further lazy plugins less than 20 ms more. All commands of a ratio
are measured in turn in one run, so that the machine's load meets them alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.cpu_time import cpu_seconds
from support.plugins import install

TIMES = 11
PROGRAM = [sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())"]
BARE = [sys.executable, "-c", "pass"]
PLUGIN = """
from mlcvbench import ModelSpec, Param, hookimpl


@hookimpl
def mlcvbench_models():
    return [
        ModelSpec(
            "{name}", ("classification",), "{name}.model:Model", "One of ten.", params=(Param("k", "int", 5, low=1),)
        )
    ]
"""


def least(commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]]) -> dict[str, float]:
    """Return the least CPU time of each command over interleaved rounds."""
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(TIMES):
        for name, (command, environment) in commands.items():
            best[name] = min(best[name], cpu_seconds(command, environment))
    return best


def report(benchmark: Any, words: Sequence[str], goal: float) -> None:
    environment = dict(os.environ)
    best = least({"bare": (BARE, environment), "ours": ([*PROGRAM, *words], environment)})

    benchmark.pedantic(cpu_seconds, args=([*PROGRAM, *words], environment), rounds=3)
    benchmark.extra_info["CPU time in bare Pythons"] = round(best["ours"] / best["bare"], 2)
    benchmark.extra_info["goal, at most"] = goal


def test_help(benchmark: Any) -> None:
    report(benchmark, ["--help"], 8)


def test_list(benchmark: Any) -> None:
    report(benchmark, ["list"], 12)


def test_ten_more_lazy_plugins(benchmark: Any, tmp_path: Path) -> None:
    for index in range(10):
        name = f"lazy_plugin_{index}"
        install(tmp_path, name, {f"{name}/__init__.py": PLUGIN.format(name=name)})
    without = dict(os.environ)
    with_them = {**without, "PYTHONPATH": str(tmp_path)}
    command = [*PROGRAM, "list"]
    listed = subprocess.run(command, env=with_them, capture_output=True, text=True, check=True).stdout
    best = least({"without": (command, without), "with": (command, with_them)})

    benchmark.pedantic(cpu_seconds, args=(command, with_them), rounds=3)
    benchmark.extra_info["CPU ms of ten more plugins"] = round((best["with"] - best["without"]) * 1000, 1)
    benchmark.extra_info["goal, less than ms"] = 20

    assert all(f"lazy_plugin_{index}" in listed for index in range(10))
