"""What about pairs and their values is legal but surely not meant is said; what is meant is not."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import Notice, Table
from mlcvbench_verification.scoring import scorer_of

COUNT = 400


def rows(similarity, same, fold=None) -> Table:
    count = len(same)
    fold = np.arange(count) % 10 if fold is None else fold
    return Table(
        {"unit": np.arange(count), "same": np.asarray(same), "fold": fold, "similarity": np.asarray(similarity)}
    )


def noticed(similarity, same, protocol: str = "pairs/10fold/given@1", fold=None) -> list[Notice]:
    return list(scorer_of(protocol).notices(rows(similarity, same, fold)))


SAME = np.arange(COUNT) % 2 == 0
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0, 0.3, 3])
def test_nothing_is_said_of_good_bad_and_random_values(shift):
    assert noticed(RNG.normal(size=COUNT) + shift * SAME, SAME) == []


def test_distances_given_as_similarity_are_recognised():
    (notice,) = noticed(SAME * -1.0 + RNG.normal(0, 0.2, COUNT), SAME)

    assert notice.code == "looks-reversed"
    assert notice.text.startswith("genuine pairs are less similar than impostor pairs (AUC 0.0")
    assert notice.text.endswith(
        "%): if the values are distances, say value=distance, and value=similarity if they are not; embeddings may be "
        "meant for another distance."
    )


def test_values_after_a_threshold_and_values_that_are_all_equal_are_recognised():
    answers = np.where(RNG.random(COUNT) < 0.9, SAME, ~SAME).astype(float)

    assert noticed(answers, SAME) == [
        Notice(
            "two-values",
            "the pairs have only two different similarities, as after a threshold, so that the curve has one point; "
            "hand in the values before the threshold.",
        )
    ]
    assert noticed(np.full(COUNT, 0.25), SAME) == [
        Notice("all-equal", "all pairs have the same similarity, 0.25: the metrics are meaningless.", COUNT)
    ]


def test_few_pairs_of_a_kind_are_said_with_what_one_is_worth():
    same = np.arange(COUNT) < 8

    assert noticed(RNG.normal(size=COUNT) + 9 * same, same) == [
        Notice(
            "few-pairs",
            "there are 8 genuine and 392 impostor pairs: one pair is worth 12.5% of a rate, and a false accept rate of "
            "1e-k takes 10^k impostor pairs.",
            8,
        )
    ]


def test_other_than_ten_folds_are_said_where_folds_matter():
    values, folds = RNG.normal(size=COUNT) + SAME, np.arange(COUNT) // 2 % 5

    assert noticed(values, SAME, fold=folds) == [
        Notice(
            "folds-not-ten", "accuracy_10fold is the mean over 5 folds, not ten; so many are in the list of pairs.", 5
        )
    ]
    assert noticed(values, SAME, "pairs/given@1", folds) == []


def test_of_millions_of_pairs_a_part_is_looked_at():
    same = np.arange(1_000_000) % 50 == 0

    (notice,) = noticed(RNG.random(1_000_000) - same, same)

    assert (notice.code, notice.text[:64]) == (
        "looks-reversed",
        "genuine pairs are less similar than impostor pairs (AUC 0.00%): ",
    )
