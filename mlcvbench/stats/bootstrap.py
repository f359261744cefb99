"""Bootstrap replicates of metrics, and of means over training seeds.

Two runs on the same data under the same protocol draw the same resamples (`seed_from`), so their difference is a
subtraction of stored vectors and no prediction is read again. Source: Efron, "Bootstrap methods", 1979.

More than 100,000 groups are drawn in 16,384 bundles of nearly equal size, which are made at random once for a seed. The
groups are independent, so a sum over a bundle varies as that of its groups do, and so does a mean over bundles drawn
with replacement: its standard error is that of single groups, up to the luck of who shares a bundle, sqrt(1 / (2 *
16,384)) = 0.55 % of it, a quarter of what 1,000 resamples leave uncertain anyway (2.2 %). Runs share bundles as they
share resamples, which would be lost if each run's counts were drawn by themselves (multinomials over its confusions).
Source: Wolter, Introduction to Variance Estimation, 2007, chapter 2 (random groups).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mlcvbench.contract.scoring import REPLICATES
from mlcvbench.limits import usable_cores

if TYPE_CHECKING:
    from mlcvbench.contract.batch import Array
    from mlcvbench.contract.scoring import Scorer, Table

Floats = NDArray[np.float64]

REPLICATES_FILE = "replicates.npz"
"""The file of a run's replicates, one vector (n,) per metric."""
MOST_REPLICATES = 100_000
MOST_GROUPS = 100_000
"""The most groups that are drawn one by one; so published intervals of smaller data keep their bits."""
BUNDLES = 16_384
_CHUNK_CELLS = 1 << 20
_FEWEST_ROWS = 4
"""Bytes of resamples that are processed together, at one byte per unit."""
_PARTS = 8
"""Least number of parts, so that no thread waits long for the last one."""
_WORTH_THREADS = 1 << 16
"""Least number of rows for threads; with fewer they mostly wait for one another."""
_MOST_THREADS = 4
"""The most threads; each holds some rows of weights twice."""


def seed_from(fingerprint: str, protocol_id: str) -> int:
    """Return the resampling seed (63 bit) that all runs on one data fingerprint under one protocol share.

    >>> seed_from("0" * 64, "top1/single-crop@1") == seed_from("0" * 64, "top1/single-crop@1")
    True
    """
    digest = hashlib.sha256(f"{fingerprint}\n{protocol_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def resample_weights(groups: Array, n: int, seed: int) -> Iterator[Floats]:
    """Yield weights of the units, float64 (r, U), until `n` bootstrap resamples over `groups` (U,) have been given.

    A weight says how often the unit's group was drawn; with G groups each resample draws G of them. The draws come from
    the raw PCG64 stream, which numpy guarantees to stay the same (unlike `Generator.integers`), mapped by multiply and
    shift: a group's probability is off by less than 2**-32.
    """
    return _Resamples.of(groups, seed).in_parts(n)


@dataclass(frozen=True, slots=True)
class _Resamples:
    """The resamples of one seed. `single`: how many groups the units have; `groups`: how many are drawn from, fewer
    where they are bundled; `group_of` (U,): that of each unit, None = one group per unit.

    Any of them can be drawn without those before it.
    """

    seed: int
    single: int
    groups: int
    group_of: NDArray[np.intp] | None

    @classmethod
    def of(cls, groups: Array, seed: int) -> Self:
        _, inverse = np.unique(groups, return_inverse=True)
        count = int(inverse.max()) + 1 if len(inverse) else 0
        if count > MOST_GROUPS:
            return cls(seed, count, BUNDLES, _bundle_of(count, seed)[inverse])
        alone = count == len(inverse)  # one unit per group: the order of the groups is that of the units
        return cls(seed, count, count, None if alone else inverse)

    def counts(self, rows: range) -> NDArray[np.uint8]:
        """Return how often each group is drawn in some resamples, (r, G). A count above 255 has a probability below
        1e-500.
        """
        words = (self.groups + 1) // 2
        stream = np.random.PCG64(self.seed)
        stream.advance(rows.start * words)
        space = np.empty(self.groups, dtype=np.uint64)
        counts = np.empty((len(rows), self.groups), dtype=np.uint8)
        for row in counts:
            row[:] = np.bincount(_draw(stream, self.groups, space), minlength=self.groups)
        return counts

    def in_parts(self, n: int) -> Iterator[Floats]:
        """Yield the weights of the first `n` resamples, float64, in blocks of rows."""
        for rows in _parts(n, max(1, _CHUNK_CELLS // max(1, self.single))):
            counts = self.counts(rows)
            yield (counts if self.group_of is None else counts.take(self.group_of, axis=1)).astype(np.float64)


def bundles(groups: int) -> int | None:
    """Return in how many bundles so many groups are drawn, None when each is drawn by itself."""
    return BUNDLES if groups > MOST_GROUPS else None


def _bundle_of(groups: int, seed: int) -> NDArray[np.intp]:
    """Return the bundle of each group: at random, the same for all runs that share the seed."""
    stream = np.random.PCG64(seed).jumped()  # far from the draws of the resamples
    bundle = np.empty(groups, dtype=np.intp)
    bundle[np.argsort(stream.random_raw(groups), kind="stable")] = np.arange(groups) * BUNDLES // groups
    return bundle


def _parts(n: int, size: int) -> Iterator[range]:
    """Yield the indices 0 to n - 1, `size` at a time."""
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def _draw(stream: np.random.PCG64, below: int, out: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Fill `out` with indices under `below`, from 32 random bits each, and return it as int64."""
    bits = stream.random_raw((len(out) + 1) // 2).astype("<u8", copy=False).view("<u4")[: len(out)]
    np.multiply(bits, np.uint64(below), out=out, dtype=np.uint64)
    np.right_shift(out, np.uint64(32), out=out)
    return out.view(np.int64)


def replicates(
    scorer: Scorer, table: Table, groups: Array, n: int = REPLICATES, seed: int = 0, threads: int | None = None
) -> dict[str, Floats]:
    """Return `n` bootstrap replicates of every metric, float64 (n,), NaN where a metric is undefined.

    `groups` (U,): the bootstrap unit of each unit of `table`; many are drawn in bundles. With fewer than two groups
    nothing can be resampled and every replicate is NaN. Any number of `threads` gives the same result; None: one per
    core when there are many rows.
    """
    resamples = _Resamples.of(groups, seed)
    if resamples.groups < 2:
        return {metric.name: np.full(n, np.nan) for metric in scorer.metrics}
    by_counts = scorer.by_counts(table, resamples.group_of)
    if by_counts is None:
        parts = [scorer.summarise_many(table, weights) for weights in resamples.in_parts(n)]
    else:
        usual = usable_cores() if len(table.columns["unit"]) >= _WORTH_THREADS else 1
        parts = _side_by_side(by_counts, resamples, n, usual if threads is None else threads)
    return {metric.name: np.concatenate([part[metric.name] for part in parts]) for metric in scorer.metrics}


def _side_by_side(
    by_counts: Callable[[Array], dict[str, Array]], resamples: _Resamples, n: int, threads: int
) -> list[dict[str, Array]]:
    rows = max(_FEWEST_ROWS, min(_CHUNK_CELLS // resamples.groups, -(-n // _PARTS)))
    from threadpoolctl import threadpool_limits

    # matrix products that also ask for all cores wait for one another
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(threads, _MOST_THREADS)) as pool:
        return list(pool.map(lambda part: by_counts(resamples.counts(part)), _parts(n, rows)))


class Shared(NamedTuple):
    """Replicates of each metric, of how many `groups`, in how many `bundles`, None where each is drawn by itself."""

    replicates: dict[str, Floats]
    groups: int
    bundles: int | None


def shared_replicates(scorer: Scorer, table: Table, groups: Array, fingerprint: str, n: int = REPLICATES) -> Shared:
    """Return the replicates of `replicates` from the resamples that all runs on data of this fingerprint share."""
    drawn, count = (
        replicates(scorer, table, groups, n, seed_from(fingerprint, scorer.protocol_id)),
        len(np.unique(groups)),
    )
    return Shared(drawn, count, bundles(count))


def hierarchical(values: Array, seed: int) -> Floats:
    """Return replicates (..., n) of the mean over training seeds from those of each seed (S, ..., n).

    Each replicate draws S of the S seeds with replacement; the units of replicate b are the same for all seeds,
    because all of them were scored on one test set. The deviation due to the draw of seeds is scaled by sqrt(S / (S -
    1)), since resampling S seeds underestimates their variance by (S - 1) / S. With one seed the replicates are
    returned unchanged.
    """
    seeds, n = len(values), values.shape[-1]
    if seeds == 1:
        return np.asarray(values[0], dtype=np.float64)
    drawn = _draw(np.random.PCG64(seed), seeds, np.empty(n * seeds, dtype=np.uint64)).reshape(seeds, n)
    share = (drawn[None] == np.arange(seeds)[:, None, None]).sum(axis=1) / seeds  # (S, n): of seed s in replicate b
    share = 1 / seeds + (share - 1 / seeds) * np.sqrt(seeds / (seeds - 1))
    return np.asarray(np.einsum("s...n,sn->...n", values, share), dtype=np.float64)


def load_replicates(path: Path, metrics: Collection[str] | None = None) -> dict[str, Floats]:
    """Read replicates, those of `metrics` only when given; RecordError when the file is not in the expected form."""
    from mlcvbench.files.npz import read_vectors

    return read_vectors(path, metrics, MOST_REPLICATES)
