"""The command of a run, which its record holds so that anybody can run it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from typing import Any

from mlcvbench.plan.config import RunConfig, Search
from mlcvbench.plan.definition_files import names_of
from mlcvbench.plan.definitions import TASK_MARK
from mlcvbench.plan.entries import Entries, entries_of
from mlcvbench.plan.given_weights import is_run
from mlcvbench.plan.named_files import WEIGHTS, renamed
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.specs.values import text

ALWAYS = ("seed", "threads")
"""Keys a command always states: their defaults differ between machines."""
PATH = "PATH"
"""Placeholder for a path outside the data."""
PATHS = (WEIGHTS,)
UNSTATED = (*PATHS, "timeout", "memory")
"""Keys that are paths, or that limit a run without changing its result; in a search they also limit its candidates."""


def command_of(config: RunConfig, entries: Entries | None = None) -> str:
    """Return a command line that resolves to `config`; `DIR` and `PATH` stand for paths, since a record holds none.

    A run whose weights it takes is named by its id.
    """
    known = entries or entries_of(config)
    config = renamed(config, known, _without_place)
    words = ["mlcvbench", "run", *_task_words(config, known), f"model={config.model}"]
    words += [f"{key}={text(value)}" for key, value in sorted(given_settings(config, known).items())]
    words += [] if config.search is None else _search_words(config.search)
    words += _run_settings(config, UNSTATED if config.search is None else PATHS, ALWAYS)
    if config.weights:
        words.append(f"weights={config.weights}")
    return " ".join(shlex.quote(word) for word in words)


def _without_place(key: str, path: str) -> str:
    return os.path.basename(path) if key == WEIGHTS and is_run(path) else PATH  # noqa: PTH119 - it is text


def score_command_of(config: RunConfig, file: str, title: str = "", entries: Entries | None = None) -> str:
    """Return the command line that scores the predictions in `file`, a bare name; `title`: the model's, if any."""
    known = entries or entries_of(config)
    words = ["mlcvbench", "score", *_task_words(config, known), f"predictions={file}", f"as={title or config.model}"]
    words += [f"{key}={text(value)}" for key, value in sorted(given_settings(config, known).items())]
    words += [f"{key}={text(value)}" for key, value in _reading_given(config, known).items()]
    words += _run_settings(config, (*UNSTATED, "time", "seed", "threads"), ())
    return " ".join(shlex.quote(word) for word in words)


def evaluate_call_of(config: RunConfig, preprocessed: bool, title: str = "") -> str:
    """Return the Python call that evaluates a model object; MODEL and PREPROCESS stand for the objects."""
    words: dict[str, Any] = {"name": title or config.model}
    for key in ("device", "batch", "limit", "intervals", "strict", "time"):
        run_key = RUN_KEYS[key]
        if (value := getattr(config, run_key.field)) != run_key.param.default:
            words[key] = value
    entries = entries_of(config)
    task = _task_words(config, entries)[0]
    words |= {key.removeprefix("data."): value for key, value in given_settings(config, entries).items()}
    words |= _reading_given(config, entries)
    shown = [f"{key}={value!r}" if key.isidentifier() else f"**{{{key!r}: {value!r}}}" for key, value in words.items()]
    shown += ["preprocess=PREPROCESS"] if preprocessed else []
    return f"mlcvbench.evaluate(MODEL, {task.removeprefix('task=')!r}, {', '.join(shown)})"


def _search_words(search: Search) -> list[str]:
    """Return the words that request a search: its space, then what differs from the defaults."""
    words = [
        f"{key}={values if isinstance(values, str) else ','.join(map(text, values))}"
        for key, values in search.space.items()
    ]
    words.append(f"select={search.method}")
    options = (
        ("trials", search.trials, None),
        ("select_on", search.on, "val"),
        ("select_metric", search.metric, None),
        ("select_share", search.share, None),
    )
    words += [f"{name}={text(value)}" for name, value, usual in options if value != usual]
    return words if search.refit else [*words, "refit=false"]


def _run_settings(config: RunConfig, unstated: Collection[str], always: Collection[str]) -> list[str]:
    words = []
    for name, key in RUN_KEYS.items():
        value = getattr(config, key.field)
        if name not in unstated and (name in always or value != key.param.default):
            words.append(f"{name}={text(value)}")
    return words


def _task_words(config: RunConfig, entries: Entries) -> list[str]:
    """Return the `task=` word, and `data=` where the request applies the definition to other data.

    A definition that is not installed is a YAML file, named as it was when it was read.
    """
    name, changed, _ = config.definition.name.partition(TASK_MARK)
    installed = names_of(entries.task.spec)
    words = [f"task={name if name in installed else config.definition.file or f'{name}.yaml'}"]
    return [*words, f"data={config.definition.dataset}"] if changed else words


def given_settings(config: RunConfig, entries: Entries | None = None) -> dict[str, Any]:
    """Return the `model.*`, `fit.*` and `data.*` settings that the request named, with their values."""
    places = {"model": config.model_params, "fit": config.fit, "data": config.data_params}
    data_places = (entries or entries_of(config)).places
    settings: dict[str, Any] = {}
    for key in config.given:
        place, _, name = key.partition(".")
        if place == config.model:
            place = "model"
        if name in places.get(place, {}):
            settings[f"{place}.{name}"] = "DIR" if place == "data" and name in data_places else places[place][name]
    return settings


def _reading_given(config: RunConfig, entries: Entries) -> dict[str, Any]:
    """Return the settings of reading predictions that differ from the defaults; a file is shown by its name."""
    given = {}
    for param in entries.task.spec.reading:
        value = config.reading.get(param.name, param.default)
        if value != param.default:
            given[param.name] = os.path.basename(value) if param.type == "path" else value  # noqa: PTH119 - it is text
    return given
