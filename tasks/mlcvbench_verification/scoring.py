"""The scorers of verification: pairs of images, and probes looked up in a gallery. Units are images, groups people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Notice, Predictions, Scorer, Table, Targets, Values, VectorizedScorer
from mlcvbench.errors import DataError, PredictionError
from mlcvbench_verification.clusters import pair_clusters
from mlcvbench_verification.folds import FoldAccuracy
from mlcvbench_verification.identification import probe_ranks, roles_of
from mlcvbench_verification.noticing import notices_of_pairs
from mlcvbench_verification.pairs import NO_FOLD, Pairs
from mlcvbench_verification.protocols import (
    DECLARED,
    FOLDED,
    GIVEN,
    IDENTIFICATION,
    STRICT,
    STRICT_METRIC,
    parse_protocol,
)
from mlcvbench_verification.roc import EXPONENTS, WeightedRoc, roc_numbers
from mlcvbench_verification.similarity import pair_similarity

IDENTIFICATION_RANKS = (1, 5, 10)
MANY_PAIRS = 1_000_000
FEW_REPLICATES = 200
TOLERANCE = "reference-tolerance"
_ROC_METRICS = (
    MetricSpec("auc", "share of (genuine, impostor) combinations with the genuine pair more similar, ties half"),
    MetricSpec(
        "eer",
        "error rate where false accepts and false rejects are equal, ROC points joined by lines",
        higher_is_better=False,
    ),
    *(
        MetricSpec(
            f"tar_at_far_1e-{k}", f"genuine pairs accepted at the threshold with at most 1e-{k} of the impostor pairs"
        )
        for k in EXPONENTS
    ),
)


class _WholeScorer(Scorer):
    """A scorer whose rows need all embeddings: a shard is some units, with the columns of the whole split."""

    whole_columns: ClassVar[bool] = True

    def __init__(self, protocol: str) -> None:
        self.protocol_id = protocol
        self.rules = parse_protocol(protocol)

    def _distance(self, predictions: Predictions) -> str:
        """Return how the embeddings are compared; PredictionError when the protocol wants another way."""
        if "embedding" not in predictions:
            raise PredictionError(
                f"protocol {self.protocol_id!r} wants embeddings, got {', '.join(sorted(predictions))}."
            )
        declared = np.unique(predictions["distance"])
        if len(declared) != 1:
            raise PredictionError(f"field 'distance': wanted one for all samples, got {', '.join(declared.tolist())}.")
        distance = str(declared[0])
        if self.rules.by not in (DECLARED, distance):
            other = self.protocol_id.replace(f"/{self.rules.by}@", f"/{DECLARED}@")
            raise PredictionError(
                f"protocol {self.protocol_id!r} compares by {self.rules.by}, but these embeddings are meant for "
                f"{distance}; use {other!r} to compare each method by its own distance."
            )
        return distance


class PairScorer(_WholeScorer):
    """Protocols `lfw/10fold/<by>@1`, `pairs/10fold/<by>@1`, `pairs/10fold/tar1e-3/<by>@1` and `pairs/<by>@1`.

    `tar1e-3`: the same metrics, of which `tar_at_far_1e-3` ranks.

    `<by>`: `cosine`, `l2`, `l1` compare embeddings; `declared` uses the distance each method declares; `given` takes
    values of pairs made elsewhere. Module `roc` defines auc, eer and tar_at_far; module `folds` the accuracy over
    folds, whose threshold is chosen on the training folds.

    Weights are per image; a genuine pair weighs that of its person, an impostor pair the product of both. Lists that
    decompose into clusters of people are resampled by these (module `clusters`); there each pair has the weight of its
    cluster.
    """

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.folded = self.rules.family in FOLDED
        accuracy = MetricSpec("accuracy_10fold", "mean accuracy over folds, threshold chosen on the other folds")
        metrics = ((accuracy,) if self.folded else ()) + _ROC_METRICS
        if self.rules.family == STRICT:  # stable: only the primary moves
            metrics = tuple(sorted(metrics, key=lambda metric: metric.name != STRICT_METRIC))
        self.metrics = metrics

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per pair whose first image is among `units`: unit, other, same, joint, fold, similarity.

        `joint`: both images are drawn together, being of one person or one cluster. Labels of pairs, where given,
        decide which people they show (module `pair_list`).
        """
        pairs, identity = cast("Pairs", targets["pairs"]), np.asarray(targets["identity"])
        clustered = pair_clusters(pairs, identity) is not None
        similarity = self._given(predictions, len(pairs)) if self.rules.by == GIVEN else None
        rows = slice(None) if len(units) == len(identity) else np.flatnonzero(np.isin(pairs.first, units))
        first, second, fold, same = (
            pairs.first[rows],
            pairs.second[rows],
            pairs.fold[rows],
            pairs.genuine(identity, rows),
        )
        together = same if pairs.same is None else same | (identity[first] == identity[second])
        similarity = None if similarity is None else similarity[rows]
        if similarity is None:
            similarity = pair_similarity(predictions["embedding"], first, second, self._distance(predictions))
        columns = {"unit": first.astype(np.int64), "other": second, "same": same, "joint": together | clustered}
        return Table({**columns, "fold": fold, "similarity": similarity})

    def notices(self, table: Table) -> Sequence[Notice]:
        return notices_of_pairs(table, folded=self.folded)

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return every metric, None where undefined. DataError for pairs of one kind only."""
        self._check(table)
        if weights is None:
            numbers = roc_numbers(table["similarity"], table["same"])
            if self.folded:
                accuracy = FoldAccuracy(table["similarity"], table["same"], table["fold"])
                numbers["accuracy_10fold"] = accuracy.mean(np.ones(len(table)))
        else:
            many = self.summarise_many(table, np.asarray(weights, dtype=np.float64)[None])
            numbers = {name: float(values[0]) for name, values in many.items()}
        return {spec.name: None if np.isnan(numbers[spec.name]) else numbers[spec.name] for spec in self.metrics}

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        return self.by_counts(table)(weights)

    def by_counts(self, table: Table, group_of: Array | None = None) -> Callable[[Array], dict[str, Array]]:
        similarity, same = table["similarity"], table["same"]
        first, second = table["unit"].astype(np.int32), table["other"].astype(np.int32)
        if group_of is not None:
            first, second = (group_of.astype(np.int32)[images] for images in (first, second))
        one = int(max(first.max(initial=-1), second.max(initial=-1))) + 1
        second[table["joint"]] = one  # a joint pair weighs w_a * 1
        roc = WeightedRoc(similarity, same, first, second)
        folds = FoldAccuracy(similarity, same, table["fold"]) if self.folded else None

        def summarise(weights: Array) -> dict[str, Array]:
            rows = np.ones((len(weights), one + 1), dtype=weights.dtype)
            rows[:, :one] = weights[:, :one]
            found = roc.numbers(rows)
            if folds is not None:
                wide = rows.astype(np.float64)
                found["accuracy_10fold"] = np.array([folds.mean(row[first] * row[second]) for row in wide])
            return {spec.name: found[spec.name] for spec in self.metrics}

        return summarise

    def unit_groups(self, groups: Array, targets: Targets) -> Array:
        """Return the cluster of each image where the list decomposes, else its person."""
        clusters = pair_clusters(cast("Pairs", targets["pairs"]), np.asarray(targets["identity"]))
        return groups if clusters is None else clusters

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that these rows leave undefined, each with the reason."""
        rivals = int(np.count_nonzero(~table["same"]))
        return {
            f"tar_at_far_1e-{k}": f"{rivals} impostor pairs cannot show a rate of 1e-{k}; wanted {10**k}"
            for k in EXPONENTS
            if rivals < 10**k
        }

    def replicate_count(self, table: Table) -> int:
        """Return the number of bootstrap replicates: 200 above a million pairs to save time, else the default."""
        return FEW_REPLICATES if len(table) > MANY_PAIRS else super().replicate_count(table)

    def _given(self, predictions: Predictions, count: int) -> Array:
        if "similarity" not in predictions:
            raise PredictionError(
                f"protocol {self.protocol_id!r} wants values of pairs, got {', '.join(sorted(predictions))}."
            )
        values = np.asarray(predictions["similarity"])
        if len(values) != count:
            raise PredictionError(f"field 'similarity': wanted {count} values, one per pair, got {len(values)}.")
        return values

    def _check(self, table: Table) -> None:
        genuine = int(np.count_nonzero(table["same"]))
        if genuine in (0, len(table)):
            kind = "genuine" if genuine else "impostor"
            raise DataError(f"the pair list has {len(table)} pairs, all of them {kind}; wanted both kinds.")
        if (self.folded and len(np.unique(table["fold"])) < 2) or (self.folded and (table["fold"] == NO_FOLD).any()):
            raise DataError(f"protocol {self.protocol_id!r} wants pairs in two folds or more; use the family 'pairs'.")


class IdentificationScorer(_WholeScorer, VectorizedScorer):
    """Protocols `identification/closed-set/<by>@1`: gallery = the first image of each person, probes = the later ones.

    `rank_k`: share of probes whose person is among the k most similar gallery images; among equally similar ones the
    earlier counts as more similar. People with one image are in the gallery only.
    """

    metrics = tuple(
        MetricSpec(f"rank{rank}", f"share of probes whose person is among the {rank} most similar of the gallery")
        for rank in IDENTIFICATION_RANKS
    )

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per probe among `units`: unit, position (0-based rank of its person in the gallery)."""
        identity = np.asarray(targets["identity"])
        roles = roles_of(identity)
        probes = roles.probes[np.isin(roles.probes, units)]
        embedding, distance = predictions["embedding"], self._distance(predictions)
        ranks = probe_ranks(embedding, identity, probes, roles.gallery, distance)
        return Table({"unit": probes.astype(np.int64), "position": ranks})

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return every metric. DataError when there is no probe."""
        if not len(table):
            raise DataError("no person has two images or more, so nobody can be looked up.")
        return super().summarise(table, weights)

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        chosen = weights[:, table["unit"]]
        found = np.stack([table["position"] < rank for rank in IDENTIFICATION_RANKS], axis=1).astype(np.float64)
        with np.errstate(invalid="ignore"):
            shares = (chosen @ found) / chosen.sum(axis=1, keepdims=True)
        return dict(zip((spec.name for spec in self.metrics), shares.T, strict=True))


def scorer_of(protocol: str) -> Scorer:
    """Return the scorer of a protocol id; UnknownNameError lists the known ones."""
    make: Any = IdentificationScorer if parse_protocol(protocol).family == IDENTIFICATION else PairScorer
    scorer: Scorer = make(protocol)
    return scorer
