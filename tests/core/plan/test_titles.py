"""What people call a method: any printable line is a title, and gives one name of its own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench.cli import main
from mlcvbench.errors import RequestError
from mlcvbench.leaderboard.build import build_boards
from mlcvbench.leaderboard.tables.export import table_files, to_json
from mlcvbench.leaderboard.tables.terminal import render_terminal
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.titles import name_and_title
from mlcvbench.records.store import Store
from mlcvbench.specs import NAME_PATTERN

TITLE = "ResNet-50 (ours, größer) & <b>|_%"


@pytest.mark.parametrize("name", ["knn", "my-net_v2.1+aug", "timm:resnet10t", " padded "])
def test_a_name_needs_no_title(name: str):
    assert name_and_title(name, "as") == (name.strip(), "")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("ResNet-50 (ours)", r"ResNet-50-ours-[0-9a-f]{6}"),
        ("Größe é", r"Groe-e-[0-9a-f]{6}"),
        ("我的模型", r"model-[0-9a-f]{6}"),
        ("../../etc/passwd", r"etc-passwd-[0-9a-f]{6}"),
        ("=1+1", r"1\+1-[0-9a-f]{6}"),
        ("x" * 200, r"x{80}-[0-9a-f]{6}"),
        ("- -", r"model-[0-9a-f]{6}"),
    ],
)
def test_a_title_gives_a_name_that_files_and_addresses_can_have(title: str, name: str):
    made, kept = name_and_title(title, "as")

    assert re.fullmatch(name, made)
    assert NAME_PATTERN.fullmatch(made)
    assert kept == title


def test_titles_that_look_alike_give_different_names_and_equal_ones_the_same():
    names = [name_and_title(title, "as")[0] for title in ("A b", "A-b!", "A  b", "A b")]

    assert len(set(names)) == 3
    assert names[0] == names[3]


@pytest.mark.parametrize("title", ["", "  ", "a\nb", "a\x1b[2Jb", "a\u202eb", "x" * 201])
def test_what_is_no_line_of_text_is_refused(title: str):
    with pytest.raises(RequestError) as caught:
        name_and_title(title, "as")

    assert str(caught.value) == f"as={title.strip()!r}: wanted a line of printable text, at most 200 characters."


@pytest.fixture
def handed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that holds predictions of digits under a title; `p.csv` in the working folder holds them."""
    monkeypatch.chdir(tmp_path)
    test = load_data(resolve(config_for())).splits["test"]
    rows = [f"{name},{label}" for name, label in zip(test.ids, test.targets()["label"], strict=True)]
    Path("p.csv").write_text("\n".join(["id,label", *rows, ""]))
    assert main(["score", "task=digits", "predictions=p.csv", f"as={TITLE}", "intervals=off"]) == 0
    return Store(tmp_path / "runs")


def test_a_title_is_stored_and_shown_and_the_stored_command_repeats_it(
    handed_in: Store, capsys: pytest.CaptureFixture[str]
):
    ((record, folder),), _ = handed_in.records()
    assert main(["show", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())

    assert (record.model.title, record.model.called) == (TITLE, TITLE)
    assert f"model {TITLE}, {record.model.name} (predictions)" in shown
    assert main(shlex.split(record.command)[1:]) == 0
    assert "already stored" in capsys.readouterr().err


def test_boards_show_a_title_as_it_is(handed_in: Store, tmp_path: Path):
    (board,) = build_boards(handed_in.root, tmp_path / "board").boards
    files = table_files(board)

    assert TITLE in render_terminal(board)
    assert r"| ResNet-50 (ours, größer) &amp; &lt;b>\|_% |" in files["md"]
    assert r"& ResNet-50 (ours, größer) \& <b>|\_\% &" in files["tex"]
    assert f'"{TITLE}"' in files["csv"]
    (row,) = to_json(board)["rows"]
    assert (row["model"], row["title"]) == (name_and_title(TITLE, "as")[0], TITLE)
    pages = [page.read_text() for page in (tmp_path / "board/site").rglob("*.html")]
    assert sum("ResNet-50 (ours, größer) &amp; &lt;b&gt;|_%" in page for page in pages) == 3
    assert all("<b>" not in page for page in pages)
