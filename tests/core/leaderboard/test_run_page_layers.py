"""The layers on a run's page: from the run itself, with the record's totals, strangers' names as text."""

from __future__ import annotations

import re

from support.records import make_record, write_run
from support.runs import stored_run

from mlcvbench.leaderboard.build import build_boards
from mlcvbench.records.schema import LayersInfo

ROW = re.compile(r'<tr><th scope="row" class="name">(.*?)</th>(.*?)</tr>')


def fold(tmp_path, run_id) -> str:
    """Return the folded table of a run's page, empty when it has none."""
    build_boards(tmp_path, tmp_path / "_board")
    page = (tmp_path / "_board" / "site" / "runs" / f"{run_id}.html").read_text()
    found = re.search(r'<details class="fold">(.*?)</details>', page, re.DOTALL)
    return found[1] if found else ""


def numbers(cells: str) -> tuple[int, int]:
    params, macs = re.findall(r">([^<]*)</td>", cells)[-2:]
    return int(params.replace(",", "")), int(macs.replace(",", ""))


def test_a_run_of_a_network_shows_its_layers_with_the_totals_of_its_record(tmp_path):
    record, _ = stored_run(tmp_path, "model=mlp", "fit.epochs=1", "intervals=off")

    text = fold(tmp_path, record.run_id)

    *rows, total = [numbers(cells) for _, cells in ROW.findall(text)]
    assert total == (record.parameters.trainable, record.operations.macs)
    assert total == tuple(map(sum, zip(*rows, strict=True)))
    assert len(rows) == len(record.layers.name)
    assert f"{record.operations.macs:,} MACs an image</summary>" in text


def test_a_run_of_no_network_has_no_layers(tmp_path):
    record, _ = stored_run(tmp_path, "model=majority", "intervals=off")

    assert record.layers is None
    assert fold(tmp_path, record.run_id) == ""


def test_a_record_of_an_earlier_version_has_no_layers(tmp_path):
    folder = write_run(tmp_path, make_record("net"))
    path = folder / "record.json"
    path.write_text(re.sub(r'\n  "layers": null,', "", path.read_text()))

    assert '"layers"' not in path.read_text()
    assert fold(tmp_path, folder.name) == ""


def test_names_of_modules_are_shown_as_text_and_groups_say_how_many(tmp_path):
    evil = "<script>alert(1)</script>\u202e"
    info = LayersInfo(
        name=("input", evil),
        type=("Input", ""),
        kernel=("", ""),
        stride=("", ""),
        output=("1x8x8", "10"),
        params=(0, 61_800),
        macs=(0, 1_234_567),
        parts=(1, 450),
    )
    folder = write_run(tmp_path, make_record("net", layers=info))

    text = fold(tmp_path, folder.name)

    assert "450 layers: 61,800 parameters, 1,234,567 MACs" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert '<span class="config">450 layers</span>' in text
    assert "<script>" not in text
    assert "\u202e" not in text
