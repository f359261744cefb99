"""The files of a board: complete, deterministic, and safe to open whatever strangers write into a record."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support.records import failed_record, make_record, write_runs

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.tables import export
from mlcvbench.records.schema import OperationsInfo

HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "<script>document.title='owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b\nc",
    "[click](javascript:alert(1))",
    "`code` *bold*",
    "\u202egnp.exe",
]


def board_of(tmp_path, *records):
    (board,), _ = read_boards(write_runs(tmp_path, records))
    return board


def test_the_csv_holds_every_column_with_its_unit_and_its_interval_ends(tmp_path):
    board = board_of(tmp_path, make_record("knn", 0.9), make_record("cnn", 0.95))

    first, second = csv.DictReader(io.StringIO(export.to_csv(board)))

    assert first["model"] == "cnn"
    assert float(first["top1"]) == 0.95
    assert float(first["top1_low"]) == pytest.approx(0.94)
    assert float(first["p50 [s]"]) == 1.5e-3
    assert float(first["peak_bytes [B]"]) == 12_300_000
    assert float(first["nll_high [nat]"]) == 0.33
    assert first["energy [J]"] == ""
    assert second["runs"] == make_record("knn", 0.9).run_id
    assert (second["rank_low"], second["rank_high"], second["pareto"]) == ("2", "2", "")


def test_the_json_says_what_each_column_is_and_why_a_value_is_null(tmp_path):
    data = export.to_json(board_of(tmp_path, make_record("knn"), failed_record()))

    assert data["schema_version"] == 1
    assert data["board"]["protocol_id"] == "top1/single-crop@1"
    assert [column["key"] for column in data["columns"]][:3] == ["top1", "p50", "p99"]
    assert data["rows"][0]["values"]["energy"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no energy counter was read",
    }
    assert data["unranked"][0]["reason"] == "timeout in fit: ran past 60 s"
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_a_row_of_the_json_lists_what_its_count_leaves_out(tmp_path):
    counted = OperationsInfo(macs=8, flops=16, method="traced", coverage=0.9, uncounted={"aten.relu": 2})

    (row,) = export.to_json(board_of(tmp_path, make_record("cnn", operations=counted)))["rows"]

    assert (row["coverage"], row["uncounted"]) == (0.9, {"aten.relu": 2})


def test_a_cost_that_could_not_be_had_has_its_reason_in_the_json(tmp_path):
    reason = "the multiply-adds of a.b (1 call) are not known"

    (row,) = export.to_json(board_of(tmp_path, make_record("cnn", operations=OperationsInfo(reason=reason))))["rows"]

    assert row["values"]["macs"]["value"] is None
    assert row["values"]["macs"]["reason"] == row["values"]["flops"]["reason"] == reason


def test_the_markdown_is_a_page_of_its_own(tmp_path):
    board = board_of(tmp_path, make_record("small_cnn", 0.95), failed_record("bad"))

    text = export.to_markdown(board, "digits.svg")

    assert text.startswith("# Digits, 8 x 8\n\nsmall_cnn is first of 1 model: top1 95.00 ±1.00 %, 1.50 ms per image.\n")
    assert "![top1 against the time of one image](digits.svg)" in text
    assert "| 1 | small_cnn ◆ | 95.00 ±1.00 | 1.50 ±6% | 1.23 M | 61.8 k | 12.3 | 1.25 | reported |" in text
    assert "| bad | 0 | - | timeout in fit: ran past 60 s |" in text


def test_the_latex_table_has_a_gap_between_tie_bands(tmp_path):
    board = board_of(tmp_path, make_record("small_cnn", 0.95), make_record("knn", 0.5))

    text = export.to_latex(board)

    assert r"1 & small\_cnn & 95.00 $\pm$1.00 & 1.50 $\pm$6\% &" in text
    assert text.count(r"\addlinespace") == 1


def test_a_long_latex_table_goes_over_pages_and_breaks_long_names(tmp_path):
    fit = {"optimizer": "momentum", "schedule": "warmup+cosine", "weight_decay": 0.0005}
    given = ["model.k", *(f"fit.{name}" for name in fit)]
    configs = [{"fit": fit, "given": given, "model_params": {"k": k}} for k in range(41)]
    records = [make_record("net", 0.9, params=config["model_params"], config=config) for config in configs]
    board = board_of(tmp_path, *records)

    text = export.to_latex(board)

    assert r"\usepackage{booktabs,longtable}" in text
    assert text.count(r"\begin{longtable}{rp{0.4\linewidth}rrrrrr}") == text.count(r"\end{longtable}") == 1
    assert text.count(r"& \raggedright net k=") == 41
    assert text.index(r"\endhead") < text.index(r"\bottomrule") < text.index(r"\endfoot") < text.index(r"\raggedright")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_spreadsheet_finds_no_formula(tmp_path, text):
    record = make_record("knn", params={"k": text})
    model = record.model.model_copy(update={"family": text, "plugin_version": text})
    board = board_of(tmp_path, record.model_copy(update={"model": model}), make_record("knn", params={"k": 1}))

    rows = list(csv.DictReader(io.StringIO(export.to_csv(board))))

    (shown,) = (row for row in rows if row["family"] != "neighbours")
    assert shown["family"].endswith(text.split()[-1].lstrip("\u202e"))
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_hostile_text_as_text(text):
    shown = export.md_text(text)

    assert "<" not in shown
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert not any(shown[i] == "|" and shown[i - 1] != "\\" for i in range(1, len(shown)))
    assert "](" not in shown.replace("\\](", "")


def test_latex_shows_special_characters_as_they_are():
    assert export.tex_text(r"a_b%$#&{}~^\x") == (
        r"a\_b\%\$\#\&\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}x"
    )


def test_a_long_reason_is_cut():
    assert len(export.shortened("x" * 10_000)) == 300


def beside(tmp_path, *columns):
    """Return a board whose definition shows these metrics beside the primary."""
    records = [make_record("knn", 0.9), make_record("cnn", 0.95)]
    return board_of(
        tmp_path, *(one.model_copy(update={"config": {"definition": {"columns": columns}}}) for one in records)
    )


def test_the_columns_of_a_definition_stand_beside_the_score(tmp_path):
    board = beside(tmp_path, "nll")

    assert board.beside == ("nll",)
    assert "| rank | model | top1 % | nll nat | p50 ms |" in export.to_markdown(board)
    assert "nll" in export.to_latex(board)
    columns = [column["key"] for column in export.to_json(board)["columns"]]
    assert columns[:3] == ["top1", "nll", "p50"]
    assert columns.count("nll") == 1


def test_the_primary_and_metrics_that_no_run_has_are_no_columns_beside_it(tmp_path):
    assert beside(tmp_path, "top1", "top7", "nll").beside == ("nll",)
    assert board_of(tmp_path / "other", make_record("knn", 0.9)).beside == ()
