"""`mlcvbench rescore RUN`: recompute every metric of a stored run from its predictions."""

from __future__ import annotations

import json

import click


@click.command("rescore")
@click.argument("run")
@click.argument("settings", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rescore(run: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Recompute the metrics of RUN (a run folder) from its stored predictions; exit 1 when one differs.

    SETTINGS: data.root=DIR and other paths, which a record does not hold.
    """
    from mlcvbench.cli.runs import data_settings, open_run
    from mlcvbench.errors import CheckFailedError
    from mlcvbench.rescoring import recompute

    record, folder = open_run(run)
    result = recompute(record, folder, data_settings(settings))
    if as_json:
        rows = [{"check": d.check, "file": d.file, "wanted": d.wanted, "got": d.got} for d in result.differences]
        click.echo(json.dumps({"run": record.run_id, "metrics": result.values, "differences": rows}, indent=2))
    else:
        for name, value in result.values.items():
            click.echo(f"{name:<20} {'-' if value is None else repr(value)}")
        for difference in result.differences:
            click.echo(str(difference))
    if result.differences:
        count = len(result.differences)
        raise CheckFailedError(f"{record.run_id}: {count} recomputed figure{'s' * (count > 1)} differ from the record.")
    if not as_json:
        click.echo(f"{record.run_id}: every metric recomputed bit for bit.")
