"""The segmentation task: what a prediction is, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Array,
    Breakdown,
    External,
    LoadedData,
    MetricSpec,
    Outcome,
    Panel,
    Plot,
    Predictions,
    Problem,
    Scorer,
    Split,
    Task,
)
from mlcvbench.errors import PredictionError
from mlcvbench.files.maps import stored_maps, write_maps
from mlcvbench_segmentation.counting import map_dtype
from mlcvbench_segmentation.data_checks import check_data, refuse_ignored, refuse_without_background
from mlcvbench_segmentation.joints import check_joints, joint_breakdown
from mlcvbench_segmentation.scoring import PROTOCOLS, SegmentationScorer, metrics_of, parse_protocol


class SegmentationTask(Task):
    """A class for every pixel.

    Predictions: `label_map`, one integer array (H, W) per image in the size of the original image, values 0..C-1;
    an array (B, H, W) or a list of arrays when sizes differ. Stored as uint8, or uint16 for more than 255 classes. A
    model that finds parts in space may add `joints` (module `joints`), which are not stored.
    """

    kind = "segmentation"

    def protocols(self) -> tuple[str, ...]:
        return PROTOCOLS

    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        return SegmentationScorer(protocol, problem)

    def about(self, protocol: str) -> str:
        return (
            "Pixels are counted over the whole data set, then classes are averaged. ignoreVALUE: pixels with this "
            "label are not scored. A class without a labelled or predicted pixel is left out of means (absent-skip) "
            "or counts as 0 (absent-zero). foreground: all classes but the background's as one, too."
        )

    def metrics_of(self, protocol: str) -> tuple[MetricSpec, ...]:
        return metrics_of(parse_protocol(protocol), ("CLASS",))

    def check_data(self, data: LoadedData) -> None:
        check_data(data)

    def check_protocol(self, data: LoadedData, protocol: str) -> None:
        refuse_without_background(data, protocol)
        refuse_ignored(data, protocol)

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        if not isinstance(predictions, dict) or "label_map" not in predictions:
            got = (
                ", ".join(sorted(map(str, predictions)))
                if isinstance(predictions, dict)
                else type(predictions).__name__
            )
            raise PredictionError(f"predictions have no field 'label_map'; got {got or 'nothing'}.")
        maps = predictions["label_map"]
        if not isinstance(maps, np.ndarray | list) or len(maps) != len(ids):
            got = f"{len(maps)} maps" if isinstance(maps, np.ndarray | list) else type(maps).__name__
            raise PredictionError(
                f"field 'label_map': wanted one array (H, W) for each of {len(ids)} samples, got {got}."
            )
        classes = len(problem.classes)
        checked: Predictions = {
            "label_map": [check_map(one, str(name), classes) for one, name in zip(maps, ids, strict=True)]
        }
        return checked | check_joints(predictions, ids, classes)

    def returns(self, problem: Problem) -> str:
        count = len(problem.classes)
        return (
            f"label maps, integers (B, H, W) from 0 to {count - 1} in the size of the images (a list where sizes "
            f"differ), or class scores per pixel, floats (B, {count}, H, W), of which the highest wins; a dict names "
            "maps 'label_map'"
        )

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        if isinstance(output, np.ndarray) and output.dtype.kind == "f" and output.ndim == 4:
            if output.shape[1] != len(problem.classes):
                return None
            return External({"label_map": output.argmax(axis=1)}, "class scores per pixel")
        return External({"label_map": output}, "label maps") if isinstance(output, np.ndarray | list) else None

    def merge(self, parts: Sequence[Predictions]) -> Predictions:
        fields = {frozenset(part) for part in parts}
        if len(fields) > 1:
            named = sorted(", ".join(sorted(names)) for names in fields)
            raise PredictionError(f"predictions change their fields between batches: {' / '.join(named)}.")
        return {name: [one for part in parts for one in part[name]] for name in parts[0]}

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        path = folder / f"predictions{self.extension}"
        write_maps(path, "label_map", predictions["label_map"], ids)
        return path

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        dtype = map_dtype(len(problem.classes)).name
        return {"label_map": stored_maps(path, "label_map", split_ids, (dtype,))}

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        from mlcvbench_segmentation.external import read_predictions

        return read_predictions(path, split, problem, settings)

    def breakdowns(self, outcome: Outcome) -> list[Breakdown]:
        found = joint_breakdown(outcome)
        return [] if found is None else [found]

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        from mlcvbench_segmentation.plots import draw

        return draw(folder, outcome)

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        from mlcvbench_segmentation.pictures import preview

        return preview(split, problem, count)


def check_map(label_map: Any, name: str, classes: int) -> Array:
    """Return one predicted label map in its storage dtype; PredictionError names the sample and its fault."""
    where = f"field 'label_map', sample {name!r}: "
    if not isinstance(label_map, np.ndarray) or label_map.dtype.kind not in "iu" or label_map.ndim != 2:
        got = f"{label_map.dtype} {label_map.shape}" if isinstance(label_map, np.ndarray) else type(label_map).__name__
        raise PredictionError(f"{where}wanted an integer array (H, W), got {got}.")
    if label_map.size == 0:
        raise PredictionError(f"{where}wanted at least one pixel, got shape {label_map.shape}.")
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high >= classes:
        raise PredictionError(f"{where}wanted labels 0 to {classes - 1}, got {low if low < 0 else high}.")
    return np.array(label_map, dtype=map_dtype(classes), order="C")
