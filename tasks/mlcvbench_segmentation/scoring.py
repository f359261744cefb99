"""The scorer of segmentation: intersection over union and its relatives, from pixel counts per (image, class).

All metrics come from counts summed over the data set, as the PASCAL VOC and Cityscapes servers do, never from means of
image scores; only `boundary_f` is a mean over images, as its authors define it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import (
    Array,
    MetricSpec,
    Notice,
    Predictions,
    Problem,
    Table,
    Targets,
    VectorizedScorer,
)
from mlcvbench.errors import DataError, PredictionError, UnknownNameError
from mlcvbench.files.lazy_columns import value_name
from mlcvbench_segmentation.boundary import boundary_scores
from mlcvbench_segmentation.counting import IGNORE, IGNORE_WIDE, count_pixels, ignore_value
from mlcvbench_segmentation.notices import notices

BOUNDARY_TOLERANCE = 0.0075
BACKGROUND = "background"
"""The key of `Problem.extra` under which data name the classes that are not foreground; by default the class so called.
"""
PRIMARY = {"miou": "miou", "class-accuracy": "mean_accuracy"}
"""The metric that ranks, by the first word of a protocol id."""
PROTOCOLS = tuple(
    f"{first}/ignore{ignore}/absent-{absent}{more}@1"
    for first, more in (("miou", ""), ("miou", "/bf0.75"), ("miou", "/foreground/bf0.75"), ("class-accuracy", ""))
    for ignore in (IGNORE, IGNORE_WIDE, "-none")
    for absent in ("skip", "zero")
)
_PATTERN = re.compile(r"([a-z-]+)/ignore(\d+|-none)/absent-(skip|zero)(/foreground)?(/bf0\.75)?@1")
_COUNTS = ("hit", "predicted", "labelled")


class Protocol(NamedTuple):
    """The rules of an id: the ranking metric, the ignored value (None: none is), absent classes, foreground or not,
    boundaries or not.
    """

    primary: str
    ignore: int | None
    absent: str
    foreground: bool
    boundary: bool


def parse_protocol(protocol: str) -> Protocol:
    """Return the rules of a protocol id.

    >>> parse_protocol("miou/ignore255/absent-skip@1")
    Protocol(primary='miou', ignore=255, absent='skip', foreground=False, boundary=False)
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("segmentation protocol", protocol, PROTOCOLS)
    match = _PATTERN.fullmatch(protocol)
    assert match is not None
    ignored = None if match[2] == "-none" else int(match[2])
    return Protocol(PRIMARY[match[1]], ignored, match[3], match[4] is not None, match[5] is not None)


def background_of(problem: Problem) -> tuple[str, ...]:
    """Return the classes that are not foreground: those that the data name, else the one called `background`, if any.

    >>> background_of(Problem("segmentation", ("sky", "ground", "car"), {}, {"background": ("sky", "ground")}))
    ('sky', 'ground')
    """
    named = problem.extra.get(BACKGROUND, (BACKGROUND,))
    return tuple(name for name in problem.classes if name in named)


class SegmentationScorer(VectorizedScorer):
    """Protocols `miou/ignore<V>/absent-<rule>[/foreground][/bf0.75]@1` and `class-accuracy/ignore<V>/absent-<rule>@1`.

    The first word gives the ranking metric: `miou`, or `mean_accuracy`, the mean over classes of their pixel recall, as
    for body parts in Shotton et al., CVPR 2011.

    `ignore<V>`: pixels whose label is V are not scored, whatever is predicted there (`ignore-none`: all are scored).
    With n_ij pixels of label i and prediction j, t_i = sum_j n_ij and p_j = sum_i n_ij:

    - IoU_i = n_ii / (t_i + p_i - n_ii), `miou` their mean over classes;
    - `pixel_accuracy` = sum_i n_ii / sum_i t_i; `mean_accuracy` = mean over classes of n_ii / t_i;
    - `fwiou` = sum_i t_i IoU_i / sum_i t_i.

    Absent classes. `absent-skip`: a class with neither label nor prediction has no IoU, one without label no accuracy;
    they are excluded from the means (torchmetrics, mmsegmentation). `absent-zero`: they count as 0, and the means run
    over all C classes.

    `foreground` adds `foreground_iou`: IoU of the pixels of all classes but the background's (`background_of`), taken
    as one class: how well things are cut out, whatever they are called.

    `bf0.75` adds `boundary_f`: F of the boundaries (module `boundary`), tolerance 0.75 % of the image diagonal, mean
    over the images that have a boundary of the class, then over the classes that have any.
    """

    def __init__(self, protocol: str, problem: Problem) -> None:
        self.protocol_id = protocol
        self.rules = parse_protocol(protocol)
        self.classes = len(problem.classes)
        given, wanted = self.rules.ignore, ignore_value(self.classes)
        if given not in (None, wanted):
            other = protocol.replace(f"ignore{given}", f"ignore{wanted}")
            raise DataError(
                f"protocol {protocol!r} ignores {given}, but label maps of {self.classes} classes hold {wanted} "
                f"where a pixel is ignored; use {other!r}."
            )
        self.class_names, self.sparse = problem.classes, bool(problem.extra.get("sparse"))
        self.class_metrics = iou_names(problem.classes)
        background = background_of(problem)
        self.things = np.array([name not in background for name in problem.classes])
        self.metrics = metrics_of(self.rules, problem.classes)

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return a row per (image, class that occurs in it): unit, rank = class, hit, predicted, labelled; by protocol
        also found, the class' pixels that are predicted as any class of the foreground, and boundary_f.

        `ignored`: the unscored pixels of the image, in its first row, which exists even for an image without others
        (then with zeros); 0 in the other rows. One image is read and counted at a time. PredictionError and DataError
        name the image.
        """
        names, counts, found, scores = [], [], [], []
        labels, predicted_maps = targets["label_map"], predictions["label_map"]
        for place, (unit, label, predicted) in enumerate(zip(units.tolist(), labels, predicted_maps, strict=True)):
            try:
                counted = count_pixels(label, predicted, self.classes, ignore=self.rules.ignore is not None)
            except PredictionError as error:
                raise PredictionError(f"{value_name(predicted_maps, place)}: {error}") from None
            except DataError as error:
                raise DataError(f"{value_name(labels, place)}: {error}") from None
            present = np.flatnonzero(counted.any(axis=0))
            present = present if len(present) else np.zeros(1, np.int64)
            names.append(np.stack([np.full(len(present), unit), present]))
            ignored = np.zeros(len(present), np.int64)
            ignored[0] = label.size - counted[2].sum()
            counts.append(np.stack([*counted[:, present], ignored]))
            if self.rules.foreground:
                taken = label[self._are_things(predicted) & self._are_things(label)]
                found.append(np.bincount(taken, minlength=self.classes)[present])
            if self.rules.boundary:
                scores.append(boundary_scores(label, predicted, self.classes, BOUNDARY_TOLERANCE)[present])
        where = np.concatenate([np.empty((2, 0), np.int64), *names], axis=1)
        counted = np.concatenate([np.empty((4, 0), np.int64), *counts], axis=1)
        columns = {"unit": where[0], "rank": where[1], **dict(zip((*_COUNTS, "ignored"), counted, strict=True))}
        if self.rules.foreground:
            columns["found"] = np.concatenate([np.empty(0, np.int64), *found])
        if self.rules.boundary:
            columns["boundary_f"] = np.concatenate([np.empty(0), *scores])
        return Table(columns)

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,): products of weights and counts.

        Counts and weights are whole numbers, so the sums are exact in any order.
        """
        hit, predicted, labelled = (self._sums(table, weights, table[name]) for name in _COUNTS)  # (R, C) each
        total = labelled.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = hit / (labelled + predicted - hit)
            accuracy = hit / labelled
            many = {
                "miou": self._mean(iou, total),
                "pixel_accuracy": hit.sum(axis=1) / total,
                "mean_accuracy": self._mean(accuracy, total),
                "fwiou": (labelled * np.nan_to_num(iou)).sum(axis=1) / total,
            }
            if self.rules.foreground:
                both = self._sums(table, weights, table["found"]).sum(axis=1)
                either = (labelled + predicted)[:, self.things].sum(axis=1) - both
                many["foreground_iou"] = both / either
            if self.rules.boundary:
                many["boundary_f"] = self._boundary(table, weights)
        return many | dict(zip(self.class_metrics, self._per_class(iou, total).T, strict=True))

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that these rows leave undefined, each with the reason."""
        values = self.summarise(table)
        missing = [name for name, value in values.items() if value is None]
        if values["pixel_accuracy"] is None:
            return dict.fromkeys(missing, "no pixel is scored")
        reasons = dict.fromkeys(self.class_metrics, "the class is neither labelled nor predicted")
        reasons["foreground_iou"] = "no pixel is labelled or predicted as foreground"
        return {name: reasons.get(name, "no class has a boundary") for name in missing}

    def notices(self, table: Table) -> Sequence[Notice]:
        return notices(table, self.class_names, sparse=self.sparse)

    def _are_things(self, labels: Array) -> Array:
        """Return which pixels hold a class of the foreground; an ignored one does not."""
        table = np.zeros(ignore_value(self.classes) + 1, dtype=np.bool_)
        table[: self.classes] = self.things
        return table[labels]

    def _sums(self, table: Table, weights: Array, values: Array) -> Array:
        """Return the weighted sums (R, C) of a column over images."""
        dense = np.zeros((weights.shape[1], self.classes))
        dense[table["unit"], table["rank"]] = values
        sums: Array = weights @ dense
        return sums

    def _boundary(self, table: Table, weights: Array) -> Array:
        known = ~np.isnan(table["boundary_f"])
        sums = self._sums(table, weights, np.where(known, table["boundary_f"], 0.0))
        counts = self._sums(table, weights, known)
        return self._mean(sums / counts, counts.sum(axis=1))

    def _per_class(self, iou: Array, total: Array) -> Array:
        """Return the IoU of each class (R, C); an absent class has none, or 0 under `absent-zero`."""
        if self.rules.absent == "skip":
            return iou
        return np.where(total[:, None] > 0, np.nan_to_num(iou), np.nan)

    def _mean(self, values: Array, total: Array) -> Array:
        """Return the mean over classes (R,) by the rule for absent ones; NaN when no pixel is labelled."""
        if self.rules.absent == "zero":
            mean: Array = np.nan_to_num(values).mean(axis=1)
        else:
            present = np.count_nonzero(~np.isnan(values), axis=1)
            mean = np.nansum(values, axis=1) / present
        return np.where(total > 0, mean, np.nan)


def iou_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the metric name of each class: `iou_` and its name in letters, digits and underscores, kept unique.

    >>> iou_names(("road", "traffic light", "traffic-light"))
    ('iou_road', 'iou_traffic_light_1', 'iou_traffic_light_2')
    """
    plain = [re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") for name in classes]
    folded = [name.lower() for name in plain]
    return tuple(
        f"iou_{name}" if name and folded.count(name.lower()) == 1 else f"iou_{name}_{index}".replace("__", "_")
        for index, name in enumerate(plain)
    )


def metrics_of(rules: Protocol, classes: tuple[str, ...]) -> tuple[MetricSpec, ...]:
    """Return the metrics of a protocol over these classes, the ranking one first."""
    specs = [
        MetricSpec("miou", "mean over classes of intersection / union, pixels summed over the data set"),
        MetricSpec("pixel_accuracy", "share of the scored pixels that have the right class"),
        MetricSpec("mean_accuracy", "mean over classes of the share of their pixels that is found"),
        MetricSpec("fwiou", "mean IoU weighted by the labelled pixels of each class"),
    ]
    if rules.foreground:
        specs.append(MetricSpec("foreground_iou", "IoU of all classes but the background's, taken as one"))
    if rules.boundary:
        text = "F of boundary pixels matched within 0.75 % of the diagonal, mean over images, then classes"
        specs.append(MetricSpec("boundary_f", text, provenance="reference-tolerance"))
    specs += [MetricSpec(m, f"IoU of class {name}") for m, name in zip(iou_names(classes), classes, strict=True)]
    return tuple(sorted(specs, key=lambda spec: spec.name != rules.primary))  # stable: only the primary moves
