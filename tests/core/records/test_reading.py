"""Reading records: the quick way and the long one agree on every record, sound or not."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from support.records import failed_record, make_record, write_runs

from mlcvbench.records import canonical
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return write_runs(tmp_path / "runs", [make_record("knn"), make_record("cnn"), failed_record()])


def the_long_way(monkeypatch) -> None:
    """Let the schema read no bytes, so that every record goes through plain data."""

    def refuse(data: bytes) -> Record:
        raise RecursionError

    monkeypatch.setattr(Record, "model_validate_json", refuse)


def test_sound_records_are_read_from_their_bytes_as_through_plain_data(runs, monkeypatch):
    monkeypatch.setattr(canonical, "loads", None)
    quickly = Store(runs).records()
    monkeypatch.undo()
    the_long_way(monkeypatch)

    assert Store(runs).records() == quickly
    assert len(quickly[0]) == 3


def renamed(folder: Path) -> None:
    folder.rename(folder.with_name("another-name"))


def changed(field, value):
    def change(folder: Path) -> None:
        path = folder / "record.json"
        path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), field: value}))

    return change


def written(text: bytes):
    return lambda folder: (folder / "record.json").write_bytes(text)


def not_finite(folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(path.read_bytes().replace(b'"given": []', b'"given": [NaN]'))


@pytest.mark.parametrize(
    "spoil",
    [
        renamed,
        not_finite,
        written(b""),
        written(b"{"),
        written(b"[" * 100_000),
        written(b'{"a": "\\ud800"}'),
        changed("schema_version", 2),
        changed("run_key", "short"),
        changed("artifacts", {"../../etc/passwd": "0" * 64}),
        changed("artifacts", {"rows.parquet": "no digest"}),
        changed("unknown", 1),
        changed("metrics", {"top1": {"value": "high"}}),
        lambda folder: (folder / "record.json").unlink(),
    ],
)
def test_an_unsound_record_is_refused_in_the_same_words_either_way(runs, spoil, monkeypatch):
    spoil(next(runs.glob("*cnn*")))
    found, problems = Store(runs).records()

    the_long_way(monkeypatch)

    assert (found, problems) == Store(runs).records()
    assert len(found) == 2
    assert len(problems) == 1
