"""The outcomes of the candidates of a search, kept across the processes that try them.

A candidate may take its process down: by a crash, for lack of memory, or by hanging. The parent then ends the process,
if necessary, and starts another one with the list of lost candidates. The outcomes of the others stay in the cache
until the search is done, so that none is tried twice, even after an interrupt.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.identity import compute_run_key
from mlcvbench.storage import cache

if TYPE_CHECKING:
    from mlcvbench.records.schema import TrialInfo


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of a candidate, and how many samples it learned from."""

    trial: TrialInfo
    train_samples: int | None = None


def _unwatched(number: int | None, left: int) -> None:
    """Ignore the candidate; the default callback."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the parent tells a run about its search, and the callback to the parent.

    `lost`: by number from 0, the status and the reason of candidates that ended earlier processes; `spent`: the seconds
    that these took. `begin` is called with the candidate that begins, None when the search is over, and the number of
    fits left, including this one.
    """

    lost: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    spent: float = 0.0
    begin: Callable[[int | None, int], None] = _unwatched

    @staticmethod
    def of(plain: Mapping[str, Any], begin: Callable[[int | None, int], None]) -> Watch:
        """Rebuild the object from `to_dict`, also after a round trip through JSON."""
        lost = {int(number): (str(status), str(reason)) for number, (status, reason) in plain["lost"].items()}
        return Watch(lost, float(plain["spent"]), begin)

    def to_dict(self) -> dict[str, Any]:
        """Return the part for the run as plain data."""
        return {"lost": {str(number): list(lost) for number, lost in self.lost.items()}, "spent": self.spent}


class Journal:
    """The outcomes of the candidates of one search, one small file each. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, watch: Watch) -> None:
        self._folder, self._watch = folder, watch

    def known(self, number: int, settings: Mapping[str, Any]) -> Tried | None:
        """Return the outcome of a candidate with these settings, None when it has not been tried."""
        from mlcvbench.records.schema import TrialInfo

        if number in self._watch.lost:
            status, message = self._watch.lost[number]
            lost = Tried(TrialInfo.model_validate({"settings": settings, "status": status, "message": message}))
            self.keep(number, lost)
            return lost
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # no file, or a damaged one
            plain = json.loads(self._file(number).read_bytes())
            tried = Tried(TrialInfo.model_validate(plain["trial"]), plain["train_samples"])
            return tried if tried.trial.settings == dict(settings) else None
        return None

    def keep(self, number: int, tried: Tried) -> None:
        """Store the outcome of a candidate atomically."""
        if self._folder is None:
            return
        plain = {"trial": tried.trial.model_dump(mode="json"), "train_samples": tried.train_samples}
        pending = self._folder / f".{number}-{os.getpid()}"
        pending.write_text(json.dumps(plain))
        pending.replace(self._file(number))

    def _file(self, number: int) -> Path:
        if self._folder is None:
            raise FileNotFoundError(number)
        return self._folder / f"{number}.json"


@contextmanager
def journal_of(resolved: Resolved, fingerprint: str, watch: Watch) -> Iterator[Journal]:
    """Yield the journal of a run's search, which is removed when the search is done and kept when it is interrupted.

    A search with more time or memory has another key, so it retries everything that failed.
    """
    key = compute_run_key(resolved.config, fingerprint, resolved.entries)
    with cache.interruptible("searches", key) as folder:
        yield Journal(folder, watch)
