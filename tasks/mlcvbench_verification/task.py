"""The verification task: what a prediction is, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
    Task,
    check_array,
)
from mlcvbench.errors import PredictionError, RecordError
from mlcvbench.files.npz import open_npz, write_npz
from mlcvbench_verification.data_checks import check_data, check_protocol
from mlcvbench_verification.drawing_pairs import with_pairs
from mlcvbench_verification.protocols import PROTOCOLS, about, given_of
from mlcvbench_verification.scoring import scorer_of
from mlcvbench_verification.similarity import DISTANCES

COSINE = Notice(
    "distance-assumed",
    "The embeddings did not say how two are compared, so cosine was taken; return a dict of 'embedding' and 'distance' "
    "to say it.",
)


class VerificationTask(Task):
    """Do two images show the same person, and who is it?

    Predictions: `embedding` float32 (B, D), one per image, finite, and `distance`, how two are compared: `cosine`, `l2`
    or `l1` (a string, or an array of equal strings). Learned weights of a distance are folded into the embedding.
    Values of pairs made elsewhere are stored as `similarity` float64 (P,), in the order of the pairs.
    """

    kind = "verification"
    reads_halves = True

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

    def scorable(self, split: Split, protocol: str, seed: int) -> tuple[Split, str]:
        """Return a split with pairs of its people, where it has none of its own."""
        return with_pairs(split, protocol, seed)

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        embedding = check_array(predictions, "embedding", ids, (None,))
        if not embedding.shape[1]:
            raise PredictionError("field 'embedding': wanted at least one number per sample, got none.")
        distance = _check_distance(predictions.get("distance"), len(ids))
        if distance == "cosine":
            zero = np.flatnonzero(~embedding.any(axis=1))
            if len(zero):
                name = str(ids[zero[0]])
                raise PredictionError(
                    f"field 'embedding', sample {name!r}: is all zeros, which has no direction for cosine."
                )
        return {"embedding": embedding, "distance": np.full(len(ids), distance)}

    def returns(self, problem: Problem) -> str:
        return (
            "embeddings, floats (B, D), which are compared by cosine, or a dict of 'embedding' and 'distance', one of "
            f"{', '.join(DISTANCES)}"
        )

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        if not isinstance(output, np.ndarray):
            return None
        return External({"embedding": output, "distance": "cosine"}, "embeddings", notices=(COSINE,))

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        path = folder / f"predictions{self.extension}"
        write_npz(path, {"ids": np.asarray(ids, dtype=np.str_), **predictions})
        return path

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        with open_npz(path, RecordError) as file:
            names = set(file.headers)
            if names not in ({"ids", "embedding", "distance"}, {"ids", "similarity"}):
                raise RecordError(f"{path}: wanted arrays ids, embedding and distance, or ids and similarity.")
            ids = file.read("ids")
            if ids.shape != split_ids.shape or (ids != split_ids).any():
                raise PredictionError(
                    f"{path}: its {ids.size} ids are not the {len(split_ids)} of the split, in order."
                )
            stored = {name: file.read(name) for name in names - {"ids"}}
        if "similarity" in stored:
            return {"similarity": check_values(stored["similarity"], str(path))}
        return self.check(stored, split_ids, problem)

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        from mlcvbench_verification.external import read_predictions

        return read_predictions(path, split, problem, settings, self)

    def scored_as(self, predictions: Predictions, protocol: str) -> str:
        """Return `<family>/given@1` for values of pairs: they are already compared."""
        return given_of(protocol) if "similarity" in predictions else protocol

    def breakdowns(self, outcome: Outcome) -> list[Breakdown]:
        from mlcvbench_verification.operating import breakdowns

        return breakdowns(outcome)

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        from mlcvbench_verification.plots import draw

        return draw(folder, outcome.split, outcome.table)

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        from mlcvbench_verification.pictures import preview

        return preview(split, count)


def check_values(values: Array, where: str) -> Array:
    """Return values of pairs as float64 (P,); PredictionError for another shape or numbers that are not finite."""
    if values.ndim != 1 or values.dtype.kind != "f":
        raise PredictionError(f"{where}: wanted floats (P,), one per pair, got {values.dtype} {values.shape}.")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise PredictionError(f"{where}: pair {place}: wanted a finite number, got {values[place]}.")
    return values.astype(np.float64)


def _check_distance(distance: Any, count: int) -> str:
    given = np.unique(np.asarray(distance)).tolist() if distance is not None else []
    if len(given) != 1 or given[0] not in DISTANCES or np.ndim(distance) > 1 or np.size(distance) not in (1, count):
        got = ", ".join(map(str, given[:3])) or "nothing"
        raise PredictionError(f"field 'distance': wanted one of {', '.join(DISTANCES)}, got {got}.")
    return str(given[0])
