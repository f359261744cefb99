"""`select=`: which settings a run searches, the candidates that follow, and every request that cannot be meant."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from mlcvbench.cli import main
from mlcvbench.errors import MlcvbenchError
from mlcvbench.plan.command import command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.identity import compute_keys, compute_run_key
from mlcvbench.plan.planning import plan
from mlcvbench.plan.search import Candidate, candidates
from mlcvbench.registry import get_registry

FINGERPRINT = "1" * 64


def configs(words: str) -> list[RunConfig]:
    return plan(["task=digits", "threads=1", *shlex.split(words)]).configs


def found(words: str) -> list[Candidate]:
    (config,) = configs(words)
    return candidates(config, get_registry().model(config.model, "classification").spec)


def test_a_grid_is_one_run_with_every_combination():
    (config,) = configs("model=knn model.k=1,3 model.p=1,2 model.distance=lp select=grid")

    assert config.search is not None
    assert config.search.space == {"model.k": [1, 3], "model.p": [1.0, 2.0]}
    assert config.model_params == {"distance": "lp", "weights": "uniform"}
    assert [one.settings for one in found("model=knn model.k=1,3 model.p=1,2 select=grid")] == [
        {"model.k": 1, "model.p": 1.0},
        {"model.k": 1, "model.p": 2.0},
        {"model.k": 3, "model.p": 1.0},
        {"model.k": 3, "model.p": 2.0},
    ]


def test_a_candidate_is_the_run_that_the_same_settings_ask_for():
    (plain,) = configs("model=mlp model.hidden=[32] fit.epochs=2 fit.lr=0.01")

    candidate = found("model=mlp model.hidden=[16],[32] fit.epochs=2 fit.lr=0.01 select=grid")[1]

    assert (candidate.model_params, candidate.fit) == (plain.model_params, plain.fit)


def test_seeds_still_make_runs_of_their_own():
    runs = configs("model=knn model.k=1,3 select=grid seed=0,1")

    assert [run.seed for run in runs] == [0, 1]
    assert len({compute_run_key(run, FINGERPRINT) for run in runs}) == 2
    assert len({compute_keys(run, FINGERPRINT).group for run in runs}) == 1


def test_each_model_searches_its_own_settings():
    knn, mlp = configs("model=knn,mlp knn.k=1,3 mlp.hidden=[8],[16] select=grid")

    assert (knn.search.space, mlp.search.space) == ({"model.k": [1, 3]}, {"model.hidden": [[8], [16]]})


def test_lists_are_drawn_from_without_replacement():
    drawn = found("model=knn model.k=1,3,5,7 model.p=1,2 select=random trials=8")

    assert len({json.dumps(one.settings) for one in drawn}) == 8


def test_the_seed_alone_decides_what_is_drawn():
    words = "model=mlp fit.lr=log(1e-4,1e-1) model.dropout=uniform(0,0.5) select=random trials=5"

    first, again, other = found(words), found(words), found(f"{words} seed=1")

    assert first == again
    assert not {one.settings["fit.lr"] for one in first} & {one.settings["fit.lr"] for one in other}


def test_ranges_are_drawn_as_they_say():
    drawn = found("model=mlp fit.lr=log(1e-4,1e-1) model.dropout=uniform(0,0.5) select=random trials=200")
    whole = found("model=knn model.k=int(1,6) select=random trials=6")
    logarithmic = found("model=knn model.k=log(1,1000) select=random trials=40")

    rates = [one.settings["fit.lr"] for one in drawn]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-1
    assert 0.4 < sum(rate < 10**-2.5 for rate in rates) / 200 < 0.6  # half of them below the geometric mean
    assert 0.4 < sum(one.settings["model.dropout"] < 0.25 for one in drawn) / 200 < 0.6
    assert sorted(one.settings["model.k"] for one in whole) == [1, 2, 3, 4, 5, 6]
    assert {type(one.settings["model.k"]) for one in logarithmic} == {int}
    assert sum(one.settings["model.k"] < 32 for one in logarithmic) >= 10


def test_settings_without_effect_make_no_candidates_of_their_own():
    tried = found("model=mlp fit.optimizer=adam,momentum fit.momentum=0.8,0.9 select=grid")

    assert [one.settings for one in tried] == [
        {"fit.optimizer": "adam"},
        {"fit.momentum": 0.8, "fit.optimizer": "momentum"},
        {"fit.momentum": 0.9, "fit.optimizer": "momentum"},
    ]


def test_the_search_is_part_of_the_key_and_plain_runs_keep_theirs():
    plain, grid, wider, kept = (
        configs(f"model=knn {words}")[0]
        for words in (
            "model.k=3",
            "model.k=1,3 select=grid",
            "model.k=1,3,5 select=grid",
            "model.k=1,3 select=grid refit=off",
        )
    )

    assert len({compute_run_key(run, FINGERPRINT) for run in (plain, grid, wider, kept)}) == 4
    assert "search" not in plain.to_dict()


def test_the_code_of_every_model_that_is_chosen_among_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch):
    hashed: list[str] = []
    monkeypatch.setattr("mlcvbench.plan.sources.source_hash", lambda package: (hashed.append(package), "0")[1])
    (config,) = configs("model=ensemble model.base=small_cnn,mlp select=grid")

    compute_run_key(config, FINGERPRINT)

    assert {"mlcvbench_cnn", "mlcvbench_linear"} < set(hashed)


@pytest.mark.parametrize(
    "words",
    [
        "model=knn model.k=1,3 model.p=1.0,2.0 select=grid",
        "model=knn model.k=1,3 select=grid select_on=test",
        "model=mlp 'model.hidden=[8],[16,16]' 'fit.lr=log(0.0001,0.1)' select=random trials=5 refit=off",
        "model=knn model.k=1,3 select=grid select_share=0.25",
    ],
)
def test_the_command_of_a_search_asks_for_it_again(words: str):
    (config,) = configs(words)

    (again,) = plan(shlex.split(command_of(config))[2:]).configs

    assert again == config
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


NO_RANGE = "wanted a range such as log(a,b), uniform(a,b) or int(a,b)."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "model=knn select=grid",
            "select=grid: model 'knn' is given no setting with several values, such as model.k=1,3.",
        ),
        (
            "model=knn model.k=3 select=random trials=2",
            "select=random: model 'knn' is given no setting with several values, such as model.k=1,3.",
        ),
        ("model=knn model.k=3,3 select=grid", "model.k: the list holds only one value; a fixed setting is given once."),
        ("model=knn model.k=1,3 select=random", "select=random needs trials=N, how many candidates it draws."),
        (
            "model=knn model.k=1,3 select=grid trials=3",
            "key 'trials' has no effect: select=grid tries every combination; say select=random trials=3.",
        ),
        (
            "model=knn model.k=int(1,9) select=grid",
            "model.k=int(1,9): a range needs select=random; otherwise list the values, as in model.k=A,B.",
        ),
        (
            "model=knn model.k=int(1,9)",
            "model.k=int(1,9): a range needs select=random; otherwise list the values, as in model.k=A,B.",
        ),
        (
            "model=knn model.k=uniform(1,9) select=random trials=2",
            "model.k=uniform(1,9): wanted a range such as int(a,b) or log(a,b), since model.k is a whole number.",
        ),
        (
            "model=knn model.p=int(1,9) select=random trials=2",
            "model.p=int(1,9): wanted a range such as uniform(a,b) or log(a,b), since model.p is a number.",
        ),
        *(
            (f"model=knn model.p={text} select=random trials=2", f"model.p={text}: {NO_RANGE}")
            for text in ("log(1,9", "lgo(1,9)", "log(1)")
        ),
        (
            "model=knn model.k=int(5,2) select=random trials=2",
            "model.k=int(5,2): wanted a range whose first end is below its second.",
        ),
        (
            "model=mlp model.dropout=log(0,0.5) select=random trials=2",
            "model.dropout=log(0,0.5): wanted a range whose first end is above 0 and below its second.",
        ),
        ("model=knn model.k=int(0,5) select=random trials=2", "model.k=0: wanted a whole number of at least 1."),
        (
            "model=knn model.k=1,3 select=random trials=3",
            "trials=3: only 2 different candidates exist.",
        ),
        ("model=knn model.k=1,3 select=best", "select=best: wanted one of grid or random."),
        ("model=knn model.k=1,3 refit=off", "key 'refit' has no effect without select=grid or select=random."),
        (
            "model=knn model.k=1,3 select=grid select_on=test select_share=0.2",
            "key 'select_share' has no effect: with select_on=test nothing is held out.",
        ),
        ("model=knn model.k=1,3 select=grid select_share=0.9", "select_share=0.9: wanted a number from 0.05 to 0.5."),
        (
            "model=knn model.k=1,3 select=grid weights=/",
            "select and weights= exclude each other: fitted weights leave nothing to select.",
        ),
        (
            "model=knn model.k=1,3 selct=grid",
            "unknown key 'selct'. Did you mean 'select', 'select_on' or 'select_share'?",
        ),
        (
            "model=mlp fit.optimizer=adam,rmsprop fit.momentum=0.8,0.9 select=grid",
            "key 'fit.momentum' has no effect: it needs fit.optimizer=",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(words: str, message: str):
    with pytest.raises(MlcvbenchError) as caught:
        configs(words)

    assert str(caught.value) == message or (message.endswith("=") and str(caught.value).startswith(message))
    assert caught.value.exit_code == 2


def test_settings_of_a_model_without_a_fit_are_selected_too():
    (config,) = plan(["task=depth", "model=block_matching", "model.block=5,7", "select=grid"]).configs

    assert config.search is not None
    assert config.search.space == {"model.block": [5, 7]}


def test_a_grid_beyond_all_measure_is_refused():
    many = ",".join(map(str, range(1, 102)))

    with pytest.raises(MlcvbenchError, match=r"^select=grid asks for 10201 candidates; the most is 10000\.$"):
        configs(f"model=knn model.k={many} model.p={','.join(f'{1 + i / 100}' for i in range(101))} select=grid")


def test_a_dry_run_shows_the_space_the_fits_and_their_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["task=digits", "model=knn", "model.k=1,3", "select=grid", "threads=1", f"out={tmp_path / 'runs'}"]

    assert main(["run", *words, "--dry-run"]) == 0

    assert capsys.readouterr().out.splitlines()[1:] == [
        "  mlcvbench run task=digits model=knn model.k=1,3 select=grid seed=0 threads=1",
        "    model.k: 1, 3",
        "    2 candidates and the winner again: 3 fits; compared on the validation split",
        "    fit budget 600 s each; the whole run at most 3600 s",
    ]
    assert not (tmp_path / "runs").exists()


def test_searches_have_no_place_among_predictions_made_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["score", "task=digits", f"predictions={tmp_path}", "as=mine", "trials=3"]) == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: key 'trials' has no effect on score: the predictions are given.\n"
    )
