"""Task kinds: what a prediction looks like, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract.batch import Array, Predictions, Targets, join
from mlcvbench.contract.data_checks import check_inputs
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.outputs import described, to_numpy
from mlcvbench.contract.problem import Problem
from mlcvbench.contract.scoring import MetricSpec, Scorer, Table, iter_names
from mlcvbench.contract.split import LoadedData, Split
from mlcvbench.errors import PredictionError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a record: file name inside `plots/`, a title and the text that says what it shows."""

    file: str
    title: str
    alt: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A split, what was predicted for it, and the rows of the scorer with this protocol id: what there is to draw."""

    predictions: Predictions
    targets: Targets
    split: Split
    problem: Problem
    protocol: str
    table: Table


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a contact sheet: uint8 (H, W, 3) with the ground truth drawn in, and a short caption."""

    image: Array
    caption: str


@dataclass(frozen=True, slots=True)
class External:
    """Predictions read from somebody's file: the columns, aligned with the split, and what was read.

    `notices`: what the reader had to guess or replace, or found that is surely not meant.
    """

    predictions: Predictions
    source: str
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings of reading that nobody gave and that answers ask for by themselves, and what must be said of that."""

    settings: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


class Task(ABC):
    """One task kind. Stateless: a run asks it for the parts it needs."""

    kind: str
    extension: str = ".npz"

    @abstractmethod
    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        """Return the scorer of a protocol id; UnknownNameError lists the known ones."""

    @abstractmethod
    def protocols(self) -> tuple[str, ...]:
        """Return the protocol ids this task knows."""

    def about(self, protocol: str) -> str:
        """Return in a sentence what a protocol compares and how it averages, for `mlcvbench info KIND`; default none.

        Protocols of equal metrics and equal words are listed together.
        """
        return ""

    def metrics_of(self, protocol: str) -> tuple[MetricSpec, ...]:
        """Return the metrics of a protocol apart from any data; those of single classes are of one called `CLASS`."""
        return self.scorer(protocol, Problem(self.kind, ("CLASS",), {})).metrics

    @abstractmethod
    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        """Check one batch of predictions and return it quantised to its storage type.

        PredictionError names the sample, the field, what was wanted and what was got.
        """

    def returns(self, problem: Problem) -> str:
        """Say in words what a function or network in hand (`mlcvbench.evaluate`) returns for a batch of B samples.

        It completes the sentence "a model for KIND returns ...": shapes, dtypes, units, and the names a dict uses.
        """
        return "a dict of the columns of a prediction"

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        """Return the columns that an output other than a dict of columns stands for; None when it stands for none.

        `output` holds numpy arrays and lists of them. What had to be assumed is noticed. It is not checked yet.
        """
        return None

    def from_output(self, output: Any, problem: Problem) -> External:
        """Return the columns that a function or network in hand gave for a batch, not checked yet.

        PredictionError says what was wanted.
        """
        plain = to_numpy(output)
        found = self.columns_of(plain, problem)
        if found is None and isinstance(plain, dict):
            found = External(plain, "a dict of columns")
        if found is None:
            wanted = self.returns(problem)
            raise PredictionError(f"a model for {self.kind} returns {wanted}; got {described(plain)}.")
        return found

    def interpret(self, predictions: Predictions, settings: Mapping[str, Any], problem: Problem) -> Predictions:
        """Return what a live model gave as the settings of `TaskSpec.reading` say it is meant; by default as it is.

        It is not checked yet. OverrideError for a setting without effect on these predictions.
        """
        return predictions

    def guess(self, predictions: Predictions, settings: Mapping[str, Any]) -> Guess:
        """Return how all answers of a function or network that named no columns are read, by the rule for files.

        `predictions` are checked, as `settings` say. The default guesses nothing.
        """
        return Guess({})

    def contents(self, predictions: Predictions) -> str:
        """Say in a few words what checked predictions are and how they are read, for the record; default nothing."""
        return ""

    def misreadings(self, predictions: Predictions, settings: Mapping[str, Any]) -> Sequence[Notice]:
        """Say where a model's checked predictions look like something else than what they are read as.

        Asked of runs, of live models and by `mlcvbench plugin check`; readers of files say it themselves. What
        `settings`, those of `TaskSpec.reading` for a live model, say outright is no misreading.
        """
        return ()

    def check_data(self, data: LoadedData) -> None:
        """Refuse a data set that contradicts its own problem, before anything runs on it. It reads two samples a split.

        DataError names the split, the sample, what was wanted and what was got. The default compares inputs with
        `problem.inputs`; a task kind adds what its targets must keep.
        """
        check_inputs(data)

    def check_protocol(self, data: LoadedData, protocol: str) -> None:
        """Refuse a protocol that compares with what the data have not, before anything runs; the default refuses none.

        DataError names the data set, what the protocol needs and the protocols that the data have all for.
        """

    def scorer_for(self, data: LoadedData, protocol: str, metrics: Iterable[str]) -> Scorer:
        """Return the scorer of a definition on its data, whose `metrics` it must give.

        UnknownNameError when there is no such protocol or it has no such metric, DataError when the data lack what it
        compares with.
        """
        scorer = self.scorer(protocol, data.problem)
        self.check_protocol(data, protocol)
        known = iter_names(scorer.metrics)
        for name in metrics:
            if name not in known:
                raise UnknownNameError("metric", name, known)
        return scorer

    def scorable(self, split: Split, protocol: str, seed: int) -> tuple[Split, str]:
        """Return a split other than test with all that a protocol compares with, and in words what had to be made.

        Settings are compared on it. The default returns it as it is and nothing made (""). A kind whose test split has
        targets beyond those of single samples, such as pairs, makes them here; `seed` alone decides which. DataError
        when the samples do not suffice.
        """
        return split, ""

    def merge(self, parts: Sequence[Predictions]) -> Predictions:
        """Join the checked predictions of consecutive batches."""
        return {name: join([part[name] for part in parts]) for name in parts[0]}

    @abstractmethod
    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        """Write `predictions.*` into `folder` and return its path. Equal predictions give equal bytes."""

    @abstractmethod
    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        """Read what `save` wrote, checked as if a model had just produced it."""

    @abstractmethod
    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        """Read predictions made elsewhere (`mlcvbench score`); DataError names the file and the line or field.

        `settings` holds every setting that the kind's `TaskSpec.reading` declares, None where it is not set.
        """

    def scored_as(self, predictions: Predictions, protocol: str) -> str:
        """Return the id under which predictions made elsewhere are scored where `protocol` was asked for; itself.

        Another one only where they already hold what the protocol would compute; it is said in a notice. DataError when
        they cannot be scored at all.
        """
        return protocol

    def notices(self, predictions: Predictions, split: Split, problem: Problem, protocol: str) -> Sequence[Notice]:
        """Say what about predictions and targets is legal but surely not meant; the default says nothing.

        Asked once a run, after scoring, of the whole split: a few vectorised passes, no second scoring.
        """
        return ()

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        """Draw what people of the task look at into `folder`, as its protocol scores it; the default draws nothing."""
        return []

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        """Return at most `count` samples, spread over the split, as a person should see them: with their ground truth.

        A sample may give several panels (the image, the truth); the default, an empty list, means the kind draws none.
        """
        return []


def spread(split: Split, count: int) -> list[int]:
    """Return the places of at most `count` samples, evenly over the whole split.

    >>> from mlcvbench.contract import ArraySplit
    >>> spread(ArraySplit("test", {"image": np.zeros((9, 2, 2), np.uint8)}, {}), 3)
    [0, 4, 8]
    """
    places = np.linspace(0, len(split) - 1, max(0, min(count, len(split))))
    return [int(place) for place in places.round()]


def check_array(
    predictions: Predictions,
    name: str,
    ids: Array,
    shape: tuple[int | None, ...],
    kinds: str = "f",
    dtype: str = "float32",
) -> Array:
    """Return column `name` as a fresh contiguous array of `dtype`, or raise a PredictionError saying what is wrong.

    `shape`: per-sample shape, None = any size; `kinds`: accepted numpy dtype kinds; floats must be finite.
    """
    wanted = f"{dtype} ({', '.join(['B', *('any' if n is None else str(n) for n in shape)])})"
    if not isinstance(predictions, dict):
        raise PredictionError(f"predictions: wanted a dict of arrays, got {type(predictions).__name__}.")
    if name not in predictions:
        raise PredictionError(
            f"predictions have no field {name!r}; got {', '.join(sorted(map(str, predictions))) or 'nothing'}."
        )
    value = predictions[name]
    if not isinstance(value, np.ndarray):
        raise PredictionError(f"field {name!r}: wanted a numpy array {wanted}, got {type(value).__name__}.")
    if value.dtype.kind not in kinds:
        raise PredictionError(f"field {name!r}: wanted {wanted}, got dtype {value.dtype}.")
    if len(value.shape) != len(shape) + 1 or any(
        w is not None and w != g for w, g in zip(shape, value.shape[1:], strict=True)
    ):
        raise PredictionError(f"field {name!r}: wanted {wanted}, got shape {value.shape}.")
    if len(value) != len(ids):
        raise PredictionError(f"field {name!r}: wanted {len(ids)} samples, got {len(value)}.")
    stored = np.array(value, dtype=dtype, order="C")
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        row = int(np.flatnonzero(~np.isfinite(stored).reshape(len(stored), -1).all(axis=1))[0])
        bad = stored[row].ravel()
        raise PredictionError(
            f"field {name!r}, sample {str(ids[row])!r}: wanted finite numbers, got {bad[~np.isfinite(bad)][0]}."
        )
    return stored
