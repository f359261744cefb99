"""Completion of each command's arguments; imported only when a shell asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mlcvbench.cli.completing import Offer
    from mlcvbench.specs import Param

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[Any]]"]


def _completer(offers: Callable[[click.Context, str, tuple[str, ...]], Iterable[Offer]]) -> Completer:
    """Return click's completion callback: `offers` gets the context, the typed word and the ones before it."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        from click.shell_completion import CompletionItem

        before = ctx.params.get(str(param.name)) or ()
        found = offers(ctx, incomplete, before if isinstance(before, tuple) else (before,))
        return [CompletionItem(offer.word, offer.kind, offer.help or None) for offer in found]

    return complete


def settings_of(keys: Callable[[], Mapping[str, Param]]) -> Completer:
    """Return the completer of KEY=VALUE words of a command that takes these keys and no others."""

    def offers(_: click.Context, word: str, before: tuple[str, ...]) -> Iterable[Offer]:
        from mlcvbench.cli.completing import Asked, complete_setting

        return complete_setting(word, Asked(before), keys())

    return _completer(offers)


def names_of(*words: str) -> Completer:
    """Return the completer of a word from a fixed list."""

    def offers(_: click.Context, word: str, __: tuple[str, ...]) -> Iterable[Offer]:
        from mlcvbench.cli.completing import Offer

        return [Offer(one) for one in words if one.startswith(word)]

    return _completer(offers)


def _run(_: click.Context, word: str, before: tuple[str, ...]) -> Iterable[Offer]:
    from mlcvbench.cli.completing import BENCHMARK_KEYS, Asked, complete_setting

    asked = Asked(before)
    return complete_setting(word, asked, BENCHMARK_KEYS, asked.settings())


def score(inactive: Collection[str]) -> Completer:
    """Return the completer of the settings of `score`; `inactive` are keys of a run without effect there."""

    def offers(_: click.Context, word: str, before: tuple[str, ...]) -> Iterable[Offer]:
        from mlcvbench.cli.completing import BENCHMARK_KEYS, Asked, complete_setting
        from mlcvbench.plan.search import SEARCH_KEYS
        from mlcvbench.specs import Param

        asked = Asked(before)
        reading = asked.registry.task(asked.kind).spec.reading if asked.kind else ()
        keys = {
            "predictions": Param("predictions", "path", help="the file or folder to read"),
            "as": Param("as", "str", help="name of the method that made them"),
            **{param.name: param for param in reading},
            **{name: param for name, param in BENCHMARK_KEYS.items() if name not in (*inactive, *SEARCH_KEYS)},
        }
        data = {name: param for name, param in asked.settings().items() if name.startswith("data.")}
        return complete_setting(word, asked, keys, data)

    return _completer(offers)


def study(kind: str) -> Completer:
    """Return the completer of the settings of a study of this kind."""

    def offers(_: click.Context, word: str, before: tuple[str, ...]) -> Iterable[Offer]:
        from mlcvbench.analysis.studies.planning import OWN, WHOLE_RUN_KEYS
        from mlcvbench.cli.completing import BENCHMARK_KEYS, Asked, complete_setting

        asked = Asked(before)
        keys = {name: param for name, param in BENCHMARK_KEYS.items() if name not in WHOLE_RUN_KEYS}
        return complete_setting(word, asked, keys | {param.name: param for param in OWN[kind]}, asked.settings())

    return _completer(offers)


def data_settings_of(keys: Callable[[], Mapping[str, Param]]) -> Completer:
    """Return the completer of the settings after the name of a data set or a definition."""

    def offers(ctx: click.Context, word: str, before: tuple[str, ...]) -> Iterable[Offer]:
        from mlcvbench.cli.completing import Asked, complete_setting

        name = str(ctx.params.get("name") or "")
        asked = Asked([*before, f"task={name}"])
        specs = [entry.spec for entry in asked.registry.datasets() if entry.spec.name == name]
        params = {f"data.{param.name}": param for spec in specs for param in spec.params} or asked.settings()
        declared = {key: param for key, param in params.items() if key.startswith("data.")}
        return complete_setting(word, Asked(before), keys(), declared)

    return _completer(offers)


def _any_name(_: click.Context, word: str, __: tuple[str, ...]) -> Iterable[Offer]:
    from mlcvbench.cli.completing import names_of_all
    from mlcvbench.registry import get_registry

    return (offer for offer in names_of_all(get_registry()) if offer.word.startswith(word))


def _data_name(_: click.Context, word: str, __: tuple[str, ...]) -> Iterable[Offer]:
    from mlcvbench.cli.completing import data_names
    from mlcvbench.registry import get_registry

    return (offer for offer in data_names(get_registry()) if offer.word.startswith(word))


def _run_id(_: click.Context, word: str, __: tuple[str, ...]) -> Iterable[Offer]:
    from mlcvbench.cli.completing import Offer, run_ids
    from mlcvbench.cli.runs import DEFAULT_RUNS

    return [offer for offer in run_ids(DEFAULT_RUNS) if offer.word.startswith(word)] or [Offer(word, kind="file")]


def paths(**helps: str) -> Callable[[], Mapping[str, Param]]:
    """Return keys whose values are files or folders, each with its help."""

    def keys() -> Mapping[str, Param]:
        from mlcvbench.specs import Param

        return {name: Param(name, "path", help=text) for name, text in helps.items()}

    return keys


def words(**choices: tuple[str, ...]) -> Callable[[], Mapping[str, Param]]:
    """Return keys with their possible values; any text where there are none."""

    def keys() -> Mapping[str, Param]:
        from mlcvbench.specs import Param

        return {name: Param(name, "str", choices=values) for name, values in choices.items()}

    return keys


def joined(*parts: Callable[[], Mapping[str, Param]]) -> Callable[[], Mapping[str, Param]]:
    """Return the keys of all parts."""
    return lambda: {name: param for part in parts for name, param in part().items()}


run_setting = _completer(_run)
any_name, data_name, run_id = _completer(_any_name), _completer(_data_name), _completer(_run_id)
