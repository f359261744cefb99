"""The workflows that test every push and publish the boards: sound, with few rights, and of commands that exist."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.paths import ROOT

from mlcvbench.cli import main

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
OF_THE_SYSTEM = {"cp", "mkdir", "sudo"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(path: Path) -> dict[Any, Any]:
    """Return a workflow; YAML 1.1 takes its key `on` for true."""
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def commands(path: Path) -> list[list[str]]:
    """Return every command of a workflow as its words."""
    steps = [step for job in read(path)["jobs"].values() for step in job["steps"]]
    return [shlex.split(line) for step in steps for line in step.get("run", "").splitlines()]


def test_pushes_are_tested_and_boards_are_published() -> None:
    assert [path.name for path in WORKFLOWS] == ["pages.yml", "tests.yml"]
    assert set(read(ROOT / ".github/workflows/tests.yml")[True]) == {"push", "pull_request"}
    assert [".ci/run"] in commands(ROOT / ".github/workflows/tests.yml")
    assert ["tox", "-e", "lowest"] in commands(ROOT / ".github/workflows/tests.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_few_rights_and_runs_once_at_a_time(path: Path) -> None:
    workflow = read(path)

    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    rights = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert rights == ({"deploy": {"pages": "write", "id-token": "write"}} if path.stem == "pages" else {})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_runs_on_a_public_machine_with_pinned_actions_and_a_limit(path: Path) -> None:
    for job in read(path)["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert job["timeout-minutes"] <= 360
        for step in job["steps"]:
            assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step


def test_the_pythons_are_those_the_project_names() -> None:
    matrix = read(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]

    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]

    assert matrix["python"] == named


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_of_a_workflow_exists(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    for words in commands(path):
        program, *rest = words
        if program == "tox":
            assert rest[0] == "-e"
            assert f"testenv:{rest[1]}" in tox
        elif program == "python":
            assert rest[:3] == ["-m", "pip", "install"]
        elif program == "mlcvbench":
            assert main([*(word for word in rest if "=" not in word), "--help"]) == 0
            helped = capsys.readouterr().out
            assert [word for word in rest if "=" in word and word.partition("=")[0] + "=" not in helped] == []
        elif program.startswith("."):
            assert os.access(ROOT / program, os.X_OK)
        else:
            assert program in OF_THE_SYSTEM, words


def test_the_pages_are_made_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the commands around Jekyll on one published run; it is given, and gives, the documentation as it is."""
    run = next((ROOT / "leaderboards/records").glob("digits-knn-*"))
    shutil.copytree(run, tmp_path / "leaderboards/records" / run.name)
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    made = [words for words in commands(ROOT / ".github/workflows/pages.yml") if words[0] != "python"]

    for words in made[:-1]:
        ours = [sys.executable, "-m", "mlcvbench"] if words[0] == "mlcvbench" else words[:1]
        subprocess.run([*ours, *words[1:]], check=True, capture_output=True)
    shutil.copytree("pages", "_site")
    sudo, *move = made[-1]
    subprocess.run(move, check=True)

    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert sudo == "sudo"
    assert links
    assert [link for link in links if not (tmp_path / "_site" / link).exists()] == []
    assert (tmp_path / "_site/leaderboards/index.html").is_file()
    assert (tmp_path / "_site/leaderboards/data/digits.md").is_file()
