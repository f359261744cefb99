"""`mlcvbench info NAME`: a model, a data set, a task or a definition, and the settings it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, get_args

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import any_name
from mlcvbench.cli.listing import columns, shown
from mlcvbench.cli.protocol_families import about_protocol, described, protocol_families
from mlcvbench.errors import UnknownNameError
from mlcvbench.processes.stdout import emit
from mlcvbench.registry import Entry, Registry, get_registry
from mlcvbench.specs import DatasetSpec, Field, ModelSpec, Param, Place, TaskSpec
from mlcvbench.specs.values import condition, wanted

WIDTH = 80


class Card(NamedTuple):
    """One found item: `what` it is, its spec, its origin and how it was named."""

    what: str
    spec: Any
    provider: str
    reference: str


@click.command("info", cls=Command)
@click.argument("name", shell_complete=any_name)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(name: str, as_json: bool) -> None:
    """Show a model, data set, task or definition: what it is, its settings and where it comes from."""
    registry = get_registry()
    cards = find(name, registry)
    if not cards:
        raise UnknownNameError("name", name, _all_names(registry))
    if as_json:
        import json

        plain = [_plain_card(card) for card in cards]
        emit(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    emit("\n\n".join(_text(card, registry) for card in cards))


def find(name: str, registry: Registry) -> list[Card]:
    """Return everything of that name, or the definition in a YAML file; a model and a data set may share a name."""
    from mlcvbench.plan.definition_files import SUFFIXES, definition_names
    from mlcvbench.plan.definitions import load_definition

    if name.endswith(SUFFIXES):
        return [Card("definition", load_definition(name, registry), f"the file {name}", name)]
    cards = [_card("task", e) for e in registry.tasks() if e.spec.name == name]
    models = [e for e in registry.models() if e.spec.name == name]
    if not models and any(e.spec.name.endswith(":") and name.startswith(e.spec.name) for e in registry.models()):
        models = [registry.model(name)]
    cards += [_card("model", e) for e in models]
    cards += [_card("data set", e) for e in registry.datasets() if e.spec.name == name]
    for kind, names in definition_names(registry).items():
        if name in names:
            cards.append(_card("definition", registry.task(kind), load_definition(name, registry)))
    return cards


def _card(what: str, entry: Entry[Any], spec: Any = None) -> Card:
    origin, found = entry.origin, spec or entry.spec
    return Card(what, found, f"plugin {origin.plugin}, {origin.distribution} {origin.version}", found.name)


def _all_names(registry: Registry) -> list[str]:
    from mlcvbench.plan.definition_files import definition_names

    entries: list[Entry[Any]] = [*registry.tasks(), *registry.models(), *registry.datasets()]
    return [*(e.spec.name for e in entries), *(n for names in definition_names(registry).values() for n in names)]


def _text(card: Card, registry: Registry) -> str:
    spec = card.spec
    lines = [f"{card.what} {shown(spec.name)}", *columns([("", spec.summary)], WIDTH, 0)]
    facts = _FACTS[card.what](spec, registry)
    if card.what == "definition":
        facts.append(("run it", f"mlcvbench run task={card.reference}"))
    lines += columns([(label, text) for label, text in [*facts, ("from", card.provider)] if text], WIDTH)
    if isinstance(spec, ModelSpec):
        lines += _settings("model", spec.params) + _settings("fit", spec.fit)
    elif isinstance(spec, DatasetSpec):
        lines += _settings("data", spec.params)
    elif isinstance(spec, TaskSpec):
        if spec.reads:
            lines += ["", "what `mlcvbench score` reads", *columns(list(spec.reads), WIDTH)]
        lines += _fields(spec.fields)
        lines += _settings("", spec.reading) + described(spec.name, WIDTH)
    return "\n".join(lines)


def _plain_card(card: Card) -> dict[str, Any]:
    plain = {"what": card.what, "provider": card.provider, **asdict(card.spec)}
    if isinstance(card.spec, TaskSpec):
        plain["protocols"] = [
            {"ids": family.ids, "about": family.about, "metrics": [asdict(metric) for metric in family.metrics]}
            for family in protocol_families(card.spec.name)
        ]
    return plain


def _settings(place: str, params: Sequence[Param]) -> list[str]:
    if not params:
        return []
    rows = []
    for param in params:
        state = "required" if param.required else "not set" if param.default is None else f"default {_plain(param)}"
        only = f"; only with {condition(param, place)}" if param.when else ""
        help_text = f" ({param.help})" if param.help else ""
        key = f"{place}.{param.name}" if place else param.name
        rows.append((key, f"{wanted(param)}; {state}{help_text}{only}"))
    title = {"fit": "fit settings", "": "how `mlcvbench score` reads predictions"}.get(place, "settings")
    return ["", title, *columns(rows, WIDTH)]


def _fields(fields: Sequence[Field]) -> list[str]:
    """Return what models get and return, a section for each place."""
    lines: list[str] = []
    for place in get_args(Place):
        rows = [(field.name, f"{field.form}; {field.text}") for field in fields if field.place == place]
        lines += ["", _PLACES[place], *columns(rows, WIDTH)] if rows else []
    return lines


def _plain(param: Param) -> str:
    from mlcvbench.specs.values import text

    return repr(param.default) if param.default == "" else text(param.default)


def _model_facts(spec: ModelSpec, _: Registry) -> list[tuple[str, str]]:
    extras = [
        "chooses on a validation split" if spec.uses_val else "",
        "takes images of unequal size" if spec.ragged else "",
    ]
    return [
        ("tasks", ", ".join(spec.kinds)),
        ("needs", ", ".join(spec.needs)),
        ("also", ", ".join(filter(None, extras))),
        ("family", spec.family),
        ("reference", spec.reference),
        ("year", str(spec.year or "")),
        ("licence", spec.licence),
        ("run it", f"mlcvbench run task={spec.kinds[0]} model={shown(spec.name)}"),
    ]


def _dataset_facts(spec: DatasetSpec, _: Registry) -> list[tuple[str, str]]:
    return [
        ("tasks", ", ".join(spec.kinds)),
        ("provides", ", ".join(spec.provides)),
        ("reference", spec.reference),
        ("licence", spec.licence),
        ("run it", f"mlcvbench run task={spec.kinds[0]} data={spec.name}"),
    ]


def _task_facts(spec: Any, registry: Registry) -> list[tuple[str, str]]:
    from mlcvbench.plan.definition_files import definition_names

    return [
        ("default", spec.default),
        ("definitions", ", ".join(definition_names(registry)[spec.name])),
        ("models", ", ".join(shown(e.spec.name) for e in registry.models(spec.name))),
        ("data sets", ", ".join(e.spec.name for e in registry.datasets(spec.name))),
        ("reference", spec.reference),
        ("run it", f"mlcvbench run task={spec.name}"),
    ]


def _definition_facts(spec: Any, _: Registry) -> list[tuple[str, str]]:
    return [
        ("title", spec.title),
        ("task", spec.kind),
        ("data set", " ".join([spec.dataset, *(f"{key}={value}" for key, value in spec.data.items())])),
        ("protocol", spec.protocol),
        ("scoring", about_protocol(spec.kind, spec.protocol)),
        ("metrics", ", ".join(spec.metrics)),
        ("models", ", ".join(spec.models)),
        ("starter", " ".join(f"{key}={text}" for key, text in spec.starter.items())),
        ("fit budget", f"{spec.fit_budget:g} s" if spec.fit_budget is not None else ""),
    ]


_PLACES = {
    "inputs": "inputs, in `batch.inputs`; lists of arrays where images differ in size",
    "targets": "targets, of training and validation samples",
    "extra": "settings of the problem, in `problem.extra`",
    "meta": "facts of each sample, in `batch.meta`",
    "predictions": "predictions, what `postprocess` returns",
}
"""The headings of what models of a task kind get and return."""
_FACTS: dict[str, Any] = {
    "model": _model_facts,
    "data set": _dataset_facts,
    "task": _task_facts,
    "definition": _definition_facts,
}
