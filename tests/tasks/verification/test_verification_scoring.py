"""Scoring of pairs and of identification: folds, weights by person, shards, references from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faces import PROTOCOL, embeddings, face_split

from mlcvbench.contract import Problem, Table
from mlcvbench.errors import DataError, PredictionError, UnknownNameError
from mlcvbench.stats import bootstrap, intervals
from mlcvbench.stats.intervals import interval
from mlcvbench_verification import similarity
from mlcvbench_verification.folds import FoldAccuracy
from mlcvbench_verification.identification import probe_ranks, roles_of
from mlcvbench_verification.pairs import all_pairs, read_lfw_pairs
from mlcvbench_verification.scoring import PairScorer, scorer_of
from mlcvbench_verification.similarity import DISTANCES, pair_similarity
from mlcvbench_verification.split import FaceSplit
from mlcvbench_verification.task import VerificationTask

PROBLEM = Problem("verification", (), {}, {})


def table_of(scorer, split, predictions, shards=1):
    units = np.array_split(np.arange(len(split)), shards)
    return Table.concatenate([scorer.rows(predictions, split.targets(), part) for part in units])


def brute_accuracy(similarity, same, fold):
    accuracies = []
    for number in np.unique(fold):
        train = fold != number
        best, chosen = -1.0, None
        for threshold in [np.inf, *np.unique(similarity[train])[::-1]]:
            right = ((similarity[train] >= threshold) == same[train]).mean()
            if right > best:
                best, chosen = right, threshold
        accuracies.append(((similarity[~train] >= chosen) == same[~train]).mean())
    return np.mean(accuracies)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), st.booleans(), st.integers(0, 3)), min_size=8, max_size=60
    ).filter(lambda rows: len({row[2] for row in rows}) > 1)
)
def test_fold_accuracy_equals_its_definition(rows):
    similarity, same, fold = (np.array(column) for column in zip(*rows, strict=True))

    mean = FoldAccuracy(similarity, same, fold).mean(np.ones(len(rows)))

    assert mean == pytest.approx(brute_accuracy(similarity, same, fold), abs=1e-12)


def test_the_threshold_of_a_fold_never_sees_the_fold():
    similarity = np.array([0.9, 0.1] * 3 + [0.1, 0.9])
    same = np.array([True, False] * 4)
    fold = np.array([0, 0, 1, 1, 2, 2, 3, 3])

    assert FoldAccuracy(similarity, same, fold).mean(np.ones(8)) == (1 + 1 + 1 + 0) / 4


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_a_person_of_weight_w_counts_like_w_copies(seed):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 6, 30) / 8
    same, fold, counts = rng.random(30) < 0.5, np.arange(30) % 3, rng.integers(0, 3, 30)
    again = np.repeat(np.arange(30), counts)

    weighted = FoldAccuracy(similarity, same, fold).mean(counts.astype(float))

    repeated = FoldAccuracy(similarity[again], same[again], fold[again]).mean(np.ones(len(again)))
    assert weighted == repeated or (np.isnan(weighted) and np.isnan(repeated))


@pytest.mark.parametrize("protocol", ["lfw/10fold/cosine@1", "pairs/declared@1"])
def test_pair_shards_one_two_and_seven_give_the_same_bits(protocol):
    split = face_split(folds=5)
    scorer, predictions = scorer_of(protocol), embeddings(split)

    tables = [table_of(scorer, split, predictions, shards) for shards in (1, 2, 7)]

    assert scorer.summarise(tables[0]) == scorer.summarise(tables[1]) == scorer.summarise(tables[2])
    weights = np.random.default_rng(0).integers(0, 3, (2, len(split))).astype(float)
    many = [scorer.summarise_many(table, weights) for table in tables]
    assert all(np.array_equal(many[0][name], other[name], equal_nan=True) for other in many[1:] for name in other)


def test_identification_shards_give_the_same_bits():
    split = face_split()
    scorer, predictions = scorer_of("identification/closed-set/cosine@1"), embeddings(split, noise=2.0)

    values = [scorer.summarise(table_of(scorer, split, predictions, shards)) for shards in (1, 2, 7)]

    assert values[0] == values[1] == values[2]
    assert 0 < values[0]["rank1"] < values[0]["rank5"] <= values[0]["rank10"] <= 1


def test_weight_one_equals_no_weights():
    split = face_split(folds=4)
    scorer = scorer_of("lfw/10fold/cosine@1")
    table = table_of(scorer, split, embeddings(split))

    assert scorer.summarise(table) == scorer.summarise(table, np.ones(len(split)))


def test_a_genuine_pair_weighs_its_person_and_an_impostor_pair_both():
    split = face_split(count=3, each=2)
    scorer = scorer_of("pairs/cosine@1")
    table = table_of(scorer, split, embeddings(split))
    weights = np.array([2.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    pairs = table["unit"], table["other"], table["same"]
    copies = [int(weights[a] if same else weights[a] * weights[b]) for a, b, same in zip(*pairs, strict=True)]
    again = np.repeat(np.arange(len(table)), copies)

    weighted = scorer.summarise(table, weights)

    repeated = scorer.summarise(Table({name: column[again] for name, column in table.columns.items()}))
    assert weighted == repeated


@pytest.mark.parametrize("protocol", ["pairs/cosine@1", "pairs/10fold/cosine@1"])
def test_weights_of_people_are_those_of_their_images_bit_for_bit(protocol):
    split = face_split(count=8, each=3, folds=2 if "fold" in protocol else 0)
    scorer = scorer_of(protocol)
    table, person = table_of(scorer, split, embeddings(split)), np.asarray(split.targets()["identity"])
    weights = np.random.default_rng(0).poisson(1, (20, 8)).astype(np.uint8)

    found = scorer.by_counts(table, person)(weights)

    wanted = scorer.by_counts(table)(weights[:, person])
    assert all(np.array_equal(found[name], wanted[name], equal_nan=True) for name in wanted)


def test_bootstrap_over_people_brackets_the_value():
    split = face_split(count=20, each=3)
    scorer = scorer_of("pairs/cosine@1")
    table = table_of(scorer, split, embeddings(split, noise=1.2))

    replicates = bootstrap.replicates(scorer, table, scorer.unit_groups(split.groups, split.targets()), n=200, seed=3)

    value = scorer.summarise(table)["auc"]
    low, high = interval(value, replicates["auc"], 20)
    assert low < value < high
    assert high - low < 0.3


@pytest.mark.slow
def test_intervals_over_people_have_their_nominal_coverage():
    rng = np.random.default_rng(11)
    scorer, trials, noise, inside = scorer_of("pairs/l2@1"), 400, 0.5, 0
    gaps = np.abs(rng.normal(size=(2, 1_000_000)) * np.array([[noise], [np.sqrt(1 + noise**2)]]))
    expected = 1 - np.searchsorted(np.sort(gaps[1]), gaps[0]).mean() / gaps.shape[1]
    for trial in range(trials):
        split = face_split(count=50, each=2)
        identity = np.asarray(split.targets()["identity"])
        values = rng.normal(size=50)[identity] + noise * rng.normal(size=len(identity))
        predictions = {"embedding": values[:, None].astype(np.float32), "distance": np.full(len(identity), "l2")}
        table = table_of(scorer, split, predictions)
        replicates = bootstrap.replicates(scorer, table, split.groups, n=200, seed=trial)
        low, high = interval(scorer.summarise(table)["auc"], replicates["auc"], 50)
        inside += low <= expected <= high

    assert inside / trials == pytest.approx(intervals.LEVEL, abs=0.03)


@pytest.mark.parametrize("distance", DISTANCES)
def test_similarity_equals_scipy(distance):
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(2)
    embedding = rng.normal(size=(9, 5)).astype(np.float32)
    first, second = np.triu_indices(9, 1)
    name = {"cosine": "cosine", "l2": "euclidean", "l1": "cityblock"}[distance]
    wanted = cdist(embedding.astype(float), embedding.astype(float), name)[first, second]

    values = pair_similarity(embedding, first, second, distance)

    assert values == pytest.approx(1 - wanted if distance == "cosine" else -wanted, abs=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("size", [1, 3, 128])
@pytest.mark.parametrize("form", ["normal", "unlike lengths", "whole numbers", "repeated", "tiny"])
def test_all_pairs_at_once_are_as_similar_as_each_by_itself_to_the_bit(monkeypatch, distance, size, form):
    rng = np.random.default_rng(size)
    embedding = rng.normal(size=(60, size)).astype(np.float32)
    embedding = {
        "normal": embedding,
        "unlike lengths": embedding * np.float32(10) ** rng.integers(-6, 6, (60, 1)).astype(np.float32),
        "whole numbers": rng.integers(1, 4, (60, size)).astype(np.float32),
        "repeated": embedding.repeat(2, axis=0)[:60],
        "tiny": embedding * np.float32(1e-30),
    }[form]
    pairs = all_pairs(60)

    together = pair_similarity(embedding, pairs.first, pairs.second, distance)

    monkeypatch.setattr(similarity, "_PRODUCTS", {})
    alone = pair_similarity(embedding, pairs.first, pairs.second, distance)
    assert np.array_equal(together, alone)


def test_nearly_all_of_all_pairs_come_from_a_matrix_product(monkeypatch):
    rng, alone = np.random.default_rng(0), []
    embedding = rng.normal(size=(400, 64)).astype(np.float32)
    compare = similarity._COMPARE["cosine"]
    monkeypatch.setitem(similarity._COMPARE, "cosine", lambda one, other: alone.append(len(one)) or compare(one, other))
    pairs = all_pairs(400)

    pair_similarity(embedding, pairs.first, pairs.second, "cosine")

    assert sum(alone) < len(pairs) / 1000


def test_few_pairs_of_many_images_are_compared_one_by_one(monkeypatch):
    monkeypatch.setattr(similarity, "_PRODUCTS", {"cosine": None})
    embedding = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    first = np.arange(0, 100, 2)

    values = pair_similarity(embedding, first, first + 1, "cosine")

    assert len(values) == 50


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(DISTANCES), st.integers(1, 3))
def test_ranks_equal_brute_force_with_ties(seed, distance, size):
    rng = np.random.default_rng(seed)
    identity = np.unique(rng.integers(0, 6, 25), return_inverse=True)[1]
    embedding = rng.integers(1, 4, (25, size)).astype(np.float32)
    roles = roles_of(identity)

    ranks = probe_ranks(embedding, identity, roles.probes, roles.gallery, distance)

    for probe, rank in zip(roles.probes, ranks, strict=True):
        values = pair_similarity(embedding, np.full(len(roles.gallery), probe), roles.gallery, distance)
        own = int(np.flatnonzero(identity[roles.gallery] == identity[probe])[0])
        order = np.lexsort((np.arange(len(values)), -values))
        assert rank == int(np.flatnonzero(order == own)[0])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(DISTANCES), st.integers(1, 3))
def test_rank_k_is_the_share_of_probes_found_among_k(seed, distance, size):
    """Whole numbers as embeddings tie often; the gallery's order decides then, as a stable sort does."""
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(seed)
    identity = np.unique(rng.integers(0, 14, 30), return_inverse=True)[1]
    embedding = rng.integers(1, 4, (30, size)).astype(np.float32)
    name = {"cosine": "cosine", "l2": "euclidean", "l1": "cityblock"}[distance]
    gallery = [int(np.flatnonzero(identity == person)[0]) for person in np.unique(identity)]
    gallery.sort()
    probes = [image for image in range(30) if image not in gallery]
    gaps = np.round(cdist(embedding[probes].astype(float), embedding[gallery].astype(float), name), 7)
    order = np.argsort(gaps, axis=1, kind="stable")
    found = identity[gallery][order] == identity[probes][:, None]
    predictions = {"embedding": embedding, "distance": np.full(30, distance)}
    scorer = scorer_of(f"identification/closed-set/{distance}@1")

    values = scorer.summarise(scorer.rows(predictions, {"identity": identity}, np.arange(30)))

    for rank in (1, 5, 10):
        assert values[f"rank{rank}"] == pytest.approx(found[:, :rank].any(axis=1).mean(), abs=1e-12)


def test_rank_k_equals_scikit_learn():
    from sklearn.metrics import top_k_accuracy_score

    split = face_split(count=20, each=4)
    identity = np.asarray(split.targets()["identity"])
    predictions = embeddings(split, noise=2.5)
    scorer = scorer_of("identification/closed-set/cosine@1")
    unit = predictions["embedding"] / np.linalg.norm(predictions["embedding"], axis=1, keepdims=True)
    first = np.arange(len(split)) % 4 == 0
    similarity = unit[~first] @ unit[first].T

    values = scorer.summarise(scorer.rows(predictions, split.targets(), np.arange(len(split))))

    for rank in (1, 5, 10):
        wanted = top_k_accuracy_score(identity[~first], similarity, k=rank, labels=np.arange(20))
        assert values[f"rank{rank}"] == pytest.approx(wanted, abs=1e-12)


def test_a_stored_distance_file_is_scored_over_all_6000_lfw_pairs(tmp_path):
    named = read_lfw_pairs(PROTOCOL)
    split = FaceSplit("test", named.names, named.people, None, named.pairs)
    identity = np.asarray(split.targets()["identity"])
    same = identity[named.pairs.first] == identity[named.pairs.second]
    distance = np.random.default_rng(0).normal(1.2, 0.2, 6000) - 0.5 * same
    path = tmp_path / "distances.csv"
    path.write_text("distance\n" + "\n".join(f"{value:.6f}" for value in distance) + "\n")
    problem = Problem("verification", (), {}, {})

    external = VerificationTask().read_external(path, split, problem, {"value": "distance"})

    scorer = scorer_of(VerificationTask().scored_as(external.predictions, "lfw/10fold/cosine@1"))
    assert scorer.protocol_id == "lfw/10fold/given@1"
    values = scorer.summarise(table_of(scorer, split, external.predictions))
    rounded = np.round(distance, 6)
    assert values["accuracy_10fold"] == pytest.approx(brute_accuracy(-rounded, same, named.pairs.fold), abs=1e-12)
    assert values["tar_at_far_1e-3"] is not None
    assert values["tar_at_far_1e-4"] is None
    reason = scorer.undefined(table_of(scorer, split, external.predictions))["tar_at_far_1e-4"]
    assert reason == "3000 impostor pairs cannot show a rate of 1e-4; wanted 10000"


def test_lfw_protocol_has_ten_folds_of_three_hundred_pairs_of_each_kind():
    named = read_lfw_pairs(PROTOCOL)
    people = np.array(named.people)
    same = people[named.pairs.first] == people[named.pairs.second]

    assert len(named.pairs) == 6000
    assert np.bincount(named.pairs.fold).tolist() == [600] * 10
    assert all(np.count_nonzero(same[named.pairs.fold == fold]) == 300 for fold in range(10))
    assert named.names[named.pairs.first[0]] == "Abel_Pacheco/Abel_Pacheco_0001"
    assert len(set(named.names)) == len(named.names) == 7701


def test_one_kind_of_pairs_is_refused():
    split = face_split(count=1, each=4)

    with pytest.raises(DataError) as caught:
        scorer_of("pairs/cosine@1").summarise(table_of(scorer_of("pairs/cosine@1"), split, embeddings(split)))

    assert str(caught.value) == "the pair list has 6 pairs, all of them genuine; wanted both kinds."


def test_a_folded_protocol_needs_folds():
    split = face_split()
    scorer = scorer_of("lfw/10fold/cosine@1")

    with pytest.raises(DataError) as caught:
        scorer.summarise(table_of(scorer, split, embeddings(split)))

    assert str(caught.value) == (
        "protocol 'lfw/10fold/cosine@1' wants pairs in two folds or more; use the family 'pairs'."
    )


def test_a_protocol_with_another_distance_refuses_the_embeddings():
    split = face_split()
    predictions = embeddings(split) | {"distance": np.full(len(split), "l1")}

    with pytest.raises(PredictionError) as caught:
        scorer_of("pairs/cosine@1").rows(predictions, split.targets(), np.arange(len(split)))

    assert str(caught.value) == (
        "protocol 'pairs/cosine@1' compares by cosine, but these embeddings are meant for l1; "
        "use 'pairs/declared@1' to compare each method by its own distance."
    )


def test_people_with_one_image_only_cannot_be_looked_up():
    split = face_split(count=5, each=1)
    scorer = scorer_of("identification/closed-set/cosine@1")

    with pytest.raises(DataError) as caught:
        scorer.summarise(table_of(scorer, split, embeddings(split)))

    assert str(caught.value) == "no person has two images or more, so nobody can be looked up."


def test_millions_of_pairs_ask_for_fewer_replicates():
    few = Table({"unit": np.zeros(10, np.int64)})
    many = Table({"unit": np.broadcast_to(np.int64(0), 1_000_001)})

    assert PairScorer("pairs/cosine@1").replicate_count(few) == bootstrap.REPLICATES
    assert PairScorer("pairs/cosine@1").replicate_count(many) == 200


def test_an_unknown_protocol_offers_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        scorer_of("lfw/10fold/cosin@1")

    assert str(caught.value).startswith(
        "unknown verification protocol 'lfw/10fold/cosin@1'. Did you mean 'lfw/10fold/cosine@1'"
    )
