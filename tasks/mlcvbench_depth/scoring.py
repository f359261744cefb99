"""The scorers of depth: stereo by counts of pixels, pooled or image by image, monocular by means of image errors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Notice, Predictions, Scorer, Table, Targets, VectorizedScorer
from mlcvbench.errors import DataError, PredictionError
from mlcvbench.files.lazy_columns import LazyColumn, value_name
from mlcvbench_depth.measuring import BAD_PIXELS, DepthErrors, measure_depth, measure_disparity, wrong_size
from mlcvbench_depth.protocols import (
    BAD,
    FILLED,
    LEFT_OUT,
    StereoRules,
    crop_window,
    is_stereo,
    parse_mono,
    parse_stereo,
)

TOLERANCE = "reference-tolerance"
OCCLUDED = "occluded"
"""The target of pixels that only the left camera sees: bool (H, W)."""
_BAD = tuple(f"bad_{limit:g}".replace(".", "_") for limit in BAD_PIXELS)
_COUNTS = ("known", "estimated", "error", *_BAD, "d1")


class _MapScorer(VectorizedScorer):
    """Shared by both families: one image at a time, errors that name it, one row per image."""

    field: str
    scored: str
    """The column of a row that counts the scored pixels."""

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that these rows leave undefined, each with the reason."""
        reason = self._nothing(table)
        return {name: reason for name, value in self.summarise(table).items() if value is None}

    def notices(self, table: Table) -> Sequence[Notice]:
        empty = int(np.count_nonzero(table[self.scored] == 0))
        if not empty:
            return []
        text = f"{empty:,} of {len(table):,} images have no pixel that is scored and do not count."
        return [Notice("images-without-truth", text, empty)]

    @abstractmethod
    def _nothing(self, table: Table) -> str:
        """Return why metrics of these rows are undefined."""

    def _pairs(self, predictions: Predictions, targets: Targets) -> Iterator[tuple[str, Array, Array]]:
        """Yield the name of an image for messages, its truth and its estimate."""
        for source, side in ((predictions, "predictions"), (targets, "targets")):
            if self.field not in source:
                error = PredictionError if source is predictions else DataError
                raise error(f"protocol {self.protocol_id!r} wants {side} of {self.field!r}, got {', '.join(source)}.")
        estimates = predictions[self.field]
        for place, (truth, estimate) in enumerate(zip(targets[self.field], estimates, strict=True)):
            name = value_name(estimates, place)
            if truth.shape != estimate.shape:
                from_file = isinstance(estimates, LazyColumn) and estimates.name(place) is not None
                raise PredictionError(
                    f"{name}: {wrong_size(truth, estimate, self.field)}{_RESIZE if from_file else ''}"
                )
            yield name, truth, estimate


_RESIZE = " Say resize=bilinear or resize=nearest to have predictions brought to the truth's size."


class StereoScorer(_MapScorer):
    """The protocols `stereo/...@1` and `kitti-d1/...@1`: pixels with a known disparity.

    Scored are known pixels; with `noc` those that the right camera sees too (not `occluded`), with `capN` those of a
    truth below N px. The pixels of all images are pooled; with `per-image` each metric is that of an image, and the
    mean is over the images that have it.

    - `density`: share of the scored pixels that have an estimate.
    - `epe`: mean |estimate - truth| in pixels over those with an estimate; after filling, over all.
    - `bad_0_5 bad_1 bad_2 bad_3`: share in error by more than this many pixels; `d1`: by over 3 px and 5 % of the
      truth. They are shares of the pixels with an estimate; with `holes-bad` of all, a pixel without an estimate being
      in error. `kitti-d1/...` fill the holes first, as KITTI's development kit does.
    """

    field, scored = "disparity", "known"

    def __init__(self, protocol: str) -> None:
        self.protocol_id = protocol
        self.rules = parse_stereo(protocol)
        over = {
            LEFT_OUT: "estimated pixels",
            BAD: "pixels, holes counting as errors",
            FILLED: "pixels, holes being filled",
        }[self.rules.holes]
        bad = [
            (name, f"share of {over} with an error over {limit:g} px")
            for name, limit in zip(_BAD, BAD_PIXELS, strict=True)
        ]
        errors = {
            name: MetricSpec(name, summary, higher_is_better=False, provenance=TOLERANCE)
            for name, summary in [*bad, ("d1", f"share of {over} with an error over 3 px and 5 %")]
        }
        mean_over = "scored" if self.rules.holes == FILLED else "estimated"
        errors["epe"] = MetricSpec("epe", f"mean error of the {mean_over} pixels", "px", False, TOLERANCE)
        order = ("d1", "bad_3", "epe") if self.rules.holes == FILLED else ("bad_2", "epe")
        order = (*order, *(name for name in (*_BAD, "d1") if name not in order))
        self.metrics = (
            *(errors[name] for name in order),
            MetricSpec("density", "share of the scored pixels that have an estimate"),
        )

    def _nothing(self, table: Table) -> str:
        return "no known pixel has an estimate" if table["known"].any() else "no pixel has a known disparity"

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per image: unit, known, estimated, error (px, summed), bad_0_5 ... bad_3, d1 (pixels)."""
        if self.rules.seen_only and OCCLUDED not in targets:
            raise DataError(
                f"protocol {self.protocol_id!r} wants targets of {OCCLUDED!r}, which this data set does not have; "
                f"got {', '.join(targets)}."
            )
        rows, masks = [], targets[OCCLUDED] if self.rules.seen_only else repeat(None)
        for place, ((_, truth, estimate), mask) in enumerate(
            zip(self._pairs(predictions, targets), masks, strict=False)
        ):
            known = scored_disparity(self.rules, truth, targets, place, mask)
            counts = measure_disparity(known, estimate, fill=self.rules.holes == FILLED)
            rows.append((counts.known, counts.estimated, counts.error, *counts.bad, counts.d1))
        columns = np.array(rows, dtype=np.float64).reshape(-1, len(_COUNTS)).T
        return Table({"unit": np.asarray(units, dtype=np.int64)} | dict(zip(_COUNTS, columns, strict=True)))

    def notices(self, table: Table) -> Sequence[Notice]:
        """Return notices that images have no truth, and that errors cover few pixels where holes are left out."""
        known, none = table["known"].sum(), int((table["known"] - table["estimated"]).sum())
        if self.rules.holes != LEFT_OUT or none <= known / 2:
            return super().notices(table)
        few = Notice(
            "few-estimates",
            f"the errors are those of {1 - none / known:.1%} of the scored pixels; the others have no estimate and are "
            f"left out, which {self.rules._replace(holes=BAD).protocol} does not allow.",
            none,
        )
        return [few, *super().notices(table)]

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        counts = np.stack([table[name] for name in _COUNTS], axis=1)  # (images, counts)
        chosen = weights[:, table["unit"]]
        if not self.rules.per_image:
            return self._metrics(chosen @ counts)
        return {name: _mean_of_images(values, chosen) for name, values in self._metrics(counts).items()}

    def _metrics(self, counts: Array) -> dict[str, Array]:
        """Return every metric of each row of counts (R, counts) as float64 (R,), NaN where undefined."""
        total = dict(zip(_COUNTS, counts.T, strict=True))
        holes = total["known"] - total["estimated"] if self.rules.holes == BAD else 0.0
        pixels = total["estimated"] if self.rules.holes == LEFT_OUT else total["known"]
        measured = total["known"] if self.rules.holes == FILLED else total["estimated"]
        with np.errstate(invalid="ignore", divide="ignore"):  # without pixels 0 / 0 is NaN, undefined
            many = {name: (total[name] + holes) / pixels for name in (*_BAD, "d1")}
            many |= {"epe": total["error"] / measured, "density": total["estimated"] / total["known"]}
        return {spec.name: many[spec.name] for spec in self.metrics}


def _mean_of_images(values: Array, weights: Array) -> Array:
    """Return the mean of `values` (images,) under each row of `weights` (R, images), over those that are not NaN."""
    has = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = (weights[:, has] @ values[has]) / weights[:, has].sum(axis=1)
    return mean


def scored_disparity(
    rules: StereoRules, truth: Array, targets: Targets, place: int, mask: Array | None = None
) -> Array:
    """Return the truth of an image with 0 where a protocol scores nothing; `mask`: its occluded pixels if read already.

    DataError when the mask of occluded pixels has another size.
    """
    if rules.cap is not None:
        truth = np.where(truth < rules.cap, truth, np.float32(0))
    if not rules.seen_only:
        return truth
    occluded: Any = targets[OCCLUDED]
    mask = occluded[place] if mask is None else mask
    if mask.shape != truth.shape:
        wanted, got = (" x ".join(map(str, one.shape)) for one in (truth, mask))
        raise DataError(f"{value_name(occluded, place)}: has {got} pixels, but its disparity map has {wanted}.")
    return np.where(mask, np.float32(0), truth)


class MonoScorer(_MapScorer):
    """Protocols `mono/<crop>/cap<metres>/<scaling>@1`: errors of each image, then their mean over images.

    Scored are the pixels of the crop with 1 mm < truth < cap. Each image's estimates are brought to its truth as
    `<scaling>` says (module `alignment`), `metric` leaves them; then they are clipped to [1 mm, cap]: an estimate of 0
    counts as 1 mm, one of inf as the cap. With p the estimate, t the truth, l = log(p / t) and means over pixels:
    `abs_rel` = mean |p - t| / t, `sq_rel` = mean (p - t)^2 / t, `rmse` = sqrt mean (p - t)^2, `rmse_log` =
    sqrt mean l^2, `silog` = sqrt(mean l^2 - (mean l)^2) (KITTI prints 100 times it), `log10` = mean |l| / log 10,
    `delta_k` = share of max(p / t, t / p) < 1.25^k. An image without a scored pixel has none of them.
    """

    field, scored = "depth", "pixels"
    metrics = (
        MetricSpec("abs_rel", "mean |p - t| / t", "fraction", False, TOLERANCE),
        MetricSpec("sq_rel", "mean (p - t)^2 / t", "m", False, TOLERANCE),
        MetricSpec("rmse", "root of the mean (p - t)^2", "m", False, TOLERANCE),
        MetricSpec("rmse_log", "root of the mean log(p / t)^2", "1", False, TOLERANCE),
        MetricSpec("silog", "standard deviation of log(p / t)", "1", False, TOLERANCE),
        MetricSpec("log10", "mean |log10(p / t)|", "1", False, TOLERANCE),
        MetricSpec("delta1", "share of pixels within a factor of 1.25", provenance=TOLERANCE),
        MetricSpec("delta2", "share of pixels within a factor of 1.25^2", provenance=TOLERANCE),
        MetricSpec("delta3", "share of pixels within a factor of 1.25^3", provenance=TOLERANCE),
    )

    def __init__(self, protocol: str) -> None:
        self.protocol_id = protocol
        self.rules = parse_mono(protocol)

    def _nothing(self, table: Table) -> str:
        return "no pixel inside crop and cap has a known depth"

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per image: unit, pixels scored, and each metric of the image (NaN without a scored pixel)."""
        rows: list[DepthErrors] = []
        rules = self.rules
        for name, truth, estimate in self._pairs(predictions, targets):
            window = crop_window(rules.crop, *truth.shape)
            try:
                errors = measure_depth(truth, estimate, window=window, cap=rules.cap, scaling=rules.scaling)
            except PredictionError as error:
                raise PredictionError(f"{name}: {error}") from None
            rows.append(errors)
        columns = np.array(rows, dtype=np.float64).reshape(-1, len(DepthErrors._fields)).T
        return Table({"unit": np.asarray(units, dtype=np.int64)} | dict(zip(DepthErrors._fields, columns, strict=True)))

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        scored = table["pixels"] > 0
        chosen = weights[:, table["unit"][scored]]
        values = np.stack([table[spec.name][scored] for spec in self.metrics], axis=1)  # (images, metrics)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (chosen @ values) / chosen.sum(axis=1, keepdims=True)
        return dict(zip((spec.name for spec in self.metrics), means.T, strict=True))


def scorer_of(protocol: str) -> Scorer:
    """Return the scorer of a protocol id; UnknownNameError lists the known ones."""
    return StereoScorer(protocol) if is_stereo(protocol) else MonoScorer(protocol)


def field_of(extra: Mapping[str, object]) -> str:
    """Return the field of a problem: `disparity` or `depth`."""
    return str(extra.get("field", "disparity"))
