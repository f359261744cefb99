"""What came of the candidates of a search, kept across the processes that try them.

A candidate may take its process down: by a crash, for lack of memory, or by never ending. Whoever watches that process
ends it, if need be, and starts another, which is told which candidates are lost. What the others came to lies in the
cache as long as the search is not through, so that none is tried twice, nor after an interrupt.
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
    """What came of a candidate, and how many samples it learned from."""

    trial: TrialInfo
    train_samples: int | None = None


def _unwatched(number: int | None, left: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a run is told by whoever watches its process, and what it tells them about its search.

    `lost`: by number from 0, the status and the reason of candidates that earlier processes ended with; `spent`: the
    seconds that these took. `begin` is told which candidate begins and how many fits there are still to come, this one
    counted, and None when it is over.
    """

    lost: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    spent: float = 0.0
    begin: Callable[[int | None, int], None] = _unwatched

    @staticmethod
    def of(plain: Mapping[str, Any], begin: Callable[[int | None, int], None]) -> Watch:
        """Rebuild what `to_dict` gave, also after a round trip through JSON."""
        lost = {int(number): (str(status), str(reason)) for number, (status, reason) in plain["lost"].items()}
        return Watch(lost, float(plain["spent"]), begin)

    def to_dict(self) -> dict[str, Any]:
        """Return what a run is told, as plain data."""
        return {"lost": {str(number): list(lost) for number, lost in self.lost.items()}, "spent": self.spent}


class Journal:
    """What the candidates of one search came to, a small file each. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, watch: Watch) -> None:
        self._folder, self._watch = folder, watch

    def known(self, number: int, settings: Mapping[str, Any]) -> Tried | None:
        """Return what came of a candidate with these settings, None when it is still to be tried."""
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
        """Store what came of a candidate, whole or not at all."""
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
    """Yield the journal of a run's search, which goes when the search is through and stays when it is interrupted.

    A search that is given more time or memory has another key, so it tries everything again that failed.
    """
    key = compute_run_key(resolved.config, fingerprint, resolved.entries)
    with cache.interruptible("searches", key) as folder:
        yield Journal(folder, watch)
