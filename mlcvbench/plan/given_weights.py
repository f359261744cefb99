"""What `weights=` names: a file of weights, the folder of a saved state, or a run, whose weights are in the cache.

Weights that a run fitted are stored with the problem that they were fitted for. A model that is given them is built for
that problem, so that its shape does not depend on the data that it is tested on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import DataError, RequestError
from mlcvbench.storage import cache
from mlcvbench.storage.digests import content_hash

if TYPE_CHECKING:
    from mlcvbench.contract import Problem
    from mlcvbench.records.schema import Record

FITS = "fits"
"""The kind of the cache's folders of fitted weights: each holds a state and the file that describes it."""
STATE_FOLDER, FITTED_FILE = "state", "fitted.json"
RECORD_FILE = "record.json"


@dataclass(frozen=True, slots=True)
class GivenWeights:
    """Weights that a request gives: the `state` to load, a file or a folder.

    Of a run's weights also the run's id, the `problem` that they were fitted for and the splits they were `trained_on`.
    """

    state: Path
    run: str | None = None
    problem: Problem | None = None
    trained_on: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The sha256 of all that decides what a model with these weights predicts."""
        content = content_hash(self.state)
        if self.problem is None:
            return content
        problem = json.dumps(asdict(self.problem), sort_keys=True)
        return hashlib.sha256(f"{content}\n{problem}".encode()).hexdigest()

    def problem_for(self, problem: Problem, data: str) -> Problem:
        """Return the problem to build the model for, which is to be tested on `problem`, that of the data set `data`.

        DataError when the weights were fitted for other classes or inputs.
        """
        if self.problem is None:
            return problem
        own = self.problem
        for number in range(max(len(own.classes), len(problem.classes))):
            there, here = (names[number : number + 1] for names in (own.classes, problem.classes))
            if there != here:
                raise DataError(
                    f"weights={self.run}: was fitted for other classes than data set {data!r} has: class {number} is "
                    f"{_named(there)} there and {_named(here)} here."
                )
        if set(own.inputs) != set(problem.inputs):
            raise DataError(
                f"weights={self.run}: was fitted on the inputs {', '.join(own.inputs)}, and data set {data!r} has "
                f"{', '.join(problem.inputs)}."
            )
        for kind, spec in own.inputs.items():
            if len(spec.shape) != len(problem.inputs[kind].shape):
                raise DataError(
                    f"weights={self.run}: was fitted on {kind} inputs of {len(spec.shape)} axes, and those of data set "
                    f"{data!r} have {len(problem.inputs[kind].shape)}; images of one axis more are in colour."
                )
        return own


def is_run(path: str | Path) -> bool:
    """Return whether a path is the folder of a stored run."""
    return (Path(path) / RECORD_FILE).is_file()


def given_weights(path: str | Path) -> GivenWeights:
    """Return the weights that a path names. RequestError when it is a run whose weights cannot be had."""
    if not is_run(path):
        if not Path(path).exists():
            raise RequestError(f"weights={path}: no file or folder of that name.")
        return GivenWeights(Path(path))
    record = _record(path)
    found = find_fitted(record.model.weights.sha256 or "")
    about = _about(found) if found is not None else None
    if found is None or about is None or about.get("problem") is None:
        raise RequestError(
            f"weights={record.run_id}: the weights that this run fitted are not in the cache; fit them again with "
            f"`{record.command} out=refit` and name that run."
        )
    return GivenWeights(found / STATE_FOLDER, record.run_id, _problem(about["problem"]), tuple(about["trained_on"]))


def check_given(path: str | None, model: str, kind: str) -> None:
    """Refuse a run as weights for another model or task kind, or one without weights of its own, by RequestError."""
    if path is None or not is_run(path):
        return
    record = _record(path)
    if record.model.name != model or record.task.kind != kind:
        raise RequestError(
            f"weights={record.run_id}: holds weights of model {record.model.name!r} for {record.task.kind}, and the "
            f"request is for {model!r} for {kind}."
        )
    given_weights(path)


def check_unfitted(path: str, fit: Mapping[str, Any]) -> None:
    """Refuse `fit.*` settings beside given weights, by RequestError: a row would say that they were fitted so.

    Those that the run at `path` was fitted with may be repeated.
    """
    if not fit:
        return
    if not is_run(path):
        raise RequestError(f"key 'fit.{next(iter(fit))}' has no effect: weights={path} are not fitted again.")
    run = _record(path)
    own = run.config.get("fit", {}) | (run.selection.fit if run.selection is not None else {})
    for name, value in fit.items():
        if value != own.get(name):
            raise RequestError(
                f"key 'fit.{name}' has no effect: the weights of {run.run_id} were fitted with {own.get(name)}, not "
                f"{value}."
            )


def described(problem: Problem, trained_on: tuple[str, ...], state: Path) -> str:
    """Return the text of the file that is stored beside a fitted state."""
    plain: dict[str, Any] | None = asdict(problem)
    try:
        json.dumps(plain)
    except TypeError:  # a plugin's own setting that is no plain data; such weights are for its own data alone
        plain = None
    return json.dumps({"sha256": content_hash(state), "trained_on": trained_on, "problem": plain}, sort_keys=True)


def find_fitted(digest: str) -> Path | None:
    """Return the folder of the cache whose fitted state has this content, the last stored first; None when none has."""
    for folder in _entries():
        about = _about(folder)
        if about is not None and about.get("sha256") != digest:
            continue
        if content_hash(folder / STATE_FOLDER) == digest:
            return folder
    return None


def _entries() -> Iterator[Path]:
    return (folder for folder in cache.entries(FITS) if (folder / STATE_FOLDER).is_dir())


def _about(folder: Path) -> dict[str, Any] | None:
    """Return what is stored about a fitted state; None for one of before, or where it cannot be read."""
    try:
        found = json.loads((folder / FITTED_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _problem(plain: Mapping[str, Any]) -> Problem:
    from mlcvbench.contract import InputSpec, Problem

    inputs = {kind: InputSpec(tuple(spec["shape"]), spec["dtype"]) for kind, spec in plain["inputs"].items()}
    return Problem(plain["kind"], tuple(plain["classes"]), inputs, plain["extra"])


def _record(path: str | Path) -> Record:
    """Return the record of a run that fitted weights."""
    from mlcvbench.records.canonical import read_record

    record = read_record(Path(path))
    if record.status != "ok":
        raise RequestError(f"weights={record.run_id}: has status {record.status!r}, so it has no weights.")
    if record.model.weights.source != "fitted":
        raise RequestError(
            f"weights={record.run_id}: this run fitted no weights of its own; name the run or the file that it took "
            "them from."
        )
    return record


def _named(names: tuple[str, ...]) -> str:
    return repr(names[0]) if names else "missing"
