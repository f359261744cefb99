"""One check and its result."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlcvbench.errors import said_by


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its name, whether it passed (None: it could not be run), and what was found."""

    name: str
    passed: bool | None
    detail: str = ""


def run_check(name: str, check: Callable[[], CheckResult | str | None]) -> CheckResult:
    """Run one check: it passes by returning None, fails by returning a sentence or raising anything.

    A check with a message in any case returns its own result.
    """
    try:
        problem = check()
        if isinstance(problem, CheckResult):
            return problem
    except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({Path(where.filename).name}:{where.lineno})"
        problem = f"{said_by(error)}{place}"
    return CheckResult(name, problem is None, problem or "")
