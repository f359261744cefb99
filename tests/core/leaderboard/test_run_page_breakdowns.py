"""The numbers behind the metrics on a run's page: tables in the record's order, long ones folded, names as text."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from support.records import make_record, write_run

from mlcvbench.leaderboard.build import build_boards
from mlcvbench.records.canonical import read_record
from mlcvbench.records.schema import BreakdownColumn, BreakdownInfo


def by_class(names: tuple[str, ...]) -> BreakdownInfo:
    columns = (
        BreakdownColumn(name="objects", unit="1", values=tuple(1000.0 * place for place in range(len(names)))),
        BreakdownColumn(name="AP", values=(None, *(0.25 for _ in names[1:]))),
        BreakdownColumn(name="confidence", unit="1", values=(0.1234567,) * len(names)),
        BreakdownColumn(name="forward", unit="s", values=(0.00123,) * len(names)),
    )
    return BreakdownInfo(title="By class", note="At IoU 0.5.", of="class", names=names, columns=columns)


def page_of(tmp_path, *parts: BreakdownInfo) -> str:
    folder = write_run(tmp_path, make_record("net", breakdowns=parts))
    build_boards(tmp_path, tmp_path / "_board")
    return (tmp_path / "_board" / "site" / "runs" / f"{folder.name}.html").read_text()


def rows(page: str) -> list[list[str]]:
    section = re.search(r'<section><h2 id="breakdown-1">.*?</section>', page, re.DOTALL)[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", section, re.DOTALL)]


def test_counts_fractions_and_what_is_undefined_are_told_apart(tmp_path):
    page = page_of(tmp_path, by_class(("cat", "dog")))

    assert rows(page) == [
        ["class", "objects", "AP %", "confidence", "forward ms"],
        ["cat", "0", "-", "0.1235", "1.23"],
        ["dog", "1,000", "25.00", "0.1235", "1.23"],
    ]
    assert "At IoU 0.5." in page


@pytest.mark.parametrize(("count", "folded"), [(20, False), (21, True)])
def test_a_long_table_is_folded(tmp_path, count, folded):
    page = page_of(tmp_path, by_class(tuple(f"class {place}" for place in range(count))))

    assert (f'<details class="fold"><summary>{count} lines</summary>' in page) == folded


def test_names_of_strangers_are_text(tmp_path):
    page = page_of(tmp_path, by_class(("<script>alert(1)</script>",)))

    assert "<script>alert" not in page


def test_a_record_of_an_earlier_version_has_none(tmp_path):
    folder = write_run(tmp_path, make_record("net"))
    path = folder / "record.json"
    path.write_text(re.sub(r'\n  "breakdowns": \[\],', "", path.read_text()))

    assert '"breakdowns"' not in path.read_text()
    assert read_record(folder).breakdowns == ()


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(ValidationError, match="wanted columns of one length"):
        BreakdownInfo(title="t", of="class", names=("a",), columns=(BreakdownColumn(name="AP", values=()),))
