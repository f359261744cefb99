"""The process in which a study fits: `-m mlcvbench.analysis.studies.child FD PARENT`, the jobs as JSON on its input.

It says on the descriptor, one JSON object a line, what is measured (`axis`), which job has begun (`begun`), how far it
is (`stage`, `done`, `total`) and what came of it (`point`); `refused` when there is nothing to measure.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict

from mlcvbench.analysis.studies.planning import Job
from mlcvbench.errors import MlcvbenchError
from mlcvbench.processes.tree import tie_to_parent
from mlcvbench.running.launch_child import Channel


def main(descriptor: int, parent: int) -> None:
    """Carry out the jobs on standard input."""
    tie_to_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel = Channel(descriptor)
    request = json.load(sys.stdin)
    jobs = [Job.from_dict(job) for job in request["jobs"]]
    from mlcvbench.analysis.studies.fits import Fits

    fits = Fits(request["share"])
    try:
        channel.send({"axis": asdict(fits.axis(jobs[0].config))})
    except MlcvbenchError as error:
        channel.send({"refused": str(error), "exit_code": error.exit_code})
        return
    for number, job in enumerate(jobs):
        channel.send({"begun": number})
        channel.send({"point": fits.point(job, channel.progress).to_dict()})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)
