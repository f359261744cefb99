"""The command a record names asks for the same run again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench.plan.command import command_of, score_command_of
from mlcvbench.plan.planning import plan
from mlcvbench.specs.values import text


@pytest.mark.parametrize(
    "settings",
    [
        ("model=knn", "model.k=9", "seed=3"),
        ("model=small_cnn", "model.width=8", "fit.epochs=2", "fit.optimizer=sgd", "limit=50"),
        ("model=majority", "intervals=off", "shards=3", "batch=7", "data.seed=4"),
        ("model=knn", "data=mnist5k"),
        ("model=knn", "model.k=1,3", "select=grid", "timeout=120", "memory=2000"),
    ],
)
def test_the_command_resolves_to_the_same_run(settings: tuple[str, ...]) -> None:
    config = config_for(*settings)

    (again,) = plan(shlex.split(command_of(config))[2:]).configs

    assert again.to_dict() | {"given": ()} == config.to_dict() | {"given": ()}


def test_a_path_is_shown_as_a_placeholder(tmp_path: Path) -> None:
    config = config_for("task=fashion-mnist", "model=knn", f"data.root={tmp_path}", "threads=2")

    assert command_of(config) == ("mlcvbench run task=fashion-mnist model=knn data.root=DIR seed=0 threads=2 time=off")


def test_a_definition_on_other_data_says_so() -> None:
    config = config_for("task=digits", "data=mnist5k", "model=knn", "threads=1")

    assert command_of(config) == "mlcvbench run task=digits data=mnist5k model=knn seed=0 threads=1 time=off"


def test_a_definition_that_is_not_installed_is_a_file_of_the_name_it_had(tmp_path: Path) -> None:
    path = tmp_path / "other name.yml"
    path.write_text(
        "name: mine\nkind: classification\nsummary: My digits.\ndata: {name: digits}\n"
        "protocol: top1/single-crop@1\nmetrics: [top1]\nmodels: [majority]\n"
    )
    config = config_for(f"task={path}", "threads=1")

    assert command_of(config) == "mlcvbench run 'task=other name.yml' model=majority seed=0 threads=1 time=off"
    assert str(tmp_path) not in str(config.to_dict())


def test_a_score_command_names_the_file_and_the_model() -> None:
    config = config_for("task=digits", "limit=10")

    assert score_command_of(config, "my scores.csv") == (
        "mlcvbench score task=digits 'predictions=my scores.csv' as=majority limit=10"
    )


def test_values_are_written_as_they_are_read() -> None:
    assert [text(v) for v in ([64, 64], True, 0.5, "a", None)] == ["[64,64]", "true", "0.5", "a", "None"]
