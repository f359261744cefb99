"""`mlcvbench compare A B`: the paired difference of two runs on the same data."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlcvbench.cli.command import Command
from mlcvbench.stdout import emit

if TYPE_CHECKING:
    from mlcvbench.comparison import Comparison


@click.command("compare", cls=Command)
@click.argument("first")
@click.argument("second")
@click.option(
    "--fail-below",
    type=float,
    default=None,
    help="Exit 1 when the gain of the second run in the primary metric, positive when it is better, is below this.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(first: str, second: str, fail_below: float | None, as_json: bool) -> None:
    """Compare two stored runs, SECOND minus FIRST, with paired 95 % bootstrap intervals."""
    from mlcvbench.cli.runs import open_run
    from mlcvbench.comparison import compare_runs
    from mlcvbench.errors import CheckFailedError, OverrideError

    if fail_below is not None and not math.isfinite(fail_below):
        raise OverrideError(f"--fail-below={fail_below}: wanted a finite number.")
    result = compare_runs(open_run(first), open_run(second))
    emit(json.dumps(as_dict(result), indent=2) if as_json else as_text(result))
    gain = result.gain
    if fail_below is not None and (gain is None or gain < fail_below):
        shown = "undefined" if gain is None else f"{gain:+.4f}"
        raise CheckFailedError(f"the gain in {result.primary} is {shown}, which is below {fail_below:+g}.")


def as_dict(result: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return {
        "first": result.first,
        "second": result.second,
        "primary": result.primary,
        "gain": result.gain,
        "metrics": [asdict(difference) for difference in result.metrics],
        "latency_ratio": result.latency_ratio,
        "latency_note": result.latency_note,
    }


def as_text(result: Comparison) -> str:
    """Return a comparison as lines of at most 80 columns."""
    lines = [f"first   {result.first}", f"second  {result.second}", ""]
    lines.append(f"{'metric':<18}{'first':>11}{'second':>11}{'difference':>12}  95 % interval")
    for d in result.metrics:
        values = "".join(f"{'-' if v is None else f'{v:.5f}':>11}" for v in (d.first, d.second))
        change = "-" if d.difference is None else f"{d.difference:+.5f}"
        interval = "-" if d.low is None or d.high is None else f"[{d.low:+.5f}, {d.high:+.5f}]"
        clear = "" if d.low is None or d.high is None or d.low <= 0 <= d.high else " *"
        lines.append(f"{d.name:<18}{values}{change:>12}  {interval}{clear}")
    lines += ["", "* the interval excludes no difference"]
    if lower := [d.name for d in result.metrics if not d.higher_is_better]:
        lines.append(f"lower is better: {', '.join(lower)}")
    if result.latency_ratio is not None:
        lines.append(f"latency, second / first: {result.latency_ratio:.3f}")
    lines.append(result.latency_note)
    return "\n".join(lines)
