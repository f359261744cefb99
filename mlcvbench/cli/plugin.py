"""`mlcvbench plugin new|check|doctor`: start a plugin, check it, and see why one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.scaffold import KINDS, short_name, write_plugin
from mlcvbench.errors import CheckFailedError, MlcvbenchError, said_by
from mlcvbench.processes.stdout import emit

if TYPE_CHECKING:
    from mlcvbench.registry import Entry, Registry
    from mlcvbench.testing.subjects import Report

_MARKS = {True: "ok", False: "FAILED", None: "skipped"}


@click.group("plugin")
def plugin() -> None:
    """Start, check and diagnose plugins."""


@plugin.command("new", cls=Command, short_help="Write an installable package with one working method.")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(KINDS), default=KINDS[0], help="Task kind of the method; classification by default."
)
@click.option("--torch", is_flag=True, help="Write a small network that is trained with torch.")
@click.option("--into", default=".", metavar="DIR", help="Folder to write it in; the working folder by default.")
def new(name: str, kind: str, torch: bool, into: str) -> None:
    """Write an installable package with one working method NAME of a task kind, and its tests."""
    folder = write_plugin(name, Path(into), kind, torch=torch)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    emit("\n".join([f"wrote {folder}", *(f"  {file}" for file in files)]))
    for line in _taken(name, kind):
        click.echo(line, err=True)
    emit(f"next: pip install -e {folder} && mlcvbench plugin check {folder}")


def _taken(name: str, kind: str) -> Iterator[str]:
    """Warn of an installed model or plugin of the new name: the later one would be quarantined."""
    from mlcvbench.registry import get_registry

    short, registry = short_name(name), get_registry()
    for entry in registry.models(kind):
        if entry.spec.name == short:
            yield f"warning: plugin {entry.origin.plugin!r} has a model {short!r} already; give yours another name."
    if any(origin.plugin == short for origin in registry.plugins):
        yield f"warning: a plugin {short!r} is installed already; give the entry point in pyproject.toml another name."


@plugin.command("check", cls=Command, short_help="Run the conformance kit on a model, a data set or a plugin.")
@click.argument("reference", metavar="NAME|PATH")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(reference: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Run the conformance kit on a model, a data set, all that a plugin declares, or a plugin's folder.

    A folder is read as it is, installed or not. KEY is model.NAME, fit.NAME or data.NAME; data=NAME checks models
    on the first samples of that data set instead of toy data. Exit code 1 when a check fails.
    """
    from mlcvbench.plan.words import read_words
    from mlcvbench.specs import Param
    from mlcvbench.testing.subjects import check_reference

    named = [word for word in settings if word.startswith("data=")]
    data = read_words(named, (Param("data", "str"),)).values["data"]
    words = read_words([word for word in settings if word not in named], (), places=("model", "fit", "data"))
    reports = check_reference(reference, words.settings, data)
    if as_json:
        import json
        from dataclasses import asdict

        emit(json.dumps([asdict(report) for report in reports], indent=2, ensure_ascii=False))
    else:
        emit("\n\n".join("\n".join(_lines(report)) for report in reports))
    failed = sum(report.failed for report in reports)
    if failed:
        raise CheckFailedError(f"{failed} check{'s' * (failed > 1)} failed for {reference!r}.")


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.what} {report.name}" + (f" ({report.kind})" if report.kind else "")
    for result in report.results:
        detail = f": {' '.join(result.detail.split())}" if result.detail else ""
        yield f"  {_MARKS[result.passed]:<8}{result.name}{detail}"


@plugin.command("doctor", cls=Command, short_help="Show which plugins cannot be used, and why.")
def doctor() -> None:
    """Show which plugins are installed, which cannot be used and why, and whether their targets can be imported.

    Exit code 1 when something cannot be used.
    """
    import sys

    import mlcvbench
    from mlcvbench.registry import get_registry

    registry = get_registry()
    emit(f"mlcvbench {mlcvbench.__version__}, Python {sys.version.split()[0]}")
    problems = 0
    for origin in registry.plugins:
        broken = list(_broken_parts(origin.plugin, registry))
        problems += len(broken)
        emit(f"  {'FAILED' if broken else 'ok':<8}{origin.plugin} ({origin.distribution} {origin.version})")
        for line in broken:
            emit(f"          {line}")
    for quarantined in registry.quarantined:
        problems += 1
        emit(f"  {'FAILED':<8}{quarantined.plugin} ({quarantined.distribution}): {quarantined.reason}")
        for line in quarantined.traceback.rstrip().splitlines():
            emit(f"          {line}")
    if problems:
        raise CheckFailedError(f"{problems} problem{'s' * (problems > 1)} found in the installed plugins.")


def _broken_parts(name: str, registry: Registry) -> Iterator[str]:
    """Yield one line per target that cannot be imported and per definition that cannot be read."""
    from mlcvbench.plan.definitions import definition_files, read_definition
    from mlcvbench.specs import load_target

    entries: list[Entry[Any]] = [*registry.tasks(), *registry.datasets(), *registry.models()]
    specs = [entry.spec for entry in entries if entry.origin.plugin == name]
    failed = set()
    for target in [target for spec in specs for target in (spec.target, getattr(spec, "check", "")) if target]:
        try:
            load_target(target)
        except MlcvbenchError as error:
            failed.add(target)
            yield str(error)
        except Exception as error:  # noqa: BLE001 - a plugin's module may raise anything
            failed.add(target)
            yield f"{target}: importing it raised {said_by(error)}"
    tasks = [e.spec for e in registry.tasks() if e.origin.plugin == name]
    for task in tasks:
        for path in definition_files(registry)[task.name].values():
            try:
                read_definition(path, registry, checked=task.target not in failed)
            except MlcvbenchError as error:
                yield str(error)
