"""The pages of the task kinds are true: their examples are carried out, and they name every protocol and metric."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.page_examples import blocks_of, commands_of, play
from support.paths import ROOT

from mlcvbench.cli.protocol_families import protocol_families
from mlcvbench.registry import get_registry

DOCS = ROOT / "docs"
PAGES = [entry.spec.name for entry in get_registry().tasks() if (DOCS / f"{entry.spec.name}.md").is_file()]


def prepare(kind: str) -> Callable[[Path], None] | None:
    """Return what makes the images and other files that are no text: `prepare(folder)` of `support/page_KIND.py`."""
    name = f"support.page_{kind}"
    return importlib.import_module(name).prepare if importlib.util.find_spec(name) else None


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES)
def test_the_examples_of_a_page_do_what_the_page_says(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make = prepare(kind)
    if make is not None:
        make(tmp_path)

    examples = play(DOCS / f"{kind}.md", capsys)

    assert examples >= 1, f"docs/{kind}.md has no example that a test carries out"


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_names_every_data_set_protocol_and_metric(kind: str) -> None:
    """By itself, or by a form in which words in capitals stand for a part: `mono/CROP/capMETRES/SCALE@1`."""
    page = (DOCS / f"{kind}.md").read_text(encoding="utf-8")
    families = protocol_families(kind)
    names = [entry.spec.name for entry in get_registry().datasets(kind)]
    names += [protocol for family in families for protocol in family.ids]
    names += [metric.name for family in families for metric in family.metrics]
    code = set(re.findall(r"`([^`\n]+)`", page))
    forms = [re.sub(r"[A-Z]{2,}", r"[\\w.-]+", re.escape(text)) for text in code if re.search(r"[A-Z]{2,}", text)]

    unnamed = [name for name in dict.fromkeys(names) if name not in code]
    assert [name for name in unnamed if not any(re.fullmatch(form, name) for form in forms)] == []


def test_a_session_is_read_with_its_continued_lines_exit_codes_and_output() -> None:
    page = "# A\n\n`a/b.csv`\n\n```csv\nid\n```\n\n<!-- example -->\n```console\n"
    page += "$ mlcvbench score \\\n    a=1 [exit 2]\nno\n```\n"

    file, session = blocks_of(page)
    (command,) = commands_of(session.body)

    assert (file.file, file.body, session.line) == ("a/b.csv", "id\n", 9)
    assert command == (["mlcvbench", "score", "a=1"], 2, "no")


def test_an_example_that_prints_something_else_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- example -->\n```console\n$ mlcvbench --version\nmlcvbench ...\n$ mlcvbench --version\n0.0\n```\n"
    )

    with pytest.raises(AssertionError, match=r"^page\.md, line 1: mlcvbench --version\n(.|\n)*the page says:\n0\.0"):
        play(page, capsys)
