"""What a run is scored on: its data, loaded and known to be sound, and the scorer of its protocol."""

from __future__ import annotations

from dataclasses import dataclass

from mlcvbench.contract import LoadedData, Notice, Scorer, Split
from mlcvbench.loading.data import load_data, refuse_ragged
from mlcvbench.loading.repeated_files import repeated_files
from mlcvbench.loading.resolved import Resolved
from mlcvbench.loading.tasks import scorer_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a run, their fingerprint, the split that is scored, and how; what was noticed of all of them."""

    data: LoadedData
    fingerprint: str
    test: Split
    scorer: Scorer
    notices: tuple[Notice, ...]


def prepare(resolved: Resolved, *, fits: bool, shown: bool) -> Prepared:
    """Load a run's data and make its scorer; DataError and UnknownNameError say what is wrong with either.

    `fits`: whether the model may be fitted, so that images of unequal size are refused where it wants one size.
    `shown`: whether a model sees the inputs of the test split; they belong to the fingerprint then.
    """
    data, definition = load_data(resolved), resolved.config.definition
    if fits:
        refuse_ragged(data, resolved.spec)
    scorer = scorer_of(resolved.task, definition.protocol, definition.metrics, data)
    fingerprint = data.fingerprint(shown=shown)
    repeated = repeated_files(data)  # knows the files whose digests were made for the fingerprint
    return Prepared(data, fingerprint, data.splits["test"], scorer, tuple(repeated))
