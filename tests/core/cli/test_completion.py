"""Shell completion of commands, keys, values and names, as the shells ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from support.records import make_record

from mlcvbench.cli import COMMANDS, COMPLETE, main
from mlcvbench.cli.completion import PROGRAM, Bash, Commands
from mlcvbench.records.store import Store
from mlcvbench.registry import Registry
from mlcvbench.registry.open_names import read_names
from mlcvbench.storage import cache

CODE = "import sys; from mlcvbench.cli import main; sys.exit(main())"


def completed(line: str) -> list[str]:
    """Return what the last word of a line could become."""
    *words, typed = line.split(" ")
    found = ShellComplete(Commands(PROGRAM), {}, PROGRAM, COMPLETE).get_completions(words, typed)
    return [item.value for item in found]


def test_commands_are_completed():
    assert completed("re") == ["rescore"]
    assert completed("") == list(COMMANDS)
    assert completed("data ") == ["check", "preview"]
    assert completed("run --q") == ["--quiet"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run tas", ["task="]),
        ("run task=digits-", ["task=digits-training"]),
        ("run task=detection model=ho", ["model=hog_svm"]),
        ("run task=digits model=knn,maj", ["model=knn,majority"]),
        ("run task=digits model=knn,kn", ["model=knn,knn_embedding"]),
        ("run task=digits data=i", ["data=idx", "data=image-folder"]),
        ("run time=", ["time=off", "time=quick", "time=standard", "time=publish"]),
        ("run task=digits inter", ["intervals="]),
        ("run intervals=t", ["intervals=true"]),
        ("run task=digits model=knn mo", ["model."]),
        ("run task=digits model=knn model.d", ["model.distance="]),
        ("run task=digits model=knn model.k=3 model.k", []),
        ("run task=digits model=small_cnn fit.optimizer=adag", ["fit.optimizer=adagrad"]),
        ("run task=fashion-mnist data.r", ["data.recheck=", "data.root="]),
        ("run task=digits model=knn,mlp knn.d", ["knn.distance="]),
        ("run task=digits model=ensemble model.base=kn", ["model.base=knn", "model.base=knn_embedding"]),
        ("run k", []),
        ("run task=no-such-thing model=kn", ["model=knn", "model=knn_embedding"]),  # of two kinds, once
        ("score task=digits pre", ["predictions="]),
        ("score task=digits values=", ["values=logits", "values=probabilities"]),
        ("score task=digits sel", []),
        ("study capacity task=digits axis=l", ["axis=linear", "axis=log"]),
        ("info alex", ["alexnet"]),
        ("list m", ["models"]),
        ("data preview scenes-st", ["scenes-stereo", "scenes-stereo-large", "scenes-stereo-noc"]),
        ("data preview scenes level", []),
        ("data preview scenes data.l", ["data.level="]),
        ("data preview scenes data.level=h", ["data.level=hard"]),
        ("data check coco task=de", ["task=depth", "task=detection"]),
        ("data check scenes-semantic data.b", ["data.border="]),
        ("compare one other by=", ["by=point", "by=low"]),
        ("leaderboard re", ["retract"]),
        ("leaderboard build si", ["site="]),
        ("leaderboard build site=o", ["site=on", "site=off"]),
        ("leaderboard verify ar", ["archive="]),
        ("leaderboard publish o", ["out="]),
        ("leaderboard retract one u", ["undo="]),
    ],
)
def test_keys_values_and_names_are_completed(line: str, words: list[str]):
    assert completed(line) == words


def test_a_setting_of_type_path_is_completed_with_files():
    complete = ShellComplete(Commands(PROGRAM), {}, PROGRAM, COMPLETE)

    for word in ("data.root=pho", "out=x", "weights="):
        (item,) = complete.get_completions(["run", "task=fashion-mnist"], word)

        assert (item.value, item.type) == (word, "file")


def test_stored_runs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    record = make_record()
    store = Store(tmp_path / "runs")
    store.commit(store.begin(record.run_id), record)

    assert completed("show dig") == [record.run_id]
    assert completed(f"compare {record.run_id} d") == [record.run_id]
    assert completed("leaderboard retract dig") == [record.run_id]


def test_names_of_a_hub_are_completed_once_its_library_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toys: Registry
):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    entry = toys.model("hub:", "classification")
    spec, words = entry.spec, "run task=small model=hub:ti"
    object.__setattr__(spec, "names", "support.plugins:hub_names")

    assert completed(words) == []
    read_names(spec, entry.origin)
    assert completed(words) == ["model=hub:tiny_vit"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("mlcvbench run task=digits model=kn", "plain,knn"),
        ("mlcvbench run task=digits model=knn,maj", "plain,knn,majority"),
        ("mlcvbench run task=digits model=timm:", "plain,"),
        ("mlcvbench run tas", "plain,task="),
        ("mlcvbench score predictions=p", "file,p"),
    ],
)
def test_bash_gets_the_part_of_a_word_that_it_asks_for(line: str, answer: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COMP_LINE", line)

    assert Bash(Commands(PROGRAM), {}, PROGRAM, COMPLETE).complete().splitlines()[:1] == [answer]


def program(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell that completes a line does."""
    environment = {**os.environ, "COMP_LINE": line, COMPLETE: "bash_complete", **more}
    return subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", ["mlcvbench run task=digits model=kn", "mlcvbench info kn", "mlcvbench score values="])
def test_completing_imports_nothing_heavy(line: str):
    heavy = ("torch", "numpy", "scipy", "sklearn", "pandas", "cv2", "matplotlib", "pydantic", "rich")
    code = (
        "import sys\nfrom mlcvbench.cli import main\nmain()\n"
        f"print('loaded:', *[name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "COMP_LINE": line, COMPLETE: "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.splitlines()[-1].strip() == "loaded:"


def test_nothing_is_said_of_what_cannot_be_completed():
    done = program("mlcvbench run task=/no/such.yaml model.")

    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one(shell: str):
    done = program("", **{COMPLETE: f"{shell}_source"})

    assert done.returncode == 0
    assert "_mlcvbench_completion" in done.stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_an_unknown_shell_is_one_line():
    done = program("", **{COMPLETE: "tcsh_source"})

    assert done.returncode == 2
    assert done.stderr == (
        "mlcvbench: error: _MLCVBENCH_COMPLETE=tcsh_source: wanted one of bash_source, zsh_source, fish_source.\n"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script(tmp_path: Path):
    command = tmp_path / "mlcvbench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{CODE}" "$@"\n')
    command.chmod(0o755)
    line = "mlcvbench run task=digits model=knn,maj"
    script = (
        f'source /dev/stdin <<< "$({COMPLETE}=bash_source mlcvbench)"\n'
        f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
        "_mlcvbench_completion mlcvbench\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "knn,majority\n"


def test_without_a_shell_that_asks_the_program_is_as_ever(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mlcvbench ")
