"""The detection task: what a prediction is, how it is checked, stored, read from files and scored."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlcvbench.contract import (
    Array,
    Breakdown,
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
    Targets,
    Task,
)
from mlcvbench.errors import RecordError, UnknownNameError
from mlcvbench_detection.coco.image_names import Images
from mlcvbench_detection.coco.lvis import LvisScorer
from mlcvbench_detection.coco.results import Wanted, read_results
from mlcvbench_detection.coco.scoring import CocoScorer
from mlcvbench_detection.coco.storage import write_results
from mlcvbench_detection.data_checks import check_data
from mlcvbench_detection.external import read_external
from mlcvbench_detection.geometry.ragged import ragged
from mlcvbench_detection.noticing import notices
from mlcvbench_detection.predictions import category_ids, check_predictions, join_predictions
from mlcvbench_detection.protocols import BOXES, LIMITS, LVIS_PROTOCOLS, MASKS, about, coco_protocol, parse_coco
from mlcvbench_detection.requirements import refuse_protocol
from mlcvbench_detection.voc.scoring import VOC_SCORERS

SCORERS: Mapping[str, Callable[[Problem], Scorer]] = {
    **{
        coco_protocol(kind, most): partial(CocoScorer, kind=kind, most=most)
        for kind in (BOXES, MASKS)
        for most in LIMITS
    },
    **{protocol: partial(LvisScorer, kind=kind) for protocol, kind in LVIS_PROTOCOLS.items()},
    **VOC_SCORERS,
}
"""The scorer of each protocol id that is listed."""


class DetectionTask(Task):
    """Find the objects of an image: their boxes, classes and scores, and their masks for instance segmentation.

    The module `predictions` says what a model returns. Stored and read as COCO results JSON.
    """

    kind = "detection"
    extension = ".json"
    chooses = True

    def protocols(self) -> tuple[str, ...]:
        return tuple(SCORERS)

    def about(self, protocol: str) -> str:
        return about(protocol)

    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        if protocol in SCORERS:
            return SCORERS[protocol](problem)
        rules = parse_coco(protocol)
        if rules is None:
            raise UnknownNameError("detection protocol", protocol, SCORERS)
        return CocoScorer(problem, kind=rules.kind, most=rules.most)

    def check_data(self, data: LoadedData) -> None:
        check_data(data)

    def check_protocol(self, data: LoadedData, protocol: str) -> None:
        refuse_protocol(data, protocol, self.protocols())

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        return check_predictions(predictions, ids, problem)

    def returns(self, problem: Problem) -> str:
        return (
            "for each image a dict of 'boxes', floats (n, 4) as [x1, y1, x2, y2] in pixels, 'scores', floats (n,), and "
            f"'labels', integers (n,) from 0 to {len(problem.classes) - 1} (and 'masks', booleans (n, H, W)), or one "
            "dict of such lists"
        )

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        if not isinstance(output, list) or not all(isinstance(one, dict) for one in output):
            return None
        names = set[str]().union(*output)
        if any(set(one) != names for one in output):
            return None
        columns = {name: [one[name] for one in output] for name in sorted(names)}
        return External(columns, "a dict per image")

    def merge(self, parts: Sequence[Predictions]) -> Predictions:
        return join_predictions(parts)

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        path = folder / f"predictions{self.extension}"
        write_results(path, predictions, ids)
        return path

    def shrink(self, path: Path, most: int) -> Path:
        """Return the file compressed with gzip, which `load` reads as well."""
        packed = path.with_name(f"{path.name}.gz")
        for level in (1, 9):
            with (
                path.open("rb") as plain,
                packed.open("wb") as file,
                gzip.GzipFile("", "wb", level, file, mtime=0) as stream,  # no name and no date: equal bytes
            ):
                shutil.copyfileobj(plain, stream)
            if packed.stat().st_size <= most:
                break
        path.unlink()
        return packed

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        masks = bool(problem.extra.get("masks"))
        wanted = Wanted(Images(split_ids), None, category_ids(problem), masks, RecordError)
        return self.check(read_results(path, wanted).predictions, split_ids, problem)

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        return read_external(path, split, problem)

    def notices(self, predictions: Predictions, split: Split, problem: Problem, protocol: str) -> Sequence[Notice]:
        return notices(predictions, split, problem, protocol)

    def amounts(self, targets: Targets) -> tuple[str, Array]:
        return "objects", ragged(targets, "labels").counts

    def breakdowns(self, outcome: Outcome) -> list[Breakdown]:
        from mlcvbench_detection.analysis.breakdowns import breakdowns

        return breakdowns(outcome)

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        from mlcvbench_detection.pictures.plots import draw

        return draw(folder, outcome)

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        from mlcvbench_detection.pictures.preview import preview

        return preview(split, problem, count)
