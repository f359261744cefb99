"""The description of a run's data, made before it starts: read and checked in a child process, and cached.

A child process, because C code and plugins read untrusted files: a crash costs one line, not the sweep, and a hanging
reader is ended with all its descendants.
"""

from __future__ import annotations

import json
import tempfile
from typing import Any

from mlcvbench.errors import DataError
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.identity import compute_run_key
from mlcvbench.processes.child import last_line, started
from mlcvbench.processes.environment import child_environment

_described: dict[str, dict[str, Any]] = {}
"""Answers by request; a failed request is not cached."""


def run_key(config: RunConfig) -> str:
    """Return the key of a run; a child process describes its data. DataError when the data cannot be read."""
    return compute_run_key(config, describe_data(config)["fingerprint"])


def describe_data(config: RunConfig) -> dict[str, Any]:
    """Return {"fingerprint", "sizes", "name", "version"} of the run's data.

    The child also refuses inconsistent data, a protocol or metric unknown to the task, and data that do not suit the
    weights of a run. It may take as long as the
    run: DataError when it takes longer, ends without an answer, or reports an error.
    """
    request = {
        "kind": config.definition.kind,
        "dataset": config.definition.dataset,
        "params": config.data_params,
        "data_seed": config.data_seed,
        "protocol": config.definition.protocol,
        "metrics": config.metrics,
        "splits": config.splits,
        "recheck": config.recheck,
        "weights": config.weights,
    }
    key = json.dumps(request, sort_keys=True)
    if key not in _described:
        _described[key] = _ask(request, config)
    return dict(_described[key])


def forget() -> None:
    """Clear the cached answers: in a long session, files may have changed."""
    _described.clear()


def _ask(request: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """Let a child process answer a request."""
    dataset = config.definition.dataset
    environment = child_environment(config.threads)
    with (
        tempfile.TemporaryFile() as log,
        started("mlcvbench.loading.description_child", request, log=log, environment=environment) as child,
    ):
        if not child.wait(config.seconds):
            raise DataError(
                f"reading data set {dataset!r} took longer than the limit of {config.seconds:g} s; "
                "give it more with timeout=SECONDS."
            )
        answer = next(child.said(), None)
        if answer is None:
            why = f": {said}" if (said := last_line(log)) else "."
            raise DataError(f"reading data set {dataset!r} ended the reader (exit code {child.ending().code}){why}")
    if "error" in answer:
        error = DataError(answer["error"])
        error.exit_code = answer["exit_code"]
        raise error
    return answer
