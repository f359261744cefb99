"""The classification task: what a prediction is, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Array,
    External,
    Guess,
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
    check_array,
    check_labels,
)
from mlcvbench.errors import PredictionError, RecordError, UnknownNameError
from mlcvbench.files.npz import open_npz, write_npz
from mlcvbench_classification.scoring import ABOUT, SCORERS
from mlcvbench_classification.values import checked_probabilities

CONTENTS = {
    "scores": "scores read as logits",
    "probabilities": "probabilities",
    "labels": "labels without scores",
}
"""The forms of predictions by the name of their column, and their names in a record."""


class ClassificationTask(Task):
    """One label per image.

    Predictions, one of

    - `scores` float32 (B, C), finite, larger for likelier classes, interpreted as logits;
    - `probabilities` float32 (B, C), rows that sum to 1, used unchanged;
    - `labels`, integers (B,) in 0..C-1, of a method without scores: metrics that need scores are then undefined.
    """

    kind = "classification"
    reads_halves = True

    def protocols(self) -> tuple[str, ...]:
        return tuple(SCORERS)

    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        if protocol not in SCORERS:
            raise UnknownNameError("classification protocol", protocol, SCORERS)
        return SCORERS[protocol](problem)

    def check_data(self, data: LoadedData) -> None:
        super().check_data(data)
        check_labels(data)

    def about(self, protocol: str) -> str:
        return ABOUT[protocol]

    def interpret(self, predictions: Predictions, settings: Mapping[str, Any], problem: Problem) -> Predictions:
        from mlcvbench_classification.interpreting import interpreted

        found: Predictions = interpreted(predictions, settings, problem.classes)
        return found

    def guess(self, predictions: Predictions, settings: Mapping[str, Any]) -> Guess:
        from mlcvbench_classification.doubts import read_scores

        if settings.get("values") is not None or "scores" not in predictions:
            return Guess({})
        read_as, notices = read_scores(predictions["scores"], "the scores")
        return Guess({"values": read_as} if read_as == "probabilities" else {}, tuple(notices))

    def contents(self, predictions: Predictions) -> str:
        return CONTENTS[next(iter(predictions))]

    def misreadings(self, predictions: Predictions, settings: Mapping[str, Any]) -> list[Notice]:
        from mlcvbench_classification.doubts import misread_scores

        return misread_scores(predictions) if settings.get("values") is None else []

    def notices(self, predictions: Predictions, split: Split, problem: Problem, protocol: str) -> list[Notice]:
        from mlcvbench_classification.doubts import find_doubts

        return find_doubts(predictions, np.asarray(split.targets()["label"]), problem.classes, protocol)

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        scores = _copy_of_sound(predictions, (len(ids), len(problem.classes)))
        if scores is not None and len(predictions) == 1:
            return {"scores": scores}
        given = [name for name in CONTENTS if isinstance(predictions, dict) and name in predictions]
        if len(given) > 1:
            raise PredictionError(f"predictions: wanted one of {', '.join(CONTENTS)}; got {' and '.join(given)}.")
        if given == ["labels"]:
            return {"labels": _check_labels(predictions, ids, len(problem.classes))}
        field = "probabilities" if given == ["probabilities"] else "scores"
        values = check_array(predictions, field, ids, (len(problem.classes),))
        return {field: checked_probabilities(values, ids) if field == "probabilities" else values}

    def returns(self, problem: Problem) -> str:
        count = len(problem.classes)
        return (
            f"class scores, floats (B, {count}), larger for likelier classes, or labels, integers (B,) from 0 to "
            f"{count - 1}; a dict names them 'scores', 'probabilities' or 'labels'"
        )

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        if not isinstance(output, np.ndarray):
            return None
        labels = output.ndim == 1 and output.dtype.kind in "iu"
        return External({"labels" if labels else "scores": output}, "labels" if labels else "class scores")

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        path = folder / f"predictions{self.extension}"
        write_npz(path, {"ids": np.asarray(ids, dtype=np.str_), **predictions})
        return path

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        with open_npz(path, RecordError) as file:
            names = set(file.headers)
            if names not in [{"ids", name} for name in CONTENTS]:
                raise RecordError(f"{path}: wanted arrays ids and one of {', '.join(CONTENTS)}; got {sorted(names)}.")
            ids = file.read("ids")
            if ids.shape != split_ids.shape or (ids != split_ids).any():
                raise PredictionError(
                    f"{path}: its {ids.size} ids are not the {len(split_ids)} of the split, in order."
                )
            stored = {name: file.read(name) for name in names - {"ids"}}
        return self.check(stored, split_ids, problem)

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        from mlcvbench_classification.external import read_predictions

        return read_predictions(path, split, problem, settings, self)

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        from mlcvbench_classification.plots import draw

        return draw(folder, outcome.split, outcome.problem, outcome.table)

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        from mlcvbench_classification.pictures import preview

        return preview(split, problem, count)


def _copy_of_sound(predictions: Predictions, shape: tuple[int, int]) -> Array | None:
    """Return a copy of valid scores, else None; takes a third of the time of the full check."""
    value = predictions.get("scores") if isinstance(predictions, dict) else None
    if type(value) is not np.ndarray or value.dtype != np.float32 or value.shape != shape:
        return None
    copy = value.copy()
    return copy if np.isfinite(copy).all() else None


def _check_labels(predictions: Predictions, ids: Array, classes: int) -> Array:
    labels = check_array(predictions, "labels", ids, (), kinds="iu", dtype="int64")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        row = outside[0]
        raise PredictionError(
            f"field 'labels', sample {str(ids[row])!r}: wanted 0 to {classes - 1}, got {labels[row]}."
        )
    return labels
