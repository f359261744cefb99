"""Splits: an ordered, fingerprinted set of samples. Models see inputs; targets go to fit and the scorer only."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from mlcvbench.contract.batch import Array, Batch, Column, Targets, join, joined, take
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.problem import Problem
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import ahead, note_read, noted
from mlcvbench.limits import usable_cores

READ_AT_ONCE = 64
"""Samples in a block where a whole split is read."""
PARTS = 8
"""Parts in which a block is read where several threads share it."""
Item = TypeVar("Item")
Value = TypeVar("Value")


class Split(ABC):
    """An ordered set of samples with targets.

    `ids`: unicode array (N,), unique. `groups`: array (N,), the bootstrap unit of each sample (default the id).
    Predictions of left-out samples are not an error: `beyond` are the ids that `limit=` cut off, `unread` those of
    unreadable files that were to be skipped. `threaded`: whether `read` may be called by several threads at once, so
    that batches can be read ahead.
    """

    name: str
    ids: Array
    groups: Array
    threaded: bool = False
    beyond: Array = np.array([], dtype=np.str_)
    unread: Array = np.array([], dtype=np.str_)

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        """Return the samples at `index` with their targets. DataError names a file that cannot be read."""

    @abstractmethod
    def targets(self) -> Targets:
        """Return what the scorer compares with, for the whole split, without reading inputs."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a sha256 hex digest of ids, inputs and targets: equal data, equal digest."""

    def content(self) -> str:
        """Return a digest of what a model sees beyond the fingerprint; "" when there is nothing more.

        It is part of a run's key but not of the identity of the data: predictions made here and elsewhere, where the
        images may be absent, share one board.
        """
        return ""

    def file_digests(self) -> Sequence[bytes]:
        """Return the digest of each sample's file where the fingerprint was made from them, else nothing."""
        return ()

    @property
    def ragged(self) -> bool:
        """True when inputs may differ in size, so that batches hold lists."""
        return False

    def batch_size(self, wanted: int, *, takes_lists: bool) -> int:
        """Return how many samples a model is shown at once: one where sizes differ, unless it takes lists of them."""
        return 1 if self.ragged and not takes_lists else wanted

    def inputs(self, size: int, indices: Array | None = None) -> Iterator[Batch]:
        """Yield batches without targets: fixed consecutive blocks of `size` (of `indices`, when given).

        The last blocks are read in parts where several threads read: else one would read alone at the end.
        """
        blocks = self._blocks(size, indices)
        whole = len(blocks) - (usable_cores() if self.threaded else 0)
        step = -(-size // PARTS)
        parts = [[block] if place < whole else _cut(block, step) for place, block in enumerate(blocks)]
        last = [number == len(block) for block in parts for number in range(1, len(block) + 1)]
        read = self._ahead(self.read, [part for block in parts for part in block], _bytes_of)
        waiting: list[Batch] = []
        for (batch, _), complete in zip(read, last, strict=True):
            waiting.append(batch)
            if complete:
                yield joined(waiting)
                waiting = []

    def batches(self, size: int, indices: Array | None = None) -> Iterator[tuple[Batch, Targets]]:
        """Yield batches with targets: consecutive blocks of `size`, in the order of `indices` when given."""
        yield from self._ahead(self.read, self._blocks(size, indices), _bytes_of)

    def _blocks(self, size: int, indices: Array | None) -> list[Any]:
        """Return the consecutive blocks of `size` samples, as slices or, when given, as their `indices`."""
        total = len(self) if indices is None else len(indices)
        blocks = [slice(start, min(start + size, total)) for start in range(0, total, size)]
        return [block if indices is None else indices[block] for block in blocks]

    def each(self, read: Callable[[int], Value], places: Sequence[int]) -> Iterator[Value]:
        """Yield `read(place)` for each place, in order; ahead, by other threads, where the split may be read so."""
        return noted(self._ahead(read, places), len(places))

    def _ahead(
        self, read: Callable[[Item], Value], items: Sequence[Item], size_of: Callable[[Value], int] = lambda _: 0
    ) -> Iterator[Value]:
        return ahead(read, items, size_of) if self.threaded else map(read, items)

    def arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return all inputs and targets as arrays (N, ...). DataError when the inputs differ in size.

        Targets that form no array, such as the boxes of each image or maps of unequal size, are given as they are.
        """
        if self.threaded and len(self) > READ_AT_ONCE:
            return self._arrays_ahead()
        batch, targets = self.read(slice(0, len(self)))
        inputs = {kind: self._array(kind, column) for kind, column in batch.inputs.items()}
        return inputs, {name: _stacked(column) for name, column in targets.items()}

    def _arrays_ahead(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return what `arrays` does, read in blocks by several threads."""
        inputs: dict[str, Array] = {}
        parts: list[Targets] = []
        done = 0
        for batch, targets in self.batches(READ_AT_ONCE):
            for kind, column in batch.inputs.items():
                block = self._array(kind, column)
                if kind not in inputs:
                    inputs[kind] = np.empty((len(self), *block.shape[1:]), block.dtype)
                if block.shape[1:] != inputs[kind].shape[1:]:
                    raise self.no_arrays(kind)
                inputs[kind][done : done + len(block)] = block
            parts.append(targets)
            done += len(batch)
            note_read(done, len(self))
        return inputs, {name: _stacked(_joined([targets[name] for targets in parts])) for name in parts[0]}

    def _array(self, kind: str, column: Column) -> Array:
        array = _stacked(column)
        if not isinstance(array, np.ndarray):
            raise self.no_arrays(kind)
        return array

    def no_arrays(self, kind: str) -> DataError:
        """Return the error for inputs of unequal size where one array is wanted."""
        return DataError(
            f"split {self.name!r}: the {kind} inputs differ in size, so they do not form one array; "
            "read them in batches, which hold lists."
        )

    def take(self, indices: Sequence[int] | Array, name: str | None = None) -> Split:
        """Return the sub-split at `indices`, in that order."""
        return SubSplit(self, np.asarray(indices, dtype=np.int64), name or self.name)


class ArraySplit(Split):
    """A split held in memory as columns."""

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Column],
        targets: Targets,
        ids: Array | Sequence[str] | None = None,
        groups: Array | None = None,
        meta: Mapping[str, Column] | None = None,
    ) -> None:
        count = len(next(iter(inputs.values())))
        self.name = name
        self.ids = np.array([f"{index:05d}" for index in range(count)]) if ids is None else np.asarray(ids)
        self.groups = self.ids if groups is None else np.asarray(groups)
        self._inputs, self._targets, self._meta = dict(inputs), dict(targets), dict(meta or {})
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return any(isinstance(column, list) for column in self._inputs.values())

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        ids = self.ids[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        batch = Batch(
            ids=ids,
            inputs={kind: take(column, index) for kind, column in self._inputs.items()},
            meta={name: take(column, index) for name, column in self._meta.items()},
        )
        return batch, {name: take(column, index) for name, column in self._targets.items()}

    def inputs(self, size: int, indices: Array | None = None) -> Iterator[Batch]:
        if indices is not None or self._meta:
            yield from super().inputs(size, indices)
            return
        for start in range(0, len(self), size):  # no index arithmetic and no targets: the loop that is measured
            block = slice(start, start + size)
            yield Batch(self.ids[block], {kind: column[block] for kind, column in self._inputs.items()})

    def targets(self) -> Targets:
        return self._targets

    def fingerprint(self) -> str:
        if self._digest is None:
            self._digest = fingerprint_columns(self.ids, {**self._inputs, **self._meta}, self._targets)
        return self._digest


class SubSplit(Split):
    """Chosen samples of another split, in a chosen order: those at `indices` of `parent`."""

    def __init__(self, parent: Split, indices: Array, name: str) -> None:
        self.name, self.parent, self.indices, self.threaded = name, parent, indices, parent.threaded
        self.ids, self.groups = parent.ids[indices], parent.groups[indices]

    @property
    def ragged(self) -> bool:
        return self.parent.ragged

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        chosen = self.indices[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        return self.parent.read(chosen)

    def targets(self) -> Targets:
        return {name: take(column, self.indices) for name, column in self.parent.targets().items()}

    def content(self) -> str:
        return self.parent.content()

    def file_digests(self) -> Sequence[bytes]:
        digests = self.parent.file_digests()
        return [digests[place] for place in self.indices] if digests else ()

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.parent.fingerprint().encode())
        digest.update(self.indices.astype("<i8").tobytes())
        return digest.hexdigest()


class JoinedSplit(Split):
    """Several splits one after the other, as when validation data are merged into training data."""

    def __init__(self, parts: Sequence[Split], name: str) -> None:
        self.name, self._parts, self.threaded = name, tuple(parts), all(part.threaded for part in parts)
        self.ids = np.concatenate([part.ids for part in parts])
        self.groups = np.concatenate([part.groups for part in parts])
        self._starts = np.cumsum([0] + [len(part) for part in parts])
        self._names: frozenset[str] | None = None

    @property
    def ragged(self) -> bool:
        return any(part.ragged for part in self._parts)

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        wanted = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index, dtype=np.int64)
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        pieces = []
        for number in np.unique(owner):
            places = np.flatnonzero(owner == number)
            pieces.append((places, *self._parts[number].read(wanted[places] - self._starts[number])))
        back = np.argsort(np.concatenate([places for places, _, _ in pieces]), kind="stable")
        first_batch, first_targets = pieces[0][1], pieces[0][2]
        batch = Batch(
            ids=np.concatenate([piece.ids for _, piece, _ in pieces])[back],
            inputs={k: take(join([piece.inputs[k] for _, piece, _ in pieces]), back) for k in first_batch.inputs},
            meta={k: take(join([piece.meta[k] for _, piece, _ in pieces]), back) for k in first_batch.meta},
        )
        names = [name for name in first_targets if name in self._shared()]
        return batch, {k: take(join([targets[k] for _, _, targets in pieces]), back) for k in names}

    def targets(self) -> Targets:
        parts = [part.targets() for part in self._parts]
        shared = {name: column for name, column in parts[0].items() if name in self._shared()}
        columns = [name for name, column in shared.items() if hasattr(column, "__getitem__")]  # pairs are of a whole
        return {name: join([targets[name] for targets in parts]) for name in columns}

    def _shared(self) -> frozenset[str]:
        """Return the targets that all parts have: validation has those of its score, where training may have none."""
        if self._names is None:
            self._names = frozenset.intersection(*(frozenset(part.targets()) for part in self._parts))
        return self._names

    def content(self) -> str:
        return "".join(part.content() for part in self._parts)

    def fingerprint(self) -> str:
        return hashlib.sha256("".join(part.fingerprint() for part in self._parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LoadedData:
    """What a data set's `load` returns: its problem and its splits; always `test`, and `train` and `val` if it has
    them.

    `notices`: what its reader had to guess or replace, or found that is probably not intended.
    """

    name: str
    version: str
    problem: Problem
    splits: Mapping[str, Split]
    whole: LoadedData | None = None
    """The data before a split was cut, so that a limited run still states which data it is part of."""
    notices: tuple[Notice, ...] = ()

    def fingerprint(self, *, shown: bool = True) -> str:
        """Return one digest over the problem and all splits as they were loaded.

        `shown`: include what models see beyond the splits' fingerprints; predictions made elsewhere do not depend on
        it.
        """
        data = self.whole or self
        return data.fingerprint_of(data.splits, shown=shown)

    def fingerprint_of(self, names: Iterable[str], *, shown: bool = True) -> str:
        """Return one digest over the problem and the named splits that exist, in the order of their names."""
        problem = self.problem
        plain = [
            problem.kind,
            problem.classes,
            {kind: str(spec) for kind, spec in problem.inputs.items()},
            problem.extra,
        ]
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
        for name in sorted(set(names) & set(self.splits)):
            split = self.splits[name]
            digest.update(f"{name}:{split.fingerprint()}{split.content() if shown else ''};".encode())
        return digest.hexdigest()

    def repeated_files(self) -> list[Notice]:
        """Return a notice where files of the test split are files of another split too, byte for byte.

        A score on them says nothing about unseen images. Only files whose digests were made for the fingerprint are
        compared, so nothing is read for this.
        """
        test = self.splits["test"]
        others = {
            digest: f"{name}: {sample}"
            for name, split in self.splits.items()
            if name != "test"
            for digest, sample in zip(split.file_digests(), split.ids, strict=False)
        }
        found = [
            (str(sample), others[digest])
            for digest, sample in zip(test.file_digests(), test.ids, strict=False)
            if digest in others
        ]
        if not found:
            return []
        sample, other = found[0]
        text = (
            f"{len(found)} of {len(test)} test files are in another split too, such as {sample!r} ({other}); the "
            "score on them says nothing about unseen images."
        )
        return [Notice("test-files-in-training", text, len(found))]


def _stacked(column: Any) -> Any:
    """Return a column as an array (N, ...) where its values are of one shape, else as it is."""
    if isinstance(column, list):
        equal = bool(column) and len({np.shape(value) for value in column}) == 1
        return np.stack(column) if equal else column
    return column


def _joined(columns: Sequence[Any]) -> Any:
    """Return columns one after the other; a column type of a task kind becomes a list of its values."""
    return join([column if isinstance(column, np.ndarray | list) else list(column) for column in columns])


def _cut(block: slice | Array, step: int) -> list[Any]:
    """Return a block of samples in parts of `step`."""
    if isinstance(block, slice):
        return [slice(start, min(start + step, block.stop)) for start in range(block.start, block.stop, step)]
    return [block[start : start + step] for start in range(0, len(block), step)]


def _bytes_of(read: tuple[Batch, Targets]) -> int:
    """Estimate how many bytes the inputs and targets of a batch take."""
    batch, targets = read
    columns = (*batch.inputs.values(), *targets.values())
    values = (value for column in columns for value in (column if isinstance(column, list) else [column]))
    return sum(int(getattr(value, "nbytes", 0)) for value in values)


def fingerprint_columns(ids: Array, *groups: Mapping[str, Column]) -> str:
    """Return the sha256 of ids and named columns; dtype and shape are part of it, byte order is not.

    >>> fingerprint_columns(np.array(["a"]), {"x": np.array([1], ">i4")}) == fingerprint_columns(
    ...     np.array(["a"]), {"x": np.array([1], "<i4")})
    True
    """
    digest = hashlib.sha256("\n".join(map(str, ids)).encode())
    for columns in groups:
        for name in sorted(columns):
            column = columns[name]
            for value in column if isinstance(column, list) else [column]:
                _digest_value(digest, name, value)
    return digest.hexdigest()


def _digest_value(digest: Any, name: str, value: Any) -> None:
    if hasattr(value, "__len__") and not isinstance(value, np.ndarray | list | tuple | str | bytes):
        digest.update(f"\n{name}:{len(value)}\n".encode())
        for part in value:  # a column type of a task kind, such as one of unequal lengths
            _digest_value(digest, name, part)
        return
    array = np.ascontiguousarray(value)
    if array.dtype.kind in "OU":
        digest.update(f"\n{name}:str:{array.shape}\n".encode())
        digest.update("\n".join(map(str, array.ravel())).encode())
        return
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digest.update(f"\n{name}:{little.dtype.str}:{array.shape}\n".encode())
    digest.update(little.data.cast("B") if little.size else b"")
