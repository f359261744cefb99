"""The authoring page is true: its packages are the ones we install and check, its hooks are the ones there are."""

import importlib
import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from support.page_fields import KINDS, table
from support.paths import FIXTURES, ROOT
from support.plugins import call, pip_install

from mlcvbench import hookspecs
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.planning import plan
from mlcvbench.registry import Registry, using
from mlcvbench.registry.hooks import HOOKS
from mlcvbench.testing.subjects import check_reference

PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)```$", PAGE, flags=re.MULTILINE | re.DOTALL)
PACKAGES = {"mlcvbench_example": "example_plugin", "mlcvbench_counting": "example_task"}
DETECTOR = "mlcvbench_centernet"


def packages_of_the_page(place: Path) -> dict[str, Path]:
    """Write the page's files as its reader would: a project for each package, whose folder begins a file's name."""
    projects: dict[str, Path] = {}
    for file, content in BLOCKS:
        (package,) = re.findall(r"^packages = ..(\w+)", content, re.MULTILINE) or [file.partition("/")[0]]
        projects[package] = place / package
        path = projects[package] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return projects


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_on_the_page_with_its_signature(hook: str):
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")

    assert f"def {hook}{signature}\n" in PAGE


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str):
    tests = (ROOT / "tests" / "core" / "registry" / "test_registry.py").read_text(encoding="utf-8")

    assert hook in tests


def test_the_page_holds_the_example_packages_to_the_letter(tmp_path: Path):
    projects = packages_of_the_page(tmp_path)

    assert sorted(projects) == sorted([*PACKAGES, DETECTOR])
    for package, name in PACKAGES.items():
        project, fixture = projects[package], FIXTURES / name
        written = {p.relative_to(project): p.read_text() for p in project.rglob("*") if p.is_file()}
        ours = {
            p.relative_to(fixture): p.read_text()
            for p in fixture.rglob("*")
            if p.suffix in {".py", ".toml", ".yaml"} and "__pycache__" not in p.parts
        }
        assert written == ours


def test_the_detector_of_the_page_is_the_one_that_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`tiny_centernet` of the deep plugin: the same code, and trained in the same way."""
    project = packages_of_the_page(tmp_path)[DETECTOR]
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.syspath_prepend(str(FIXTURES / "deep_plugin"))
    (spec,) = importlib.import_module(DETECTOR).mlcvbench_models()
    measured = {one.name: one for one in importlib.import_module("mlcvbench_deep").mlcvbench_models()}["tiny_centernet"]

    ours = FIXTURES / "deep_plugin" / "mlcvbench_deep" / "centernet.py"
    assert (project / DETECTOR / "centernet.py").read_text() == ours.read_text()
    assert replace(spec, name=measured.name, target=measured.target) == measured


def test_every_base_of_networks_is_on_the_page():
    from mlcvbench_networks import bases

    modules = [importlib.import_module(f"{bases.__name__}.{found.name}") for found in iter_modules(bases.__path__)]
    classes = {
        (name, module.__name__.rpartition(".")[2])
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and "SAMPLES" in vars(value)
    }

    assert len(classes) == 7  # with NetworkModel, which those of all kinds inherit from
    assert [(name, at) for name, at in classes if f"| `{name}`, `{at}` |" not in PAGE] == [
        ("NetworkModel", "network_model")
    ]


def test_every_check_of_the_kit_is_on_the_page():
    from mlcvbench.testing import check_model

    missing = [result.name for result in check_model("majority", "classification") if result.name not in PAGE]

    assert missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_what_each_kind_gets_and_returns_as_the_kind_declares_it(kind: str):
    assert table(kind) in PAGE


def test_the_page_names_no_file_that_an_installed_bench_lacks():
    assert re.findall(r"`((?:tasks|plugins|tests|docs|leaderboards)/[^`]*)`", PAGE) == []


def test_all_toy_data_of_a_kind_are_in_its_row_of_the_page():
    from mlcvbench.testing import toy_data

    for kind, needs in (*((task, ()) for task in KINDS), ("depth", ("left", "right"))):
        (row,) = re.findall(rf"^\| {kind} \| (.*images.*) \|$", PAGE, flags=re.MULTILINE)
        assert [name for name in toy_data(kind, needs) if name not in row] == ["toy", "images of unequal size"]


@pytest.mark.slow
def test_what_the_page_says_passes_the_conformance_kit(tmp_path: Path):
    reports = [r for project in packages_of_the_page(tmp_path).values() for r in check_reference(str(project), {})]

    names = ["nearest_mean", "tiny_net", "centernet_example", "stripes", "threshold", "dots"]
    assert sorted(report.name for report in reports) == sorted(names)
    assert [(r.name, c.name, c.detail) for r in reports for c in r.results if c.passed is not True] == []


@pytest.mark.slow
def test_the_detector_of_the_page_is_installed_by_pip_and_trained(tmp_path: Path):
    place = pip_install([packages_of_the_page(tmp_path)[DETECTOR]], tmp_path / "site")
    few = ["data.train=12", "data.val=0", "data.test=4", "data.size=[64,64]", "fit.epochs=2", "fit.precision=bfloat16"]

    done = call(
        ["run", "task=scenes", "model=centernet_example", *few, "time=off", "out=runs", "--json"], place, tmp_path
    )

    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["fit"]["epochs"] == 2
    assert {"loss", "heat_map", "giou", "lr"} <= set(record["fit"]["history"])


def test_the_definition_of_the_page_is_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "fixtures" / "example_plugin"))
    (text,) = re.findall(r"^```yaml\n(name: stripes-noisy\n.*?)```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "any name.yaml"
    path.write_text(text)
    modules = ("mlcvbench_classification", "mlcvbench_baselines", "mlcvbench_example")
    registry = Registry.of({name: importlib.import_module(name) for name in modules})

    with using(registry):
        request = plan([f"task={path}"], registry)
        definition = request.definition
        data = load_data(resolve(request.configs[0]))
        resolve(request.configs[0]).task.scorer_for(data, definition.protocol, definition.metrics)

    assert [config.model for config in request.configs] == ["majority", "nearest_mean", "tiny_net"]


def test_the_scores_of_the_example_are_calibrated_logits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "fixtures" / "example_plugin"))
    best_scale = importlib.import_module("mlcvbench_example.nearest_mean").best_scale
    distances = np.array([[0.0, 0.1]] * 3 + [[0.1, 0.0]])

    scale = best_scale(distances, np.zeros(4, dtype=np.int64))

    assert scale == pytest.approx(np.log(3) / 0.1, rel=0.15)  # three of four are right: p = 3/4
