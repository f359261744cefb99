"""The base of detectors: what a method finds becomes predictions that the task takes, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import box_iou, nms

from mlcvbench.contract import Batch, InputSpec, Problem
from mlcvbench.errors import PredictionError
from mlcvbench_detection.predictions import check_predictions
from mlcvbench_networks.bases.detector import Detections, Detector

PROBLEM = Problem("detection", ("a", "b", "c"), {"image": InputSpec((None, None, 3))})
Found = list[tuple[float, float, float, float, float, int]]
"""x1, y1, x2, y2, score and label of each object."""


class Given(Detector):
    """Finds what it is told to."""

    found: list[Detections]

    def network(self) -> nn.Module:
        return nn.Identity()

    def loss(self, network: Any, batch: Any, generator: Any) -> torch.Tensor:
        raise NotImplementedError

    def decode(self, outputs: torch.Tensor) -> list[Detections]:
        assert len(outputs) == len(self.found)
        return self.found


class Unsuppressed(Given):
    OVERLAP = None


def detections(rows: Found) -> Detections:
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].long())


def predicted(*found: Found, sizes: tuple[tuple[int, int], ...] = (), model: type[Given] = Given) -> dict[str, Any]:
    """Return the predictions for images of these (height, width), 40x50 unless given, in one batch."""
    detector = model(PROBLEM)
    detector.found = [detections(rows) for rows in found]
    images: Any = [np.zeros((*size, 3), dtype=np.uint8) for size in sizes or [(40, 50)] * len(found)]
    if not sizes:
        images = np.stack(images) if images else np.zeros((0, 40, 50, 3), dtype=np.uint8)
    ids = np.array([f"{place}" for place in range(len(found))])
    predictions = detector.predict(Batch(ids, {"image": images}))
    check_predictions(predictions, ids, PROBLEM)
    return predictions


def random_found(count: int, generator: torch.Generator, labels: int = 3, side: int = 40) -> Detections:
    """Return boxes that overlap a lot, with different scores."""
    corner = torch.rand((count, 2), generator=generator) * side * 0.7
    boxes = torch.cat((corner, corner + 3 + torch.rand((count, 2), generator=generator) * side * 0.25), dim=1)
    scores = (torch.randperm(count, generator=generator) + 1) / (count + 1)
    return Detections(boxes, scores, torch.randint(labels, (count,), generator=generator))


def test_boxes_scores_and_labels_are_reported_best_first():
    found = predicted([(1, 2, 11, 12, 0.3, 0), (20, 20, 30, 35, 0.9, 2)])

    assert found["boxes"][0].tolist() == [[20, 20, 30, 35], [1, 2, 11, 12]]
    assert found["scores"][0].tolist() == pytest.approx([0.9, 0.3])
    assert found["labels"][0].tolist() == [2, 0]
    assert [found[name][0].dtype for name in ("boxes", "scores", "labels")] == ["float32", "float32", "int64"]


def test_scores_below_the_least_are_left_out_and_the_least_itself_is_not():
    class Strict(Given):
        LEAST = 0.5

    found = predicted([(0, 0, 9, 9, 0.5, 0), (10, 10, 19, 19, 0.4999, 0)], model=Strict)

    assert found["scores"][0].tolist() == [0.5]


def test_boxes_end_at_the_borders_of_their_image_and_those_beyond_it_are_left_out():
    rows: Found = [(-5, -5, 10, 10, 0.9, 0), (45, 35, 60, 60, 0.8, 0), (50, 0, 60, 9, 0.7, 0), (5, 5, 5, 9, 0.6, 0)]

    found = predicted(rows)

    assert found["boxes"][0].tolist() == [[0, 0, 10, 10], [45, 35, 50, 40]]


def test_images_of_unequal_size_end_where_they_do_and_not_where_their_common_frame_does():
    everywhere: Found = [(0, 0, 64, 64, 0.9, 0), (41, 21, 60, 60, 0.8, 1)]

    found = predicted(everywhere, everywhere, sizes=((34, 40), (64, 33)))

    assert found["boxes"][0].tolist() == [[0, 0, 40, 34]]
    assert found["boxes"][1].tolist() == [[0, 0, 33, 64]]  # of the second box nothing is inside the second image


def test_overlaps_are_suppressed_within_each_class_as_torchvision_does():
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        given = random_found(60, generator)
        kept = torch.cat(
            [
                own[nms(given.boxes[own], given.scores[own], 0.5)]
                for own in (torch.nonzero(given.labels == label).squeeze(1) for label in range(3))
            ]
        )
        wanted = given.at(kept[torch.argsort(given.scores[kept], descending=True)])

        found = Given(PROBLEM).selected(given, (40, 40))

        assert torch.equal(found.boxes, wanted.boxes)
        assert torch.equal(found.labels, wanted.labels)


def test_which_box_is_suppressed_does_not_depend_on_how_many_classes_there_are():
    """Classes are told apart by moving their boxes, which in float32 would change every other IoU of about one half."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        corner, side = torch.rand(2, generator=generator) * 20, torch.rand((), generator=generator) * 20 + 1
        halved = torch.stack((side, side / 2))
        boxes = torch.stack((torch.cat((corner, corner + side)), torch.cat((corner, corner + halved))))
        scores = torch.tensor([0.9, 0.8])

        found = Given(PROBLEM).selected(Detections(boxes, scores, torch.full((2,), 79)), (100, 100))

        assert len(found.boxes) == len(nms(boxes.double(), scores.double(), 0.5))


def test_what_is_left_overlaps_no_better_one_of_its_class_by_more_than_the_limit():
    given = random_found(200, torch.Generator().manual_seed(2))

    found = Given(PROBLEM).selected(given, (40, 40))

    overlaps = box_iou(found.boxes, found.boxes).fill_diagonal_(0)
    same = found.labels[:, None] == found.labels
    assert len(found.boxes) > 20
    assert float(overlaps[same].max()) <= 0.5


def test_a_method_that_names_an_object_once_keeps_what_overlaps():
    rows: Found = [(0, 0, 10, 10, 0.4, 0), (0, 0, 10, 10, 0.8, 0), (0, 0, 10, 10, 0.4, 1)]

    assert len(predicted(rows)["scores"][0]) == 2
    assert predicted(rows, model=Unsuppressed)["scores"][0].tolist() == pytest.approx([0.8, 0.4, 0.4])


def test_at_most_so_many_are_reported_and_they_are_the_best():
    rows: Found = [(place, 0, place + 1, 9, (place + 1) / 1000, 0) for place in range(40)] * 5

    found = predicted(rows, model=Unsuppressed)

    assert len(found["scores"][0]) == 100
    assert found["scores"][0].min() > 0.02  # the 20 best scores, five times


def test_an_image_in_which_nothing_is_found_has_columns_of_no_rows():
    found = predicted([], [(0, 0, 9, 9, 0.5, 1)], [(0, 0, 9, 9, 0.001, 1)])

    assert [part.shape for part in found["boxes"]] == [(0, 4), (1, 4), (0, 4)]
    assert [part.shape for part in found["labels"]] == [(0,), (1,), (0,)]


def test_an_empty_batch_has_no_rows():
    assert predicted() == {"boxes": [], "scores": [], "labels": []}


@pytest.mark.parametrize("row", [(0, 0, 9, 9, float("nan"), 0), (0, float("nan"), 9, 9, 0.5, 0)])
@pytest.mark.parametrize("model", [Given, Unsuppressed])
def test_outputs_that_are_no_numbers_are_refused_by_the_task_rather_than_left_out(row, model: type[Given]):
    with pytest.raises(PredictionError, match="finite"):
        predicted([row, (0, 0, 9, 9, 0.5, 0)], model=model)
