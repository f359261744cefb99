"""Carries out a study in a child process, like a run: a fit that crashes or hangs fails alone, not the study."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlcvbench.analysis.studies.fits import Axis, Point
from mlcvbench.analysis.studies.planning import Job, Study
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.processes.child import POLL_SECONDS, Child, last_line, started
from mlcvbench.processes.environment import child_environment

START_SECONDS = 60.0
"""Extra seconds until the first fit begins, in which the process starts and reads its data."""

FitsDone = Callable[[int, int, str], None]
"""Called with the number of fits done, their total, and the stage of the current one."""


class StudyError(MlcvbenchError):
    """No fit of a study could be carried out."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class StudyNumbers:
    """The numbers of a study: one point per job, in order."""

    axis: Axis
    points: tuple[Point, ...]

    def at(self, place: int) -> list[Point]:
        """Return the points of a place that have numbers."""
        return [point for point in self.points if point.place == place and point.validation is not None]


def measure(study: Study, progress: FitsDone) -> StudyNumbers:
    """Fit and score every job of a study. StudyError when none succeeds, DataError when the data cannot serve."""
    points: list[Point] = []
    axis: Axis | None = None
    while len(points) < len(study.jobs):
        before = len(points)
        for message in _talk(study.jobs[before:], study.own["share"]):
            if "axis" in message:
                axis = Axis(**message["axis"])
            elif "point" in message:
                points.append(Point(**message["point"]))
            elif "refused" in message:
                error = DataError(message["refused"])
                error.exit_code = message["exit_code"]
                raise error
            elif "ended" in message and len(points) < len(study.jobs):
                points.append(Point(study.jobs[len(points)].place, message=message["ended"]))
            progress(len(points), len(study.jobs), str(message.get("stage", "")))
        if axis is None:
            break  # it did not even reach the data; another child would not either
    if axis is None or all(point.validation is None for point in points):
        raise StudyError(f"all {len(points)} fits failed; the first: {points[0].message}")
    return StudyNumbers(axis, tuple(points))


def _talk(jobs: Sequence[Job], share: float | None) -> Iterator[dict[str, Any]]:
    """Yield the messages of a fresh child about the jobs, and finally `ended` with the reason if it did not finish."""
    config = jobs[0].config
    request = {"jobs": [job.to_dict() for job in jobs], "share": share}
    environment = child_environment(config.threads, config.device, traces=True)
    answered, late = 0, False
    with (
        tempfile.TemporaryFile() as log,
        started("mlcvbench.analysis.studies.running_child", request, log=log, environment=environment) as child,
    ):
        try:
            for message in _messages(child, config.seconds):
                answered += "point" in message or "refused" in message
                yield message
        except TimeoutError:
            late = True
        if late:
            yield {
                "ended": f"it took longer than its limit of {config.seconds:g} s; give it more with timeout=SECONDS."
            }
        elif answered < len(jobs):  # whatever its exit code: a method may exit with 0
            yield {"ended": _why(child.ending().code, last_line(log))}


def _messages(child: Child, limit: float) -> Iterator[dict[str, Any]]:
    """Yield a child's messages until it ends; TimeoutError when a fit takes more than `limit` seconds."""
    ends = time.monotonic() + limit + START_SECONDS
    ended = False
    while not ended:
        ended = child.wait(min(POLL_SECONDS, max(ends - time.monotonic(), 0.0)))
        for message in child.said():
            if "begun" in message:
                ends = time.monotonic() + limit
            yield message
        if not ended and time.monotonic() >= ends:
            raise TimeoutError


def _why(code: int, said: str) -> str:
    """Return one sentence about a child that ended early, with the last line it wrote."""
    ended = f"the process was ended by signal {-code}" if code < 0 else f"the process ended with exit code {code}"
    return f"{ended}: {said}" if said else f"{ended}."
