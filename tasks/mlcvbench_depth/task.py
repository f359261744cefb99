"""The depth task: what a prediction is, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Array,
    External,
    LoadedData,
    Notice,
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
from mlcvbench.files.maps import stored_field, stored_maps, write_maps
from mlcvbench_depth.data_checks import check_data, check_protocol
from mlcvbench_depth.protocols import PROTOCOLS, about
from mlcvbench_depth.quantise import DTYPES, FIELDS, STEPS, STORE
from mlcvbench_depth.scoring import scorer_of


class DepthTask(Task):
    """The distance of every pixel.

    Predictions, one array (H, W) per image in its original size (an array (B, H, W), or a list when sizes differ):

    - `disparity`: pixels of the left image, 0 = no estimate; floats, rounded to 1/256 px and stored as uint16 (float32
      for maps beyond 255 px), or uint16 in 1/256 px.
    - `depth`: floats in metres, not negative, inf = farther than any cap; stored as float32.
    """

    kind = "depth"
    reads_halves = True
    steps = MappingProxyType({"disparity": 1 / STEPS})

    def protocols(self) -> tuple[str, ...]:
        return PROTOCOLS

    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        return scorer_of(protocol)

    def about(self, protocol: str) -> str:
        return about(protocol)

    def check_data(self, data: LoadedData) -> None:
        check_data(data)

    def check_protocol(self, data: LoadedData, protocol: str) -> None:
        check_protocol(data, protocol)

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        found = [field for field in FIELDS if isinstance(predictions, dict) and field in predictions]
        if not found:
            got = (
                ", ".join(sorted(map(str, predictions)))
                if isinstance(predictions, dict)
                else type(predictions).__name__
            )
            raise PredictionError(f"predictions have no field 'disparity' or 'depth'; got {got or 'nothing'}.")
        checked: Predictions = {}
        for field in found:
            maps = predictions[field]
            if not isinstance(maps, np.ndarray | list) or len(maps) != len(ids):
                got = f"{len(maps)} maps" if isinstance(maps, np.ndarray | list) else type(maps).__name__
                raise PredictionError(f"field {field!r}: wanted one map for each of {len(ids)} samples, got {got}.")
            where = [f"field {field!r}, sample {str(name)!r}" for name in ids]
            checked[field] = [STORE[field](one, place) for one, place in zip(maps, where, strict=True)]
        return checked

    def returns(self, problem: Problem) -> str:
        what = {"disparity": "disparities in pixels, 0 where there is none", "depth": "depths in metres"}
        field = _field_of(problem)
        other = next(name for name in FIELDS if name != field)
        return (
            f"{what[field]}, floats (B, H, W) in the size of the images (a list where sizes differ); a dict names them "
            f"{field!r}, or {other!r} for {what[other]}"
        )

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        field = _field_of(problem)
        return External({field: output}, field) if isinstance(output, np.ndarray | list) else None

    def merge(self, parts: Sequence[Predictions]) -> Predictions:
        return {field: [one for part in parts for one in part[field]] for field in parts[0]}

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        path = folder / f"predictions{self.extension}"
        field = next(field for field in FIELDS if field in predictions)
        write_maps(path, field, predictions[field], ids)
        return path

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        field = stored_field(path, FIELDS)
        quantise = partial(STORE[field], where=f"field {field!r}")
        return {field: stored_maps(path, field, split_ids, DTYPES[field], quantise)}

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        from mlcvbench_depth.external import read_predictions

        return read_predictions(path, split, problem, settings)

    def notices(self, predictions: Predictions, split: Split, problem: Problem, protocol: str) -> Sequence[Notice]:
        from mlcvbench_depth.noticing import look

        return look(predictions, split, protocol)

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        from mlcvbench_depth.plots import draw

        return draw(folder, outcome)

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        from mlcvbench_depth.pictures import preview

        return preview(split, problem, count)


def _field_of(problem: Problem) -> str:
    """Return the field of unnamed maps: that of the truth, else disparity for two images and depth for one."""
    return str(problem.extra.get("field") or ("disparity" if "right" in problem.inputs else "depth"))
