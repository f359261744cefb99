"""A run that chooses its settings: what decides, what is recorded, and what fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.runs import config_for, stored_run

from mlcvbench import hookimpl
from mlcvbench.analysis.rescoring import config_of, recompute
from mlcvbench.api import to_frame
from mlcvbench.contract import Batch, FitContext, JoinedSplit, LoadedData, Model, Predictions, Split
from mlcvbench.errors import DataError
from mlcvbench.leaderboard.build import build_boards
from mlcvbench.leaderboard.standing.boards import boards_of
from mlcvbench.loading.data import load_data
from mlcvbench.loading.description import describe_data
from mlcvbench.loading.resolved import Resolved, resolve
from mlcvbench.plan.planning import plan
from mlcvbench.plan.search import candidates, settled
from mlcvbench.processes.progress import silent
from mlcvbench.records.display import to_text
from mlcvbench.records.schema import Record, TrialInfo
from mlcvbench.registry import Registry, get_registry, using
from mlcvbench.running import stages
from mlcvbench.running.fitting import obtain_model
from mlcvbench.running.selection import OPTIMISTIC, TrialSetup, best
from mlcvbench.running.trials import Journal, Tried, Watch
from mlcvbench.specs import ModelSpec, Param
from mlcvbench.storage import cache

SEEN: list[tuple[str, int, int | None]] = []


class Heavy(Model):
    """Its fit takes as many MB as its setting says, for a moment."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        np.ones(self.params["mb"] * 2**20, np.uint8).sum()

    def forward(self, inputs: Any) -> Any:
        return inputs["image"]

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return {"scores": np.ones((len(batch), len(self.problem.classes)), np.float32)}


class Fussy(Model):
    """Answers label 0 with a strength; some strengths break it, in fit or in predict."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        SEEN.append((train.name, len(train), None if val is None else len(val)))
        if self.params["strength"] == 13:
            raise ValueError("the loss is not finite after 3 epochs.")

    def forward(self, inputs: Any) -> Any:
        return inputs["image"]

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        scores = np.zeros((len(batch), len(self.problem.classes)), np.float32)
        scores[:, self.params["strength"] % 10] = np.nan if self.params["strength"] == 17 else 1
        return {"scores": scores}


@pytest.fixture
def fussy() -> Iterator[None]:
    """A registry that also has the model `fussy`."""
    spec = ModelSpec(
        "fussy", ("classification",), f"{__name__}:Fussy", "Breaks.", params=(Param("strength", "int", 0),)
    )
    heavy = ModelSpec(
        "heavy", ("classification",), f"{__name__}:Heavy", "Takes memory.", params=(Param("mb", "int", 0),)
    )
    ours = SimpleNamespace(mlcvbench_models=hookimpl(lambda: [spec, heavy]))
    ours.mlcvbench_models.__name__ = "mlcvbench_models"
    ours.__name__ = __name__
    named = {origin.plugin: __import__(origin.package) for origin in get_registry().plugins}
    SEEN.clear()
    with using(Registry.of({**named, "ours": ours})):
        yield


def run(folder: Path, *settings: str) -> Record:
    folder.mkdir(exist_ok=True)
    return stages.execute(config_for(*settings, "intervals=off"), folder)


def test_the_best_on_val_wins_and_is_fitted_again_on_train_and_val(tmp_path: Path):
    record = run(tmp_path / "a", "model=knn", "model.k=1,3,101", "select=grid")
    plain = run(tmp_path / "b", "model=knn", "model.k=1")

    selection = record.selection
    assert selection is not None
    assert [trial.settings for trial in selection.trials] == [{"model.k": 1}, {"model.k": 3}, {"model.k": 101}]
    assert (selection.winner, selection.split, selection.n, selection.train_samples) == (0, "val", 200, 800)
    assert (selection.metric, selection.method, selection.refit, selection.note) == ("top1", "grid", True, OPTIMISTIC)
    assert selection.fingerprint == load_data(resolve(config_for())).splits["val"].fingerprint()
    assert record.model.params["k"] == 1
    assert record.fit.train_samples == 1000
    assert record.metrics == plain.metrics
    assert record.contaminated is None
    assert record.run_key != plain.run_key
    assert record.group_key != plain.group_key


def test_the_value_of_a_trial_is_the_score_of_a_fit_on_train_alone(tmp_path: Path):
    from sklearn.neighbors import KNeighborsClassifier

    data = load_data(resolve(config_for()))
    (train, train_labels), (val, val_labels) = (data.splits[name].arrays() for name in ("train", "val"))
    reference = KNeighborsClassifier(3, algorithm="brute").fit(train["image"].reshape(800, -1), train_labels["label"])

    record = run(tmp_path, "model=knn", "model.k=1,3", "select=grid")

    wanted = reference.score(val["image"].reshape(200, -1), val_labels["label"])
    assert record.selection is not None
    assert record.selection.trials[1].value == pytest.approx(wanted)


def test_any_metric_of_the_protocol_may_decide_in_its_own_direction(tmp_path: Path):
    words = ("model=knn", "model.k=1,3,101", "select=grid")

    by_loss, by_default = run(tmp_path / "a", *words, "select_metric=nll"), run(tmp_path / "b", *words)

    selection, usual = by_loss.selection, by_default.selection
    assert selection is not None
    assert usual is not None
    values = [trial.value for trial in selection.trials]
    assert (selection.metric, selection.higher_is_better) == ("nll", False)
    assert values[selection.winner] == min(value for value in values if value is not None)
    assert (usual.metric, usual.winner) == ("top1", 0)
    assert selection.winner != usual.winner
    assert by_loss.run_key != by_default.run_key
    assert " select_metric=nll" in by_loss.command
    assert plan(by_loss.command.split()[2:]).configs[0].search == config_for(*words, "select_metric=nll").search


def test_a_search_by_the_primary_metric_keeps_its_key():
    config = config_for("model=knn", "model.k=1,3", "select=grid")

    assert "metric" not in config.to_dict()["search"]


def test_a_metric_that_the_protocol_has_not_decides_nothing(tmp_path: Path):
    words = ("model=knn", "model.k=1,3", "select=grid", "select_metric=topp1")
    record = run(tmp_path, *words)

    assert record.error is not None
    assert record.error.stage == "resolve"
    assert record.error.message.startswith("unknown metric 'topp1'. Did you mean 'top1' or 'top5'?")
    with pytest.raises(DataError) as caught:  # the command refuses it before any run
        describe_data(config_for(*words))
    assert (caught.value.exit_code, str(caught.value)) == (2, record.error.message)


def test_without_a_refit_the_winner_stays_as_it_was_compared(tmp_path: Path):
    record = run(tmp_path, "model=knn", "model.k=1,101", "select=grid", "refit=off")

    assert record.fit.train_samples == 800
    assert record.model.weights.trained_on == ("digits/train",)
    assert record.selection is not None
    assert record.selection.refit is False


def test_a_fit_that_chooses_on_val_itself_gets_it(tmp_path: Path):
    words = ("model=mlp", "model.hidden=[8],[16]", "fit.epochs=2", "fit.early_stopping=true", "select=grid")

    record = run(tmp_path, *words)

    assert record.status == "ok"
    assert (record.fit.train_samples, record.fit.val_samples) == (800, 200)
    assert record.selection is not None
    assert (record.selection.fit["epochs"], record.selection.fit["early_stopping"]) == (2, True)


def test_a_record_gives_back_the_run_that_won(tmp_path: Path):
    words = ("model=mlp", "fit.optimizer=adam,momentum", "fit.momentum=0.1,0.2", "fit.epochs=2")

    record, folder = stored_run(tmp_path, *words, "select=grid")

    won = config_of(record)
    assert record.selection is not None
    (plain,) = plan(["task=digits", "model=mlp", "fit.epochs=2", "fit.optimizer=adam", "time=off"]).configs
    assert set(won.fit) == set(plain.fit)
    assert (won.search, won.model_params) == (None, record.model.params)
    for name, value in record.selection.trials[record.selection.winner].settings.items():
        assert won.fit[name.removeprefix("fit.")] == value
    assert recompute(record, folder).differences == ()
    (row,) = to_frame([record]).to_dict("records")
    assert row["fit.optimizer"] == won.fit["optimizer"]


def test_data_without_val_are_held_out_once_for_all(tmp_path: Path, fussy: None, monkeypatch: pytest.MonkeyPatch):
    def joined(resolved: Resolved, *asked: object) -> LoadedData:
        data = load_data(resolved, *asked)
        parts = [data.splits["train"], data.splits["val"]]
        return replace(data, splits={"train": JoinedSplit(parts, "train"), "test": data.splits["test"]})

    monkeypatch.setattr("mlcvbench.loading.prepared.load_data", joined)
    record = run(tmp_path, "model=fussy", "model.strength=1,2,3", "select=grid", "data.seed=3", "select_share=0.25")

    assert SEEN == [("train/rest", 750, None)] * 3 + [("train", 1000, None)]
    assert record.selection is not None
    assert (record.selection.split, record.selection.n) == ("25 % of train, held out", 250)


def test_the_test_split_reaches_no_fit_and_no_comparison(tmp_path: Path, fussy: None):
    record = run(tmp_path, "model=fussy", "model.strength=1,2", "select=grid")

    test = load_data(resolve(config_for())).splits["test"]
    assert SEEN == [("train", 800, None)] * 2 + [("train+val", 1000, None)]
    assert record.selection is not None
    assert record.selection.fingerprint != test.fingerprint()


def test_a_candidate_that_fails_is_a_trial_with_its_message(tmp_path: Path, fussy: None):
    record = run(tmp_path, "model=fussy", "model.strength=13,17,4,2", "select=grid")

    assert record.status == "ok"
    assert record.selection is not None
    first, second, third, fourth = record.selection.trials
    assert (first.status, first.value, first.message) == (
        "error",
        None,
        "ValueError: the loss is not finite after 3 epochs.",
    )
    assert second.status == "error"
    assert "wanted finite numbers, got nan" in second.message
    assert third.value is not None
    assert fourth.value is not None
    assert record.selection.winner == (2 if third.value >= fourth.value else 3)


def test_when_every_candidate_fails_so_does_the_run(tmp_path: Path, fussy: None):
    record = run(tmp_path, "model=fussy", "model.strength=13,17", "select=grid")

    assert (record.status, record.selection) == ("error", None)
    assert record.error is not None
    assert (record.error.stage, record.error.message) == (
        "select",
        "all 2 candidates failed; the first: ValueError: the loss is not finite after 3 epochs.",
    )


def test_selection_on_the_test_split_contaminates_and_is_never_ranked(tmp_path: Path):
    honest, folder = stored_run(tmp_path, "model=knn", "model.k=1,3", "select=grid")
    leaky, other = stored_run(tmp_path, "model=knn", "model.k=1,3", "select=grid", "select_on=test")

    (board,) = boards_of([(honest, folder), (leaky, other)])

    assert leaky.contaminated == "its settings were chosen on the test split (select_on=test), so its score is too good"
    assert leaky.selection is not None
    assert (leaky.selection.split, leaky.selection.n) == ("test", 797)
    assert leaky.metrics["top1"].value >= honest.metrics["top1"].value  # type: ignore[operator]
    assert [row.record.run_id for row in board.rows] == [honest.run_id]
    assert [(row.entry.record.run_id, row.reason) for row in board.unranked] == [
        (leaky.run_id, f"contaminated: {leaky.contaminated}")
    ]


def test_a_contaminated_run_says_so_even_when_it_fails(tmp_path: Path, fussy: None):
    record = run(tmp_path, "model=fussy", "model.strength=13,17", "select=grid", "select_on=test")

    assert record.status == "error"
    assert record.contaminated is not None


def test_a_fit_is_not_charged_with_the_memory_of_earlier_ones(fussy: None):
    config = config_for("model=heavy", "model.mb=1,300,2", "select=grid")
    resolved = resolve(config)
    data = load_data(resolved)

    peaks = {}
    for candidate in candidates(config, get_registry().model("heavy", "classification").spec):
        fitted = obtain_model(replace(resolved, config=settled(config, candidate)), data, silent, None)
        peaks[candidate.settings["model.mb"]] = fitted.info.peak_memory

    assert peaks[300] > 250 * 2**20
    assert peaks[2] < 100 * 2**20


def test_equal_values_go_to_the_first():
    def trial(value: float | None) -> TrialInfo:
        return TrialInfo(settings={}, value=value)

    assert best([trial(None), trial(0.5), trial(0.7), trial(0.7)], higher_is_better=True) == 2
    assert best([trial(0.5), trial(0.2), trial(0.2)], higher_is_better=False) == 1
    assert best([trial(None)], higher_is_better=True) is None


def test_a_run_shows_every_trial_on_its_page_and_in_the_terminal(tmp_path: Path):
    record, _ = stored_run(tmp_path, "model=knn", "model.k=1,3", "select=grid")

    shown = to_text(record)
    build_boards(tmp_path, tmp_path / "_board")
    page = (tmp_path / "_board" / "site" / "runs" / f"{record.run_id}.html").read_text()
    (board,) = boards_of([(record, tmp_path / record.run_id)])

    for line in ("decided by              top1 on val, n = 200", "trial 1 *               model.k=1: 96.50 %"):
        assert line in shown
    assert "How the settings were chosen" in page
    assert page.count("model.k=3") == 1
    assert OPTIMISTIC.replace("'", "&#39;") in page
    assert board.rows[0].config == "k=1|3, select=grid"


def test_progress_of_a_search_only_rises(tmp_path: Path):
    seen: list[tuple[int, int]] = []

    def note(stage: str, done: int, total: int, *_: object) -> None:
        if stage == "select" and total > 1:
            seen.append((done, total))

    words = ("model=mlp", "model.hidden=[8],[9]", "fit.epochs=3", "select=grid")
    record = stages.execute(config_for(*words, "intervals=off"), tmp_path, progress=note)

    assert record.status == "ok"
    assert seen == sorted(seen)
    assert seen[-1][0] <= seen[-1][1] == 200


def test_an_interrupted_search_goes_on_with_what_is_known(tmp_path: Path, fussy: None, monkeypatch: pytest.MonkeyPatch):
    words = ("model=fussy", "model.strength=13,31,32,33", "select=grid", "refit=off")
    whole = run(tmp_path / "whole", *words)
    scored: list[str] = []
    honest = TrialSetup.value

    def interrupted(self: TrialSetup, *given: Any) -> float:
        scored.append(self.resolved.config.model_params["strength"])
        if len(scored) == 2:
            raise KeyboardInterrupt
        return honest(self, *given)

    monkeypatch.setattr(TrialSetup, "value", interrupted)
    again = ("limit=790", *words)  # another run, whose fits are known
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", *again)
    resumed = run(tmp_path / "b", *again)

    assert scored == [31, 32, 32, 33]
    assert resumed.selection is not None
    assert whole.selection is not None
    assert resumed.selection.trials == whole.selection.trials
    assert resumed.selection.winner == whole.selection.winner
    assert cache.entries("searches") == []


def test_lost_candidates_are_told_and_the_others_decide_as_before(tmp_path: Path, fussy: None):
    begun: list[tuple[int | None, int]] = []
    watch = Watch({1: ("killed", "the process was ended by SIGKILL.")}, 5.0, lambda *told: begun.append(told))
    words = ("model=fussy", "model.strength=1,2,3", "select=grid", "intervals=off")

    record = stages.execute(config_for(*words), tmp_path, watch=watch)

    assert begun == [(0, 3), (None, 0), (2, 2), (None, 0)]
    assert record.selection is not None
    assert [trial.status for trial in record.selection.trials] == ["ok", "killed", "ok"]
    assert record.selection.trials[1].message == "the process was ended by SIGKILL."
    assert record.selection.winner != 1
    assert record.selection.seconds is not None
    assert record.selection.seconds > 5


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"trial": 3}', b'{"trial": {"settings": {}}, "train_samples": 1}'])
def test_what_is_damaged_or_of_another_candidate_is_tried_again(tmp_path: Path, damage: bytes):
    journal = Journal(tmp_path, Watch())
    journal.keep(0, Tried(TrialInfo(settings={"model.k": 3}, value=0.1), 800))
    kept, other = journal.known(0, {"model.k": 3}), journal.known(0, {"model.k": 5})
    (tmp_path / "0.json").write_bytes(damage)

    assert kept == Tried(TrialInfo(settings={"model.k": 3}, value=0.1), 800)
    assert (other, journal.known(0, {"model.k": 3})) == (None, None)


def test_a_search_goes_on_from_the_fits_that_were_done(tmp_path: Path, fussy: None):
    run(tmp_path / "a", "model=fussy", "model.strength=21,22", "select=grid", "refit=off")
    done = len(SEEN)

    run(tmp_path / "b", "model=fussy", "model.strength=21,22,23", "select=grid", "refit=off")

    assert (done, len(SEEN)) == (2, 3)
