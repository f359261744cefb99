"""`mlcvbench score`: predictions made elsewhere get a record, or one line that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from support.runs import config_for

from mlcvbench.analysis.rescoring import recompute
from mlcvbench.cli.score import score
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.leaderboard.standing.boards import boards_of
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store
from mlcvbench.running import scoring
from mlcvbench_classification.task import ClassificationTask

MISSPELT = "unknown key 'prediction'. Did you mean 'predictions', 'precision' or 'refit'?"
NO_NAME = "score needs as=NAME, the name of the method."
NO_TITLE = "as='a\\tb': wanted a line of printable text, at most 200 characters."


@pytest.fixture(scope="module")
def truth() -> tuple[list[str], np.ndarray]:
    test = load_data(resolve(config_for())).splits["test"]
    return [str(i) for i in test.ids], np.asarray(test.targets()["label"])


def invoke(*words: str, cwd: Path) -> Result:
    return CliRunner().invoke(score, [*words, f"out={cwd / 'runs'}"])


def stored(cwd: Path) -> tuple[Record, Path]:
    ((record, folder),), problems = Store(cwd / "runs").records()
    assert problems == []
    return record, folder


def write_labels(path: Path, ids: Sequence[str], labels: Sequence[object]) -> Path:
    path.write_text("id,label\n" + "".join(f"{i},{label}\n" for i, label in zip(ids, labels, strict=True)))
    return path


def test_scores_in_an_npz_become_a_full_record_that_can_be_recomputed(tmp_path: Path, truth) -> None:
    ids, labels = truth
    noise = np.random.default_rng(0).normal(size=(len(labels), 10)).astype(np.float32)
    np.savez(tmp_path / "s.npz", scores=noise + 3 * np.eye(10, dtype=np.float32)[labels], ids=np.array(ids))

    outcome = invoke("task=digits", f"predictions={tmp_path / 's.npz'}", "as=noisy", cwd=tmp_path)

    assert outcome.exit_code == 0, outcome.output
    record, folder = stored(tmp_path)
    assert record.model.name == "noisy"
    assert record.trust == "reported"
    assert record.metrics["top1"].low is not None
    assert record.operations.reason == "only predictions are known"
    assert record.latency == {}
    assert record.command == "mlcvbench score task=digits predictions=s.npz as=noisy"
    assert recompute(record, folder).differences == ()


def test_labels_in_any_order_are_matched_by_id(tmp_path: Path, truth) -> None:
    ids, labels = truth
    wrong = labels.copy()
    wrong[:80] = (wrong[:80] + 1) % 10
    path = write_labels(tmp_path / "l.csv", ids[::-1], wrong[::-1])

    invoke("task=digits", f"predictions={path}", "as=labels", cwd=tmp_path)

    record, _ = stored(tmp_path)
    assert record.metrics["top1"].value == pytest.approx(1 - 80 / 797)
    assert record.metrics["nll"].value is None
    assert record.metrics["nll"].reason


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=digits", "as=a"], "score needs predictions=FILE, the predictions to score."),
        (["task=digits", "predictions=none.npz", "as=a"], "predictions=none.npz: no such file or folder."),
        (["task=digits", "predictions=none.npz"], NO_NAME),
        (["task=digits", "predictions=none.npz", "as=a\tb"], NO_TITLE),
        (["task=digits", "prediction=none.npz", "as=a"], MISSPELT),
        *(
            (
                ["task=digits", "predictions=none.npz", "as=a", word],
                f"key {word.partition('=')[0]!r} has no effect on score: the predictions are given.",
            )
            for word in ("seed=1", "threads=2", "batch=8", "device=cuda", "timeout=9", "select=grid", "fit.memory=9")
        ),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_and_stores_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    outcome = invoke(*words, cwd=tmp_path)

    assert isinstance(outcome.exception, MlcvbenchError)
    assert str(outcome.exception) == message
    assert outcome.exception.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_a_missing_sample_is_refused_and_leaves_no_half_written_run(tmp_path: Path, truth) -> None:
    ids, labels = truth
    path = write_labels(tmp_path / "l.csv", ids[:-1], labels[:-1])

    outcome = invoke("task=digits", f"predictions={path}", "as=short", cwd=tmp_path)

    assert isinstance(outcome.exception, MlcvbenchError)
    assert outcome.exception.exit_code == 2
    assert "l.csv" in str(outcome.exception)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_second_hand_in_is_a_record_of_its_own_and_stands_on_the_board(tmp_path: Path, truth) -> None:
    ids, labels = truth
    outcomes = []
    for wrong in (200, 100):
        given = labels.copy()
        given[:wrong] = (given[:wrong] + 1) % 10
        path = write_labels(tmp_path / "l.csv", ids, given)
        outcomes.append(invoke("task=digits", f"predictions={path}", "as=mine", "intervals=off", cwd=tmp_path))

    assert ["74.91 %" in outcome.output for outcome in outcomes] == [True, False]
    assert ["87.45 %" in outcome.output for outcome in outcomes] == [False, True]
    records = sorted((record for record, _ in Store(tmp_path / "runs").records()[0]), key=lambda r: r.created_utc)
    (board,) = boards_of(Store(tmp_path / "runs").records()[0])
    assert [row.record.run_id for row in board.rows] == [records[1].run_id]
    assert [(item.state, item.reason) for item in board.unranked] == [
        ("replaced", f"replaced by {records[1].run_id}: it was submitted later")
    ]


def test_identical_predictions_are_one_record_and_said_so(tmp_path: Path, truth) -> None:
    ids, labels = truth
    first = write_labels(tmp_path / "first.csv", ids, labels)
    again = write_labels(tmp_path / "again.csv", ids[::-1], labels[::-1])
    settings = ("task=digits", "as=mine", "intervals=off")

    invoke(*settings, f"predictions={first}", cwd=tmp_path)
    outcome = invoke(*settings, f"predictions={again}", cwd=tmp_path)

    record, _ = stored(tmp_path)
    assert outcome.stderr == (
        f"already stored: the same predictions were submitted on {record.created_utc[:10]} as {record.run_id}.\n"
    )


def test_predictions_that_a_later_hand_in_has_replaced_say_so(tmp_path: Path, truth) -> None:
    ids, labels = truth
    good, bad = write_labels(tmp_path / "g.csv", ids, labels), write_labels(tmp_path / "b.csv", ids, labels * 0)
    settings = ("task=digits", "as=mine", "intervals=off")

    invoke(*settings, f"predictions={good}", cwd=tmp_path)
    first, _ = stored(tmp_path)
    invoke(*settings, f"predictions={bad}", cwd=tmp_path)
    outcome = invoke(*settings, f"predictions={good}", cwd=tmp_path)

    (second,) = (record for record, _ in Store(tmp_path / "runs").records()[0] if record.run_id != first.run_id)
    assert outcome.stderr == (
        f"already stored: the same predictions were submitted on {first.created_utc[:10]} as {first.run_id}. "
        f"{second.run_id} was submitted later and is on the board; to rank both, give as= another name.\n"
    )


def test_the_key_of_a_hand_in_is_the_same_on_another_machine(tmp_path: Path, truth, monkeypatch) -> None:
    ids, labels = truth
    path = write_labels(tmp_path / "l.csv", ids, labels)

    threads = RUN_KEYS["threads"]
    for cores in (2, 64):
        monkeypatch.setitem(RUN_KEYS, "threads", threads._replace(param=replace(threads.param, default=cores)))
        invoke("task=digits", f"predictions={path}", "as=mine", "intervals=off", cwd=tmp_path)

    assert len(Store(tmp_path / "runs").records()[0]) == 1


def test_a_protocol_that_replaces_the_benchmarks_says_which_of_its_metrics_are_lost(tmp_path, truth, monkeypatch):
    ids, labels = truth
    path = write_labels(tmp_path / "l.csv", ids, labels)
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "name: mine\nkind: classification\nsummary: My digits.\ndata: {name: digits}\n"
        "protocol: top1/single-crop@2\nmetrics: [top1, nll]\n"
    )
    older = ClassificationTask().scorer("top1/single-crop@1", load_data(resolve(config_for())).problem)
    older.metrics = tuple(metric for metric in older.metrics if metric.name != "nll")
    monkeypatch.setattr(ClassificationTask, "scored_as", lambda *_: older.protocol_id)
    scorer = ClassificationTask.scorer

    def scorer_of(task, name, problem):
        return older if name == older.protocol_id else scorer(task, name, problem)

    monkeypatch.setattr(ClassificationTask, "scorer", scorer_of)

    invoke(f"task={mine}", f"predictions={path}", "as=mine", "intervals=off", cwd=tmp_path)

    record, _ = stored(tmp_path)
    assert record.task.protocol_id == "top1/single-crop@1"
    assert (record.notices[0].code, record.notices[0].text) == (
        "another-protocol",
        "the definition asks for top1/single-crop@2; these predictions are scored as top1/single-crop@1, which gives "
        "no nll.",
    )


def test_predictions_that_change_while_they_are_scored_are_refused(tmp_path: Path, truth, monkeypatch) -> None:
    file = write_labels(tmp_path / "labels.csv", *truth)
    scored = scoring.score

    def change(*args, **kwargs):
        write_labels(file, truth[0], [0] * len(truth[1]))
        return scored(*args, **kwargs)

    monkeypatch.setattr(scoring, "score", change)
    outcome = invoke("task=digits", f"predictions={file}", "as=x", cwd=tmp_path)

    assert isinstance(outcome.exception, DataError)
    assert str(outcome.exception).endswith("labels.csv: changed while they were being scored; score them again.")
    assert Store(tmp_path / "runs").records() == ([], [])
