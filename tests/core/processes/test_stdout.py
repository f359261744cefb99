"""Standard output holds results, whoever else prints."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.plugins import install

from mlcvbench import cli
from mlcvbench.cli.command import Command
from mlcvbench.processes.stdout import emit, results_apart

PROGRAM = [sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())"]
NOISY = """
import atexit, ctypes, os, sys
from mlcvbench import ModelSpec, hookimpl

libc = ctypes.CDLL(None)
print("Python at import")
libc.puts(b"C at import")
os.system("echo a child at import")
atexit.register(print, "Python at the end")
atexit.register(libc.puts, b"C at the end")


@hookimpl
def mlcvbench_models():
    print("Python while specs are read")
    return [ModelSpec("noisy", ("classification",), "noisy_model:Noisy", "Prints.")]
"""
SAID = [
    "C at import",
    "C at the end",
    "Python at import",
    "Python at the end",
    "Python while specs are read",
    "a child at import",
]


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json"],
        ["list", "models", "--json"],
        ["info", "noisy", "--json"],
        ["run", "task=digits", "model=majority", "--dry-run", "--json"],
    ],
)
def test_what_a_plugin_prints_goes_to_standard_error(site: Path, words: list[str]):
    install(site, "noisy", {"noisy.py": NOISY})

    done = subprocess.run(
        [*PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)
    assert sorted(done.stderr.splitlines()) == SAID


def test_the_talk_with_a_parent_survives_whatever_is_printed():
    code = (
        "import os, ctypes\n"
        "from mlcvbench.processes.stdout import take_stdout\n"
        "talk = take_stdout()\n"
        "print('noise', flush=True)\n"
        "os.system('echo a child')\n"
        "ctypes.CDLL(None).puts(b'C')\n"
        "print('ready', file=talk, flush=True)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("ready\n", "noise\na child\nC\n")


def test_the_program_closes_what_it_took():
    done = subprocess.run(
        [sys.executable, "-W", "error", *PROGRAM[1:], "--version"], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""


@pytest.mark.parametrize(("closed", "left"), [("1", ""), ("2", "result\n")])
def test_a_closed_stream_does_no_harm(closed: str, left: str):
    code = "from mlcvbench.processes.stdout import *; out = take_stdout(); print('noise'); print('result', file=out)"

    done = subprocess.run(f'"{sys.executable}" -c "{code}" {closed}>&-', shell=True, stdout=-1, text=True, check=False)

    assert done.returncode == 0
    assert done.stdout == left


def test_a_result_reaches_standard_output_from_inside(capsys: pytest.CaptureFixture[str]):
    with results_apart():
        print("noise")
        with results_apart():
            emit("result")
    emit("after")

    captured = capsys.readouterr()
    assert captured.out == "result\nafter\n"
    assert captured.err == "noise\n"


def leaves(command: click.Command) -> list[click.Command]:
    if isinstance(command, click.Group):
        return [leaf for name in command.commands.values() for leaf in leaves(name)]
    return [command]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_keeps_its_results_apart(name: str):
    from importlib import import_module

    module, _, attribute = cli.COMMANDS[name][0].partition(":")

    assert {type(leaf) for leaf in leaves(getattr(import_module(module), attribute))} == {Command}


@pytest.mark.parametrize("path", sorted(Path(cli.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_commands_write_results_with_emit(path: Path):
    """`click.echo` and `print` inside a command reach standard error, so that they must say so."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    prints = [call for call in calls if ast.unparse(call.func) in {"print", "click.echo"}]

    assert [ast.unparse(c) for c in prints if not {"err", "file"} & {word.arg for word in c.keywords}] == []
