"""`mlcvbench compare A B`: the paired difference of two runs on the same data."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import run_id, settings_of, words
from mlcvbench.processes.stdout import emit
from mlcvbench.specs import Param

if TYPE_CHECKING:
    from mlcvbench.analysis.comparison import Comparison

WIDTH = 80
NAME = 17
LEAST_P = 1e-4
"""A p-value below this is printed as such: it comes from 1,000 resamples and a t distribution."""

BY = Param("by", "str", "point", "what --fail-below is compared with", choices=("point", "low"))


@click.command("compare", cls=Command)
@click.argument("first", shell_complete=run_id)
@click.argument("second", shell_complete=run_id)
@click.argument("settings", nargs=-1, shell_complete=settings_of(words(by=("point", "low"))))
@click.option(
    "--fail-below",
    type=float,
    default=None,
    help="Exit 1 when the gain of the second run in the primary metric, positive when it is better, is below this.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(first: str, second: str, settings: tuple[str, ...], fail_below: float | None, as_json: bool) -> None:
    """Compare two stored runs, SECOND minus FIRST, with paired 95 % bootstrap intervals and p-values.

    Both runs drew the same resamples, so a difference is the difference of their replicates. p is two-sided: one minus
    the level at which the interval just reaches zero. The primary metric comes first.

    SETTINGS: by=point|low, what --fail-below compares: the gain itself (the default), or the lower end of its interval.
    """
    from mlcvbench.analysis.comparison import compare_runs
    from mlcvbench.cli.runs import open_run
    from mlcvbench.errors import OverrideError
    from mlcvbench.plan.words import read_words

    by = read_words(settings, [BY]).values["by"]
    if fail_below is not None and not math.isfinite(fail_below):
        raise OverrideError(f"--fail-below={fail_below}: wanted a finite number.")
    if fail_below is None and settings:
        raise OverrideError(f"key 'by' has no effect without --fail-below=X; by={by} says what X is compared with.")
    result = compare_runs(open_run(first), open_run(second))
    emit(json.dumps(as_dict(result), indent=2) if as_json else as_text(result))
    if fail_below is not None:
        _fail_below(result, by, fail_below)


def _fail_below(result: Comparison, by: str, bound: float) -> None:
    """Raise CheckFailedError when the gain, or the lower end of its interval, is below the bound."""
    from mlcvbench.errors import CheckFailedError

    value = result.gain if by == "point" else result.gain_low
    if value is not None and value >= bound:
        return
    if by == "point":
        shown = "undefined" if value is None else f"{value:+.4f}"
    else:
        shown = "without interval" if value is None else f"{value:+.4f} at the lower end of its 95 % interval"
    raise CheckFailedError(f"the gain in {result.primary} is {shown}, which is below {bound:+g}.")


def as_dict(result: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return {
        "first": result.first,
        "second": result.second,
        "primary": result.primary,
        "gain": result.gain,
        "gain_low": result.gain_low,
        "n": result.n,
        "groups": result.groups,
        "metrics": [asdict(difference) for difference in result.metrics],
        "latency_ratio": result.latency_ratio,
        "latency_note": result.latency_note,
        "said": {"first": list(result.said[0]), "second": list(result.said[1])},
    }


def as_text(result: Comparison) -> str:
    """Return a comparison as lines of at most 80 columns; a long name gets its own line."""
    groups = "" if result.groups in (None, result.n) else f" in {result.groups:,} groups"
    lines = [f"first   {result.first}", f"second  {result.second}", f"n       {result.n:,}{groups}", ""]
    lines.append(f"{'metric':<{NAME}}{'first':>9}{'second':>9}{'difference':>11}  {'95 % interval':<21}{'p':>8}")
    for d in result.metrics:
        values = "".join(f"{_number(value):>9}" for value in (d.first, d.second))
        change = "-" if d.difference is None else f"{_number(d.difference, '+')}"
        interval = "-" if d.low is None or d.high is None else f"[{_number(d.low, '+')}, {_number(d.high, '+')}]"
        clear = "" if d.low is None or d.high is None or d.low <= 0 <= d.high else " *"
        lines += [d.name] if len(d.name) > NAME else []
        name = d.name if len(d.name) <= NAME else ""
        lines.append(f"{name:<{NAME}}{values}{change:>11}  {interval:<21}{_p(d.p):>8}{clear}")
    lines += ["", f"{result.primary} is the primary metric; * the interval excludes no difference"]
    if lower := [d.name for d in result.metrics if not d.higher_is_better]:
        lines += textwrap.wrap(f"lower is better: {', '.join(lower)}", WIDTH)
    if result.latency_ratio is not None:
        lines.append(f"latency, second / first: {result.latency_ratio:.3g}")
    lines.append(result.latency_note)
    for name, said in zip(("first", "second"), result.said, strict=True):
        for text in said:
            lines += textwrap.wrap(f"! {name}: {text}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def _number(value: float | None, sign: str = "") -> str:
    """Return a number with five decimals, fewer where it is large."""
    if value is None:
        return "-"
    size = abs(value)
    return f"{value:{sign}.{5 if size < 10 else 3 if size < 1000 else 1}f}"


def _p(value: float | None) -> str:
    """Return a p-value as printed.

    >>> _p(0.0312), _p(1e-9), _p(None)
    ('0.0312', '<0.0001', '-')
    """
    if value is None:
        return "-"
    return f"<{LEAST_P:.4f}" if value < LEAST_P else f"{value:.4f}"
