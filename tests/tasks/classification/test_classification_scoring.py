"""The metrics against scikit-learn and torchmetrics, on random, tied and degenerate inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.classification import problem_of

from mlcvbench.contract import Table
from mlcvbench.errors import DataError
from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import interval
from mlcvbench_classification import sums
from mlcvbench_classification.ranking import rank_labels, rank_probabilities
from mlcvbench_classification.scoring import ClassificationScorer, FirstScorer, confidence_bins, confusion_matrix

relaxed = settings(deadline=None, derandomize=True, database=None)
NAMES = ("top1", "top5", "macro_f1", "nll", "ece", "balanced_accuracy", "weighted_f1")


def rows(scores: np.ndarray, labels: np.ndarray) -> Table:
    scorer = ClassificationScorer(problem_of(scores.shape[1]))
    return scorer.rows({"scores": scores.astype(np.float32)}, {"label": labels}, np.arange(len(labels)))


def summary(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float | None]:
    return ClassificationScorer(problem_of(scores.shape[1])).summarise(rows(scores, labels), weights)


def random_case(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), labels] += rng.normal(2, 1, count).astype(np.float32)
    return scores, labels


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties and huge gaps, and labels that may leave classes out."""
    count, classes = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    value = st.one_of(st.integers(-2, 2).map(float), st.floats(-(2.0**120), 2.0**120, width=32))
    scores = draw(hnp.arrays(np.float32, (count, classes), elements=value))
    labels = draw(hnp.arrays(np.int64, count, elements=st.integers(0, classes - 1)))
    return scores, labels


def rank_by_sorting(scores: np.ndarray, label: int) -> int:
    order = sorted(range(len(scores)), key=lambda j: (-scores[j], j))
    return order.index(label)


@relaxed
@given(cases())
def test_rank_and_prediction_equal_a_stable_sort_with_ties_to_the_lower_class(case):
    scores, labels = case

    ranking = rank_labels(scores, labels)

    assert ranking.rank.tolist() == [rank_by_sorting(row, label) for row, label in zip(scores, labels, strict=True)]
    assert ranking.prediction.tolist() == [int(np.argmax(row)) for row in scores]


@relaxed
@given(cases())
def test_loss_and_confidence_equal_a_float64_softmax(case):
    scores, labels = case
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1)

    ranking = rank_labels(scores, labels)

    expected = np.log(total) - shifted[np.arange(len(labels)), labels]
    np.testing.assert_allclose(ranking.loss, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ranking.confidence, 1 / total, rtol=0, atol=1e-6)
    assert ((ranking.confidence > 0) & (ranking.confidence <= 1)).all()


@relaxed
@given(cases())
def test_what_counts_decisions_equals_scikit_learn(case):
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    scores, labels = case

    found = summary(scores, labels)

    predicted = scores.argmax(axis=1)
    assert found["top1"] == accuracy_score(labels, predicted)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0), abs=1e-12)
    assert found["weighted_f1"] == pytest.approx(
        f1_score(labels, predicted, average="weighted", zero_division=0), abs=1e-12
    )
    # balanced_accuracy_score without its warning that a class was predicted which has no label
    balanced = recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    assert found["balanced_accuracy"] == pytest.approx(balanced, abs=1e-12)


@relaxed
@given(cases())
def test_a_result_does_not_depend_on_how_rows_are_cut_into_shards(case):
    scores, labels = case
    scorer = ClassificationScorer(problem_of(scores.shape[1]))
    whole = rows(scores, labels)
    parts = [
        scorer.rows({"scores": scores[at]}, {"label": labels[at]}, at)
        for at in np.array_split(np.arange(len(labels)), 3)[::-1]
    ]

    joined = Table.concatenate(parts)

    for name in whole.columns:
        assert np.array_equal(whole[name], joined[name])
    assert scorer.summarise(joined) == scorer.summarise(whole)


@relaxed
@given(cases(), st.data())
def test_whole_weights_equal_repeated_samples_bit_for_bit(case, data):
    scores, labels = case
    weights = data.draw(hnp.arrays(np.int64, len(labels), elements=st.integers(0, 3)))
    repeated = np.repeat(np.arange(len(labels)), weights)

    weighted = summary(scores, labels, weights.astype(np.float64))

    if not len(repeated):
        assert weighted == dict.fromkeys(NAMES)
    elif np.abs(scores).max() < 1e6:  # sums of losses are exact up to 2^29 nats
        assert weighted == summary(scores[repeated], labels[repeated])


@relaxed
@given(cases())
def test_unit_weights_change_nothing(case):
    scores, labels = case

    assert summary(scores, labels, np.ones(len(labels))) == summary(scores, labels)


@pytest.mark.parametrize("classes", [3, 10, 64, 65, 200])
def test_many_resamples_at_once_equal_one_at_a_time_bit_for_bit(classes):
    scores, labels = random_case(500, classes)
    scorer, table = ClassificationScorer(problem_of(classes)), rows(scores, labels)
    weights = np.random.default_rng(1).multinomial(500, np.full(500, 1 / 500), size=20).astype(np.float64)

    many = scorer.summarise_many(table, weights)

    for number, row in enumerate(weights):
        one = scorer.summarise(table, row)
        assert {n: None if np.isnan(many[n][number]) else many[n][number] for n in many} == one


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize("size", [500, 10_000])
def test_whole_numbers_of_any_type_are_weights_like_others_bit_for_bit(size, dtype):
    scores, labels = random_case(size, 12)
    scorer, table = ClassificationScorer(problem_of(12)), rows(scores, labels)
    weights = np.random.default_rng(1).poisson(1, (5, size)).astype(dtype)

    found = scorer.by_counts(table)(weights)

    wanted = scorer.summarise_many(table, weights.astype(np.float64))
    assert all(np.array_equal(found[name], wanted[name]) for name in NAMES)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_weights_of_groups_are_those_of_their_samples_bit_for_bit(monkeypatch, kept, dtype):
    monkeypatch.setattr(sums, "_MOST_SUMS", 64 if kept else 0)
    scores, labels = random_case(3_000, 12)
    scorer, table = ClassificationScorer(problem_of(12)), rows(scores, labels)
    rng = np.random.default_rng(1)
    group_of, weights = rng.integers(0, 50, 3_000), rng.poisson(1, (5, 50)).astype(dtype)

    found = scorer.by_counts(table, group_of)(weights)

    wanted = scorer.by_counts(table)(weights[:, group_of])
    assert all(np.array_equal(found[name], wanted[name]) for name in NAMES)


def test_counts_beyond_float32_are_exact():
    scores, labels = random_case(500, 8)
    scorer, table = ClassificationScorer(problem_of(8)), rows(scores, labels)
    weights = np.random.default_rng(1).integers(0, 2**22, (3, 20))

    found = scorer.by_counts(table, np.arange(500) % 20)(weights)

    wanted = scorer.summarise_many(table, weights[:, np.arange(500) % 20].astype(np.float64))
    assert all(np.array_equal(found[name], wanted[name]) for name in NAMES if name not in {"nll", "ece"})


@pytest.mark.parametrize("classes", [8, 100])
def test_intervals_from_bundles_are_those_of_single_samples_within_the_error_of_1000_resamples(monkeypatch, classes):
    scores, labels = random_case(12_000, classes, seed=3)
    scorer, table, units = ClassificationScorer(problem_of(classes)), rows(scores, labels), np.arange(12_000)
    values = scorer.summarise(table)
    alone = bootstrap.replicates(scorer, table, units, seed=4)
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 10_000)
    monkeypatch.setattr(bootstrap, "BUNDLES", 2_048)

    bundled = bootstrap.replicates(scorer, table, units, seed=4)

    for name in NAMES:
        ends, wanted = (
            interval(values[name], draws[name], 12_000, fraction=name != "nll") for draws in (bundled, alone)
        )
        slack = 0.3 * alone[name].std()  # an end moves by 0.08 of a standard error between seeds
        assert not np.array_equal(bundled[name], alone[name])
        assert (ends.low, ends.high) == pytest.approx((wanted.low, wanted.high), abs=slack), name


def test_a_subset_of_the_units_takes_the_weights_of_its_units():
    scores, labels = random_case(30, 10)
    scorer, whole = ClassificationScorer(problem_of(10)), rows(scores, labels)
    chosen = np.arange(10, 20)
    part = Table({name: column[chosen] for name, column in whole.columns.items()})
    weights = np.arange(30.0)

    found = scorer.summarise(part, weights)

    assert found == summary(scores[chosen], labels[chosen], weights[chosen])


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_equals_torchmetrics_and_scikit_learn_on_random_scores(seed):
    import torch
    from sklearn.metrics import log_loss
    from torchmetrics.functional import classification as tm

    scores, labels = random_case(700, 12, seed)
    probabilities = torch.softmax(torch.from_numpy(scores), 1)
    target = torch.from_numpy(labels)

    found = summary(scores, labels)

    assert found["top1"] == pytest.approx(float(tm.multiclass_accuracy(probabilities, target, 12, "micro")), abs=1e-6)
    assert found["top5"] == pytest.approx(
        float(tm.multiclass_accuracy(probabilities, target, 12, "micro", top_k=5)), abs=1e-6
    )
    assert found["macro_f1"] == pytest.approx(float(tm.multiclass_f1_score(probabilities, target, 12)), abs=1e-6)
    assert found["ece"] == pytest.approx(
        float(tm.multiclass_calibration_error(probabilities, target, 12, n_bins=15)), abs=1e-6
    )
    assert found["nll"] == pytest.approx(
        log_loss(labels, torch.softmax(torch.from_numpy(scores).double(), 1).numpy(), labels=range(12)), abs=1e-6
    )


@relaxed
@given(hnp.arrays(np.float32, 30, elements=st.floats(0, 1, width=32)))
def test_bins_are_torchmetrics_bins_up_to_the_last_bit_of_its_edges(confidences):
    import torch

    edges = torch.linspace(0, 1, 16)
    near = np.abs(confidences[:, None] - edges.numpy()[1:15]).min(axis=1) < 1e-6
    values = confidences[~near]

    bins = confidence_bins(values)

    assert bins.tolist() == (torch.bucketize(torch.from_numpy(values), edges, right=True) - 1).tolist()


def test_an_edge_belongs_to_the_bin_above_it():
    edges = (np.arange(16) / 15).astype(np.float32)

    assert confidence_bins(edges).tolist() == list(range(16))


def test_certain_and_right_predictions_are_calibrated_and_certain_and_wrong_ones_are_not():
    scores = np.full((4, 6), -1e38, np.float32)
    scores[:, 2] = 1e38

    right, wrong = summary(scores, np.full(4, 2)), summary(scores, np.full(4, 3))

    assert right == dict.fromkeys(NAMES, 1.0) | {"nll": 0.0, "ece": 0.0}
    assert (wrong["top1"], wrong["macro_f1"], wrong["ece"]) == (0.0, 0.0, 1.0)
    assert wrong["nll"] == pytest.approx(2e38)


def test_constant_scores_predict_the_first_class_and_rank_labels_by_index():
    table = rows(np.zeros((7, 7), np.float32), np.arange(7))

    assert table["prediction"].tolist() == [0] * 7
    assert table["label_rank"].tolist() == list(range(7))


def test_a_class_that_does_not_occur_is_left_out_of_macro_f1():
    scores = np.eye(8, dtype=np.float32)[[0, 1, 1]]

    found = summary(scores, np.array([0, 1, 1]))

    assert found["macro_f1"] == 1.0


def test_no_samples_leave_every_metric_undefined_with_the_reason():
    scorer, table = ClassificationScorer(problem_of(10)), rows(np.zeros((0, 10), np.float32), np.zeros(0, np.int64))

    assert scorer.summarise(table) == dict.fromkeys(NAMES)
    assert scorer.undefined(table) == dict.fromkeys(NAMES, "there are no samples")


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_top5_is_undefined_when_it_could_only_be_one(classes):
    scores, labels = random_case(20, classes)
    scorer = ClassificationScorer(problem_of(classes))

    assert summary(scores, labels)["top5"] is None
    assert scorer.undefined(rows(scores, labels)) == {
        "top5": f"with {classes} classes the label is always among the five highest scores"
    }


def test_predictions_without_scores_have_what_counts_decisions_only():
    scorer = ClassificationScorer(problem_of(10))
    labels = np.array([1, 2, 3])

    table = scorer.rows({"labels": np.array([1, 2, 0])}, {"label": labels}, np.arange(3))

    reason = "the predictions are labels without scores"
    assert scorer.summarise(table) == {
        "top1": pytest.approx(2 / 3),
        "macro_f1": pytest.approx(0.5),
        "top5": None,
        "nll": None,
        "ece": None,
        "balanced_accuracy": pytest.approx(2 / 3),
        "weighted_f1": pytest.approx(2 / 3),
    }
    assert scorer.undefined(table) == {"top5": reason, "nll": reason, "ece": reason}


def test_a_label_outside_the_class_list_is_named():
    with pytest.raises(DataError) as caught:
        rows(np.zeros((2, 3), np.float32), np.array([0, 3]))

    assert str(caught.value) == "label 3 is outside the class list; wanted 0 to 2."


def test_blocks_do_not_change_the_rows(monkeypatch):
    scores, labels = random_case(101, 13)
    whole = rank_labels(scores, labels)
    monkeypatch.setattr("mlcvbench_classification.ranking.BLOCK_SCORES", 13 * 7)

    blocked = rank_labels(scores, labels)

    for one, other in zip(whole, blocked, strict=True):
        assert np.array_equal(one, other)


def test_the_confusion_matrix_counts_labels_by_row():
    table = rows(np.eye(3, dtype=np.float32)[[0, 2, 2]], np.array([0, 1, 2]))

    assert confusion_matrix(table, 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_the_primary_metric_and_its_order_are_fixed():
    scorer = ClassificationScorer(problem_of(10))

    assert [metric.name for metric in scorer.metrics] == list(NAMES)
    assert [metric.name for metric in FirstScorer(problem_of(10)).metrics] == list(NAMES[:5])
    assert scorer.primary().name == "top1"


def given(probabilities: np.ndarray, labels: np.ndarray, scorer: type[ClassificationScorer] = ClassificationScorer):
    """Return the metrics of probabilities that are given as such."""
    one = scorer(problem_of(probabilities.shape[1]))
    columns = {"probabilities": probabilities.astype(np.float32)}
    return one.summarise(one.rows(columns, {"label": labels}, np.arange(len(labels))))


def edges(confidences: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return 60 rows of these highest probabilities in turn, every second one right."""
    labels = np.repeat(np.arange(3), 20)
    rows = np.zeros((60, 3))
    for k, label in enumerate(labels):
        best = confidences[k % len(confidences)]
        rows[k] = (1 - best) / 2
        rows[k, label if k % 2 == 0 else (label + 1) % 3] = best
    return rows, labels


def test_round_probabilities_fall_into_the_bins_that_begin_with_them():
    probabilities, labels = edges([0.6, 0.59, 0.8, 0.79])

    assert given(probabilities, labels)["ece"] == pytest.approx(0.495, abs=1e-6)  # torchmetrics 1.9.0 as well
    assert given(probabilities, labels, FirstScorer)["ece"] == pytest.approx(0.295, abs=1e-6)  # as it was published


@pytest.mark.parametrize("k", range(6, 15))
def test_the_probability_k_of_15_is_apart_from_one_a_little_less(k):
    probabilities, labels = edges([k / 15, k / 15 - 0.001])

    found = given(probabilities, labels)

    assert found["ece"] == pytest.approx((1 - k / 15 + k / 15 - 0.001) / 2, abs=1e-6)


def test_certainty_belongs_to_the_last_bin():
    labels = np.repeat(np.arange(3), 20)
    rows = np.full((60, 3), 0.025)
    rows[np.arange(60), labels] = 0.95
    for k in range(0, 60, 2):
        rows[k] = 0
        rows[k, labels[k] if (k // 2) % 2 == 0 else (labels[k] + 1) % 3] = 1

    assert given(rows, labels)["ece"] == pytest.approx(0.225, abs=1e-6)  # Guo et al. 2017, 15 bins, the last closed
    assert given(rows, labels, FirstScorer)["ece"] == pytest.approx(0.275, abs=1e-6)  # as it was published
    logits = np.array([[1e3, 0, 0]] * 3 + [[3.5, 0, 0]], np.float32)  # softmax 1, and 0.943 in the same bin
    assert summary(logits, np.array([1, 0, 0, 0]))["ece"] == pytest.approx((3 + 0.943) / 4 - 3 / 4, abs=1e-4)


def test_a_probability_of_zero_costs_at_most_the_documented_floor():
    rows = np.full((60, 3), 1 / 3)
    rows[0] = [0, 0.5, 0.5]
    labels = np.repeat(np.arange(3), 20)

    found = given(rows, labels)["nll"]

    assert found == pytest.approx((59 * np.log(3) + 87.3365) / 60, abs=1e-4)
    assert "at most 87.34 per sample" in ClassificationScorer.metrics[3].summary


@pytest.mark.parametrize("seed", range(3))
def test_given_probabilities_score_as_scikit_learn_says(seed):
    from sklearn.metrics import log_loss

    scores, labels = random_case(500, 12, seed)
    probabilities = np.exp(scores.astype(np.float64))
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)

    found, by_logits = given(probabilities, labels), summary(scores, labels)

    assert found["nll"] == pytest.approx(log_loss(labels, probabilities, labels=range(12)), abs=1e-6)
    assert {name: found[name] for name in NAMES} == {name: pytest.approx(by_logits[name], abs=2e-6) for name in NAMES}


def test_ties_of_probabilities_go_to_the_lower_class():
    ranking = rank_probabilities(np.array([[0.25, 0.25, 0.5], [0.4, 0.2, 0.4]], np.float32), np.array([1, 2]))

    assert ranking.prediction.tolist() == [2, 0]
    assert ranking.rank.tolist() == [2, 1]
