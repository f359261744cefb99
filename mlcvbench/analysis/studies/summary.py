"""The numbers of a study for display: errors in percent where a metric is a fraction of correct answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, stdev

from mlcvbench.analysis.studies.fits import Axis, Point
from mlcvbench.analysis.studies.planning import Study
from mlcvbench.analysis.studies.running import StudyNumbers
from mlcvbench.records.units import interval_text


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of the fits at one place, in the unit of `error_title`; empty when every fit failed there.

    `ends`: the 95 % interval of each in `validation`, lower end first; empty when one of them has none.
    """

    label: str
    train: tuple[float, ...]
    validation: tuple[float, ...]
    failed: tuple[str, ...]
    ends: tuple[tuple[float, float], ...] = ()

    @property
    def bias(self) -> float:
        """The mean training error, which more capacity would lower."""
        return fmean(self.train)

    @property
    def gap(self) -> float:
        """The mean validation error minus the mean training error, which more data would lower."""
        return fmean(self.validation) - fmean(self.train)

    @property
    def error(self) -> float:
        """The mean validation error."""
        return fmean(self.validation)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The mean ends of the fits' intervals: all fits share the validation samples, so more fits do not narrow
        it.
        """
        return (fmean(low for low, _ in self.ends), fmean(high for _, high in self.ends)) if self.ends else None

    @property
    def spread(self) -> float:
        """The standard deviation of that error over the repeats; 0 for a single one."""
        return stdev(self.validation) if len(self.validation) > 1 else pstdev(self.validation)


def error_of(value: float, axis: Axis) -> float:
    """Return a metric as an error: a fraction of correct answers becomes a percentage of wrong ones.

    >>> error_of(0.96, Axis("top1", "fraction", True, "val", 200))
    4.0
    >>> error_of(1.5, Axis("epe", "px", False, "val", 200))
    1.5
    """
    if axis.unit == "fraction":
        return round(100 * (1 - value if axis.higher_is_better else value), 10)
    return value


def error_title(axis: Axis) -> str:
    """Return the name of the numbers, for a heading or an axis.

    >>> error_title(Axis("top1", "fraction", True, "val", 200))
    'error (1 - top1), %'
    """
    if axis.unit == "fraction":
        return f"error (1 - {axis.metric}), %" if axis.higher_is_better else f"{axis.metric}, %"
    return axis.metric if axis.unit == "1" else f"{axis.metric}, {axis.unit}"


def errors_of(study: Study, measured: StudyNumbers) -> list[Errors]:
    """Return the errors at each place of a study, in its order."""
    found = []
    for place, label in enumerate(study.labels):
        points = measured.at(place)
        found.append(
            Errors(
                label=label,
                train=tuple(error_of(point.train, measured.axis) for point in points if point.train is not None),
                validation=tuple(
                    error_of(point.validation, measured.axis) for point in points if point.validation is not None
                ),
                failed=tuple(p.message for p in measured.points if p.place == place and p.validation is None),
                ends=_ends(points, measured.axis),
            )
        )
    return found


def _ends(points: Sequence[Point], axis: Axis) -> tuple[tuple[float, float], ...]:
    both = [(error_of(p.low, axis), error_of(p.high, axis)) for p in points if p.low is not None and p.high is not None]
    return tuple((min(pair), max(pair)) for pair in both) if len(both) == len(points) else ()


def best_place(errors: Sequence[Errors], *, lower_is_better: bool) -> int:
    """Return the index of the least mean error (the largest where larger is better), the first of equal ones."""
    sign = 1 if lower_is_better else -1
    return min((sign * one.error, index) for index, one in enumerate(errors) if one.validation)[1]


def to_csv(study: Study, measured: StudyNumbers) -> str:
    """Return one row per fit: its place, seeds, the measured metric on both splits, and what failed."""
    first = study.setting or "configuration"
    metric = measured.axis.metric
    validation = [f"validation_{metric}", "validation_low", "validation_high"]
    head = [first, "seed", "bootstrap", f"train_{metric}", *validation, "fit_s", "message"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for job, point in zip(study.jobs, measured.points, strict=True):
        sample = "" if job.sample is None else job.sample
        measures = (point.train, point.validation, point.low, point.high, point.seconds)
        numbers = ["" if number is None else repr(number) for number in measures]
        writer.writerow([study.labels[job.place], job.config.seed, sample, *numbers, point.message])
    return text.getvalue()


def to_text(study: Study, measured: StudyNumbers) -> str:
    """Return the study as a table for the terminal."""
    errors = errors_of(study, measured)
    curve = study.kind == "capacity"
    titles = CURVE_TITLES if curve else TITLES
    rows = [[study.setting or "configuration", *titles, ""]]
    best = best_place(errors, lower_is_better=lower_is_better(measured.axis))
    for index, one in enumerate(errors):
        said = f"{len(one.failed)} failed: {one.failed[0]}" if one.failed else ""
        if not one.validation:
            rows.append([one.label, *["-"] * len(titles), said])
            continue
        ends = "-" if one.interval is None else interval_text(one.error, *one.interval, 2)
        numbers = [one.bias, one.error, one.gap] if curve else [one.bias, one.gap, one.spread, one.error]
        shown = [f"{number:.2f}" for number in numbers]
        shown.insert(titles.index("95 %"), ends)
        rows.append([one.label, *shown, said or ("best" if index == best else "")])
    axis = measured.axis
    head = f"{error_title(axis)}; scored on {axis.n:,} samples: {axis.validation}"
    note = CURVE_NOTE if curve else NOTE
    return "\n".join([head, "", *_aligned(rows), "", note])


TITLES = ("bias ~ train", "gap", "spread", "validation", "95 %")
CURVE_TITLES = ("train", "validation", "95 %", "gap")
CURVE_NOTE = """\
95 %: the interval of the validation error, ± where it is symmetric. The best
value is optimistic: it looks better on the samples that chose it."""
NOTE = """\
bias ~ error on its own training samples; variance ~ gap to the validation
error, and its spread over the repeats. 95 %: the interval of the validation
error, ± where it is symmetric."""


def lower_is_better(axis: Axis) -> bool:
    """Return whether lower values of the drawn number are better."""
    return axis.unit == "fraction" or not axis.higher_is_better


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with the first column left-aligned, numbers right-aligned, and remarks at the end."""
    inner = range(len(rows[0]) - 1)
    widths = [max(len(row[column]) for row in rows) for column in inner]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in inner if column), row[-1]]
        ).rstrip()
        for row in rows
    ]
