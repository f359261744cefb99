"""`mlcvbench profile`: the per-layer table of a network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mlcvbench.cli.command import Command
from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.processes.stdout import emit
from mlcvbench.specs import Param

if TYPE_CHECKING:
    from mlcvbench.measure.layers.conventions import Convention, Row
    from mlcvbench.records.schema import OperationsInfo

KEYS = {
    param.name: param
    for param in (
        Param("model", "str", None, "a method of `mlcvbench list models`, torchvision:NAME or timm:NAME"),
        Param("input", "str", "3x224x224", "channels x height x width of one image"),
        Param("batch", "int", 128, "images per minibatch", low=1, high=999_999),
        Param("classes", "int", 1000, "outputs of the network", low=1, high=999_999),
        Param("convention", "str", "standard", "what is counted, and how", choices=("standard", "table", "notes")),
    )
}
MAX_SIDE = 8192
WIDTHS = (8, 12, 6, 5, 6, 7, 6, 6, 6)
"""Columns of the standard table after the layer's name, which has the rest of 80."""
LINE = 80
LECTURE_UNITS = ("par K", "FLOPs M", "act MiB", "par MiB")


@click.command("profile", cls=Command)
@click.argument("settings", nargs=-1, metavar="model=NAME [KEY=VALUE]...")
@click.option(
    "--json", "as_json", is_flag=True, help="Print exact numbers for one image as JSON, for the batch as batch_*."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: MACs for one image, FLOPs and memory for the batch.")
def profile(settings: tuple[str, ...], as_json: bool, as_csv: bool) -> None:
    """Print a network's layers: structure, receptive field, activations, parameters, FLOPs and memory.

    KEYs: input=3x224x224 batch=128 classes=1000 convention=standard|table|notes, and
    the model.* settings of `mlcvbench info NAME`, such as model.variant=2012.

    The network is the one that a run builds for images of size `input`: one made for another size resizes them first
    (set model.size). With model.auxiliary=true the classifiers that only training needs are counted too.
    """
    request = _request(settings)
    rows, operations = _rows(request)
    if as_json:
        emit(json.dumps(_document(request, rows, operations), indent=2))
    elif as_csv:
        _print_csv(request, rows)
    elif request["convention"] == "standard":
        emit("\n".join(_standard_lines(request, rows, operations)))
    else:
        emit("\n".join([*_lecture_lines(request, rows), *_not_counted(operations)]))


def _request(settings: Sequence[str]) -> dict[str, Any]:
    """Parse and check the keys. OverrideError names a wrong one."""
    from mlcvbench.plan.words import read_words

    asked = read_words(settings, KEYS.values(), places=("model",), bare="model")
    if asked.values["model"] is None:
        raise OverrideError("no model given: say model=NAME, such as model=torchvision:vgg16.")
    return {**asked.values, "input": _sides(asked.values["input"]), "settings": asked.place("model")}


def _sides(text: str) -> tuple[int, int, int]:
    """Parse a size such as `3x224x224`."""
    match = re.fullmatch(r"(\d{1,4})x(\d{1,5})x(\d{1,5})", text)
    sides = tuple(int(side) for side in match.groups()) if match else ()
    if len(sides) != 3 or not all(1 <= side <= MAX_SIDE for side in sides):
        raise OverrideError(f"input={text}: wanted CxHxW with sides from 1 to {MAX_SIDE}, such as 3x224x224.")
    return sides[0], sides[1], sides[2]


def _rows(request: dict[str, Any]) -> tuple[list[Row], OperationsInfo]:
    """Build the network, send one image through it and account for its layers."""
    from mlcvbench.errors import MlcvbenchError, first_line
    from mlcvbench.measure.layers.conventions import account
    from mlcvbench.measure.layers.networks import open_network, run_quietly
    from mlcvbench.measure.layers.tabulate import tabulate_traced
    from mlcvbench.measure.operations import summarise

    name, image = request["model"], request["input"]
    sides = "x".join(map(str, image))
    try:
        with open_network(name, image, request["classes"], request["settings"]) as network:
            layers, trace = tabulate_traced(network.module, run_quietly(network), image)
    except MlcvbenchError:
        raise
    except Exception as error:
        raise RequestError(f"model {name!r} cannot run on input {sides}: {first_line(error)}.") from error
    convention: Convention = request["convention"]
    return account(layers, convention, request["batch"]), summarise([trace])


def _document(request: dict[str, Any], rows: Sequence[Row], operations: OperationsInfo) -> dict[str, Any]:
    """Return the table as plain data: everything for one image, except the keys that begin with `batch_`."""
    *layers, total = (_row_document(row, request["batch"]) for row in rows)
    if operations.macs is None:
        total |= dict.fromkeys(("macs", "flops", "batch_flops"))
    kept = {"macs", "flops", "coverage", "uncounted", "reason"}
    return {
        **request,
        "input": list(request["input"]),
        "operations": operations.model_dump(include=kept),
        "rows": [*layers, total],
    }


def _row_document(row: Row, batch: int) -> dict[str, Any]:
    from dataclasses import asdict

    values = asdict(row)
    for name in ("flops", "activation_bytes"):
        values[f"batch_{name}"] = values[name]
        values[name] //= batch
    return values


def _print_csv(request: dict[str, Any], rows: Sequence[Row]) -> None:
    import csv
    import io

    from mlcvbench.measure.layers.conventions import COLUMNS, FIELD_COLUMNS, printed

    standard = request["convention"] == "standard"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *FIELD_COLUMNS) if standard else COLUMNS)
    lines = printed(rows) if request["convention"] == "notes" else [row.cells() for row in rows]
    for row, cells in zip(rows, lines, strict=True):
        writer.writerow([*cells, row.receptive_field, row.jump] if standard else cells)
    emit(text.getvalue(), end="")


def _standard_lines(request: dict[str, Any], rows: Sequence[Row], operations: OperationsInfo) -> list[str]:
    """Format the table in 80 columns, with rounded numbers."""
    from mlcvbench.records.units import count

    lines = [_standard_line("layer", "k/s/p", "output", "field", "jump", "activ", "params", "FLOPs", "act.B", "par.B")]
    for row in rows:
        structure = "/".join((row.kernel_hw, row.stride, row.padding)) if row.kernel_hw else ""
        numbers = (row.activations, row.params, row.flops, row.activation_bytes, row.parameter_bytes)
        shown = [count(number).replace(" ", "") for number in numbers]
        if row is rows[-1] and operations.macs is None:
            shown[2] = "-"
        lines.append(_standard_line(_title(row), structure, row.shape, row.receptive_field, row.jump, *shown))
    return [*lines, "", *_footer(request, rows, operations)]


def _title(row: Row) -> str:
    """Return a layer's name, with its type where the name is only numbers, as in an `nn.Sequential`."""
    return f"{row.layer} {row.type}" if row.type and row.layer.replace(".", "").isdigit() else row.layer


def _standard_line(name: str, *cells: str) -> str:
    """Format one line; a wide cell takes room from the name."""
    rest = "".join(f" {cell:>{width - 1}}" for cell, width in zip(cells, WIDTHS, strict=True))
    room = LINE - len(rest)
    return f"{_short(name, room):{room}}{rest}"


def _footer(request: dict[str, Any], rows: Sequence[Row], operations: OperationsInfo) -> list[str]:
    """Return the meaning of the numbers, and the exact totals."""
    total = rows[-1]
    sides = "x".join(map(str, request["input"]))
    macs = "-" if operations.macs is None else f"{total.macs:,}"
    return [
        f"{_named(request)}, input {sides}:",
        f"{total.params:,} parameters, {macs} MACs per image.",
        *_not_counted(operations),
        f"FLOPs = 2 MACs, bytes of float32 values; for a minibatch of {request['batch']}.",
        "field: side in pixels of what an output value depends on, with padding;",
        "jump: pixels between neighbours. Blank where undefined.",
    ]


def _not_counted(operations: OperationsInfo) -> list[str]:
    """Return why there is no count, or which operators were not counted, in lines of 80 columns."""
    import textwrap

    from mlcvbench.records.display import uncounted_text

    said = [f"MACs: {operations.reason}."] if operations.reason else []
    said += [f"Not counted: {uncounted_text(operations)}."] if operations.uncounted else []
    return [line for text in said for line in textwrap.wrap(text, LINE, break_on_hyphens=False)]


def _named(request: dict[str, Any]) -> str:
    """Return the model with the settings that were given."""
    return " ".join((request["model"], *(f"model.{key}={value}" for key, value in request["settings"].items())))


def _lecture_lines(request: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    """Format the lecture's table: thousands of parameters, millions of FLOPs, MiB."""
    from mlcvbench.measure.layers.conventions import PRINTED_DIGITS, printed

    rounded = printed(rows) if request["convention"] == "notes" else [row.cells(PRINTED_DIGITS) for row in rows]
    lines = [_lecture_line("layer", "kern", "k", "s", "p", "out", "chan", "activ.", *LECTURE_UNITS)]
    for row, cells in zip(rows, rounded, strict=True):
        if "|" in row.kernels:  # a block: its branches get their own line
            lines.append(_lecture_line(row.layer, "", "", row.stride, "", *cells[5:8], *cells[10:]))
            lines.append(f"   {row.kernels}   k {row.kernel_hw}   p {row.padding}")
        else:
            lines.append(_lecture_line(*cells[:8], *cells[10:]))
    return [
        *lines,
        "",
        f"{_named(request)}, minibatch of {request['batch']}, float32:",
        "activations with gradient, parameters with gradient and momentum;",
        "pools count one operation per window element.",
    ]


def _lecture_line(name: str, *cells: str) -> str:
    widths = (5, 3, 3, 3, 5, 7, 9, 9, 11, 9, 8)
    return f"{name:8}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _short(name: str, room: int) -> str:
    """Cut a long module path at its beginning, where paths are alike."""
    return name if len(name) <= room else "…" + name[len(name) - room + 1 :]
