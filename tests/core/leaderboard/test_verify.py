"""`leaderboard verify`: what was published can be recomputed, and what was touched is named."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from support.label_folders import label_maps, write_label_folder, write_predictions
from support.records import failed_record, write_run
from support.runs import stored_run

from mlcvbench.cli.leaderboard import leaderboard
from mlcvbench.cli.rescore import rescore
from mlcvbench.cli.score import score
from mlcvbench.errors import CheckFailedError, StoreError
from mlcvbench.files import folders, remembered
from mlcvbench.leaderboard.build import build_boards, read_boards
from mlcvbench.leaderboard.verify import lines, verify_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    stored_run(root, "model=knn")
    stored_run(root)
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def knn(runs: Path) -> Path:
    return next(path for path in runs.iterdir() if "knn" in path.name)


def failures(runs: Path, out: Path = Path("nowhere")) -> list[tuple[str, str]]:
    return [(check.id, check.file) for check in verify_runs(runs, out).errors]


def test_sound_runs_are_recomputed_bit_for_bit(runs: Path) -> None:
    result = verify_runs(runs, runs / "board")

    assert result.errors == []
    assert sorted(result.recomputed) == sorted(path.name for path in runs.iterdir() if path.is_dir())
    assert result.summary().startswith("2 runs, ")
    assert result.summary().endswith(" 0 failed; 2 runs recomputed bit for bit.")


def test_the_next_build_shows_recomputed_rows(runs: Path) -> None:
    before = {row.trust for row in read_boards(runs)[0][0].rows}

    verify_runs(runs, runs / "board")

    assert before == {"reported"}
    assert {row.trust for row in read_boards(runs)[0][0].rows} == {"recomputed"}


def test_a_touched_artifact_is_named_and_its_run_no_longer_ranked(runs: Path) -> None:
    folder = knn(runs)
    (folder / "rows.parquet").write_bytes(b"other")

    assert failures(runs) == [("artifact", f"{folder.name}/rows.parquet")]

    board = read_boards(runs)[0][0]
    assert [row.model for row in board.rows] == ["majority"]
    assert board.unranked[0].reason == f"verification failed: artifact {folder.name}/rows.parquet"


def test_a_prettier_metric_is_found(runs: Path) -> None:
    path = knn(runs) / "record.json"
    record = orjson.loads(path.read_bytes())
    record["metrics"]["top1"]["value"] = 0.9999
    path.write_bytes(orjson.dumps(record))

    (check,) = verify_runs(runs, Path("nowhere")).errors

    assert check.id == "metrics"
    assert check.file.endswith("record.json top1")
    assert check.wanted == "0.9999"
    assert str(check).startswith("FAIL  metrics: ")


def test_damaged_predictions_are_found(runs: Path) -> None:
    path = knn(runs) / "predictions.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert [name for name, _ in failures(runs)] == ["artifact", "metrics"]


def test_archived_predictions_are_noted_and_leave_the_row_reported(runs: Path) -> None:
    for path in runs.iterdir():
        (path / "predictions.npz").unlink()

    result = verify_runs(runs, Path("nowhere"))

    assert result.errors == []
    assert result.recomputed == ()
    assert [check.note for check in result.checks if check.id == "metrics"] == [
        "not recomputed: its predictions are not stored here"
    ] * 2
    assert {row.trust for row in read_boards(runs)[0][0].rows} == {"reported"}


def test_predictions_other_than_those_that_were_scored_are_a_failure(runs: Path) -> None:
    path = knn(runs) / "record.json"
    record = json.loads(path.read_bytes())
    kept = record["predictions_sha256"]
    path.write_text(json.dumps({**record, "predictions_sha256": "0" * 64}))

    (failed,) = verify_runs(runs, Path("nowhere")).errors

    assert str(failed) == (
        f"FAIL  artifact: {knn(runs).name}/record.json predictions_sha256: "
        f"got sha256 {'0' * 12}, wanted sha256 {kept[:12]}"
    )


def test_missing_replicates_are_a_failure(runs: Path) -> None:
    (knn(runs) / "replicates.npz").unlink()

    assert failures(runs) == [("artifact", f"{knn(runs).name}/replicates.npz")]


def test_an_unreadable_record_is_a_failure(runs: Path) -> None:
    (knn(runs) / "record.json").write_text("{")

    assert failures(runs) == [("record", knn(runs).name)]


def test_a_record_whose_config_is_nonsense_is_a_failure_not_a_crash(runs: Path) -> None:
    path = knn(runs) / "record.json"
    record = orjson.loads(path.read_bytes())
    record["config"] = {"definition": 3}
    path.write_bytes(orjson.dumps(record))

    assert [name for name, _ in failures(runs)] == ["metrics"]


def test_a_run_on_data_that_lie_somewhere_else_is_noted_until_it_is_said_where(tmp_path: Path) -> None:
    root, out = write_label_folder(tmp_path / "set", label_maps()), tmp_path / "predictions"
    write_predictions(out, label_maps())
    words = ["task=label-folder", f"data.root={root}", f"predictions={out}", "as=mine", f"out={tmp_path / 'runs'}"]
    assert CliRunner().invoke(score, words).exit_code == 0

    unsaid, said = (verify_runs(tmp_path / "runs", None, data) for data in ({}, {"root": str(root)}))

    assert (unsaid.errors, unsaid.recomputed) == ([], ())
    assert next(line for line in lines(unsaid) if "metrics" in line).endswith(
        "/record.json: not recomputed: records do not say where data are; give data.root=DIR"
    )
    assert (said.errors, len(said.recomputed)) == ([], 1)


class Scored:
    """Label maps that were scored, so that the digests of their files are remembered, and commands on them."""

    def __init__(self, place: Path) -> None:
        self.root, self.runs = write_label_folder(place / "set", label_maps()), place / "runs"
        self.labels = sorted((self.root / "labels").glob("*.png"))
        write_predictions(place / "predictions", label_maps())
        self._predictions = place / "predictions"
        self.score("mine")

    def score(self, name: str) -> None:
        words = ["task=label-folder", f"predictions={self._predictions}", f"as={name}", f"out={self.runs}"]
        assert CliRunner().invoke(score, [*words, f"data.root={self.root}"]).exit_code == 0

    def verify(self) -> Result:
        return CliRunner().invoke(leaderboard, ["verify", f"runs={self.runs}", f"data.root={self.root}"])

    def rescore(self) -> Result:
        (run,) = (path for path in self.runs.iterdir() if path.is_dir())
        return CliRunner().invoke(rescore, [str(run), f"data.root={self.root}"])


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Label maps scored an hour after they were written; their digests are remembered however few they are."""
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "WORTH_FILES", 1)
    monkeypatch.setattr(remembered.time, "time", lambda now=time.time: now() + 3600)
    return Scored(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes are read for a digest."""
    names: list[str] = []
    digest = folders.file_digest
    monkeypatch.setattr(folders, "file_digest", lambda path: names.append(path.name) or digest(path))
    return names


def test_a_file_changed_with_its_size_and_times_kept_is_found(scored: Scored) -> None:
    file, before = scored.labels[0], scored.labels[0].stat()
    content, digest = file.read_bytes(), folders.file_digest(file)
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    # no program sets the ctime, but a disk without one or a clock set back may keep it: the cache takes the new one
    state = remembered._state(file)
    assert state is not None
    remembered._keep("sha256", [(state, digest)])

    deceived, verified = scored.rescore(), scored.verify()

    assert deceived.exit_code == 0  # as far as the cache knows, all is as it was
    assert verified.exit_code == 1
    assert "FAIL  metrics" in verified.output
    assert "was scored on data with fingerprint" in verified.output


def test_a_file_touched_without_change_costs_one_reading(scored: Scored, read: list[str]) -> None:
    os.utime(scored.labels[1])

    scored.score("again")
    assert read == [scored.labels[1].name]
    scored.score("once-more")
    assert read == [scored.labels[1].name]


def test_a_verification_reads_every_file_once(scored: Scored, read: list[str]) -> None:
    scored.score("another")

    assert scored.verify().exit_code == 0
    assert sorted(read) == sorted(path.name for path in scored.root.glob("*/*.png"))


def test_a_failed_run_has_nothing_to_recompute(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", failed_record())

    assert failures(tmp_path / "runs") == []


def test_a_table_edited_by_hand_is_found(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "board"
    build_boards(runs, out, site=False)
    (table,) = out.glob("*.csv")
    table.write_text(table.read_text().replace("knn", "mine"))

    assert failures(runs, out) == [("table", table.name)]


def test_tables_built_before_or_after_the_verification_both_pass(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "board"
    build_boards(runs, out)
    before = verify_runs(runs, out)
    build_boards(runs, out)

    after = verify_runs(runs, out)

    assert before.errors == after.errors == []
    assert [check.note for check in before.checks if check.note] == [
        "shows the trust before a verification; build again"
    ] * 3
    assert not [check for check in after.checks if check.note]


def test_tables_built_before_any_verification_pass_however_often_it_is_made(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "board"
    build_boards(runs, out)

    reports = [verify_runs(runs, out) for _ in range(2)]

    assert [report.errors for report in reports] == [[], []]


def test_nothing_is_written_into_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    photos, empty = tmp_path / "photos", tmp_path / "empty"
    (photos / "roses").mkdir(parents=True)
    empty.mkdir()

    assert failures(photos) == [("record", "roses")]
    with pytest.raises(StoreError, match=r"^'.*empty' holds no run; give runs=DIR or run something first\.$"):
        verify_runs(empty, None)

    assert [path.name for path in photos.iterdir()] == ["roses"]
    assert list(empty.iterdir()) == []


def test_equal_notes_are_one_line(runs: Path) -> None:
    for path in runs.glob("*/plots/*"):
        path.unlink()
    result = verify_runs(runs, None)

    *notes, summary = lines(result)

    count = sum(bool(check.note) for check in result.checks)
    assert len(notes) == 1
    assert notes[0].endswith(f" and {count - 1} more: not stored here; its sha256 is in the record")
    assert summary == result.summary()


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^no folder '.*absent': wanted the folder of runs .*; give runs=DIR\.$"):
        verify_runs(tmp_path / "absent", tmp_path)


def test_the_commands_build_and_verify(runs: Path, tmp_path: Path) -> None:
    words = [f"runs={runs}", f"out={tmp_path / 'board'}"]

    built = CliRunner().invoke(leaderboard, ["build", *words], catch_exceptions=False)
    verified = CliRunner().invoke(leaderboard, ["verify", *words, "--json"], catch_exceptions=False)

    assert "2 ranked, 0 not ranked" in built.output
    assert built.output.endswith("site/index.html\n")
    assert len(json.loads(verified.stdout)["recomputed"]) == 2


def test_the_command_fails_when_a_check_fails(runs: Path, tmp_path: Path) -> None:
    (knn(runs) / "rows.parquet").write_bytes(b"other")

    result = CliRunner().invoke(leaderboard, ["verify", f"runs={runs}", f"out={tmp_path}"])

    assert isinstance(result.exception, CheckFailedError)
    assert str(result.exception).endswith(" checks failed.")
    assert "FAIL  artifact: " in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "rnus=x"], "unknown key 'rnus'. Did you mean 'runs'?"),
        (["build", "site=maybe"], "site=maybe: wanted true or false."),
        (["build", "runs"], "'runs': wanted KEY=VALUE"),
    ],
)
def test_a_wrong_word_is_one_clear_line(words: list[str], message: str) -> None:
    result = CliRunner().invoke(leaderboard, words)

    assert str(result.exception).startswith(message)
