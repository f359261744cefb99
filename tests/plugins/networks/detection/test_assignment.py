"""Assignment: torchvision's matcher and plain loops as oracles, ignored regions, images without objects."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.boxes import box_lists, nobody, random_boxes
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from mlcvbench_networks.detection.anchors import points
from mlcvbench_networks.detection.assignment import (
    BACKGROUND,
    LEFT_OUT,
    by_centre,
    by_overlap,
    cells_near,
    classes_of,
    gaussian_radius,
    heat_map,
    heat_maps,
    level_reach,
    sampled,
)
from mlcvbench_training.sample_batch import Objects

RPN = {"low": 0.3, "high": 0.7, "nearest": True}
RETINANET = {"low": 0.4, "high": 0.5, "nearest": False}
NONE = torch.zeros(0, 4, dtype=torch.float64)
FLAG = torch.ones(1, dtype=torch.bool)


def overlapping(boxes: torch.Tensor) -> torch.Tensor:
    """Return anchors that have every overlap with the boxes: the boxes moved and grown by little and by much."""
    moves = random_boxes(40, seed=9)
    if not len(boxes):
        return moves
    pairs = [boxes + (step - 8) * torch.tensor([0.7, 0.4, 0.9, 0.5], dtype=torch.float64) for step in range(16)]
    return torch.cat((moves, *pairs))


@pytest.mark.parametrize("rule", [RPN, RETINANET, {"low": 0.5, "high": 0.5, "nearest": False}])
@pytest.mark.parametrize("seed", range(5))
def test_overlap_assigns_as_torchvisions_matcher(rule, seed) -> None:
    boxes = random_boxes(7, seed)
    anchors = overlapping(boxes)

    matched = Matcher(rule["high"], rule["low"], rule["nearest"])(box_iou(boxes, anchors))

    assert torch.equal(by_overlap(anchors, boxes, nobody(boxes), **rule), matched)
    assert (LEFT_OUT in matched) == (rule["low"] < rule["high"])
    assert {BACKGROUND, 0, 6} < set(matched.tolist())


@pytest.mark.parametrize("rule", [RPN, RETINANET])
def test_without_objects_every_anchor_is_background(rule) -> None:
    anchors = random_boxes(9)

    assert by_overlap(anchors, NONE, nobody(NONE), **rule).tolist() == [BACKGROUND] * 9
    assert by_overlap(NONE, anchors, nobody(anchors), **rule).tolist() == []


def test_an_object_that_no_anchor_touches_takes_none_of_them() -> None:
    far = torch.tensor([[900.0, 900.0, 910.0, 910.0]], dtype=torch.float64)
    anchors = random_boxes(9)

    assert by_overlap(anchors, far, nobody(far), **RPN).tolist() == [BACKGROUND] * 9
    assert Matcher(0.7, 0.3, allow_low_quality_matches=True)(box_iou(far, anchors)).tolist() == [0] * 9  # the trap


def test_anchors_in_an_ignored_region_are_no_background_and_learn_no_crowd() -> None:
    crowd, person = [0.0, 0.0, 50.0, 50.0], [10.0, 10.0, 20.0, 20.0]
    boxes = torch.tensor([crowd, person])
    anchors = torch.tensor([crowd, person, [30.0, 30, 40, 40], [45.0, 0, 56, 50], [46.0, 0, 54, 50], [70.0, 0, 90, 20]])

    chosen = by_overlap(anchors, boxes, torch.tensor([True, False]), **RETINANET)

    assert chosen.tolist() == [LEFT_OUT, 1, LEFT_OUT, BACKGROUND, LEFT_OUT, BACKGROUND]


GRIDS, STRIDES = ((13, 15), (7, 8), (4, 4)), (8, 16, 32)
POINTS = torch.cat([points(grid, stride) for grid, stride in zip(GRIDS, STRIDES, strict=True)]).double()
COUNTS = [rows * columns for rows, columns in GRIDS]
OF_POINT = torch.tensor(STRIDES).repeat_interleave(torch.tensor(COUNTS)).double()
REACH = level_reach((32, 64), COUNTS)


def plain_by_centre(boxes, ignored, radius) -> list[int]:
    chosen = []
    for (x, y), stride, (low, high) in zip(POINTS.tolist(), OF_POINT.tolist(), REACH.tolist(), strict=True):
        fitting, answer = [], BACKGROUND
        for number, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
            sides = (x - x0, y - y0, x1 - x, y1 - y)
            if min(sides) <= 0:
                continue
            if ignored[number]:
                answer = LEFT_OUT
                continue
            away = max(abs(x - (x0 + x1) / 2), abs(y - (y0 + y1) / 2))
            if low <= max(sides) <= high and (radius is None or away <= radius * stride):
                fitting.append(((x1 - x0) * (y1 - y0), number))
        chosen.append(min(fitting)[1] if fitting else answer)
    return chosen


@settings(deadline=None, max_examples=60)
@given(box_lists(), st.lists(st.booleans(), min_size=6, max_size=6), st.sampled_from([None, 0.5, 1.5]))
def test_centres_assign_as_a_loop_over_points_and_objects(boxes, flags, radius) -> None:
    ignored = torch.tensor(flags[: len(boxes)], dtype=torch.bool)

    chosen = by_centre(POINTS, OF_POINT, REACH, boxes, ignored, radius)

    assert chosen.tolist() == plain_by_centre(boxes, ignored.tolist(), radius)


def test_a_point_in_two_objects_learns_the_smaller_and_a_large_object_belongs_to_a_coarse_level() -> None:
    boxes = torch.tensor([[0.0, 0.0, 120.0, 100.0], [40.0, 40.0, 64.0, 64.0]], dtype=torch.float64)

    fine, middle, coarse = by_centre(POINTS, OF_POINT, REACH, boxes, nobody(boxes), None).split(COUNTS)

    assert set(fine.tolist()) == {BACKGROUND, 1}
    assert 1 not in middle
    assert set(coarse.tolist()) <= {BACKGROUND, 0}


def test_the_reach_of_levels_goes_from_nil_to_infinity() -> None:
    assert level_reach((64, 128), (1, 2, 1)).tolist() == [[0, 64], [64, 128], [64, 128], [128, math.inf]]


@settings(deadline=None, max_examples=60)
@given(st.floats(2, 200), st.floats(2, 200), st.sampled_from([0.3, 0.7]))
def test_within_the_radius_corners_may_move_and_the_overlap_stays(width, height, overlap) -> None:
    radius = float(gaussian_radius(torch.tensor([width, height], dtype=torch.float64), overlap))
    steps = (-radius, -radius / 2, 0.0, radius / 2, radius)
    box = torch.tensor([[0.0, 0.0, width, height]], dtype=torch.float64)

    moved = box + torch.tensor(list(itertools.product(steps, repeat=4)), dtype=torch.float64)

    assert float(box_iou(box, moved).min()) == pytest.approx(overlap, abs=1e-6)  # the least is just reached


def test_the_radius_is_not_that_of_the_published_code() -> None:
    size = torch.tensor([10.0, 10.0], dtype=torch.float64)

    assert float(gaussian_radius(size, 0.7)) == pytest.approx(0.8167, abs=1e-4)
    assert float(gaussian_radius(size, 0.3)) == pytest.approx(2.2614, abs=1e-4)


def plain_heat(boxes, labels, classes, grid, stride) -> torch.Tensor:
    heat = torch.zeros(classes, *grid, dtype=torch.float64)
    for (x0, y0, x1, y1), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        column = min(max(math.floor((x0 + x1) / 2 / stride), 0), grid[1] - 1)
        row = min(max(math.floor((y0 + y1) / 2 / stride), 0), grid[0] - 1)
        radius = int(gaussian_radius(torch.tensor([(x1 - x0) / stride, (y1 - y0) / stride], dtype=torch.float64)))
        sigma = (2 * radius + 1) / 6
        for i in range(grid[0]):
            for j in range(grid[1]):
                if max(abs(i - row), abs(j - column)) <= radius:
                    value = math.exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * sigma**2))
                    heat[label, i, j] = max(heat[label, i, j], value)
    return heat


@settings(deadline=None, max_examples=60)
@given(box_lists(most=4), st.lists(st.integers(0, 2), min_size=4, max_size=4), st.sampled_from([(9, 11), (25, 25)]))
def test_heat_maps_are_the_largest_gaussian_in_each_cell(boxes, labels, grid) -> None:
    numbers = torch.tensor(labels[: len(boxes)], dtype=torch.int64)

    heat = heat_map(boxes, numbers, nobody(boxes), 3, grid, 4)

    torch.testing.assert_close(heat.values.double(), plain_heat(boxes, numbers, 3, grid, 4), rtol=1e-5, atol=1e-6)
    assert heat.counted.all()


def test_an_object_has_the_value_1_exactly_at_its_cell() -> None:
    boxes = random_boxes(5, seed=3, dtype=torch.float32)

    heat = heat_map(boxes, torch.arange(5), nobody(boxes), 5, (33, 33), 4)

    assert (heat.values == 1).sum(dim=(1, 2)).tolist() == [1] * 5


def test_ignored_regions_are_not_counted_on_the_map_of_their_class_except_at_its_objects() -> None:
    boxes = torch.tensor([[0.0, 0.0, 16.0, 16.0], [4.0, 4.0, 8.0, 8.0]])

    heat = heat_map(boxes, torch.tensor([1, 1]), torch.tensor([True, False]), 2, (8, 8), 4)

    left_out = torch.zeros(8, 8, dtype=torch.bool)
    left_out[:4, :4] = True
    left_out[1, 1] = False
    assert torch.equal(~heat.counted[1], left_out)
    assert heat.counted[0].all()
    assert heat.values.sum() == 1


def test_a_crowd_alone_makes_no_peak() -> None:
    heat = heat_map(torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.tensor([0]), FLAG, 1, (8, 8), 4)

    assert heat.values.sum() == 0
    assert int(heat.counted.sum()) == 64 - 16


def test_heat_maps_of_a_batch_are_those_of_its_images() -> None:
    parts = [(random_boxes(count, seed=count, dtype=torch.float32), count) for count in (3, 0, 5)]
    objects = [
        Objects(boxes, torch.arange(count) % 2, torch.arange(count) % 3 == 2 if count else nobody(boxes))
        for boxes, count in parts
    ]

    together = heat_maps(objects, 2, (33, 33), 4)

    for place, own in enumerate(objects):
        alone = heat_map(own.boxes, own.labels, own.ignored, 2, (33, 33), 4)
        assert torch.equal(together.values[place], alone.values)
        assert torch.equal(together.counted[place], alone.counted)


def test_the_cells_near_a_centre_are_those_around_it_that_are_on_the_map() -> None:
    boxes = torch.tensor([[16.0, 8.0, 24.0, 16.0], [0.0, 0.0, 6.0, 6.0]])  # in the cells (5, 3) and (0, 0)

    cells, owner = cells_near(boxes, (8, 7), 4)

    around = [[column, row] for column in (4, 5, 6) for row in (2, 3, 4)]
    assert cells[owner == 0].tolist() == around
    assert cells[owner == 1].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert cells_near(boxes, (8, 7), 4, reach=0)[0].tolist() == [[5, 3], [0, 0]]
    assert [len(part) for part in cells_near(boxes[:0], (8, 7), 4)] == [0, 0]


def test_the_class_of_an_anchor_is_that_of_its_object() -> None:
    chosen = torch.tensor([1, BACKGROUND, 0, LEFT_OUT, 1])

    assert classes_of(chosen, torch.tensor([7, 3])).tolist() == [3, BACKGROUND, 7, LEFT_OUT, 3]
    assert classes_of(chosen[1:2], torch.zeros(0, dtype=torch.int64)).tolist() == [BACKGROUND]


@pytest.mark.parametrize(
    ("objects", "background", "kept"),
    [(100, 500, (64, 192)), (10, 500, (10, 246)), (100, 50, (64, 50)), (0, 0, (0, 0))],
)
def test_a_sample_has_at_most_its_share_of_objects_and_is_filled_with_background(objects, background, kept) -> None:
    chosen = torch.cat((torch.arange(objects), torch.full((background,), BACKGROUND), torch.full((9,), LEFT_OUT)))

    drawn = sampled(chosen, 256, 0.25, torch.Generator().manual_seed(0))

    assert (int((drawn >= 0).sum()), int((drawn == BACKGROUND).sum())) == kept
    assert ((drawn == chosen) | (drawn == LEFT_OUT)).all()
    assert torch.equal(drawn, sampled(chosen, 256, 0.25, torch.Generator().manual_seed(0)))
    if objects > kept[0]:
        assert not torch.equal(drawn, sampled(chosen, 256, 0.25, torch.Generator().manual_seed(1)))
