"""Recall by the number of proposals: what it is, what a model returns for it, and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import Outcome, Problem
from mlcvbench.errors import PredictionError
from mlcvbench.running.scoring import tabulate
from mlcvbench.testing.toy import toy_data
from mlcvbench_detection.proposal_recall import recall_by_proposals, recall_of
from mlcvbench_detection.task import DetectionTask

TASK = DetectionTask()
PROBLEM = Problem("detection", ("cat", "dog"), {}, {"category_ids": (1, 2), "masks": False})
IDS = np.array(["a", "b"])
NOTHING = {"boxes": [np.zeros((0, 4))] * 2, "scores": [np.zeros(0)] * 2, "labels": [np.zeros(0, int)] * 2}


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    width, height = (min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def random_boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    corner = generator.integers(0, 20, (count, 2))
    return np.concatenate([corner, corner + generator.integers(2, 15, (count, 2))], axis=1).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_recall_is_that_of_looking_at_every_pair(seed):
    generator = np.random.default_rng(seed)
    counts = (1, 3, 10, 40)
    proposals = [random_boxes(generator, count) for count in (30, 0, 2, 50)]
    objects = [random_boxes(generator, count) for count in (4, 3, 0, 6)]

    found = recall_by_proposals(proposals, objects, counts)

    for place, count in enumerate(counts):
        best = [
            max((overlap(one, wanted) for one in own[:count]), default=0.0)
            for own, some in zip(proposals, objects, strict=True)
            for wanted in some
        ]
        assert found.at_half[place] == pytest.approx(np.mean([value >= 0.5 for value in best]))
        assert found.average[place] == pytest.approx(
            np.mean([[value >= limit / 100 - 1e-12 for limit in range(50, 100, 5)] for value in best])
        )
    assert found.proposals == pytest.approx(82 / 4)


def test_more_proposals_never_cover_less():
    generator = np.random.default_rng(0)

    found = recall_by_proposals([random_boxes(generator, 300)], [random_boxes(generator, 20)])

    assert (np.diff(found.at_half) >= 0).all()
    assert (np.diff(found.average) >= 0).all()


def test_without_objects_there_is_no_recall():
    found = recall_by_proposals([np.zeros((0, 4))], [np.zeros((0, 4))])

    assert np.isnan(found.at_half).all()
    assert np.isnan(found.average).all()


def test_proposals_are_kept_beside_the_detections_and_not_stored(tmp_path):
    proposals = [np.array([[0, 0, 4, 4], [1, 1, 9, 9]]), np.zeros((0, 4))]

    checked = TASK.check(NOTHING | {"proposals": proposals}, IDS, PROBLEM)
    joined = TASK.merge([checked, checked])
    path = TASK.save(checked, IDS, tmp_path)

    assert checked["proposals"].counts.tolist() == [2, 0]
    assert joined["proposals"].counts.tolist() == [2, 0, 2, 0]
    assert "proposals" in TASK.check(checked, IDS, PROBLEM)
    assert "proposals" not in TASK.load(path, IDS, PROBLEM)


def test_a_model_without_proposals_has_no_recall_of_them():
    assert recall_of(TASK.check(NOTHING, IDS, PROBLEM), {}) is None


@pytest.mark.parametrize(
    ("proposals", "said"),
    [
        ([np.array([[5, 0, 4, 4]]), np.zeros((0, 4))], "field 'proposals', sample 'a', detection 0: wanted x1 <= x2"),
        ([np.zeros((0, 4))], "field 'proposals': wanted 2 samples, got 1."),
        (
            [np.array([[0, 0, np.nan, 4]]), np.zeros((0, 4))],
            "field 'proposals', sample 'a', detection 0: wanted finite",
        ),
    ],
)
def test_bad_proposals_are_refused(proposals, said):
    with pytest.raises(PredictionError, match=said):
        TASK.check(NOTHING | {"proposals": proposals}, IDS, PROBLEM)


def test_crowds_need_not_be_covered_and_the_picture_says_the_numbers(tmp_path):
    data = next(iter(toy_data("detection").values()))
    split, targets = data.splits["test"], data.splits["test"].targets()
    corners = []
    for xywh, crowd in zip(targets["xywh"], targets["crowd"], strict=True):
        own = xywh[~crowd]
        corners.append(np.concatenate([own[:, :2], own[:, :2] + own[:, 2:]], axis=1))
    nothing = {name: [column[0]] * len(split) for name, column in NOTHING.items()}
    predictions = TASK.check(nothing | {"proposals": corners}, split.ids, data.problem)
    scorer = TASK.scorer("coco/bbox/maxdet100@1", data.problem)
    table = tabulate(scorer, predictions, targets, len(split))

    outcome = Outcome(predictions, targets, split, data.problem, scorer.protocol_id, table)
    plots, parts = TASK.plot(tmp_path, outcome), TASK.breakdowns(outcome)

    (plot,) = [one for one in plots if one.file == "proposals.png"]
    assert plot.alt.startswith(
        "Recall at IoU 0.50 and its mean for IoU 0.50 to 0.95 by the number of proposals: 1.000 and 1.000 with 10, "
    )
    assert plot.alt.endswith(f"An image has {np.mean([len(own) for own in corners]):.0f} in the mean.")
    assert (tmp_path / "proposals.png").exists()
    assert parts[-1].title == "Recall of the proposals"
    assert parts[-1].names[0] == "10"
    assert parts[-1].columns["recall at IoU 0.5"] == ("fraction", [1.0] * 6)
