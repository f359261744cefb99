"""What makes two runs the same: everything that can change the numbers, nothing that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench.loading.data import load_data
from mlcvbench.loading.description import run_key
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.identity import compute_fit_key, compute_keys, compute_run_key

DATA = "d" * 64


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data_seed": 1},
        {"model_params": {"k": 3, "p": 2.0}},
        {"threads": 7},
        {"device": "cuda"},
        {"precision": "bfloat16"},
        {"limit": 10},
        {"batch_size": 8},
        {"time": "standard"},
        {"intervals": False},
    ],
)
def test_what_can_change_the_record_changes_the_key(change: dict[str, object]) -> None:
    config = config_for("model=knn")

    assert compute_run_key(config, DATA) != compute_run_key(replace(config, **change), DATA)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"seconds": 5.0}, {"memory_mb": 100}, {"given": ("model.k",)}])
def test_limits_and_wording_do_not_change_the_key(change: dict[str, object]) -> None:
    config = config_for("model=knn")

    assert compute_run_key(config, DATA) == compute_run_key(replace(config, **change), DATA)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"seconds": 5.0}, {"memory_mb": 100}])
def test_limits_change_the_key_of_a_search_whose_candidates_they_bound(change: dict[str, object]) -> None:
    config = config_for("model=knn", "model.k=1,3", "select=grid")

    assert compute_run_key(config, DATA) != compute_run_key(replace(config, **change), DATA)  # type: ignore[arg-type]


@pytest.mark.parametrize("available", [False, True])
def test_an_automatic_device_is_settled_when_the_run_is_planned(
    available: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)

    assert config_for("device=auto").device == ("cuda" if available else "cpu")


def test_a_data_set_that_asks_something_else_with_the_same_samples_is_other_data() -> None:
    data = load_data(resolve(config_for()))
    renamed = replace(data.problem, classes=tuple(reversed(data.problem.classes)))

    for other in (renamed, replace(data.problem, extra={"disparities": 64})):
        changed = replace(data, problem=other)
        assert changed.fingerprint() != data.fingerprint()
        assert changed.fingerprint_of(("train",)) != data.fingerprint_of(("train",))


def test_other_data_or_another_protocol_change_the_key() -> None:
    config = config_for("model=knn")
    other = replace(config, definition=replace(config.definition, protocol="other@1"))

    keys = {compute_run_key(config, DATA), compute_run_key(config, "e" * 64), compute_run_key(other, DATA)}

    assert len(keys) == 3


def test_the_title_of_a_benchmark_does_not_change_the_key() -> None:
    config = config_for("model=knn")
    retitled = replace(config, definition=replace(config.definition, title="Other", summary="words"))

    assert compute_run_key(config, DATA) == compute_run_key(retitled, DATA)


def test_a_seed_group_shares_its_key() -> None:
    config = config_for("model=knn")

    assert compute_keys(config, DATA).group == compute_keys(replace(config, seed=5), DATA).group
    assert compute_keys(config, DATA).group != compute_keys(replace(config, data_seed=5), DATA).group


def test_measuring_does_not_change_what_is_fitted() -> None:
    config = config_for("model=knn")

    same = [replace(config, time="publish"), replace(config, limit=3), replace(config, intervals=False)]

    assert {compute_fit_key(other, DATA) for other in same} == {compute_fit_key(config, DATA)}
    assert compute_fit_key(replace(config, seed=1), DATA) != compute_fit_key(config, DATA)


def test_the_key_of_a_run_is_that_of_its_record(tmp_path: Path) -> None:
    from mlcvbench.running import stages

    config = config_for("limit=5")

    assert stages.execute(config, tmp_path).run_key == run_key(config)


def test_the_file_of_a_definition_is_not_what_makes_a_run(tmp_path: Path) -> None:
    config = config_for()
    renamed = replace(config, definition=replace(config.definition, file="elsewhere.yaml"))

    assert compute_run_key(renamed, "data") == compute_run_key(config, "data")
