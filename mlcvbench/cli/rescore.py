"""`mlcvbench rescore RUN`: recompute every metric of a stored run from its predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import run_id
from mlcvbench.processes.stdout import emit
from mlcvbench.specs import Param

if TYPE_CHECKING:
    from mlcvbench.analysis.rescoring import EngineValue
    from mlcvbench.records.schema import Record

ENGINE = Param("engine", "str", None, "another implementation that scores the same predictions")


@click.command("rescore", cls=Command)
@click.argument("run", shell_complete=run_id)
@click.argument("settings", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rescore(run: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Recompute the metrics of RUN (a run folder) from its stored predictions; exit 1 when one differs.

    SETTINGS: engine=NAME compares the record with another implementation (COCO: pycocotools, hotcoco);
    data.root=DIR and other paths, which a record does not hold.
    """
    from mlcvbench.cli.runs import data_settings, open_run
    from mlcvbench.plan.words import read_words

    asked = read_words(settings, [ENGINE], places=("data",), each=("data",))
    engine = asked.values["engine"]
    record, folder = open_run(run)
    data = data_settings(asked.settings)
    if engine is None:
        _recompute(record, folder, data, as_json)
    else:
        _compare_engine(record, folder, engine, data, as_json)


def _recompute(record: Record, folder: Path, data: dict[str, str], as_json: bool) -> None:
    from mlcvbench.analysis.rescoring import recompute
    from mlcvbench.errors import CheckFailedError
    from mlcvbench.files.ahead import counting
    from mlcvbench.processes.status_line import StatusLine, counted

    with StatusLine() as line, counting(partial(counted(line), "rescore")):
        result = recompute(record, folder, data)
    if as_json:
        rows = [{"check": d.check, "file": d.file, "wanted": d.wanted, "got": d.got} for d in result.differences]
        emit(json.dumps({"run": record.run_id, "metrics": result.values, "differences": rows}, indent=2))
    else:
        for name, value in result.values.items():
            emit(f"{name:<20} {_number(value)}")
        for difference in result.differences:
            emit(str(difference))
    if result.differences:
        count = len(result.differences)
        raise CheckFailedError(f"{record.run_id}: {count} recomputed figure{'s' * (count > 1)} differ from the record.")
    if not as_json:
        emit(f"{record.run_id}: every metric recomputed bit for bit.")


def _compare_engine(record: Record, folder: Path, engine: str, data: dict[str, str], as_json: bool) -> None:
    from mlcvbench.analysis.rescoring import values_by_engine
    from mlcvbench.errors import CheckFailedError

    values = values_by_engine(record, folder, engine, data)
    if as_json:
        rows = {v.name: {"record": v.recorded, "engine": v.engine, "difference": v.difference} for v in values}
        emit(json.dumps({"run": record.run_id, "engine": engine, "metrics": rows}, indent=2))
    else:
        _print_table(values, engine)
    differing = [value.name for value in values if value.difference != 0]
    if differing:
        raise CheckFailedError(
            f"{record.run_id}: engine {engine!r} differs from the record in {len(differing)} of {len(values)} metrics."
        )
    if not as_json:
        emit(f"{record.run_id}: engine {engine!r} gives the record's values bit for bit.")


def _print_table(values: Sequence[EngineValue], engine: str) -> None:
    """Print one line per metric, at most 80 columns: record, engine, and engine minus record."""
    emit(f"{'metric':<20} {'record':<22} {engine:<22} difference")
    for value in values:
        gap = value.difference
        shown = "undefined in one" if gap is None else "-" if gap == 0 else f"{gap:+.3g}"
        emit(f"{value.name:<20} {_number(value.recorded):<22} {_number(value.engine):<22} {shown}")


def _number(value: float | None) -> str:
    return "-" if value is None else repr(value)
