"""The store: a run is there whole or not at all, and what is there can be checked."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.records import failed_record, make_record

from mlcvbench.errors import RecordError, StoreError
from mlcvbench.records.store import Store, digests_of, name_of, run_name
from mlcvbench.storage import claims


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def commit(store, record, **files):
    """Store `record` with files of the given contents and return its folder."""
    pending = store.begin("some-run")
    for name, data in {"predictions.npz": b"scores", **files}.items():
        (pending.folder / name).parent.mkdir(exist_ok=True)
        (pending.folder / name).write_bytes(data)
    return store.commit(pending, record)


def dead_pid():
    """Return the id of a process that has ended and been reaped."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_committed_run_holds_its_files_their_hashes_and_its_record(store):
    record = make_record()

    folder = commit(store, record, **{"plots/a.png": b"picture"})

    read = store.load(folder.name)
    assert folder == store.root / name_of(record.model_dump())
    assert read.artifacts == {
        "plots/a.png": "2cea274d0bedc39ec4ab6ba9e59ec889e3ed6fb56a1cf088a64d9b383378dc97",
        "predictions.npz": read.predictions_sha256,
    }
    assert read.run_id == folder.name
    assert all(wanted == got for _, wanted, got in digests_of(read, folder))
    assert [path.name for path in store.root.iterdir()] == [folder.name]


def test_a_run_is_found_by_its_key_once_it_is_ok(store):
    record = make_record()
    assert store.find_ok(record.run_key) is None

    commit(store, failed_record("knn", run_key=record.run_key))
    assert store.find_ok(record.run_key) is None

    commit(store, record)
    assert store.find_ok(record.run_key).metrics == record.metrics


def test_failed_attempts_are_kept_under_counted_names(store):
    record = failed_record()

    names = [commit(store, record).name for _ in range(3)]

    base = name_of(record.model_dump())
    assert names == [f"{base}.e1", f"{base}.e2", f"{base}.e3"]
    assert store.attempts(record.run_key) == names
    assert store.load(names[2]).run_id == names[2]


def test_of_two_that_finish_the_same_run_the_first_stays(store):
    first, second = store.begin("r"), store.begin("r")
    assert first.folder != second.folder

    there = store.commit(first, make_record())
    again = store.commit(second, make_record(value=0.1))

    assert there == again
    assert store.load(there.name).metrics["top1"].value == 0.9
    assert not second.folder.exists()


def test_a_damaged_run_is_moved_aside_and_done_again(store):
    folder = commit(store, make_record())
    (folder / "record.json").write_bytes(b"{")
    assert store.find_ok(make_record().run_key) is None

    again = commit(store, make_record())

    assert again == folder
    assert store.find_ok(make_record().run_key) is not None
    assert (store.root / f"{folder.name}.damaged1" / "record.json").read_bytes() == b"{"


def test_another_run_under_the_same_name_is_never_replaced(store):
    record = make_record()
    other = record.model_copy(update={"run_key": record.run_key[:12] + "0" * 52})
    folder = commit(store, record)

    with pytest.raises(StoreError) as caught:
        commit(store, other)

    assert str(caught.value) == f"cannot store run {folder.name!r}: {str(folder)!r} holds another run. Move it away."
    assert store.load(folder.name).run_key == record.run_key


def test_links_are_not_artifacts(store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    pending = store.begin("r")
    (pending.folder / "predictions.npz").symlink_to(secret)

    folder = store.commit(pending, make_record())

    assert store.load(folder.name).artifacts == {}


def test_what_was_changed_and_what_is_missing_has_another_digest(store, tmp_path):
    folder = commit(store, make_record(), **{"log.txt": b"log", "rows.parquet": b"rows"})
    record = store.load(folder.name)
    (folder / "predictions.npz").write_bytes(b"other")
    (folder / "rows.parquet").unlink()
    (folder / "log.txt").rename(tmp_path / "log.txt")
    (folder / "log.txt").symlink_to(tmp_path / "log.txt")

    found = list(digests_of(record, folder))

    now = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
    assert [name for name, _, _ in found] == ["log.txt", "predictions.npz", "rows.parquet"]
    assert {name: wanted for name, wanted, _ in found} == record.artifacts
    assert [got for _, _, got in found] == [None, now, None]


def test_all_records_are_read_and_those_that_cannot_be_are_named(store):
    good = commit(store, make_record("good"))
    broken, empty, moved = (commit(store, make_record(name)) for name in ("broken", "empty", "moved"))
    (broken / "record.json").write_bytes(b"not json")
    (empty / "record.json").unlink()
    moved.rename(store.root / "elsewhere")
    (store.root / ".tmp-x-1-00000000").mkdir()
    (store.root / "_board").mkdir()
    (store.root / "notes.txt").write_text("mine")

    records, problems = store.records()

    assert [(record.model.name, folder) for record, folder in records] == [("good", good)]
    assert [problem.path.name for problem in problems] == [broken.name, empty.name, "elsewhere"]
    assert problems[2].message == (
        f"{str(store.root / 'elsewhere')!r} holds the record of run {moved.name!r}; it was renamed."
    )


def test_a_folder_that_does_not_exist_is_named(store):
    with pytest.raises(StoreError) as caught:
        store.records()

    assert str(caught.value) == f"there is no folder {str(store.root)!r} to read runs from."
    assert store.find_ok("0" * 64) is None


@pytest.mark.parametrize("name", ["nothing", "../runs", ".tmp-x", "a/b"])
def test_a_run_that_is_not_there_is_named(store, name):
    with pytest.raises(RecordError) as caught:
        store.load(name)

    assert str(caught.value) == f"there is no run {name!r} in {str(store.root)!r}."


def test_a_changed_record_replaces_the_stored_one_whole(store):
    folder = commit(store, make_record())

    store.replace_raw({**store.load(folder.name).model_dump(), "trust": "recomputed"})

    assert store.load(folder.name).trust == "recomputed"
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.npz", "record.json"]


def test_a_changed_record_of_no_stored_run_is_refused(store):
    with pytest.raises(RecordError) as caught:
        store.replace_raw({"run_id": "nothing"})

    assert str(caught.value) == f"there is no run 'nothing' in {str(store.root)!r}."


def test_a_file_in_place_of_the_folder_is_refused_before_the_first_fit(tmp_path):
    place = tmp_path / "runs"
    place.write_text("a file")

    with pytest.raises(StoreError) as caught:
        Store(place).ensure_writable()

    assert str(caught.value) == f"cannot write {str(place)!r}: File exists. Choose another folder."


def test_a_folder_below_a_file_and_a_loop_of_links_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    for place, reason in (("file/runs", "Not a directory"), ("loop/runs", "Too many levels of symbolic links")):
        with pytest.raises(StoreError, match=rf"{reason}\. Choose another folder\.$"):
            Store(tmp_path / place).ensure_writable()


def test_the_check_of_a_folder_leaves_nothing_in_it(store):
    store.ensure_writable()

    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_of_the_disk_is_one_sentence_and_leaves_nothing_behind(store, monkeypatch, call, number):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    pending = store.begin("r")
    (pending.folder / "predictions.npz").write_bytes(b"x")
    monkeypatch.setattr(os, call, refuse)
    advice = "Free some space or choose" if number == errno.ENOSPC else "Choose"

    with pytest.raises(StoreError) as caught:
        store.commit(pending, make_record())

    reason = os.strerror(number)
    assert str(caught.value) == f"cannot write {str(pending.folder)!r}: {reason}. {advice} another folder."
    assert list(store.root.iterdir()) == []


def test_a_rename_that_succeeded_and_says_it_failed_counts_as_done(store, monkeypatch):
    rename = os.rename

    def lie(source, target):
        rename(source, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "rename", lie)

    folder = commit(store, make_record())

    assert store.load(folder.name).status == "ok"


def test_everything_is_on_the_disk_before_the_rename_and_the_parent_after_it(store, monkeypatch):
    happened = []
    sync, rename = os.fsync, os.rename

    def synced(descriptor):
        happened.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", lambda a, b: (happened.append("rename"), rename(a, b))[1])
    pending = store.begin("r")
    happened.clear()
    (pending.folder / "plots").mkdir()
    for name in ("predictions.npz", "plots/a.png"):
        (pending.folder / name).write_bytes(b"x")

    store.commit(pending, make_record())

    tmp, cut = str(pending.folder), happened.index("rename")
    assert {f"{tmp}/predictions.npz", f"{tmp}/plots/a.png", f"{tmp}/plots", f"{tmp}/record.json"} <= set(happened[:cut])
    assert happened[cut - 2 :] == [f"{tmp}/record.json", tmp, "rename", str(store.root)]


def test_what_dead_processes_left_is_removed_and_what_live_ones_build_is_not(store):
    mine = store.begin("mine")
    gone = store.root / f".tmp-gone-{dead_pid()}-{claims.boot_token()}"
    theirs = store.root / f".tmp-theirs-{dead_pid()}-ffffffff"
    old = store.root / f".tmp-old-{dead_pid()}-ffffffff"
    for folder in (gone, theirs, old):
        (folder / "plots").mkdir(parents=True)
    os.utime(old, (time.time() - 8 * 86400,) * 2)

    assert store.clean_stale() == 2

    assert sorted(path.name for path in store.root.iterdir()) == sorted([mine.folder.name, theirs.name])


def test_long_names_are_cut_to_what_a_run_id_may_have():
    name = run_name("d" * 100, "timm:m" * 20, 2**31, "a" * 64)

    assert len(f"{name}.e999") <= 100
    assert ":" not in name


def test_the_store_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store(Path("runs"))

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder = commit(store, make_record())

    assert folder.parent == tmp_path / "runs"
