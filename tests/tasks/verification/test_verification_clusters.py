"""What a pair list is resampled by: people, or clusters of people without a pair between them."""

from __future__ import annotations

import numpy as np
from support.worlds import faces, folds

from mlcvbench_verification.clusters import pair_clusters
from mlcvbench_verification.pairs import Pairs


def listed(first, second):
    first, second = np.asarray(first, np.int32), np.asarray(second, np.int32)
    return Pairs(first, second, np.full(len(first), -1, dtype=np.int16))


def test_clusters_join_people_who_meet_in_a_pair_and_all_their_images():
    starts = 5 * np.arange(40)  # five images each time: people a a b c c, pairs (a1, b), (a2, c1)
    identity = np.ravel(3 * np.arange(40)[:, None] + np.array([0, 0, 1, 2, 2]))
    pairs = listed(np.concatenate([starts, starts + 1]), np.concatenate([starts + 2, starts + 3]))

    clusters = pair_clusters(pairs, identity)

    assert len(np.unique(clusters)) == 40
    assert (clusters.reshape(40, 5) == clusters.reshape(40, 5)[:, :1]).all()


def test_too_few_clusters_are_no_sample():
    starts = 2 * np.arange(29)

    assert pair_clusters(listed(starts, starts + 1), np.arange(58)) is None
    assert pair_clusters(listed(2 * np.arange(30), 2 * np.arange(30) + 1), np.arange(60)) is not None


def test_clusters_of_very_unlike_size_are_no_sample():
    chain = np.arange(100)
    alone = 102 + 2 * np.arange(40)

    pairs = listed(np.concatenate([chain, alone]), np.concatenate([chain + 1, alone + 1]))

    assert pair_clusters(pairs, np.arange(200)) is None


def test_no_pairs_have_no_clusters():
    assert pair_clusters(listed([], []), np.arange(5)) is None


def test_all_pairs_are_resampled_by_people():
    sample = faces()(np.random.default_rng(0), 20)

    assert len(np.unique(sample.groups)) == 20
    assert (sample.table["joint"] == sample.table["same"]).all()


def test_a_pair_of_a_list_of_clusters_weighs_its_cluster():
    sample = folds()(np.random.default_rng(0), 800)
    clusters = np.unique(sample.groups, return_inverse=True)[1]
    drawn = np.random.default_rng(1).integers(0, 3, clusters.max() + 1).astype(float)
    weights = drawn[clusters]

    weighted = sample.scorer.summarise(sample.table, weights)

    again = np.repeat(np.arange(len(sample.table)), weights[sample.table["unit"]].astype(int))
    repeated = type(sample.table)({name: column[again] for name, column in sample.table.columns.items()})
    assert sample.table["joint"].all()
    assert weighted == sample.scorer.summarise(repeated)
