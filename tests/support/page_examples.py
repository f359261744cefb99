"""Examples on the pages of documentation: files that a page shows, and commands with what they print.

On a page,

- a line `` `NAME` `` alone, then a fenced block, is a file of that name;
- `<!-- example -->`, then a fenced block of `console`, is a session: a line `$ COMMAND` (a trailing `\\` goes on), then
  what it prints, where `...` stands for anything and runs of blanks are one; a command without output below it must
  only succeed, and `mlcvbench ... [exit 2]` must end with that code;
- `<!-- example -->`, then a fenced block of `python`, is carried out.

All of a page happens in one folder, from top to bottom.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mlcvbench.cli import main

_BLOCK = re.compile(
    r"^(?:`(?P<file>[\w./-]+)`\n\n?|<!-- example -->\n\n?)```(?P<language>\w+)\n(?P<body>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
_CODE = re.compile(r" \[exit (\d+)\]$")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A block of a page: the line it begins on, the file it is, or "" for an example, its language and its text."""

    line: int
    file: str
    language: str
    body: str


class Command(NamedTuple):
    """A command of a session, the exit code it must have and what it must print."""

    words: list[str]
    code: int
    output: str


def blocks_of(page: str) -> list[Block]:
    """Return the files and examples of a page in order."""
    return [
        Block(page.count("\n", 0, match.start()) + 1, match["file"] or "", match["language"], match["body"])
        for match in _BLOCK.finditer(page)
    ]


def commands_of(session: str) -> Iterator[Command]:
    """Yield the commands of a `console` block."""
    for part in re.split(r"^\$ ", session.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        code = _CODE.search(line)
        yield Command(shlex.split(_CODE.sub("", line)), int(code[1]) if code else 0, output.strip())


def play(page: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Carry out the examples of a page in the working folder and return how many there were; a failure says where."""
    examples = 0
    for block in blocks_of(page.read_text(encoding="utf-8")):
        where = f"{page.name}, line {block.line}"
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.body, encoding="utf-8")
            continue
        examples += 1
        if block.language == "python":
            exec(compile(block.body, where, "exec"), {"__name__": "example"})
            continue
        assert block.language == "console", f"{where}: wanted a block of console or python, got {block.language}."
        for command in commands_of(block.body):
            check(command, where, capsys)
    return examples


def check(command: Command, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Carry out a command of ours in this process, and compare what it prints."""
    assert command.words[0] == "mlcvbench", f"{where}: wanted a command of mlcvbench, got {command.words[0]!r}."
    capsys.readouterr()
    code = main(command.words[1:])
    captured = capsys.readouterr()
    printed = captured.out + captured.err
    shown = f"{where}: {shlex.join(command.words)}\nprints, with exit code {code}:\n{printed}"
    assert code == command.code, shown
    same = doctest.OutputChecker().check_output(f"{command.output}\n", f"{printed.strip()}\n", _FLAGS)
    assert same or not command.output, f"{shown}\nand the page says:\n{command.output}"
