"""The command line itself: help, dispatch, and the one place where errors become one line and an exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.plugins import install, toy_registry

from mlcvbench import cli
from mlcvbench.cli import COMMANDS, help_text, main
from mlcvbench.errors import MlcvbenchError, PredictionError
from mlcvbench.plan.reading import SCORE_KEYS
from mlcvbench.plan.search import SEARCH_KEYS
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.registry import Registry, using

PROGRAM = [sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())"]


def command(monkeypatch: pytest.MonkeyPatch, body: object) -> None:
    """Make `mlcvbench show` call `body`."""
    fake = click.Command("show", callback=body)  # type: ignore[arg-type]
    monkeypatch.setattr("mlcvbench.cli.show.show", fake)


def raising(error: BaseException) -> object:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_within_80_columns(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[5 : 5 + len(COMMANDS)]] == list(COMMANDS)
    assert max(map(len, lines)) <= 80


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    import mlcvbench

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlcvbench {mlcvbench.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]):
    assert main([name, "--help"]) == 0

    text = capsys.readouterr().out
    assert text.startswith(f"Usage: mlcvbench {name}")
    assert "\\b" not in text  # click's mark of lines to leave alone, which it does not know in a raw docstring


def test_the_help_of_run_says_what_every_key_means(capsys: pytest.CaptureFixture[str]):
    assert main(["run", "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    params = [*REQUEST_KEYS.values(), *(key.param for key in RUN_KEYS.values()), *SEARCH_KEYS.values()]
    assert [param.name for param in params if not param.help or f" {param.name} {param.help}" not in text] == []
    assert " data.seed seed of rendered data and of splits: a whole number from 0 to 4294967295; default 0 " in text
    assert " task benchmark: a task kind, the name of a definition or a YAML file; required " in text


def test_the_help_of_score_says_what_its_own_keys_mean(capsys: pytest.CaptureFixture[str]):
    assert main(["score", "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert all(f" {key} " in text for key in (*SCORE_KEYS, "task", "data", "out", "limit", "intervals", "strict"))


def test_an_unknown_command_offers_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert main(["lisst"]) == 2
    assert capsys.readouterr().err == "mlcvbench: error: unknown command 'lisst'. Did you mean 'list'?\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["info"], "missing argument 'NAME'. Try 'mlcvbench info --help'."),
        (["list", "--jsn"], "no such option '--jsn'. Did you mean '--json'? Try 'mlcvbench list --help'."),
        (
            ["run", "task=digits", "--model", "knn"],
            "no such option '--model': settings are written KEY=VALUE, such as model=knn. Try 'mlcvbench run --help'.",
        ),
        (["list", "models", "more"], "got unexpected extra argument (more). Try 'mlcvbench list --help'."),
        (["plugin", "knew"], "no such command 'knew'. Did you mean 'new'? Try 'mlcvbench plugin --help'."),
    ],
)
def test_what_click_complains_about_is_said_in_our_form(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(words) == 2
    assert capsys.readouterr().err == f"mlcvbench: error: {message}\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MlcvbenchError("this is wrong."), 2, "error: this is wrong."),
        (MlcvbenchError("two\n  lines."), 2, "error: two lines."),
        (PredictionError("a run failed."), 1, "error: a run failed."),
        (KeyboardInterrupt(), 130, "interrupted."),
        (click.Abort(), 130, "interrupted."),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "error: /x: Permission denied."),
        (OSError(errno.EMFILE, "Too many open files"), 1, "error: Too many open files."),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    command(monkeypatch, raising(error))

    assert main(["show"]) == code
    assert capsys.readouterr().err == f"mlcvbench: {line}\n"


def test_a_bug_of_ours_is_one_line_and_says_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("MLCVBENCH_TRACEBACK", raising=False)
    command(monkeypatch, raising(ZeroDivisionError("division by zero")))

    assert main(["show"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "mlcvbench: error: this is a bug in mlcvbench: ZeroDivisionError: division by zero",
        "mlcvbench: set MLCVBENCH_TRACEBACK=1 to see where, and please report it.",
    ]


def test_the_traceback_of_a_bug_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MLCVBENCH_TRACEBACK", "1")
    command(monkeypatch, raising(ZeroDivisionError("division by zero")))

    assert main(["show"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_a_command_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch):
    command(monkeypatch, lambda: 1)

    assert main(["show"]) == 1


def test_a_command_that_exits_through_click_keeps_its_code(monkeypatch: pytest.MonkeyPatch):
    command(monkeypatch, raising(click.exceptions.Exit(3)))

    assert main(["show"]) == 3


@pytest.mark.parametrize(("given", "code"), [(None, 0), (0, 0), (1, 1), ("text", 1)])
def test_a_command_that_exits_through_python_keeps_its_code(given: object, code: int, monkeypatch: pytest.MonkeyPatch):
    command(monkeypatch, raising(SystemExit(given)))

    assert main(["show"]) == code


@pytest.mark.parametrize(
    ("words", "offer"), [(["profile", "vgg16"], "model=vgg16"), (["run", "digits"], "task=digits")]
)
def test_a_name_without_its_key_is_offered_with_the_key_it_lacks(
    words: list[str], offer: str, capsys: pytest.CaptureFixture[str]
):
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(f"wanted KEY=VALUE, such as model=knn. Did you mean '{offer}'?\n")


def test_the_help_of_a_group_says_every_line_whole(capsys: pytest.CaptureFixture[str]):
    for group in ("data", "leaderboard", "plugin", "study"):
        assert main([group, "--help"]) == 0
        assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_a_group_without_a_subcommand_prints_its_help(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin"]) == 2
    assert capsys.readouterr().err.startswith("Usage: mlcvbench plugin [OPTIONS] COMMAND [ARGS]...\n")


def test_a_plugin_that_cannot_be_used_is_said_in_one_line(site: Path, capsys: pytest.CaptureFixture[str]):
    install(site, "broken", {"broken.py": "1 / 0"})

    with using(toy_registry(site)):
        assert main(["list", "plugins"]) == 0

    captured = capsys.readouterr()
    assert captured.err == "mlcvbench: warning: 1 plugin cannot be used: broken. See: mlcvbench plugin doctor\n"
    assert captured.out == (
        "plugins\n  broken  cannot be used: importing it raised ZeroDivisionError: division by\n          zero.\n"
    )


def test_output_that_cannot_be_written_is_one_line_and_exit_1():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*PROGRAM, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "mlcvbench: error: cannot write the output: No space left on device."
    assert "Traceback" not in done.stderr


def test_help_that_cannot_be_written_is_one_line_and_exit_1():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (
        1,
        "mlcvbench: error: cannot write the output: No space left on device.\n",
    )


def test_a_reader_that_has_gone_ends_the_program_quietly():
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run([*PROGRAM, "list"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)

    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_output_streams_do_no_harm():
    done = subprocess.run(f'"{sys.executable}" -c "{PROGRAM[2]}" list >&- 2>&-', shell=True, check=False)

    assert done.returncode in {0, 1}


def test_letters_that_a_terminal_cannot_show_cause_no_traceback(site: Path):
    source = (
        "from mlcvbench import ModelSpec, hookimpl\n\n@hookimpl\ndef mlcvbench_models():\n"
        "    return [ModelSpec('mine', ('classification',), 'm:M', 'Größe, naïve.')]\n"
    )
    install(site, "accents", {"accents.py": source})

    done = subprocess.run(
        [*PROGRAM, "list", "models"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "mine" in done.stdout


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["info", "knn"], ["lst"], ["plugin", "--help"], ["run", "--help"]]
)
def test_commands_that_only_look_import_nothing_heavy(words: list[str]):
    heavy = ("torch", "numpy", "scipy", "sklearn", "pandas", "cv2", "matplotlib", "pydantic", "rich")
    program = (
        "import sys\nfrom mlcvbench.cli import main\nmain(sys.argv[1:])\n"
        f"print('loaded:', *[name for name in {heavy} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("word", ["--help", "list"])
def test_help_and_list_do_not_even_import_click(word: str):
    program = "import sys\nfrom mlcvbench.cli import main\nmain(sys.argv[1:])\nprint('click' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program, word], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"


def test_help_text_names_the_main_job():
    assert help_text().endswith("Start with: mlcvbench run task=classification\n")
    assert cli.__doc__ is not None


def test_list_shows_tasks_models_and_data_sets_within_80_columns(
    toys: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")

    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out == (
        "tasks\n"
        "  classification  Name the class.\n"
        "                  definitions: small (default), folder\n"
        "\n"
        "models: classification\n"
        "  cnn       A network.\n"
        "  floor     The floor.\n"
        "  hub:NAME  Any of a hub.\n"
        "  knn       Neighbours.\n"
        "\n"
        "datasets: classification\n"
        "  folder  Files.\n"
        "  small   Small data.\n"
        "  stereo  Pairs.\n"
        "\n"
        "plugins\n"
        "  toytask  1 task, 3 data sets, 4 models (toytask 1.0)\n"
    )


@pytest.mark.parametrize("columns", ["20", "40", "80"])
def test_list_fits_narrow_terminals(columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", columns)

    assert main(["list"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= max(int(columns), 48)


def test_list_of_one_section_as_json_is_a_list(toys: Registry, capsys: pytest.CaptureFixture[str]):
    import json

    assert main(["list", "tasks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "classification",
            "summary": "Name the class.",
            "default": "small",
            "definitions": ["folder", "small"],
            "plugin": "toytask",
        }
    ]


def test_list_as_json_holds_every_section(toys: Registry, capsys: pytest.CaptureFixture[str]):
    import json

    assert main(["list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["tasks", "models", "datasets", "plugins"]


def test_list_of_an_unknown_section_offers_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert main(["list", "model"]) == 2
    assert capsys.readouterr().err == "mlcvbench: error: unknown section 'model'. Did you mean 'models'?\n"


def test_info_of_a_model_shows_its_settings(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["info", "cnn"]) == 0
    assert capsys.readouterr().out == (
        "model cnn\n"
        "    A network.\n"
        "  tasks   classification\n"
        "  needs   image\n"
        "  run it  mlcvbench run task=classification model=cnn\n"
        "  from    plugin toytask, toytask 1.0\n"
        "\n"
        "settings\n"
        "  model.width   a number from 0.1 to 4; default 1.0\n"
        "  model.layers  a list of whole numbers like [64,64]; default [8,16]\n"
        "  model.k       a whole number of at least 1; default 3\n"
        "\n"
        "fit settings\n"
        "  fit.epochs   a whole number of at least 1; default 10\n"
        "  fit.augment  true or false; default true\n"
    )


def test_info_of_a_data_set_shows_what_it_needs(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["info", "folder"]) == 0
    out = capsys.readouterr().out
    assert "  data.root  a path; required (folder of files)\n" in out
    assert "  data.size  a list of whole numbers like [64,64]; not set\n" in out
    assert "definition folder\n" in out


def test_info_of_a_task_lists_what_can_be_run(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["info", "classification"]) == 0
    out = capsys.readouterr().out
    assert "  definitions  folder, small\n" in out
    assert "  models       cnn, floor, hub:NAME, knn\n" in out


def test_info_of_a_task_explains_its_protocols_and_what_score_reads(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "segmentation"]) == 0
    out = capsys.readouterr().out
    assert "  fwiou           mean IoU weighted by the labelled pixels of each class; higher\n" in out
    assert "  class-accuracy/ignore-none/absent-zero@1\n    Pixels are counted over the whole data set" in out
    assert "\n  as above: mean_accuracy, miou, pixel_accuracy, fwiou, iou_CLASS\n" in out

    assert main(["info", "classification"]) == 0
    out = capsys.readouterr().out
    assert "what `mlcvbench score` reads\n  .npz  one of `scores` (N, C), `probabilities` (N, C) and" in out
    assert "  nll  mean of -log softmax(scores)[label], in nat; lower is better\n" in out


def test_info_of_a_task_says_what_models_get_and_return_at_80_columns(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "detection"]) == 0
    lines = capsys.readouterr().out.splitlines()

    for line in (
        "inputs, in `batch.inputs`; lists of arrays where images differ in size",
        "targets, of training and validation samples",
        "settings of the problem, in `problem.extra`",
        "facts of each sample, in `batch.meta`",
        "predictions, what `postprocess` returns",
        "  labels      int64 (n,) per image; 0 to C-1, indices into `problem.classes`",
    ):
        assert line in lines
    assert max(map(len, lines)) <= 80


def test_info_of_a_task_as_json_holds_what_models_get_and_return(capsys: pytest.CaptureFixture[str]):
    import json

    assert main(["info", "depth", "--json"]) == 0
    [card] = json.loads(capsys.readouterr().out)

    assert {"place": "targets", "name": "occluded"} in [
        {key: field[key] for key in ("place", "name")} for field in card["fields"]
    ]


def test_info_of_a_task_that_cannot_be_imported_says_so(toys: Registry, site: Path, capsys: pytest.CaptureFixture[str]):
    (site / "toytask" / "task.py").unlink()

    assert main(["info", "classification"]) == 0
    assert capsys.readouterr().out.endswith(
        "\nprotocols cannot be shown: cannot import 'toytask.task', the target of a plugin:\n"
        "No module named 'toytask.task'.\n"
    )


def test_info_of_a_task_as_json_lists_protocols_with_their_metrics(capsys: pytest.CaptureFixture[str]):
    import json

    assert main(["info", "classification", "--json"]) == 0
    [card] = json.loads(capsys.readouterr().out)
    assert card["protocols"][0]["ids"] == ["top1/single-crop@2"]
    assert card["protocols"][0]["metrics"][3] | {"summary": ""} == {
        "name": "nll", "summary": "", "unit": "nat", "higher_is_better": False, "provenance": "reference-tolerance",
    }  # fmt: skip


def test_info_of_an_open_ended_name_is_found(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["info", "hub:resnet18"]) == 0
    assert capsys.readouterr().out.startswith("model hub:resnet18\n")


def test_info_as_json_holds_the_spec(toys: Registry, capsys: pytest.CaptureFixture[str]):
    import json

    assert main(["info", "knn", "--json"]) == 0
    [card] = json.loads(capsys.readouterr().out)
    assert (card["what"], card["name"], card["params"][0]["default"]) == ("model", "knn", 5)


def test_info_of_an_unknown_name_offers_the_nearest(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["info", "clasification"]) == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: unknown name 'clasification'. Did you mean 'classification'?\n"
    )
