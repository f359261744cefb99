"""The store: one folder per run, which is complete or absent.

A run is built in `.tmp-<run>-<pid>-<boot>`. `commit` hashes its files, writes `record.json`, fsyncs every file and
folder, renames the folder to its final name and fsyncs the parent. The rename is the commit point and, since a
non-empty folder cannot be renamed over, also the lock: of two processes that finish the same run, one wins.

    runs/digits-knn-s0-0123456789ab/       an ok run: record.json, predictions.*, log.txt, plots/ ...
    runs/digits-knn-s1-ba9876543210.e1/    the first failed attempt at a run
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import RecordError, StoreError
from mlcvbench.records.canonical import RECORD_FILE, dumps, read_raw, read_record
from mlcvbench.storage import claims
from mlcvbench.storage.durable import (
    make_folder,
    plain_files,
    remove_tree,
    sha256_of,
    storing,
    sync_folder,
    sync_tree,
    write_file,
)

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

__all__ = ["Damage", "Pending", "Store", "name_of", "read_record", "run_name"]

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_PROBE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Pending:
    """A run being built: its name, the folder to write into, and a nonce that identifies its commit."""

    run: str
    folder: Path
    nonce: str


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged item of a store: its path, and one sentence that says why."""

    path: Path
    message: str


def run_name(definition: str, model: str, seed: int, run_key: str) -> str:
    """Return the folder name of a run; long names are cut, the key keeps it unique.

    >>> run_name("digits", "knn", 0, "0123456789abcdef" * 4)
    'digits-knn-s0-0123456789ab'
    """
    return f"{f'{definition}-{model}'[:66]}-s{seed}-{run_key[:12]}".replace(":", "_")


def name_of(raw: Mapping[str, Any]) -> str:
    """Return the folder name of a record given as plain data."""
    return run_name(raw["task"]["definition"], raw["model"]["name"], raw.get("seed", 0), raw["run_key"])


class Store:
    """Runs under one folder. Writing raises StoreError, reading RecordError; both name the path."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()

    def ensure_writable(self) -> None:
        """Create the folder and try every operation of a commit, so that no fit is wasted on an unsuitable folder."""
        with storing(self.root):
            make_folder(self.root)
            probe = claims.make_pending(self.root, "probe")
            final = probe.with_name(f"{probe.name}-0")
            try:
                write_file(probe / "probe", bytes(_PROBE_BYTES))
                probe.rename(final)
                sync_folder(self.root)
            finally:
                remove_tree(probe)
                remove_tree(final)

    def begin(self, run_name: str) -> Pending:
        """Create the empty folder in which a run is built."""
        with storing(self.root):
            make_folder(self.root)
            return Pending(run_name, claims.make_pending(self.root, run_name), secrets.token_hex(16))

    def discard(self, pending: Pending) -> None:
        """Discard an unfinished run."""
        remove_tree(pending.folder)

    def commit(self, pending: Pending, record: Record) -> Path:
        """Publish a built run and return its folder. See `commit_raw`."""
        return self.commit_raw(pending, record.model_dump())

    def commit_raw(self, pending: Pending, raw: Mapping[str, Any]) -> Path:
        """Publish a built run, its record given as plain data, and return its folder.

        Run id, nonce, artifacts (path -> sha256; links and devices do not count) and, when there is one predictions
        file, its hash are filled in here. When an equal run is already stored, it is kept and its folder is returned; a
        damaged one is moved aside first. After an error nothing is left under the final name.
        """
        try:
            with storing(pending.folder):
                return self._publish(pending, dict(raw))
        except BaseException:
            remove_tree(pending.folder)
            raise

    def find_ok(self, run_key: str) -> Record | None:
        """Return the stored ok run of this key, or None. A damaged one does not count."""
        suffix = f"-{run_key[:12]}"
        for folder in self._folders():
            if folder.name.endswith(suffix):
                try:
                    record = read_record(folder)
                except RecordError:
                    continue
                if record.run_key == run_key and record.status == "ok":
                    return record
        return None

    def attempts(self, run_key: str) -> list[str]:
        """Return the run ids of the failed attempts at a run, in order."""
        pattern = re.compile(rf".*-{run_key[:12]}\.e(\d+)")
        found = [(int(m[1]), m[0]) for folder in self._folders() if (m := pattern.fullmatch(folder.name))]
        return [name for _, name in sorted(found)]

    def load(self, run_id: str) -> Record:
        """Return the record of one run; RecordError says when there is none."""
        folder = self.root / run_id
        if "/" in run_id or run_id.startswith(".") or not folder.is_dir():
            raise RecordError(f"there is no run {run_id!r} in {str(self.root)!r}.")
        return read_record(folder)

    def records(self) -> tuple[list[tuple[Record, Path]], list[Damage]]:
        """Return every readable record with its folder, by name, and the damage of the others."""
        if not self.root.is_dir():
            raise StoreError(f"there is no folder {str(self.root)!r} to read runs from.")
        problems: list[Damage] = []
        found: list[tuple[Record, Path]] = []
        for folder in self._folders():
            try:
                record = read_record(folder / RECORD_FILE)
            except RecordError as error:
                problems.append(Damage(folder, str(error)))
                continue
            if record.run_id == folder.name:
                found.append((record, folder))
            else:
                said = f"{str(folder)!r} holds the record of run {record.run_id!r}; it was renamed."
                problems.append(Damage(folder, said))
        return found, problems

    def replace_raw(self, raw: Mapping[str, Any]) -> None:
        """Write a changed record (a retraction), given as plain data, over the stored one of its run id, atomically."""
        folder = self.root / raw["run_id"]
        if not folder.is_dir():
            raise RecordError(f"there is no run {raw['run_id']!r} in {str(self.root)!r}.")
        temporary = folder / f".{RECORD_FILE}-{os.getpid()}"
        with storing(folder):
            write_file(temporary, dumps(raw))
            temporary.replace(folder / RECORD_FILE)
            sync_folder(folder)

    def clean_stale(self) -> int:
        """Remove what ended processes left: pending folders and claims. Returns the number of folders removed.

        Only where it is certain: the process belonged to this boot of this machine and has ended, or the
        folder is of another machine and has not been touched for a week.
        """
        if not self.root.is_dir():
            return 0
        with storing(self.root):
            claims.remove_stale(self.root)
            return claims.remove_pending(self.root)

    def _folders(self) -> list[Path]:
        """Return the run folders by name; names with a leading dot are internal, with a leading `_` derived from the
        runs.
        """
        try:
            with os.scandir(self.root) as entries:
                names = sorted(e.name for e in entries if not e.name.startswith((".", "_")) and e.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read {str(self.root)!r}: {error.strerror}.") from None
        return [self.root / name for name in names]

    def _publish(self, pending: Pending, raw: dict[str, Any]) -> Path:
        folder = pending.folder
        (folder / RECORD_FILE).unlink(missing_ok=True)
        raw["nonce"] = pending.nonce
        raw["artifacts"] = {f.relative_to(folder).as_posix(): sha256_of(f) for f in plain_files(folder)}
        raw["predictions_sha256"] = raw.get("predictions_sha256") or scored_digest(raw["artifacts"])
        sync_tree(folder)
        for name in self._final_names(raw):
            raw["run_id"] = name
            write_file(folder / RECORD_FILE, dumps(raw))
            sync_folder(folder)
            final = self.root / name
            if self._rename(pending, final):
                sync_folder(self.root)
                return final
            if raw["status"] == "ok" and self._already_stored(final, raw["run_key"]):
                remove_tree(folder)
                return final
        raise StoreError(f"cannot store run {pending.run!r}: every name for it in {str(self.root)!r} is taken.")

    def _final_names(self, raw: Mapping[str, Any]) -> Iterator[str]:
        base = name_of(raw)
        if raw["status"] == "ok":
            yield base
            yield base  # a damaged run of this name has been moved aside
            return
        attempt = 1
        while attempt < 10_000:
            if not (self.root / f"{base}.e{attempt}").exists():
                yield f"{base}.e{attempt}"
            attempt += 1

    def _rename(self, pending: Pending, final: Path) -> bool:
        """Rename to the final name; False when that is taken. After an error the target shows what really happened."""
        try:
            os.rename(pending.folder, final)  # noqa: PTH104 - patched by the tests of unreliable file systems
        except OSError as error:
            if _nonce(final) == pending.nonce:
                return True
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def _already_stored(self, final: Path, run_key: str) -> bool:
        """Return whether an ok run of this key is stored under its name; an unreadable one is moved aside."""
        try:
            stored = read_record(final)
        except RecordError:
            self._set_aside(final)
            return False
        if stored.run_key != run_key or stored.status != "ok":
            raise StoreError(f"cannot store run {final.name!r}: {str(final)!r} holds another run. Move it away.")
        return True

    def _set_aside(self, damaged: Path) -> None:
        number = 1
        while (target := damaged.with_name(f"{damaged.name}.damaged{number}")).exists():
            number += 1
        damaged.rename(target)


def digests_of(record: Record, folder: Path) -> Iterator[tuple[str, str, str | None]]:
    """Yield the name of each artifact, its sha256 in the record, and that of its file; None where there is no file.

    A link does not count as a file: its target is outside the store.
    """
    for name, wanted in sorted(record.artifacts.items()):
        file = folder / name
        yield name, wanted, sha256_of(file) if file.is_file() and not file.is_symlink() else None


def scored_digest(artifacts: Mapping[str, str]) -> str | None:
    """Return the sha256 of the predictions file among some artifacts, None unless there is exactly one."""
    found = [digest for name, digest in artifacts.items() if name.startswith("predictions.")]
    return found[0] if len(found) == 1 else None


def _nonce(folder: Path) -> str | None:
    try:
        return str(read_raw(folder / RECORD_FILE).get("nonce"))
    except RecordError:
        return None
