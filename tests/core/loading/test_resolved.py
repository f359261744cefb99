"""What a run asks once and hands down, and how often it passes from one room of the core to another."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from support.runs import config_for

import mlcvbench
from mlcvbench.errors import UnknownNameError
from mlcvbench.loading.resolved import resolve
from mlcvbench.registry import Registry, get_registry
from mlcvbench.running import stages

CORE = f"{Path(mlcvbench.__file__).parent}/"
QUESTIONS = {
    function.__code__: function.__name__
    for function in (
        get_registry,
        resolve,
        Registry.task,
        Registry.dataset,
        Registry.model,
        Registry.named,
        Registry.runnable,
    )
}
MOST_BORDERS = 60


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[CodeType, CodeType]]:
    """Return how often each function of the core called which other one, in one run whose modules are all loaded."""
    config = config_for("model=majority")
    stages.execute(config, tmp_path_factory.mktemp("first"))
    found: Counter[tuple[CodeType, CodeType]] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        caller = frame.f_back
        if event == "call" and caller is not None and _room(frame.f_code) and _room(caller.f_code):
            found[caller.f_code, frame.f_code] += 1

    folder = tmp_path_factory.mktemp("second")
    sys.setprofile(note)
    try:
        stages.execute(config, folder)
    finally:
        sys.setprofile(None)
    return found


def _room(code: CodeType) -> str:
    """Return the package or module below `mlcvbench` that a function lies in, empty for one outside."""
    return code.co_filename.removeprefix(CORE).partition("/")[0] if code.co_filename.startswith(CORE) else ""


def test_a_run_asks_the_registry_once(calls: Counter[tuple[CodeType, CodeType]]) -> None:
    asked: Counter[str] = Counter()
    for (_, called), count in calls.items():
        if called in QUESTIONS:
            asked[QUESTIONS[called]] += count

    assert asked == {"resolve": 1, "get_registry": 1, "named": 1, "task": 1, "dataset": 1}


def test_a_run_passes_few_borders_between_rooms(calls: Counter[tuple[CodeType, CodeType]]) -> None:
    borders = {
        f"{caller.co_qualname} -> {called.co_qualname}" for caller, called in calls if _room(caller) != _room(called)
    }

    assert len(borders) <= MOST_BORDERS, "\n".join(sorted(borders))


def test_a_model_that_nobody_provides_is_named_when_it_is_needed() -> None:
    resolved = resolve(config_for("model=majority"))
    unknown = resolve(config_for(model="majorty"))

    assert resolved.spec.name == "majority"
    assert unknown.entries.provided is None
    assert unknown.entries.declared("model") == ()
    with pytest.raises(UnknownNameError) as caught:
        _ = unknown.spec
    assert str(caught.value) == "unknown classification model 'majorty'. Did you mean 'majority'?"
