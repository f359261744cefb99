"""`leaderboard build`: what it writes, twice the same, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.records import failed_record, make_record, write_run, write_runs

from mlcvbench.errors import RecordError, StoreError
from mlcvbench.leaderboard.build import build_boards, read_boards
from mlcvbench.leaderboard.site import site
from mlcvbench.leaderboard.verdicts import read_report, record_digest, write_report
from mlcvbench.records.schema import PlotInfo

VOID = {"meta", "link", "input", "img", "br", "wbr"}


class Pages(HTMLParser):
    """Checks that tags nest, and gathers references and ids."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.scripts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "script":
            self.scripts.append(attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        assert "style" not in attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def runs(tmp_path):
    records = [
        make_record("knn", 0.985, params={"k": 1}),
        make_record("knn", 0.9867, params={"k": 5}, p50=2e-3),
        *[make_record("cnn", 0.98 + 0.002 * seed, seed=seed, p50=3e-3) for seed in range(2)],
        make_record("majority", 0.1, definition="mnist5k"),
        failed_record(),
    ]
    return write_runs(tmp_path / "runs", records, pictures=True)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_build_writes_tables_and_one_site(runs, tmp_path):
    built = build_boards(runs, tmp_path / "board")

    files = set(tree(tmp_path / "board"))
    assert [board.slug for board in built.boards] == ["digits", "mnist5k"]
    parts = {f"digits.{extension}" for extension in ("md", "csv", "json", "tex", "svg")}
    assert parts | {f"site/data/{name}" for name in parts} <= files
    assert {"site/index.html", "site/digits.html", "site/assets/board.js"} <= files
    assert sum(name.startswith("site/runs/") and name.endswith(".html") for name in files) == 6
    assert not [name for name in files if name.startswith(".")]


def test_the_same_records_give_the_same_bytes(runs, tmp_path):
    build_boards(runs, tmp_path / "a")
    build_boards(runs, tmp_path / "b")
    once = tree(tmp_path / "a")

    build_boards(runs, tmp_path / "a")

    assert tree(tmp_path / "b") == once
    assert tree(tmp_path / "a") == once


def test_without_the_site_a_table_shows_the_picture_that_is_there_and_no_other(runs, tmp_path):
    build_boards(runs, tmp_path / "board", site=False)
    without = (tmp_path / "board" / "digits.md").read_text()
    build_boards(runs, tmp_path / "board")

    build_boards(runs, tmp_path / "board", site=False)

    assert "digits.svg" not in without
    assert "](digits.svg)" in (tmp_path / "board" / "digits.md").read_text()


def test_a_picture_goes_when_nothing_is_timed_any_more(tmp_path):
    timed, untimed = make_record("knn", 0.9), make_record("knn", 0.9, p50=None)
    build_boards(write_runs(tmp_path / "timed", [timed]), tmp_path / "board")

    build_boards(write_runs(tmp_path / "untimed", [untimed]), tmp_path / "board")

    assert [path.name for path in (tmp_path / "board").rglob("*.svg")] == ["icon.svg"]
    assert "digits.svg" not in (tmp_path / "board" / "digits.md").read_text()


def test_every_page_is_well_formed_and_every_link_leads_somewhere(runs, tmp_path):
    build_boards(runs, tmp_path / "board")

    pages = sorted((tmp_path / "board" / "site").rglob("*.html"))
    assert len(pages) == 9
    for page in pages:
        parsed = Pages(page.read_text())
        assert len(parsed.ids) == len(set(parsed.ids))
        for link in parsed.links:
            assert not link.startswith(("http", "//", "data:", "javascript:")), link
            target = page.parent / link if not link.startswith("#") else page
            assert target.exists(), (page, link)
        for script in parsed.scripts:
            assert "src" in script or script["type"] == "application/json"
            assert script.get("type") != "module"
        assert f'content="{site.CSP}"'.replace("'", "&#39;") in page.read_text()


def test_an_old_run_page_goes_when_its_run_goes(runs, tmp_path):
    build_boards(runs, tmp_path / "board")
    folder = next(runs.glob("*majority*"))
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()

    build_boards(runs, tmp_path / "board")

    assert not (tmp_path / "board" / "site" / "mnist5k.html").exists()


def test_a_folder_that_is_no_site_is_left_alone(runs, tmp_path):
    mine = tmp_path / "board" / "site" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")

    with pytest.raises(
        StoreError, match=r"site' exists and is not a board site; move it away or choose another out=DIR\.$"
    ):
        build_boards(runs, tmp_path / "board")

    assert mine.read_text() == "years of work"


def test_a_damaged_run_is_named_and_the_others_are_shown(runs, tmp_path):
    broken = next(runs.glob("*majority*")) / "record.json"
    broken.write_text('{"schema_version": 1, "run_id": ')

    built = build_boards(runs, tmp_path / "board", site=False)

    assert [board.slug for board in built.boards] == ["digits"]
    (problem,) = built.problems
    assert "is not valid JSON" in problem


def test_a_missing_or_empty_folder_of_runs_is_one_clear_line(tmp_path):
    with pytest.raises(
        StoreError,
        match=r"^no folder '.*nowhere': wanted the folder of runs that `mlcvbench run` wrote; give runs=DIR\.$",
    ):
        build_boards(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(StoreError, match=r"holds no readable run; give runs=DIR or run something first\.$"):
        build_boards(tmp_path, tmp_path / "_out")


@pytest.mark.parametrize("name", [".", "out", "out/deeper"])
def test_boards_among_the_runs_are_refused_for_they_would_be_taken_for_runs(runs, name):
    before = tree(runs)

    with pytest.raises(StoreError) as error:
        build_boards(runs, runs / name)

    assert str(error.value) == (
        f"out={runs / name} lies in the folder of runs, where boards would be taken for runs; choose another out=DIR, "
        f"such as {runs / '_board'}."
    )
    assert tree(runs) == before


def test_a_failing_build_leaves_the_old_site_and_no_litter(runs, tmp_path, monkeypatch):
    build_boards(runs, tmp_path / "board")
    before = tree(tmp_path / "board")

    def broken(*_, **__):
        raise OSError(28, "No space left on device", "site")

    monkeypatch.setattr(site, "_write_board", broken)
    with pytest.raises(StoreError, match="No space left on device"):
        build_boards(runs, tmp_path / "board")

    assert tree(tmp_path / "board") == before


def test_beyond_2000_rows_a_board_is_split_by_hardware(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "MOST_ROWS", 3)
    records = [make_record(f"m{i}", 0.9, hardware="Big CPU" if i < 4 else "Small CPU") for i in range(6)]
    runs = write_runs(tmp_path / "runs", records, replicates=0)

    build_boards(runs, tmp_path / "board")

    place = tmp_path / "board" / "site"
    assert [
        (place / name).read_text().count('<th scope="row" class="name">') for name in ("digits.html", "digits-1.html")
    ] == [3, 2]
    assert 'href="digits-1.html">Small CPU, 1 thread</a>' in (place / "digits.html").read_text()
    assert (place / "data" / "digits.csv").read_text().count("\n") == 7


def test_names_of_strangers_are_shown_as_text(tmp_path):
    evil = "</script><script>document.title='owned'</script>\"' onmouseover=x=1 \u202e"
    record = make_record("knn", params={"k": evil})
    record = record.model_copy(
        update={"model": record.model.model_copy(update={"summary": evil, "reference": f"https://x/{evil}"})}
    )
    runs = write_runs(tmp_path / "runs", [record, make_record("knn"), failed_record("bad", message=evil)])

    build_boards(runs, tmp_path / "board")

    texts = [page.read_text() for page in (tmp_path / "board" / "site").rglob("*.html")]
    assert any("owned" in text for text in texts)
    for text in texts:
        Pages(text)
        assert "<script>document" not in text
        assert "\u202e" not in text
        assert not re.search(r"=[^\"'\s>]*onmouseover", text)


def test_json_in_a_page_cannot_end_its_element():
    text = str(site.json_for_page({"a": "</script><!-- & \u2028"}))

    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {"a": "</script><!-- & \u2028"}


def test_only_a_plain_web_address_becomes_a_link(tmp_path):
    def with_reference(name, reference):
        record = make_record(name)
        return record.model_copy(update={"model": record.model.model_copy(update={"reference": reference})})

    good, bad = with_reference("good", "https://example.org/a"), with_reference("bad", "javascript:alert(1)")
    build_boards(write_runs(tmp_path / "runs", [good, bad]), tmp_path / "board")

    pages = tmp_path / "board" / "site" / "runs"
    assert '<a href="https://example.org/a" rel="noopener noreferrer">' in (pages / f"{good.run_id}.html").read_text()
    assert 'href="javascript' not in (pages / f"{bad.run_id}.html").read_text()


@pytest.mark.parametrize("file", ["../../secret.png", "link.png", "text.png", "absent.png"])
def test_a_picture_that_is_not_one_of_ours_is_left_out(tmp_path, file):
    plot = PlotInfo(file=file, title="t", alt="a")
    record = make_record("knn", plots=(plot,), artifacts={f"plots/{file}".replace("plots/../../", ""): "0" * 64})
    folder = write_run(tmp_path / "runs", record)
    (folder / "plots").mkdir()
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n....IHDR\0\0\0\1\0\0\0\1")
    (folder / "plots" / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "plots" / "text.png").write_text("no picture")

    build_boards(tmp_path / "runs", tmp_path / "board")

    assert not list((tmp_path / "board" / "site" / "runs").rglob("*.png"))


def test_a_run_page_shows_its_pictures_with_their_size(runs, tmp_path):
    build_boards(runs, tmp_path / "board")

    page = next((tmp_path / "board" / "site" / "runs").glob("*-knn-*.html")).read_text()
    assert 'confusion.png" loading="lazy" width="320" height="240" alt="Most samples lie on the diagonal."' in page
    assert "mlcvbench rescore runs/" in page
    assert "sha256" in page


def test_the_vendored_files_are_the_published_ones():
    folder = Path(site.__file__).parent / "vendor"
    listing = json.loads((folder / "vendor.json").read_text())

    for part in listing["files"]:
        assert hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest() == part["sha256"]
        assert part["integrity"].startswith("sha512-")
    assert {part["file"]: part["sha256"] for part in listing["files"]} == {
        "d3-7.9.2.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
        "plot-0.6.17.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    }
    named = {part["licence_file"] for part in [*listing["files"], *listing["bundled"]]}
    assert named == {path.name for path in folder.glob("LICENSE.*")}


def test_a_verdict_counts_only_for_the_bytes_it_was_made_on(runs):
    (first, second) = sorted(path for path in runs.iterdir() if "knn" in path.name)
    write_report(
        runs,
        {
            first.name: {"record": record_digest(first), "verdict": "recomputed", "reason": ""},
            second.name: {"record": "0" * 64, "verdict": "failed", "reason": "metrics"},
        },
    )

    report = read_report(runs)
    trusted = {row.record.run_id: row.trust for row in read_boards(runs)[0][0].rows}

    assert report.recomputed == {first.name}
    assert report.refuted == {}
    assert trusted[first.name] == "recomputed"
    assert trusted[second.name] == "reported"


@pytest.mark.parametrize("text", ["", "[]", '{"runs": [1]}', '{"runs": {"a": 3}}', "[" * 100_000])
def test_a_damaged_report_is_one_clear_line(runs, text):
    (runs / "verified.json").write_text(text)

    with pytest.raises(
        RecordError, match=r"is not a verification report \(.*\); run `mlcvbench leaderboard verify` again\.$"
    ):
        read_report(runs)


def test_tables_are_built_without_heavy_imports(runs, tmp_path):
    code = (
        "import sys; from pathlib import Path; from mlcvbench.leaderboard.build import build_boards;"
        f"build_boards(Path({str(runs)!r}), Path({str(tmp_path / 'out')!r}), site=False);"
        "print([m for m in ('pandas', 'torch', 'sklearn', 'cv2', 'matplotlib', 'jinja2', 'scipy') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
