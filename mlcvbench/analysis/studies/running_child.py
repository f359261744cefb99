"""The child process in which a study fits, `-m mlcvbench.analysis.studies.running_child`.

Its request holds `jobs` and `share`; it sends what is measured (`axis`), which job has begun (`begun`), its progress
(`stage`, `done`, `total`) and its outcome (`point`); `refused` when there is nothing to measure.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mlcvbench.analysis.studies.planning import Job
from mlcvbench.errors import MlcvbenchError
from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import serve
from mlcvbench.running.launch_child import Reports


def fit(request: dict[str, Any], channel: Sender) -> None:
    """Carry out the jobs of a request."""
    from mlcvbench.analysis.studies.fits import Fits

    jobs = [Job.from_dict(job) for job in request["jobs"]]
    fits, reports = Fits(request["share"]), Reports(channel)
    try:
        channel.send({"axis": asdict(fits.axis(jobs[0].config))})
    except MlcvbenchError as error:
        channel.send({"refused": str(error), "exit_code": error.exit_code})
        return
    for number, job in enumerate(jobs):
        channel.send({"begun": number})
        channel.send({"point": fits.point(job, reports.progress).to_dict()})


if __name__ == "__main__":
    serve(fit)
