"""A summary of a task kind's protocols: ids with the same metrics together, each metric explained once."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from mlcvbench.cli.listing import columns
from mlcvbench.errors import PluginError, UnknownNameError

if TYPE_CHECKING:
    from mlcvbench.contract import MetricSpec


class Family(NamedTuple):
    """Protocols that have the same metrics, the primary one first, and their common description."""

    ids: tuple[str, ...]
    about: str
    metrics: tuple[MetricSpec, ...]


def protocol_families(kind: str) -> list[Family]:
    """Return the protocols of a task kind by family; PluginError when its implementation cannot be imported."""
    from mlcvbench.loading.tasks import task_of_kind

    task = task_of_kind(kind)
    found: dict[tuple[str, tuple[MetricSpec, ...]], list[str]] = {}
    for protocol in task.protocols():
        found.setdefault((task.about(protocol), task.metrics_of(protocol)), []).append(protocol)
    return [Family(tuple(ids), about, metrics) for (about, metrics), ids in found.items()]


def about_protocol(kind: str, protocol: str) -> str:
    """Return the task kind's description of a protocol; empty where there is none."""
    from mlcvbench.loading.tasks import task_of_kind

    try:
        return task_of_kind(kind).about(protocol)
    except (PluginError, UnknownNameError):
        return ""


def described(kind: str, width: int) -> list[str]:
    """Return one paragraph per family: its ids, what it compares, and its metrics unless explained earlier."""
    try:
        families = protocol_families(kind)
    except PluginError as error:
        return ["", *wrap(f"protocols cannot be shown: {error}", width)]
    lines: list[str] = []
    explained: set[MetricSpec] = set()
    for family in families:
        heading = f"protocol{'s' * (len(family.ids) > 1)} {', '.join(family.ids)}"
        lines += ["", *wrap(heading, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)]
        lines += columns([("", family.about)], width, 0) if family.about else []
        lines += columns([(metric.name, _said(metric)) for metric in family.metrics if metric not in explained], width)
        known = [metric.name for metric in family.metrics if metric in explained]
        if known:
            text = f"  as above: {', '.join(known)}"
            lines += wrap(text, width, subsequent_indent="    ", break_on_hyphens=False)
        explained.update(family.metrics)
    return lines


def _said(metric: MetricSpec) -> str:
    unit = "" if metric.unit in {"fraction", "1"} else f", in {metric.unit}"
    return f"{metric.summary}{unit}; {'higher' if metric.higher_is_better else 'lower'} is better"
