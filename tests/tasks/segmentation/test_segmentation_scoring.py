"""Segmentation metrics equal their definitions and torchmetrics, on random and degenerate maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlcvbench.contract import Problem
from mlcvbench.errors import DataError, PredictionError, UnknownNameError
from mlcvbench.running import scoring
from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import interval
from mlcvbench_segmentation.counting import count_pixels, joint_histogram
from mlcvbench_segmentation.scoring import SegmentationScorer, background_of, iou_names, parse_protocol

SKIP = "miou/ignore255/absent-skip@1"
FOREGROUND = "miou/ignore255/absent-skip/foreground/bf0.75@1"
PUBLISHED = np.array([[5, 2, 0], [1, 6, 1], [0, 0, 5]])


def problem(classes: int = 3) -> Problem:
    return Problem("segmentation", tuple(f"class{i}" for i in range(classes)), {})


def with_background(*names: str) -> Problem:
    return replace(problem(4), extra={"background": names})


def maps_of(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a label map and a prediction with the given counts, labels as rows."""
    pairs = [(i, j) for i, row in enumerate(joint) for j, n in enumerate(row) for _ in range(n)]
    label, guess = np.array(pairs, dtype=np.uint8).T
    return label[None], guess[None]


def values_of(scorer, labels, guesses):
    table = scorer.rows({"label_map": guesses}, {"label_map": labels}, np.arange(len(labels)))
    return scorer.summarise(table)


label_image = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255]))
guess_image = arrays(np.uint8, (5, 6), elements=st.integers(0, 3))


def test_published_confusion_matrix_gives_the_published_numbers():
    label, guess = maps_of(PUBLISHED)

    values = values_of(SegmentationScorer(SKIP, problem()), [label], [guess])

    assert values["pixel_accuracy"] == 0.8
    assert values["mean_accuracy"] == pytest.approx(0.821429, abs=5e-7)
    assert values["miou"] == pytest.approx(0.686111, abs=5e-7)
    assert values["fwiou"] == pytest.approx(0.667083, abs=5e-7)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(label_image, guess_image), min_size=1, max_size=3))
def test_metrics_equal_their_definition_pixel_by_pixel(pairs):
    labels, guesses = [p[0] for p in pairs], [p[1] for p in pairs]
    flat = np.concatenate([p.ravel() for p in labels])
    guess = np.concatenate([p.ravel() for p in guesses])
    kept, guess = flat[flat != 255].astype(int), guess[flat != 255].astype(int)

    values = values_of(SegmentationScorer(SKIP, problem(4)), labels, guesses)

    if not len(kept):
        assert all(value is None for value in values.values())
        return
    unions = [((kept == c) | (guess == c)).sum() for c in range(4)]
    hits = [((kept == c) & (guess == c)).sum() for c in range(4)]
    sizes = [(kept == c).sum() for c in range(4)]
    iou = [h / u for h, u in zip(hits, unions, strict=True) if u]
    assert values["miou"] == pytest.approx(np.mean(iou), abs=1e-12)
    assert values["pixel_accuracy"] == (kept == guess).mean()
    accuracy = [h / s for h, s in zip(hits, sizes, strict=True) if s]
    assert values["mean_accuracy"] == pytest.approx(np.mean(accuracy), abs=1e-12)
    weighted = sum(s * h / u for s, h, u in zip(sizes, hits, unions, strict=True) if u) / len(kept)
    assert values["fwiou"] == pytest.approx(weighted, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(label_image, guess_image), min_size=1, max_size=3))
def test_foreground_is_all_classes_but_the_background_as_one(pairs):
    labels, guesses = [p[0] for p in pairs], [p[1] for p in pairs]
    flat, guess = (np.concatenate([one.ravel() for one in side]) for side in (labels, guesses))
    thing, found = np.isin(flat, [1, 3]), np.isin(guess, [1, 3]) & (flat != 255)

    values = values_of(SegmentationScorer(FOREGROUND, with_background("class0", "class2")), labels, guesses)

    either = (thing | found).sum()
    assert values["foreground_iou"] == ((thing & found).sum() / either if either else None)


def test_a_wrong_class_of_a_thing_cut_out_well_costs_recognition_not_the_foreground():
    label, guess = np.array([[0, 1, 1, 2]], np.uint8), np.array([[0, 2, 2, 1]], np.uint8)

    values = values_of(SegmentationScorer(FOREGROUND, with_background("class0")), [label], [guess])

    assert values["foreground_iou"] == 1
    assert values["miou"] == pytest.approx(1 / 3)


def test_the_foreground_needs_something_labelled_or_predicted_as_such():
    scorer = SegmentationScorer(FOREGROUND, with_background("class0"))
    ground = np.zeros((2, 3), np.uint8)

    undefined = scorer.undefined(scorer.rows({"label_map": [ground]}, {"label_map": [ground]}, np.arange(1)))

    assert undefined["foreground_iou"] == "no pixel is labelled or predicted as foreground"


@pytest.mark.parametrize(
    ("classes", "extra", "background"),
    [
        (("background", "cat"), {}, ("background",)),
        (("sky", "ground", "cat"), {"background": ("ground", "sky")}, ("sky", "ground")),
        (("road", "car"), {}, ()),
    ],
)
def test_the_background_is_what_the_data_say_or_the_class_of_that_name(classes, extra, background):
    assert background_of(Problem("segmentation", classes, {}, extra)) == background


def test_metrics_equal_torchmetrics():
    torch = pytest.importorskip("torch")
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

    rng = np.random.default_rng(3)
    labels = [rng.choice([0, 1, 2, 3, 4, 255], (40, 50)).astype(np.uint8) for _ in range(4)]
    guesses = [rng.integers(0, 5, (40, 50)).astype(np.uint8) for _ in range(4)]
    metrics = {
        "miou": MulticlassJaccardIndex(5, ignore_index=255),
        "pixel_accuracy": MulticlassAccuracy(5, ignore_index=255, average="micro"),
        "mean_accuracy": MulticlassAccuracy(5, ignore_index=255, average="macro"),
        "fwiou": MulticlassJaccardIndex(5, ignore_index=255, average="weighted"),
    }
    for metric in metrics.values():
        for label, guess in zip(labels, guesses, strict=True):
            metric.update(torch.from_numpy(guess.astype(np.int64)), torch.from_numpy(label.astype(np.int64)))

    values = values_of(SegmentationScorer(SKIP, problem(5)), labels, guesses)

    for name, metric in metrics.items():
        assert values[name] == pytest.approx(float(metric.compute()), abs=1e-6), name


def test_absent_class_is_skipped_or_zero_as_the_protocol_says():
    label = np.array([[0, 0, 1, 1]], np.uint8)
    guess = np.array([[0, 0, 1, 0]], np.uint8)

    skipped = values_of(SegmentationScorer(SKIP, problem()), [label], [guess])
    zero = values_of(SegmentationScorer("miou/ignore255/absent-zero@1", problem()), [label], [guess])

    assert skipped["miou"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert zero["miou"] == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert (skipped["iou_class2"], zero["iou_class2"]) == (None, 0.0)
    scorer = SegmentationScorer(SKIP, problem())
    table = scorer.rows({"label_map": [guess]}, {"label_map": [label]}, np.arange(1))
    assert scorer.undefined(table) == {"iou_class2": "the class is neither labelled nor predicted"}
    assert zero["mean_accuracy"] == pytest.approx((1 + 0.5) / 3)


def test_class_predicted_but_never_labelled_counts_as_zero_iou_and_no_accuracy():
    values = values_of(
        SegmentationScorer(SKIP, problem()), [np.zeros((1, 2), np.uint8)], [np.array([[0, 2]], np.uint8)]
    )

    assert values["miou"] == pytest.approx((0.5 + 0.0) / 2)
    assert values["mean_accuracy"] == 0.5


def test_ignored_pixels_count_nowhere_whatever_is_predicted_there():
    label = np.array([[0, 255, 255, 1]], np.uint8)

    one = values_of(SegmentationScorer(SKIP, problem()), [label], [np.array([[0, 0, 1, 1]], np.uint8)])
    other = values_of(SegmentationScorer(SKIP, problem()), [label], [np.array([[0, 2, 2, 1]], np.uint8)])

    assert one == other
    assert one["miou"] == 1.0


def test_a_protocol_that_ignores_nothing_refuses_ignored_labels():
    scorer = SegmentationScorer("miou/ignore-none/absent-skip@1", problem())

    with pytest.raises(DataError) as caught:
        values_of(scorer, [np.array([[0, 255]], np.uint8)], [np.array([[0, 0]], np.uint8)])

    assert str(caught.value) == "sample 0 of the split: labels of the data set: wanted 0 to 2, got 255."


def test_a_prediction_of_another_size_is_refused():
    with pytest.raises(PredictionError) as caught:
        values_of(SegmentationScorer(SKIP, problem()), [np.zeros((2, 3), np.uint8)], [np.zeros((3, 2), np.uint8)])

    assert str(caught.value) == (
        "sample 0 of the split: field 'label_map': wanted 2 x 3 pixels like the labels, got 3 x 2; "
        "height and width are swapped."
    )


def test_a_predicted_label_outside_the_classes_is_refused_even_where_pixels_are_ignored():
    with pytest.raises(PredictionError) as caught:
        values_of(SegmentationScorer(SKIP, problem()), [np.full((1, 2), 255, np.uint8)], [np.full((1, 2), 7, np.uint8)])

    assert str(caught.value) == "sample 0 of the split: field 'label_map': wanted labels 0 to 2, got 7."


def test_more_than_255_classes_use_16_bits_and_their_own_ignored_value():
    label = np.array([[0, 299, 65535]], np.uint16)
    scorer = SegmentationScorer("miou/ignore65535/absent-skip@1", problem(300))

    values = values_of(scorer, [label], [np.array([[0, 298, 5]], np.uint16)])

    assert values["pixel_accuracy"] == 0.5
    with pytest.raises(DataError) as caught:
        SegmentationScorer(SKIP, problem(300))
    assert str(caught.value) == (
        "protocol 'miou/ignore255/absent-skip@1' ignores 255, but label maps of 300 classes hold 65535 "
        "where a pixel is ignored; use 'miou/ignore65535/absent-skip@1'."
    )


@settings(deadline=None, max_examples=40)
@given(label_image, guess_image)
def test_the_8_bit_count_equals_the_general_one(label, guess):
    fast = count_pixels(label, guess, 4, ignore=True)

    slow = count_pixels(label.astype(np.int64), guess.astype(np.int64), 4, ignore=True)

    assert np.array_equal(fast, slow)


def test_an_image_too_large_for_exact_float_cells_is_counted_exactly():
    label = np.zeros((4097, 4098), np.uint8)
    label[0, 0] = 1

    joint = joint_histogram(label, np.zeros_like(label), 2)

    assert joint[:2, 0].tolist() == [4097 * 4098 - 1, 1]
    assert joint.sum() == 4097 * 4098


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_runs_of_equal_pixels_are_counted_like_single_ones(width, run, seed):
    rng = np.random.default_rng(seed)
    label, guess = (np.repeat(rng.integers(0, 256, (2, width)), run, axis=1).astype(np.uint8) for _ in range(2))

    joint = joint_histogram(label, guess, 256)

    wanted = np.bincount((label.astype(int) * 256 + guess).ravel(), minlength=65536)
    assert np.array_equal(joint.ravel(), wanted)


def random_split(count=14, seed=0):
    rng = np.random.default_rng(seed)
    labels = [rng.choice([0, 1, 2, 255], (9, 7 + i % 3)).astype(np.uint8) for i in range(count)]
    guesses = [np.where(rng.random(lab.shape) < 0.6, np.minimum(lab, 2), 1).astype(np.uint8) for lab in labels]
    return {"label_map": guesses}, {"label_map": labels}


@pytest.mark.parametrize("protocol", [SKIP, "miou/ignore255/absent-zero/bf0.75@1"])
def test_shards_one_two_and_seven_give_the_same_bits(protocol):
    predictions, targets = random_split()
    scorer = SegmentationScorer(protocol, problem())

    values = [
        scorer.summarise(scoring.tabulate(scorer, predictions, targets, 14, shards=shards)) for shards in (1, 2, 7)
    ]

    assert values[0] == values[1] == values[2]


def test_a_weight_of_two_counts_an_image_twice_and_zero_leaves_it_out():
    predictions, targets = random_split(3)
    scorer = SegmentationScorer("miou/ignore255/absent-skip/bf0.75@1", problem())
    table = scoring.tabulate(scorer, predictions, targets, 3)
    chosen = [1, 1, 2]
    again = (
        {"label_map": [predictions["label_map"][i] for i in chosen]},
        {"label_map": [targets["label_map"][i] for i in chosen]},
    )

    weighted = scorer.summarise(table, np.array([0.0, 2.0, 1.0]))

    assert weighted == pytest.approx(scorer.summarise(scoring.tabulate(scorer, *again, 3)), abs=1e-15)
    assert scorer.summarise(table) == scorer.summarise(table, np.ones(3))


def test_bootstrap_replicates_bracket_the_value():
    predictions, targets = random_split(40)
    scorer = SegmentationScorer(SKIP, problem())
    table = scoring.tabulate(scorer, predictions, targets, 40)

    value = scorer.summarise(table)["miou"]
    low, high = interval(value, bootstrap.replicates(scorer, table, np.arange(40), n=200, seed=1)["miou"], 40)

    assert low < value < high


def test_class_names_become_unique_metric_names():
    assert iou_names(("traffic light", "Traffic-Light", "éé", "road")) == (
        "iou_traffic_light_0",
        "iou_Traffic_Light_1",
        "iou_2",
        "iou_road",
    )


def test_an_unknown_protocol_names_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        parse_protocol("miou/ignore255/absent-sip@1")

    assert str(caught.value).startswith(
        "unknown segmentation protocol 'miou/ignore255/absent-sip@1'. Did you mean 'miou/ignore255/absent-skip@1'"
    )


def test_an_image_without_pixels_counts_nothing():
    nothing = np.empty((0, 4), np.uint8)

    assert count_pixels(nothing, nothing, 3, ignore=True).tolist() == [[0, 0, 0]] * 3
