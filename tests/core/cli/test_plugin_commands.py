"""`plugin new`, `plugin check`, `plugin doctor`, and a plugin that pip installs from a folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import FIXTURES
from support.plugins import call, install, pip_install, toy_registry

from mlcvbench.cli import main
from mlcvbench.cli.scaffold import KINDS, write_plugin
from mlcvbench.registry import Registry, using


def test_new_writes_exactly_these_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "new", "my-method", "--into", str(tmp_path)]) == 0

    folder = tmp_path / "mlcvbench-my-method"
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "mlcvbench_my_method/__init__.py",
        "mlcvbench_my_method/model.py",
        "mlcvbench_my_method/py.typed",
        "pyproject.toml",
        "tests/test_my_method.py",
    ]
    assert not any("$" in (folder / file).read_text() for file in files)
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"next: pip install -e {folder} && mlcvbench plugin check {folder}"
    )


def test_what_new_writes_passes_its_own_check_and_its_own_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["plugin", "new", "my_method", "--into", str(tmp_path)])
    folder = tmp_path / "mlcvbench-my-method"

    assert main(["plugin", "check", str(folder)]) == 0

    out = capsys.readouterr().out
    assert "model my_method (classification)\n  ok      spec\n" in out
    assert "FAILED" not in out
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_new_writes_a_method_of_each_kind(kind: str, library: str, tmp_path: Path):
    flags = ["--torch"] if library == "torch" else []

    assert main(["plugin", "new", "mine", f"--kind={kind}", *flags, "--into", str(tmp_path)]) == 0

    folder = tmp_path / "mlcvbench-mine"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert ("mlcvbench_training" in (folder / "mlcvbench_mine" / "__init__.py").read_text()) == (library == "torch")
    assert not any("$" in (folder / file).read_text() for file in files)
    assert f'kinds=("{kind}",)' in (folder / "mlcvbench_mine" / "__init__.py").read_text()
    assert f"mlcvbench run task={kind} model=mine" in (folder / "README.md").read_text()


def test_new_refuses_a_kind_that_it_has_no_method_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "new", "mine", "--kind=tracking", "--into", str(tmp_path)]) == 2
    assert "'tracking'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_method_of_each_kind_passes_its_check_and_its_tests(kind: str, library: str, tmp_path: Path):
    name = f"new_{kind}_{library}"
    main(["plugin", "new", name, f"--kind={kind}", *(["--torch"] * (library == "torch")), "--into", str(tmp_path)])
    folder = tmp_path / f"mlcvbench-{name.replace('_', '-')}"

    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")],
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert tests.returncode == 0, tests.stdout


@pytest.mark.parametrize("name", ["2fast", "My_Method", "two words", "../up", "model", "", "a" * 61, "naïve"])
def test_new_refuses_what_cannot_be_a_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "new", name, "--into", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: {name!r} cannot name a plugin; wanted small letters, digits and _, at most 60, such as "
        "nearest_mean.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_new_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mlcvbench-mine").mkdir()

    assert main(["plugin", "new", "mine", "--into", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: {tmp_path}/mlcvbench-mine exists already; choose another name or another folder with "
        "--into.\n"
    )


def test_check_of_a_model_prints_a_line_a_check(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "check", "knn"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model knn (classification)"
    assert all(line.startswith("  ok      ") for line in lines[1:])


def test_check_takes_settings(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "check", "knn", "model.k=1"]) == 0
    assert main(["plugin", "check", "knn", "model.kk=1"]) == 2
    assert main(["plugin", "check", "knn", "k=1"]) == 2
    unknown, shapeless = capsys.readouterr().err.splitlines()
    assert unknown.startswith("mlcvbench: error: key 'model.kk' has no effect on 'knn'. Did you mean 'model.k'")
    assert shapeless == (
        "mlcvbench: error: unknown key 'k'. Wanted model.NAME=VALUE, fit.NAME=VALUE or data.NAME=VALUE."
    )


def test_check_of_a_model_on_a_data_set_honours_its_settings(capsys: pytest.CaptureFixture[str]):
    words = ["plugin", "check", "box_prior", "data=scenes", "data.size=[48,64]", "data.train=6", "data.test=2"]

    assert main(words) == 0

    checks = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert "predictions" in checks
    assert "200 objects in an image" not in checks  # no toys


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["knn", "data.size=[8,8]"],
            "key 'data.size' has no effect on 'knn', which is checked on toy data; data=NAME takes the first samples "
            "of a data set instead.",
        ),
        (
            ["knn", "data=digits", "data.size=[8,8]"],
            "key 'data.size' has no effect on 'digits'.",
        ),
        (
            ["knn", "data=scenes"],
            "unknown classification data set 'scenes'. It is a data set of task kind detection, segmentation.",
        ),
        (["knn", "data=idx"], "data set 'idx' needs data.root=VALUE."),
        (["sgm", "data=scenes-mono"], "model 'sgm' needs left, right; data set 'scenes-mono' provides image."),
    ],
)
def test_what_a_check_cannot_honour_is_refused_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["plugin", "check", *words]) == 2
    assert capsys.readouterr().err == f"mlcvbench: error: {message}\n"


def test_the_named_data_set_is_for_models_and_leaves_other_data_sets_their_settings(
    site: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["plugin", "check", str(FIXTURES / "example_plugin"), "data=digits"]

    assert main(words) == 0
    assert "data set stripes (classification)\n  ok      spec\n" in capsys.readouterr().out


def test_check_of_a_data_set_that_needs_a_folder_says_so(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "check", "idx"]) == 0
    assert "  skipped loading: not made: it needs data.root=VALUE.\n" in capsys.readouterr().out


def test_check_as_json(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "check", "knn", "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)
    assert (report["name"], report["results"][0]) == ("knn", {"name": "spec", "passed": True, "detail": ""})


def test_check_of_a_broken_plugin_says_why_and_fails(site: Path, capsys: pytest.CaptureFixture[str]):
    install(site, "hookless", {"hookless.py": "def mlcvbench_models():\n    return []\n"})

    with using(toy_registry(site)):
        code = main(["plugin", "check", "hookless"])

    captured = capsys.readouterr()
    assert code == 1
    assert captured.out == (
        "plugin hookless\n  FAILED  loads: function 'mlcvbench_models' is not marked with @mlcvbench.hookimpl.\n"
    )
    assert captured.err.splitlines()[0] == "mlcvbench: error: 1 check failed for 'hookless'."


def test_check_of_a_folder_with_a_broken_plugin_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[project.entry-points.mlcvbench]\nx = "x_pack"\n')
    (tmp_path / "x_pack.py").write_text("1 / 0")

    assert main(["plugin", "check", str(tmp_path)]) == 1
    assert "  FAILED  loads: importing it raised ZeroDivisionError: division by zero.\n" in capsys.readouterr().out


def test_check_of_a_folder_sees_a_clash_with_a_built_in_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[project.entry-points.mlcvbench]\nx = "x_pack2"\n')
    (tmp_path / "x_pack2.py").write_text(
        "from mlcvbench import ModelSpec, hookimpl\n\n@hookimpl\ndef mlcvbench_models():\n"
        "    return [ModelSpec('knn', ('classification',), 'm:M', 'Mine.')]\n"
    )

    assert main(["plugin", "check", str(tmp_path)]) == 1
    assert "model 'knn' of task kind 'classification' is already provided by plugin 'knn'." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "pyproject.toml: no such file; wanted the folder of a plugin's project."),
        (
            "[project]\nname = 'x'\n",
            "pyproject.toml: has no [project.entry-points.mlcvbench] section, so it is not a plugin.",
        ),
        ("[project", "pyproject.toml: cannot be read: "),
        ("project = 5", "pyproject.toml: has no [project.entry-points.mlcvbench] section, so it is not a plugin."),
        (
            "[project]\nentry-points = 5",
            "pyproject.toml: has no [project.entry-points.mlcvbench] section, so it is not a plugin.",
        ),
    ],
)
def test_check_of_a_folder_that_is_no_plugin_says_what_is_missing(
    content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)

    assert main(["plugin", "check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"mlcvbench: error: {tmp_path}/{message}")


def test_check_of_an_unknown_name_offers_the_nearest(toys: Registry, capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "check", "toytsk"]) == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: unknown model, data set or plugin 'toytsk'. Did you mean 'toytask'?\n"
    )


def test_doctor_finds_nothing_wrong_with_our_own_plugins(capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "doctor"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mlcvbench ")
    assert any(line.startswith("  ok      knn (mlcvbench ") for line in lines)


def test_doctor_shows_reason_and_traceback_of_a_plugin_that_was_set_aside(
    site: Path, capsys: pytest.CaptureFixture[str]
):
    install(site, "broken", {"broken.py": "1 / 0"})

    with using(toy_registry(site)):
        code = main(["plugin", "doctor"])

    captured = capsys.readouterr()
    assert code == 1
    assert "  FAILED  broken (broken): importing it raised ZeroDivisionError: division by zero.\n" in captured.out
    assert "          Traceback (most recent call last):\n" in captured.out
    assert captured.err == "mlcvbench: error: 1 problem found in the installed plugins.\n"


def test_doctor_finds_targets_and_definitions_that_are_not_there(toys: Registry, site: Path, capsys):
    (site / "toytask" / "definitions" / "small.yaml").write_text("name: small\n")
    (site / "toytask" / "task.py").unlink()

    assert main(["plugin", "doctor"]) == 1

    out = capsys.readouterr().out
    assert "  FAILED  toytask (toytask 1.0)\n" in out
    assert out.count("toytask.task") == 2  # in one line
    assert "          cannot import 'toytask.task', the target of a plugin: No module named 'toytask.task'.\n" in out
    assert "small.yaml:1: the key 'kind' is missing.\n" in out


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the two example projects were installed by pip, as by any stranger."""
    place = tmp_path_factory.mktemp("installed")
    sources = [place / "src" / name for name in ("example_plugin", "example_task")]
    for source in sources:
        shutil.copytree(FIXTURES / source.name, source, ignore=shutil.ignore_patterns("__pycache__"))
    return pip_install(sources, place / "site")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a network of each kind was installed, as `plugin new --torch` writes it."""
    place = tmp_path_factory.mktemp("begun")
    sources = [write_plugin(f"new_{kind}", place, kind, torch=True) for kind in KINDS]
    return pip_install(sources, place / "site")


def test_a_plugin_that_pip_installed_is_listed(installed: Path, tmp_path: Path):
    done = call(["list"], installed, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    for line in ("nearest_mean", "stripes", "counting", "threshold", "dots (default)"):
        assert line in done.stdout
    assert re.search(r"^  example +1 data set, 2 models \(mlcvbench-example 1\.0\)$", done.stdout, re.MULTILINE)


def test_a_plugin_that_pip_installed_explains_itself(installed: Path, tmp_path: Path):
    done = call(["info", "nearest_mean"], installed, tmp_path)

    assert done.returncode == 0
    assert "  from       plugin example, mlcvbench-example 1.0\n" in done.stdout
    assert "  model.shrink  a number from 0 to 1; default 0.0 (moves the class means to the\n" in done.stdout


def test_a_plugin_that_pip_installed_passes_its_check(installed: Path, tmp_path: Path):
    done = call(["plugin", "check", "nearest_mean"], installed, tmp_path)

    assert done.returncode == 0
    assert "FAILED" not in done.stdout


FEW = ("data.train=6", "data.val=2", "data.test=20", "fit.epochs=2", "model.width=4", "intervals=false")
DATA = {
    "classification": ("data=digits", "limit=20", *FEW[3:]),
    "detection": ("data=scenes", "data.size=[48,48]", *FEW),
    "segmentation": ("data=scenes", "data.size=[48,48]", *FEW),
    "verification": ("data=faces", "data.size=24", "data.shots=2", *FEW),
    "depth": ("data=scenes-mono", "data.size=[48,48]", *FEW),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_new_wrote_trains_and_is_scored(kind: str, begun: Path, tmp_path: Path):
    definition = {"depth": "scenes-mono"}.get(kind, kind)
    words = ["run", f"task={definition}", f"model=new_{kind}", *DATA[kind], "time=off", "out=runs"]

    done = call(words, begun, tmp_path)

    assert done.returncode == 0, done.stderr
    assert f"new_{kind}" in done.stdout


@pytest.mark.slow
def test_a_plugin_that_pip_installed_runs(installed: Path, tmp_path: Path):
    words = ["run", "task=classification", "data=stripes", "model=nearest_mean", "time=off", "out=runs"]

    done = call(words, installed, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "nearest_mean" in done.stdout


@pytest.mark.slow
def test_a_task_that_pip_installed_runs_to_its_leaderboard(installed: Path, tmp_path: Path):
    done = call(["run", "task=counting", "time=off", "out=runs"], installed, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "threshold is first of 1 model" in done.stdout
