"""What a run is scored on: its data, loaded and known to be sound, and the scorer of its protocol."""

from __future__ import annotations

from dataclasses import dataclass

from mlcvbench.contract import Device, LoadedData, Notice, Scorer, Split
from mlcvbench.files.remembered import rechecked
from mlcvbench.loading.data import load_data, refuse_ragged
from mlcvbench.loading.resolved import Resolved, resolve
from mlcvbench.plan.config import TEST_ALONE, RunConfig
from mlcvbench.plan.entries import Entries


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run means here, its data and their fingerprint, the split that is scored, and how; what was noticed of it.

    `device`: what the run computes on.
    """

    resolved: Resolved
    data: LoadedData
    fingerprint: str
    test: Split
    scorer: Scorer
    device: Device
    notices: tuple[Notice, ...]


def prepare(config: RunConfig, entries: Entries, *, fits: bool, shown: bool) -> Prepared:
    """Look up what a run names, load its data and make its scorer; DataError and UnknownNameError say what is wrong.

    `fits`: whether the model may be fitted, so that images of unequal size are refused where it wants one size. For one
    that is not, and chooses nothing, the test split alone is loaded, and nothing else is part of the fingerprint.
    `shown`: whether a model sees the inputs of the test split; they belong to the fingerprint then.
    """
    with rechecked(config.recheck):
        return _prepare(resolve(config, entries), fits=fits, shown=shown)


def _prepare(resolved: Resolved, *, fits: bool, shown: bool) -> Prepared:
    config = resolved.config
    data = load_data(resolved, None if fits or config.search is not None else TEST_ALONE)
    definition = config.definition
    if fits:
        refuse_ragged(data, resolved.spec)
    scorer = resolved.task.scorer_for(data, definition.protocol, definition.metrics)
    fingerprint = data.fingerprint(shown=shown)
    repeated = data.repeated_files()  # knows the files whose digests were made for the fingerprint
    notices = (*data.notices, *repeated)
    return Prepared(resolved, data, fingerprint, data.splits["test"], scorer, resolved.device, notices)
