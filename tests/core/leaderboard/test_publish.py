"""`leaderboard publish`: what goes into git, what stays behind, and that nothing unsound is let through."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.runs import stored_run

from mlcvbench.cli.leaderboard import leaderboard
from mlcvbench.errors import CheckFailedError
from mlcvbench.leaderboard import publish as publishing
from mlcvbench.leaderboard.publish import publish
from mlcvbench.leaderboard.retracting import retract
from mlcvbench.leaderboard.verdicts import read_report
from mlcvbench.leaderboard.verify import verify_runs
from mlcvbench.records.canonical import read_record
from mlcvbench.storage.durable import sha256_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    stored_run(root)
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def only(folder: Path) -> Path:
    (found,) = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))
    return found


def test_a_published_run_keeps_its_record_and_what_recomputes_it(runs: Path, tmp_path: Path) -> None:
    done = publish(runs, tmp_path / "out")

    source, copy = only(runs), only(tmp_path / "out/records")
    kept = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert done.runs == (source.name,)
    assert kept >= {"record.json", "predictions.npz", "replicates.npz"}
    assert not kept & {"log.txt", "rows.parquet", "latency.npz"}
    assert (copy / "record.json").read_bytes() == (source / "record.json").read_bytes()
    assert (tmp_path / "out/site/index.html").is_file()
    assert verify_runs(tmp_path / "out/records", tmp_path / "out").errors == []


def test_large_predictions_go_to_an_archive_named_by_their_hash(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MOST_BYTES", 10)

    done = publish(runs, tmp_path / "out")

    assert done.archived == 1
    assert not (only(tmp_path / "out/records") / "predictions.npz").exists()
    assert [path.name for path in only(tmp_path / "out/archive").iterdir()] == ["predictions.npz"]
    with_archive = verify_runs(tmp_path / "out/records", tmp_path / "out", archive=tmp_path / "out/archive")
    assert (with_archive.errors, len(with_archive.recomputed)) == ([], 1)
    assert verify_runs(tmp_path / "out/records", tmp_path / "out").recomputed == ()


def test_what_was_recomputed_stays_so_where_the_archive_is_elsewhere_and_for_its_owner_only(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MOST_BYTES", 10)
    out = tmp_path / "out"
    publish(runs, out)
    first = only(out / "records")
    shutil.rmtree(out / "archive")
    stored_run(tmp_path / "more", "model=knn")

    done = publish(tmp_path / "more", out)

    assert first.name in read_report(out / "records").recomputed
    assert done.summary.endswith("1 runs recomputed bit for bit, 1 earlier, whose predictions are not here.")
    assert verify_runs(out / "records", None).earlier == ()
    assert first.name not in read_report(out / "records").recomputed


def test_a_record_that_changed_since_is_not_kept_as_recomputed(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MOST_BYTES", 10)
    out = tmp_path / "out"
    publish(runs, out)
    path = only(out / "records") / "record.json"
    shutil.rmtree(out / "archive")
    path.write_bytes(path.read_bytes().rstrip() + b" \n")

    assert verify_runs(out / "records", None, keep=True).earlier == ()


def test_a_touched_run_stops_the_publication(runs: Path, tmp_path: Path) -> None:
    path = only(runs) / "predictions.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))

    with pytest.raises(CheckFailedError, match=r"^nothing was published: FAIL  artifact: .*predictions\.npz"):
        publish(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_publishing_again_changes_no_byte(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(runs, out)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    publish(runs, out)

    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before


def test_the_command_says_what_it_published(runs: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(leaderboard, ["publish", f"runs={runs}", f"out={tmp_path / 'out'}"])

    assert (result.exit_code, result.output.splitlines()[0]) == (0, "1 run published")


def test_the_first_seed_of_a_row_brings_its_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        stored_run(tmp_path / "runs", f"seed={seed}")

    publish(tmp_path / "runs", tmp_path / "out")

    drawn = {path.name: (path / "plots").is_dir() for path in (tmp_path / "out/records").iterdir() if path.is_dir()}
    assert [drawn[name] for name in sorted(drawn)] == [True, False]
    assert verify_runs(tmp_path / "out/records", tmp_path / "out").errors == []


def test_a_retracted_run_stays_when_others_are_published(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(runs, out)
    folder = only(out / "records")
    retract(read_record(folder), folder, "wrong labels")
    stored_run(tmp_path / "more", "model=knn")

    done = publish(tmp_path / "more", out)

    assert done.dropped == ()
    assert read_record(folder).retraction is not None
    assert len([name for name in (out / "records").iterdir() if name.is_dir()]) == 2


def test_publishing_a_run_again_does_not_undo_its_retraction(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(runs, out)
    folder = only(out / "records")
    retract(read_record(folder), folder, "wrong labels")

    done = publish(runs, out)

    assert done.runs == ()
    assert read_record(folder).retraction is not None


def test_a_published_run_that_is_retracted_at_its_source_is_retracted_there_too(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(runs, out)
    retract(read_record(only(runs)), only(runs), "wrong labels")

    publish(runs, out)

    assert read_record(only(out / "records")).retraction is not None
    assert "wrong labels" in (out / "digits.md").read_text()


def test_a_run_that_was_never_published_is_not_published_to_be_retracted(runs: Path, tmp_path: Path) -> None:
    retract(read_record(only(runs)), only(runs), "wrong labels")
    stored_run(runs, "model=knn")

    publish(runs, tmp_path / "out")

    assert "-knn-" in only(tmp_path / "out/records").name


def changed(runs: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = only(runs) / "record.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def a_setting(raw: dict[str, Any], place: Path) -> None:
    raw["config"]["model_params"]["file"] = f"{place}/best.txt"


def the_command(raw: dict[str, Any], place: Path) -> None:
    raw["command"] += f" model.base=[prior,file={place}/best.txt]"


def a_notice(raw: dict[str, Any], place: Path) -> None:
    raw["notices"] = [{"code": "images-turned", "text": f"the first is {place}/best.txt."}]


@pytest.mark.parametrize("holding", [a_setting, the_command, a_notice])
def test_a_path_of_this_machine_is_not_published(runs: Path, tmp_path: Path, holding, monkeypatch) -> None:
    home = tmp_path / "home" / "someuser"
    home.mkdir(parents=True)
    (home / "best.txt").write_text("0")
    monkeypatch.setenv("HOME", str(home))
    changed(runs, lambda raw: holding(raw, home))

    with pytest.raises(CheckFailedError) as caught:
        publish(runs, tmp_path / "out")

    said = str(home / "best.txt") if holding is not a_notice else str(home)
    assert str(caught.value) == (
        f"nothing was published: record.json of run {only(runs).name!r} holds {said!r}, a path of this machine. "
        "Settings that name files must be of type path, which shows them by name; then run it again."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["see https://example.org/usr/bin, or /dev/null", "1/2 of /nowhere/at/all", "and/or"])
def test_what_only_looks_like_a_path_is_published(runs: Path, tmp_path: Path, text: str) -> None:
    changed(runs, lambda raw: raw["config"]["model_params"].update(note=text))

    assert publish(runs, tmp_path / "out").runs == (only(runs).name,)


def test_a_picture_that_holds_the_place_of_the_data_is_not_published(runs: Path, tmp_path: Path) -> None:
    folder = only(runs)
    place = tmp_path / "photos"
    place.mkdir()
    picture = next((folder / "plots").iterdir())
    picture.write_bytes(picture.read_bytes() + str(place / "a.png").encode())
    changed(runs, lambda raw: raw["artifacts"].update({f"plots/{picture.name}": sha256_of(picture)}))

    with pytest.raises(
        CheckFailedError, match=f"^nothing was published: plots/{picture.name} of run .* holds '{place}'"
    ):
        publish(runs, tmp_path / "out", {"root": str(place)})
