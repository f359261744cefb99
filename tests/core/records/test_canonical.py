"""Records as JSON: what is written, what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from support.paths import ROOT
from support.records import make_record

from mlcvbench.errors import RecordError
from mlcvbench.limits import MAX_RECORD_BYTES
from mlcvbench.records import canonical, schema
from mlcvbench.records.canonical import dumps, loads, migrate, read_raw, read_record, schema_json, to_json, to_line
from mlcvbench.records.schema import SCHEMA_VERSION

GOLDEN = sorted((ROOT / "tests" / "fixtures" / "records").glob("*.json"))


@pytest.fixture
def stored(tmp_path):
    """Return a function that stores a changed record as plain data and returns its folder."""

    def store(**changes):
        raw = {**orjson.loads(to_json(make_record())), **changes}
        (tmp_path / "record.json").write_bytes(orjson.dumps(raw))
        return tmp_path

    return store


def test_equal_records_give_equal_bytes_whatever_the_order_of_their_fields():
    assert dumps({"b": 1, "a": [True, None, 0.1]}) == dumps({"a": (True, None, 0.1), "b": 1})
    assert to_json(make_record()) == to_json(make_record())


def test_a_record_survives_the_round_trip(stored):
    assert read_record(stored()) == make_record()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float64("nan")])
def test_a_number_that_is_not_finite_is_refused_before_the_library_turns_it_into_null(value):
    with pytest.raises(RecordError) as caught:
        dumps({"metrics": {"top1": {"value": [1.0, value]}}})

    assert str(caught.value) == f"record field 'metrics.top1.value.1': wanted a finite number, got {float(value)}."


def test_numbers_of_numpy_that_are_python_floats_are_written_as_such():
    assert orjson.loads(to_line({"seconds": np.float64(0.1)})) == {"seconds": 0.1}


def test_data_that_json_cannot_hold_is_refused_by_name():
    with pytest.raises(RecordError, match=r"^record field 'a\.b': wanted plain data, got ndarray\.$"):
        dumps({"a": {"b": np.zeros(2)}})
    with pytest.raises(RecordError, match=r"^a record cannot be written as JSON: Integer exceeds 64-bit range\.$"):
        dumps({"n": 2**70})


def test_endless_nesting_is_refused():
    nested: dict = {}
    nested["x"] = nested

    with pytest.raises(RecordError, match=r"is nested deeper than 100 levels\.$"):
        dumps(nested)


def test_text_that_is_not_unicode_is_escaped_so_that_a_failure_can_always_be_recorded():
    assert orjson.loads(to_line({"message": "caf\udce9 \ud800 ü"})) == {"message": "caf\\udce9 \\ud800 ü"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Input is a zero-length, empty document: line 1 column 1 (char 0)"),
        (b'{"a": NaN}', "unexpected character, expected a JSON value: line 1 column 7 (char 6)"),
        (b'{"a": 1e999}', "number is infinity when parsed as double: line 1 column 7 (char 6)"),
        (b"[" * 2000 + b"]" * 2000, "depth limit exceeded: line 1 column 1026 (char 1025)"),
        (b'{"a": "\\ud800"}', "no low surrogate in string: line 1 column 8 (char 7)"),
        (to_json(make_record())[:1000], "unexpected end of data"),
    ],
)
def test_damaged_json_is_refused_with_the_place_of_the_damage(data, reason):
    with pytest.raises(RecordError) as caught:
        loads(data, Path("runs/x/record.json"))

    assert str(caught.value).startswith("'runs/x/record.json' is not valid JSON: ")
    if "column" in reason:
        assert str(caught.value) == f"'runs/x/record.json' is not valid JSON: {reason}."


def test_json_that_is_no_object_is_refused():
    with pytest.raises(RecordError, match=r"^'r\.json': wanted a JSON object, got list\.$"):
        loads(b"[1]", Path("r.json"))


def test_a_huge_record_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "record.json"
    with path.open("wb") as file:
        file.truncate(MAX_RECORD_BYTES + 1)

    with pytest.raises(RecordError) as caught:
        read_raw(path)

    assert str(caught.value) == f"{str(path)!r} has 16777217 bytes; a record has at most 16777216."


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(RecordError) as caught:
        read_record(tmp_path)

    assert str(caught.value) == f"cannot read {str(tmp_path / 'record.json')!r}: No such file or directory."


def test_a_record_from_the_future_is_refused_with_what_to_do(stored):
    folder = stored(schema_version=7)

    with pytest.raises(RecordError) as caught:
        read_raw(folder)

    assert str(caught.value) == (
        f"{str(folder / 'record.json')!r} has schema version 7; this mlcvbench reads up to 1. Update mlcvbench."
    )


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_version_that_is_no_version_is_refused(stored, version):
    with pytest.raises(RecordError, match=r"field 'schema_version': wanted a positive integer, got "):
        read_raw(stored(schema_version=version))


def test_an_old_record_is_brought_up_to_date_step_by_step(monkeypatch):
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    monkeypatch.setitem(canonical.MIGRATIONS, 1, lambda raw: {**raw, "schema_version": 2, "steps": ["1 to 2"]})
    monkeypatch.setitem(canonical.MIGRATIONS, 2, lambda raw: {**raw, "schema_version": 3, "more": raw["steps"]})

    raw = migrate({"schema_version": 1}, Path("r"))

    assert raw == {"schema_version": 3, "steps": ["1 to 2"], "more": ["1 to 2"]}


def test_there_is_a_migration_from_every_version_before_the_present_one():
    assert sorted(canonical.MIGRATIONS) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_records_of_every_released_version_stay_readable(path):
    assert path.stem.endswith(f"-{read_record(path).status}")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"run_id": "../../x"}, "field 'run_id': wanted a name of letters, digits and ._+:-, got '../../x'"),
        ({"run_key": "abc"}, "field 'run_key': wanted 64 hexadecimal digits, got 'abc'"),
        ({"status": "fine"}, "field 'status': Input should be 'ok', 'error', 'timeout', 'oom' or 'killed'"),
        (
            {"task": {"kind": "../x", "definition": "digits", "protocol_id": "p"}},
            "field 'task.kind': wanted a name of letters, digits and ._+:-, got '../x'",
        ),
        ({"task": 3}, "field 'task': Input should be a valid dictionary or instance of TaskInfo"),
        (
            {"artifacts": {"../../etc/passwd": "0" * 64}},
            "field 'artifacts': wanted a path inside the run's folder and its sha256, got '../../etc/passwd'",
        ),
        (
            {"artifacts": {"/etc/passwd": "0" * 64}},
            "field 'artifacts': wanted a path inside the run's folder and its sha256, got '/etc/passwd'",
        ),
        (
            {"artifacts": {"a": "0"}},
            "field 'artifacts': wanted a path inside the run's folder and its sha256, got 'a'",
        ),
        ({"artifacts": []}, "field 'artifacts': Input should be a valid dictionary"),
    ],
)
def test_a_field_that_names_files_or_rows_is_refused_in_words(stored, changes, complaint):
    folder = stored(**changes)

    with pytest.raises(RecordError) as caught:
        read_record(folder)

    assert str(caught.value) == f"{str(folder / 'record.json')!r}: {complaint}."


def test_the_schema_names_the_first_field_that_is_wrong(stored):
    folder = stored(seed="zero", unknown=1)

    with pytest.raises(RecordError) as caught:
        read_record(folder)

    where = str(folder / "record.json")
    assert str(caught.value) == (
        f"{where!r}: field 'seed': Input should be a valid integer, unable to parse string as an integer."
    )


def test_the_published_json_schema_is_current():
    published = ROOT / "docs" / "record.schema.json"

    assert published.read_bytes() == schema_json(), "run: python -m mlcvbench.records.canonical docs/record.schema.json"
    assert json.loads(published.read_bytes())["title"] == "Record"


@pytest.mark.parametrize("offset", range(0, 2400, 37))
def test_a_damaged_byte_anywhere_gives_a_record_or_one_clear_error(tmp_path, offset):
    data = bytearray(to_json(make_record()))
    data[offset % len(data)] ^= 0x15
    (tmp_path / "record.json").write_bytes(data)

    complaint = ""
    try:
        read_record(tmp_path)
    except RecordError as error:
        complaint = str(error)

    assert not complaint or str(tmp_path / "record.json") in complaint
