"""The pages of the chapters are true: their commands are understood, and the tests they name exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from support.paths import ROOT

from mlcvbench.plan.planning import plan

PAGES = sorted((ROOT / "docs" / "chapters").glob("*.md"))


def named(page: Path, pattern: str) -> list[str]:
    """Return the code on a page that matches a pattern."""
    return [code for code in re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8")) if re.match(pattern, code)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tests_that_a_page_names_exist(page: Path):
    tests = named(page, r"\S+\.py::")

    assert tests
    for one in tests:
        file, name = one.split("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, one


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_to_type_is_understood(page: Path):
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        base = re.search(r"Settings go behind\s+`mlcvbench run ([^`]+)`", section)
        typed = re.findall(r"`((?:mlcvbench run |model\.|fit\.)[^`]*=[^`]*)`", section)

        for words in typed:
            whole = words.removeprefix("mlcvbench run ") if words.startswith("mlcvbench") else f"{base[1]} {words}"
            if not re.search(r"=[A-Z]+\b", whole):  # FILE stands for a path
                assert plan(shlex.split(whole)).configs, words
