"""Child process: read and check one data set, print its fingerprint as JSON.

Run as `python -m mlcvbench.loading.description_child PARENT`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mlcvbench.errors import MlcvbenchError
from mlcvbench.processes.stdout import take_stdout
from mlcvbench.processes.tree import tie_to_parent


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """Return name, version, fingerprint and split sizes of a data set request, once data and scoring are sound."""
    from mlcvbench.loading.data import read_data
    from mlcvbench.loading.tasks import scorer_of, task_of_kind
    from mlcvbench.registry import get_registry

    spec = get_registry().dataset(request["dataset"], request["kind"]).spec
    task = task_of_kind(request["kind"])
    data = read_data(spec, task, request["params"], request["data_seed"])
    scorer_of(task, request["protocol"], request["metrics"], data)
    sizes = {name: len(split) for name, split in data.splits.items()}
    return {"name": data.name, "version": data.version, "fingerprint": data.fingerprint(), "sizes": sizes}


def main(parent: int) -> int:
    """Answer the request on standard input, the last thing on standard output."""
    tie_to_parent(parent)
    with take_stdout() as answers:
        print(json.dumps(_answer(json.load(sys.stdin))), file=answers)
    return 0


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the description, or what is wrong and the exit code that says so."""
    try:
        return describe(request)
    except MlcvbenchError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except MemoryError:
        return {"error": f"data set {request['dataset']!r} does not fit into memory.", "exit_code": 1}
    except Exception as error:  # noqa: BLE001 - a plugin's loader may raise anything; the user gets one line
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return {"error": f"reading data set {request['dataset']!r} failed: {said}", "exit_code": 1}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
