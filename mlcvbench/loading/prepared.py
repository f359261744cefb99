"""What a run is scored on: its data, loaded and validated, and the scorer of its protocol."""

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
    """A resolved run, its data and their fingerprint, the split to score, the scorer, and the notices so far.

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
    """Look up what a run names, load its data and build its scorer; DataError and UnknownNameError say what is wrong.

    `fits`: whether the model may be fitted, so that images of unequal size are refused where it needs one size. Without
    a fit or a search, only the test split is loaded and part of the fingerprint.
    `shown`: whether a model sees the inputs of the test split; they are then part of the fingerprint.
    """
    with rechecked(config.recheck):
        return _prepare(resolve(config, entries), fits=fits, shown=shown)


def _prepare(resolved: Resolved, *, fits: bool, shown: bool) -> Prepared:
    config = resolved.config
    data = load_data(resolved, None if fits or config.search is not None else TEST_ALONE)
    if fits:
        refuse_ragged(data, resolved)
    metrics = config.definition.metrics if config.search is None else config.metrics
    scorer = resolved.task.scorer_for(data, config.definition.protocol, metrics)
    fingerprint = data.fingerprint(shown=shown)
    repeated = data.repeated_files()  # after the fingerprint, which computes the files' digests
    notices = (*data.notices, *repeated)
    return Prepared(resolved, data, fingerprint, data.splits["test"], scorer, resolved.device, notices)
