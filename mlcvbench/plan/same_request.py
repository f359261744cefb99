"""Which runs answer the same request, whatever code, data or libraries they used."""

from __future__ import annotations

from collections.abc import Iterable

from mlcvbench.plan.identity import DISPLAY, LIMITS, WAYS
from mlcvbench.records.schema import PREDICTIONS, Record

WITHOUT_EFFECT = (*WAYS, *LIMITS, "reading", "content")
UNUSED_BY_HAND_INS = ("threads", "device", "precision", "batch_size", "shards", "time")
RequestIdentity = tuple[str, str, str, int, str]


def newest_of(record: Record, records: Iterable[Record]) -> Record:
    """Return the newest ok run of the same request as `record` on the same hardware; itself when there is none."""
    same = [
        other
        for other in records
        if other.status == "ok"
        and other.retraction is None
        and other.env_class == record.env_class
        and request_of(other) == request_of(record)
    ]
    return max([record, *same], key=age)


def age(record: Record) -> tuple[str, str]:
    """Return the sort key of runs by age: creation time, then id."""
    return record.created_utc, record.run_id


def request_of(record: Record) -> RequestIdentity:
    """Return the request of a record: the definition, the model, the seed and every active setting."""
    unused = WITHOUT_EFFECT + (UNUSED_BY_HAND_INS if record.model.plugin == PREDICTIONS else ())
    settings = {name: value for name, value in record.config.items() if name not in unused}
    definition = settings.pop("definition", None) or {}
    settings |= {f"definition.{name}": value for name, value in definition.items() if name not in DISPLAY}
    task = record.task
    return task.definition, task.protocol_id, record.model.name, record.seed, repr(sorted(settings.items(), key=str))
