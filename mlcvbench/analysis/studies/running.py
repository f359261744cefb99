"""Carries out a study in a process of its own, as runs are: a fit that crashes or hangs costs itself, not the study."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from mlcvbench.analysis.studies.fits import Axis, Point
from mlcvbench.analysis.studies.planning import Job, Study
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.processes.tree import end_tree, reap, wait_for
from mlcvbench.running.launch import child_environment

START_SECONDS = 60.0
"""Granted beyond a fit's limit until the first one begins: the process starts and reads its data."""
CHUNK_BYTES = 65536

Progress = Callable[[int, int, str], None]
"""Told how many fits are done, of how many, and what the present one does."""


class StudyError(MlcvbenchError):
    """No fit of a study could be carried out."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of a study: a point a job, in their order."""

    axis: Axis
    points: tuple[Point, ...]

    def at(self, place: int) -> list[Point]:
        """Return the points of a place that have numbers."""
        return [point for point in self.points if point.place == place and point.judge is not None]


def measure(study: Study, progress: Progress) -> Measured:
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
            break  # it did not even get to the data; another child would not either
    if axis is None or all(point.judge is None for point in points):
        raise StudyError(f"all {len(points)} fits failed; the first: {points[0].message}")
    return Measured(axis, tuple(points))


def _talk(jobs: Sequence[Job], share: float | None) -> Iterator[dict[str, Any]]:
    """Yield what a fresh child says about the jobs, and at last `ended` with the reason when it did not finish."""
    request = json.dumps({"jobs": [job.to_dict() for job in jobs], "share": share})
    limit = jobs[0].config.seconds
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as given, os.fdopen(reading, "rb") as channel:
        given.write(request.encode())
        given.seek(0)
        try:
            process = _start(jobs[0], given, writing, log)
        finally:
            os.close(writing)
        points, late = 0, False
        try:
            for message in _messages(channel.fileno(), limit):
                points += "point" in message or "refused" in message
                yield message
            late = points < len(jobs) and not wait_for(process, limit)  # a method may close the channel and stay
        except TimeoutError:
            late = True
        finally:
            if not wait_for(process, 0):
                end_tree(process)
            ending = reap(process)
        if late:
            yield {"ended": f"it took longer than its limit of {limit:g} s; give it more with timeout=SECONDS."}
        elif points < len(jobs):  # whatever its exit code says: a method may leave with 0
            yield {"ended": _why(ending.code, log)}


def _messages(channel: int, limit: float) -> Iterator[dict[str, Any]]:
    """Yield what a child says; TimeoutError when a fit takes more than `limit` seconds."""
    rest = b""
    ends = time.monotonic() + limit + START_SECONDS
    while data := _read(channel, ends):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:  # a method that found the descriptor and wrote to it
                continue
            if isinstance(message, dict):
                if "begun" in message:
                    ends = time.monotonic() + limit
                yield message


def _read(channel: int, ends: float) -> bytes:
    """Return what a child has said next, nothing when it says no more; TimeoutError when it is silent until `ends`."""
    ready, _, _ = select.select([channel], [], [], max(ends - time.monotonic(), 0.0))
    if not ready:
        raise TimeoutError
    return os.read(channel, CHUNK_BYTES)


def _start(job: Job, given: IO[bytes], writing: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlcvbench.analysis.studies.child", str(writing), str(os.getpid())],
        stdin=given,
        stdout=log,
        stderr=log,
        pass_fds=(writing,),
        start_new_session=True,
        env=child_environment(job.config),
    )


def _why(code: int, log: IO[bytes]) -> str:
    """Return one sentence about a child that ended early, with the last line it wrote."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 4096))
    said = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    ended = f"the process was ended by signal {-code}" if code < 0 else f"the process ended with exit code {code}"
    return f"{ended}: {' '.join(said[-1].split())}" if said else f"{ended}."
