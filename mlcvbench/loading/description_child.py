"""The child process that reads and checks one data set, `-m mlcvbench.loading.description_child`.

It sends the description, or `error` with its `exit_code`.
"""

from __future__ import annotations

from typing import Any

from mlcvbench.errors import MlcvbenchError, said_by
from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import serve


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """Return name, version, fingerprint and split sizes of a data set request, once data and scoring are sound."""
    from mlcvbench.files.remembered import rechecked
    from mlcvbench.loading.data import read_data
    from mlcvbench.loading.tasks import task_of_kind
    from mlcvbench.plan.given_weights import given_weights
    from mlcvbench.registry import get_registry

    spec = get_registry().dataset(request["dataset"], request["kind"]).spec
    task = task_of_kind(request["kind"])
    with rechecked(request["recheck"]):
        data = read_data(spec, task, request["params"], request["data_seed"], request["splits"])
        task.scorer_for(data, request["protocol"], request["metrics"])
        if request["weights"] is not None:
            given_weights(request["weights"]).problem_for(data.problem, data.name)
        fingerprint = data.fingerprint()
    sizes = {name: len(split) for name, split in data.splits.items()}
    return {"name": data.name, "version": data.version, "fingerprint": fingerprint, "sizes": sizes}


def answer(request: dict[str, Any], channel: Sender) -> None:
    """Send the description of a request's data."""
    channel.send(_answer(request))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the description, or the error and its exit code."""
    try:
        return describe(request)
    except MlcvbenchError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except MemoryError:
        return {"error": f"data set {request['dataset']!r} does not fit into memory.", "exit_code": 1}
    except Exception as error:  # noqa: BLE001 - a plugin's loader may raise anything; the user gets one line
        said = said_by(error)
        return {"error": f"reading data set {request['dataset']!r} failed: {said}", "exit_code": 1}


if __name__ == "__main__":
    serve(answer)
