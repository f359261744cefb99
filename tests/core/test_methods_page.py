"""The page of methods is true: it has every id of the course, commands that are understood, and tests that exist."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from support.paths import ROOT

from mlcvbench.analysis.explain.request import parse_request
from mlcvbench.analysis.studies.planning import plan_study
from mlcvbench.cli import COMMANDS
from mlcvbench.errors import OverrideError, RequestError, UnknownNameError
from mlcvbench.plan.planning import plan
from mlcvbench.plan.words import parse_pairs
from mlcvbench.registry import get_registry

PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")

# The ids of the project's catalogue of methods (shared/design/methods.md, first column of chapters 2 to 9).
IDS = {
    2: "knn_pixels lp_distance capacity_curve holdout_selection grid_search test_set_selection",
    3: "linear_softmax linear_least_squares l2_onehot_loss softmax cross_entropy backprop_check",
    4: "gradient_descent sgd online_gd newton momentum nesterov adagrad rmsprop adam",
    5: "polar_features dense_grid_patches interest_points patch sift color kmeans_codebook bovw vlad mlp",
    6: "conv2d conv_as_matmul receptive_field maxpool avgpool global_avg_pool batch_norm layer_norm small_cnn",
    7: "alexnet zfnet deconvnet_visualisation vgg googlenet resnet resnext senet se_block grouped_conv depthwise_conv "
    "depthwise_separable mobilenet_v1 mobilenet_v3 layer_accounting",
    8: "bias_variance_probe l2_penalty l1_penalty weight_decay early_stopping dropout augmentation label_smoothing "
    "cutout",
    9: "step_lr plateau cosine_lr linear_lr warmup one_cycle random_search ensemble snapshot_ensemble ema_weights swa "
    "distillation",
}
# Its chapter 13: those of chapters 2 to 9 that code can follow (E5, E6 and E13 are of words and indices alone).
ERRATA = "E1 E2 E3 E4 E7 E8 E9 E10 E11 E12 E14 E15 E16 E17 E18 E19 E20 E21 E22 E23 E24 E25 E26 E27 E28 E29"


class Row(NamedTuple):
    """A row of a table: its chapter (0: errata), its ids, what to type and the tests it names."""

    chapter: int
    ids: tuple[str, ...]
    typed: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """Return every row of every table; code without `=` or a program's name is a remark."""
    found = []
    for heading, body in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL):
        number = re.match(r"\d", heading)
        for line in re.findall(r"^\| (`.*) \|$", body, flags=re.MULTILINE):
            cells = line.split(" | ")
            typed = CODE.findall(cells[2]) if len(cells) == 4 else []
            found.append(
                Row(
                    int(number[0]) if number else 0,
                    tuple(CODE.findall(cells[0])),
                    tuple(one for one in typed if "=" in one or one.startswith(("mlcvbench ", "pytest "))),
                    tuple(CODE.findall(cells[-1])),
                )
            )
    return found


ROWS = rows()
BASES = {
    int(chapter): command
    for chapter, command in re.findall(
        r"^## (\d)[^#]*?Settings go behind\s`(mlcvbench run [^`]+)`", PAGE, flags=re.MULTILINE
    )
}
COMMANDS_TYPED = sorted({(row.chapter, typed) for row in ROWS for typed in row.typed} | set(BASES.items()))


@pytest.mark.parametrize("chapter", IDS)
def test_every_id_of_the_course_has_a_row_in_its_chapter(chapter: int):
    listed = [one for row in ROWS if row.chapter == chapter for one in row.ids]

    assert listed == IDS[chapter].split()


def test_every_erratum_of_these_chapters_has_a_row():
    assert [one for row in ROWS if row.chapter == 0 for one in row.ids] == ERRATA.split()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ids[0])
def test_every_row_says_what_to_type_and_what_holds_it(row: Row):
    assert row.typed or row.chapter == 0
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in functions_of(ROOT / "tests" / path), test


@pytest.mark.parametrize(("chapter", "typed"), COMMANDS_TYPED, ids=lambda value: str(value)[:60])
def test_what_the_page_says_to_type_is_understood(chapter: int, typed: str):
    words = shlex.split(typed)
    if words[0] not in {"mlcvbench", "pytest"}:
        words = [*shlex.split(BASES[chapter]), *words]

    understand(words)


def test_what_is_not_understood_is_noticed():
    for words, error in (
        ("mlcvbench run task=digits model=knn model.kk=3", OverrideError),
        ("mlcvbench run task=digits model=knn --slowly", click.NoSuchOption),
        ("mlcvbench study capacity task=digits model=knn", RequestError),
        ("mlcvbench plugin check knm", UnknownNameError),
        ("mlcvbench plugin check knn model.kk=3", OverrideError),
        ("mlcvbench profile model=alexnet model.variant=2013", OverrideError),
        ("mlcvbench explain RUN featuers=4", OverrideError),
        ("pytest tests/no_such_file.py", AssertionError),
    ):
        with pytest.raises(error):
            understand(words.split())


def test_settings_named_in_passing_are_declared_by_the_method_that_they_are_named_for():
    named = []
    for heading, body in re.findall(r"^## (\d).*?$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL):
        model = dict(parse_pairs(BASES[int(heading)].split()[2:]))["model"]
        spec = get_registry().model(model, "classification").spec
        declared = {"model": {param.name for param in spec.params}, "fit": {param.name for param in spec.fit}}
        for place, name in re.findall(r"`(model|fit)\.(\w+)`", body):
            assert name in declared[place], (heading, place, name)
            named.append(name)
    assert {"lr", "width"} <= set(named)


def understand(words: list[str]) -> None:
    """Parse a command line as the program would and resolve what it asks for, without starting it."""
    program, *rest = words
    if program == "pytest":
        assert all((ROOT / path).is_file() for path in rest)
        return
    settings = settings_of(rest)
    name = " ".join(rest[:2]) if rest[0] in {"study", "plugin"} else rest[0]
    if name == "run":
        assert plan(settings).configs
    elif name.startswith("study "):
        assert plan_study("capacity" if rest[1] == "capacity" else "bias-variance", settings).jobs
    elif name == "explain":
        parse_request(settings[1:])
    elif name == "plugin check":
        get_registry().model(settings[0], "classification")
        plan(["task=digits", f"model={settings[0]}", *settings[1:]])
    else:
        assert name == "profile"
        own = dict(parse_pairs(settings))
        plan(["task=digits", *(f"{key}={value}" for key, value in own.items() if key.startswith("model"))])
        module = importlib.import_module("mlcvbench.cli.profile")
        assert {key for key in own if not key.startswith("model.")} <= set(module.KEYS)
        assert own.get("convention", "standard") in module.KEYS["convention"].choices


def settings_of(words: list[str]) -> list[str]:
    """Return the arguments of a command after click has taken its options; click's error for one it does not know."""
    module, _, attribute = COMMANDS[words[0]][0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    given = words[1:]
    if isinstance(command, click.Group):
        command, given = command.commands[given[0]], given[1:]
    context = command.make_context(words[0], list(given))
    taken: list[str] = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            value = context.params[parameter.name]
            taken += [value] if isinstance(value, str) else list(value)
    return taken


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """Return the names of the functions that a test file defines; none when there is no such file."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
