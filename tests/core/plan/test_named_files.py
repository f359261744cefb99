"""A file that a setting names is known by what it holds: a changed one is another run; no record says where it is."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.faults import environment, run_cli
from support.prior import installed
from support.runs import config_for, stored_run

from mlcvbench.analysis.explain.subject import open_subject
from mlcvbench.errors import DataError, OverrideError, RecordError, RequestError
from mlcvbench.plan.command import command_of
from mlcvbench.plan.identity import compute_fit_key, compute_run_key
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import Record
from mlcvbench.running import stages

DATA = "d" * 64


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> Iterator[Path]:
    with installed(tmp_path / "site") as place:
        yield place


@pytest.fixture
def best(tmp_path: Path) -> Path:
    path = tmp_path / "someuser" / "best.txt"
    path.parent.mkdir()
    path.write_text("0")
    return path


def label(text: str) -> str:
    return f"best.txt@{hashlib.sha256(text.encode()).hexdigest()}"


REQUESTS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "a setting of the model": lambda best: ("model=prior", f"model.file={best}"),
    "a folder": lambda best: ("model=prior", f"model.file={best.parent}"),
    "a setting of fit": lambda best: ("model=pupil", f"fit.teacher={best}"),
    "inside a model": lambda best: ("model=outer", f"model.base=[prior,file={best}]"),
    "inside a model inside a model": lambda best: ("model=outer", f"model.base=[outer,base=[prior,file={best}]]"),
    "weights": lambda best: ("model=prior", f"model.file={__file__}", f"weights={best}"),
    "a candidate of a search": lambda best: (
        "model=prior", f"model.file={best},{__file__}", "select=grid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", REQUESTS.values(), ids=list(REQUESTS))
def test_other_content_is_another_run_and_another_fit(best: Path, words: Callable[[Path], tuple[str, ...]]) -> None:
    config = config_for(*words(best))
    before = compute_run_key(config, DATA), compute_fit_key(config, DATA)

    assert (compute_run_key(config, DATA), compute_fit_key(config, DATA)) == before
    best.write_text("4")

    assert compute_run_key(config, DATA) != before[0]
    assert compute_fit_key(config, DATA) != before[1]


@pytest.mark.parametrize("words", REQUESTS.values(), ids=list(REQUESTS))
def test_the_same_content_elsewhere_is_the_same_run(
    best: Path, tmp_path: Path, words: Callable[[Path], tuple[str, ...]]
) -> None:
    copy = tmp_path / "other" / "someuser" / "best.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text("0")

    assert compute_run_key(config_for(*words(best)), DATA) == compute_run_key(config_for(*words(copy)), DATA)


@pytest.mark.parametrize("words", REQUESTS.values(), ids=list(REQUESTS))
def test_the_command_shows_no_path(best: Path, words: Callable[[Path], tuple[str, ...]]) -> None:
    command = command_of(config_for(*words(best)))

    assert "=PATH" in command
    assert "someuser" not in command


def holds_no_path(record: Record) -> bool:
    return "someuser" not in record.model_dump_json()


def test_a_record_shows_a_file_by_its_name_and_content(tmp_path: Path, best: Path) -> None:
    record, _ = stored_run(tmp_path / "runs", "model=prior", f"model.file={best}")

    assert record.model.params == {"file": label("0")}
    assert record.config["model_params"] == {"file": label("0")}
    assert record.command.startswith("mlcvbench run task=digits model=prior model.file=PATH ")
    assert holds_no_path(record)


def test_a_record_shows_a_file_inside_a_model_so_too(tmp_path: Path, best: Path) -> None:
    record, _ = stored_run(tmp_path / "runs", "model=outer", f"model.base=[prior,file={best}]")

    assert record.model.params == {"base": f"prior,file={label('0')}"}
    assert "'model.base=[prior,file=PATH]'" in record.command
    assert holds_no_path(record)


def test_a_search_shows_the_files_among_which_it_chose(tmp_path: Path, best: Path) -> None:
    other = best.with_name("worst.txt")
    other.write_text("9")

    record, _ = stored_run(tmp_path / "runs", "model=prior", f"model.file={best},{other}", "select=grid")

    assert record.selection is not None
    assert [trial.settings["model.file"].partition("@")[0] for trial in record.selection.trials] == [
        "best.txt", "worst.txt",
    ]  # fmt: skip
    assert label("0") in record.config["search"]["space"]["model.file"]
    assert holds_no_path(record)


def test_the_fit_that_a_file_decided_is_not_taken_for_that_of_another(tmp_path: Path, best: Path) -> None:
    records = []
    for text in ("0", "4", "0"):
        best.write_text(text)
        records.append(stored_run(tmp_path / "runs", "model=pupil", f"fit.teacher={best}")[0])

    first, second, again = records
    assert first.metrics["top1"].value != second.metrics["top1"].value
    assert again == first


def test_a_file_that_changes_while_its_run_goes_on_ends_the_run(
    tmp_path: Path, best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = stages.predict
    monkeypatch.setattr(stages, "predict", lambda *given, **named: (predict(*given, **named), best.write_text("4"))[0])

    record = stages.execute(config_for("model=outer", f"model.base=[prior,file={best}]", "limit=9"), tmp_path)

    assert record.error is not None
    assert record.error.message == (f"model.base.file={label('0')[:21]}: changed during the run; run it again.")


def test_a_file_that_cannot_be_read_is_named_with_its_key(best: Path) -> None:
    config = config_for("model=prior", f"model.file={best}")
    best.unlink()
    os.mkfifo(best)

    with pytest.raises(DataError) as caught:
        compute_run_key(config, DATA)

    assert str(caught.value) == f"model.file: {best}: wanted a file or a folder, got neither."


def test_a_file_inside_a_model_that_is_not_there_is_refused_at_planning() -> None:
    with pytest.raises(DataError) as caught:
        plan(["task=digits", "model=outer", "model.base=[prior,file=/nowhere/best.txt]"])

    assert str(caught.value) == "model.base: file=/nowhere/best.txt: no such file or folder."


@pytest.mark.slow
def test_a_changed_checkpoint_is_run_again_by_the_command(tmp_path: Path, site: Path, best: Path) -> None:
    env = environment(PYTHONPATH=os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    words = ["run", "task=digits", "model=prior", f"model.file={best}", "time=off", f"out={tmp_path / 'runs'}"]

    said = []
    for text in ("0", "4", "4"):
        best.write_text(text)
        said.append(run_cli(words, env=env))

    assert [result.code for result in said] == [0, 0, 0], said
    assert ["already stored" in result.err for result in said] == [False, False, True]
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").glob("*/record.json"))]
    assert sorted(round(record["metrics"]["top1"]["value"], 4) for record in records) == [0.0991, 0.1041]
    page = (tmp_path / "runs" / "_board" / "digits.md").read_text()
    assert f"prior file={label('4')[:21]}" in page
    assert "someuser" not in page


def test_the_command_with_its_files_put_in_asks_for_the_same_run(best: Path) -> None:
    config = config_for("model=prior", f"model.file={best}")

    words = [word.replace("PATH", str(best)) for word in shlex.split(command_of(config))[2:]]
    (again,) = plan(words).configs

    assert compute_run_key(again, DATA) == compute_run_key(config, DATA)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("model=prior", "model.file={}"), "model.file"),
        (("model=outer", "model.base=[prior,file={}]"), "model.base.file"),
    ],
)
def test_a_stored_model_is_rebuilt_with_the_file_it_was_made_with(
    tmp_path: Path, best: Path, words: tuple[str, ...], key: str
) -> None:
    best.write_text("4")
    record, _ = stored_run(tmp_path / "runs", *(word.format(best) for word in words))
    short = label("4")[:21]

    assert open_subject(record, {}, {key: str(best)}).model.answer == 4
    with pytest.raises(RequestError) as missing:
        open_subject(record, {})
    assert str(missing.value) == (
        f"record {record.run_id!r} does not say where its files are; give {key}=PATH ({short})."
    )
    best.write_text("5")
    with pytest.raises(RecordError) as changed:
        open_subject(record, {}, {key: str(best)})
    assert str(changed.value) == f"{key}={best}: its content differs from that in run {record.run_id!r}."


def test_a_file_that_a_run_has_not_has_no_effect_on_its_pictures(tmp_path: Path, best: Path) -> None:
    record, _ = stored_run(tmp_path / "runs", "model=majority")

    with pytest.raises(OverrideError) as caught:
        open_subject(record, {}, {"model.file": str(best)})

    assert str(caught.value) == f"key 'model.file' has no effect: run {record.run_id!r} was made with no such file."
