"""Task kinds: what a prediction looks like, how it is checked, stored, read from files and scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from mlcvbench.contract.agreement import NO_STEPS
from mlcvbench.contract.batch import Array, Predictions, Targets, join
from mlcvbench.contract.data_checks import check_inputs
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.outputs import described, to_numpy
from mlcvbench.contract.problem import Problem
from mlcvbench.contract.scoring import MetricSpec, Scorer, Table
from mlcvbench.contract.split import LoadedData, Split
from mlcvbench.errors import PredictionError
from mlcvbench.files.maps import PICTURE
from mlcvbench.files.npz import shrink_npz

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a record: file name inside `plots/`, a title and a text describing what it shows."""

    file: str
    title: str
    alt: str


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Numbers behind the metrics, one line per class, size or kind of error; no board ranks by them.

    `note`: how they were counted; `of`: what a line stands for; `columns`: by title the unit, as of a `MetricSpec`, and
    a number per line, None where it is undefined. A count has unit `1`.
    """

    title: str
    note: str
    of: str
    names: Sequence[str]
    columns: Mapping[str, tuple[str, Sequence[float | None]]]


class HeldOut(NamedTuple):
    """The scorer's rows of so many validation samples."""

    table: Table
    samples: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A split, what was predicted for it, and the rows of the scorer with this protocol id.

    Breakdowns and plots are made of it. `held_out`: the rows of validation samples, on which a threshold may be chosen;
    None where no samples were kept from the fit, or the model is not at hand.
    """

    predictions: Predictions
    targets: Targets
    split: Split
    problem: Problem
    protocol: str
    table: Table
    held_out: HeldOut | None = None
    _made: dict[Callable[[Outcome], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: Callable[[Outcome], Made]) -> Made:
        """Return what `make` makes of this outcome, computed once for all that ask for it."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a contact sheet: uint8 (H, W, 3) with the ground truth drawn in, and a short caption."""

    image: Array
    caption: str


@dataclass(frozen=True, slots=True)
class External:
    """Predictions read from a user's file: the columns, aligned with the split, and what was read.

    `notices`: what the reader had to guess or replace, or found that is surely not meant.
    """

    predictions: Predictions
    source: str
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings of reading that were not given but follow from the outputs themselves, with the notices about it."""

    settings: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


class Task(ABC):
    """One task kind. Stateless: a run calls it for the parts it needs."""

    kind: str
    extension: str = ".npz"
    reads_halves: bool = False
    """Whether `load` takes float16 arrays for those that `save` writes as float32."""
    chooses: bool = False
    """Whether breakdowns choose a threshold, for which validation samples are predicted where a fit kept some."""
    steps: Mapping[str, float] = NO_STEPS
    """Of columns that are stored as whole numbers of a step: how much that is, in the unit of the numbers."""

    @abstractmethod
    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        """Return the scorer of a protocol id; UnknownNameError lists the known ones."""

    @abstractmethod
    def protocols(self) -> tuple[str, ...]:
        """Return the protocol ids this task knows."""

    def about(self, protocol: str) -> str:
        """Describe in one sentence what a protocol compares and how it averages, for `mlcvbench info KIND`; empty by
        default.

        Protocols of equal metrics and equal words are listed together.
        """
        return ""

    def metrics_of(self, protocol: str) -> tuple[MetricSpec, ...]:
        """Return the metrics of a protocol independent of any data; per-class metrics are given for a class called
        `CLASS`.
        """
        return self.scorer(protocol, Problem(self.kind, ("CLASS",), {})).metrics

    @abstractmethod
    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        """Check one batch of predictions and return it quantised to its storage type.

        PredictionError names the sample, the field, what was wanted and what was got.
        """

    def returns(self, problem: Problem) -> str:
        """Describe in words what a function or network given to `mlcvbench.evaluate` returns for a batch of B samples.

        It completes the sentence "a model for KIND returns ...": shapes, dtypes, units, and the names a dict uses.
        """
        return "a dict of the columns of a prediction"

    def columns_of(self, output: Any, problem: Problem) -> External | None:
        """Return the columns that an output other than a dict of columns represents; None when it represents none.

        `output` holds numpy arrays and lists of them. Assumptions become notices. The columns are not checked yet.
        """
        return None

    def from_output(self, output: Any, problem: Problem) -> External:
        """Return the columns that a user's function or network gave for a batch, not checked yet.

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
        """Interpret a live model's output as the settings of `TaskSpec.reading` say; unchanged by default.

        It is not checked yet. OverrideError for a setting without effect on these predictions.
        """
        return predictions

    def guess(self, predictions: Predictions, settings: Mapping[str, Any]) -> Guess:
        """Return how all outputs of a function or network without named columns are interpreted, by the rule for files.

        `predictions` are checked, as `settings` say. The default guesses nothing.
        """
        return Guess({})

    def contents(self, predictions: Predictions) -> str:
        """Describe briefly what checked predictions are and how they are interpreted, for the record; empty by
        default.
        """
        return ""

    def misreadings(self, predictions: Predictions, settings: Mapping[str, Any]) -> Sequence[Notice]:
        """Return notices where a model's checked predictions look like something other than what they are taken for.

        Called for runs, live models and `mlcvbench plugin check`; readers of files do it themselves. What `settings`,
        those of `TaskSpec.reading` for a live model, state explicitly is not a misreading.
        """
        return ()

    def check_data(self, data: LoadedData) -> None:
        """Refuse a data set that contradicts its own problem, before anything runs on it. Reads two samples per split.

        DataError names the split, the sample, what was wanted and what was got. The default compares inputs with
        `problem.inputs`; a task kind adds the checks of its targets.
        """
        check_inputs(data)

    def check_protocol(self, data: LoadedData, protocol: str) -> None:
        """Refuse a protocol that needs what the data lack, before anything runs; the default refuses none.

        DataError names the data set, what the protocol needs and the protocols that the data support.
        """

    def scorer_for(self, data: LoadedData, protocol: str, metrics: Iterable[str]) -> Scorer:
        """Return the scorer of a definition on its data, whose `metrics` it must give.

        UnknownNameError when there is no such protocol or it has no such metric, DataError when the data lack what it
        compares with.
        """
        scorer = self.scorer(protocol, data.problem)
        self.check_protocol(data, protocol)
        for name in metrics:
            scorer.metric(name)
        return scorer

    def scorable(self, split: Split, protocol: str, seed: int) -> tuple[Split, str]:
        """Return a split other than test with all that a protocol compares with, and a description of what had to be
        generated.

        Settings are compared on it. The default returns the split unchanged and "". A kind whose test split has
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

    def shrink(self, path: Path, most: int) -> Path:
        """Bring the file that `save` wrote to at most `most` bytes, as far as that goes, and return its path.

        Called where a user's file is smaller. `load` gives the same as before. The default compresses the arrays of an
        npz and leaves other files as they are.
        """
        if path.suffix == ".npz":
            shrink_npz(path, most, halves=self.reads_halves, beside=(PICTURE,))
        return path

    @abstractmethod
    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        """Read what `save` wrote, with the checks of a fresh prediction."""

    @abstractmethod
    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        """Read predictions made elsewhere (`mlcvbench score`); DataError names the file and the line or field.

        `settings` holds every setting that the kind's `TaskSpec.reading` declares, None where it is not set.
        """

    def scored_as(self, predictions: Predictions, protocol: str) -> str:
        """Return the id under which predictions made elsewhere are scored where `protocol` was asked for; itself.

        A different one only where they already hold what the protocol would compute; a notice states it. DataError when
        they cannot be scored at all.
        """
        return protocol

    def notices(self, predictions: Predictions, split: Split, problem: Problem, protocol: str) -> Sequence[Notice]:
        """Return notices about predictions and targets: what is valid but probably not intended; none by default.

        Called once per run, after scoring, on the whole split: a few vectorised passes, no second scoring.
        """
        return ()

    def amounts(self, targets: Targets) -> tuple[str, Array] | None:
        """Return what samples hold more or less of, such as objects, and how many each, int64 (U,); none by default.

        A record shows by it how long a method takes.
        """
        return None

    def breakdowns(self, outcome: Outcome) -> list[Breakdown]:
        """Return the numbers behind the metrics that are worth keeping, by class say; none by default."""
        return []

    def plot(self, folder: Path, outcome: Outcome) -> list[Plot]:
        """Draw the usual pictures of the task into `folder`, as its protocol scores it; the default draws nothing."""
        return []

    def preview(self, split: Split, problem: Problem, count: int) -> list[Panel]:
        """Return at most `count` samples, spread over the split, drawn with their ground truth.

        A sample may give several panels (the image, the ground truth). The default, an empty list: the kind draws none.
        """
        return []


def spread(split: Split, count: int) -> list[int]:
    """Return the indices of at most `count` samples, evenly spaced over the whole split.

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
