"""Codes of boxes: values of the catalogue, torchvision's coders, and that decoding undoes encoding."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.boxes import box_lists, random_boxes
from torchvision.models.detection import _utils as theirs

from mlcvbench_networks.detection.box_coding import (
    EVEN,
    REGIONS,
    cells_of,
    centreness,
    decode_cells,
    decode_centres,
    decode_deltas,
    decode_sides,
    encode_cells,
    encode_centres,
    encode_deltas,
    encode_sides,
)

ANCHOR = torch.tensor([[40.0, 30.0, 60.0, 70.0]], dtype=torch.float64)  # centre (50, 50), 20x40
TRUTH = torch.tensor([[39.0, 36.0, 69.0, 56.0]], dtype=torch.float64)  # centre (54, 46), 30x20
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def test_deltas_have_the_values_of_the_catalogue() -> None:
    assert encode_deltas(TRUTH, ANCHOR).squeeze().tolist() == pytest.approx([0.2, -0.1, 0.405465, -0.693147], abs=5e-7)


@pytest.mark.parametrize("weights", [EVEN, REGIONS])
def test_deltas_are_those_of_torchvision_there_and_back(weights) -> None:
    boxes, anchors = random_boxes(50, seed=1), random_boxes(50, seed=2)
    coder = theirs.BoxCoder(weights)

    deltas = encode_deltas(boxes, anchors, weights)

    torch.testing.assert_close(deltas, coder.encode_single(boxes, anchors), **CLOSE)
    wild = deltas * 3
    torch.testing.assert_close(decode_deltas(wild, anchors, weights), coder.decode_single(wild, anchors), **CLOSE)


@settings(deadline=None, max_examples=60)
@given(box_lists(), st.sampled_from([EVEN, REGIONS]))
def test_decoding_undoes_the_encoding_of_deltas(boxes, weights) -> None:
    anchors = random_boxes(len(boxes))

    again = decode_deltas(encode_deltas(boxes, anchors, weights), anchors, weights)

    sides = (boxes[:, 2:] - boxes[:, :2]) / (anchors[:, 2:] - anchors[:, :2])
    believed = (sides <= 1000 / 16).all(dim=1)
    torch.testing.assert_close(again[believed], boxes[believed], rtol=1e-9, atol=1e-7)


def test_one_delta_a_class_is_decoded_on_the_same_anchor() -> None:
    boxes, anchors = random_boxes(12, seed=3).reshape(4, 3, 4), random_boxes(4, seed=4)[:, None]

    torch.testing.assert_close(decode_deltas(encode_deltas(boxes, anchors), anchors), boxes, **CLOSE)


def test_wild_logarithms_do_not_overflow() -> None:
    decoded = decode_deltas(torch.tensor([[0.0, 0.0, 1e4, 1e4]]), ANCHOR.float())

    width, height = (decoded[0, 2:] - decoded[0, :2]).tolist()
    assert (width, height) == (pytest.approx(20 * 1000 / 16), pytest.approx(40 * 1000 / 16))


@pytest.mark.parametrize("stride", [8.0, 32.0])
@settings(deadline=None, max_examples=60)
@given(box_lists())
def test_cells_of_yolo_are_undone_by_its_equations(stride, boxes) -> None:
    cells, priors = cells_of(boxes, (200, 200), stride), torch.full((len(boxes), 2), 30.0, dtype=torch.float64)

    targets = encode_cells(boxes, cells, priors, stride)

    outputs = torch.cat((torch.logit(targets[:, :2]), targets[:, 2:]), dim=1)
    inside = ((targets[:, :2] > 0) & (targets[:, :2] < 1)).all(dim=1)
    decoded = decode_cells(outputs, cells, priors, stride)
    torch.testing.assert_close(decoded[inside], boxes[inside], rtol=1e-7, atol=1e-6)


def test_an_output_of_nil_is_the_middle_of_its_cell_with_the_sides_of_its_prior() -> None:
    decoded = decode_cells(torch.zeros(1, 4), torch.tensor([[3, 1]]), torch.tensor([[10.0, 20.0]]), 16.0)

    assert decoded.tolist() == [[56 - 5, 24 - 10, 56 + 5, 24 + 10]]


def test_sides_are_those_of_torchvisions_linear_coder() -> None:
    boxes, anchors = random_boxes(30, seed=5), random_boxes(30, seed=6)
    points = (anchors[:, :2] + anchors[:, 2:]) / 2

    torch.testing.assert_close(
        encode_sides(boxes, points), theirs.BoxLinearCoder(normalize_by_size=False).encode(anchors, boxes), **CLOSE
    )


@settings(deadline=None, max_examples=60)
@given(box_lists(), st.sampled_from([1.0, 8.0, 128.0]))
def test_decoding_undoes_the_encoding_of_sides(boxes, stride) -> None:
    points = random_boxes(len(boxes))[:, :2]
    strides = torch.full((len(boxes), 1), stride, dtype=torch.float64)

    torch.testing.assert_close(decode_sides(encode_sides(boxes, points, stride), points, stride), boxes, **CLOSE)
    torch.testing.assert_close(decode_sides(encode_sides(boxes, points, strides), points, strides), boxes, **CLOSE)


def test_centreness_is_1_in_the_middle_and_falls_to_the_sides() -> None:
    sides = torch.tensor([[5.0, 5.0, 5.0, 5.0], [1.0, 5.0, 4.0, 5.0], [1.0, 1.0, 4.0, 4.0]])

    assert centreness(sides).tolist() == pytest.approx([1.0, math.sqrt(1 / 4), 1 / 4])


@settings(deadline=None, max_examples=60)
@given(box_lists(), st.sampled_from([(25, 25), (7, 31), (1, 1)]), st.sampled_from([4.0, 7.0]))
def test_decoding_undoes_the_encoding_of_centres_on_any_map(boxes, grid, stride) -> None:
    centres = encode_centres(boxes, grid, stride)

    torch.testing.assert_close(decode_centres(centres, stride), boxes, **CLOSE)
    assert ((centres.cells >= 0) & (centres.cells < torch.tensor([grid[1], grid[0]]))).all()


def test_centres_are_in_cells_and_so_times_the_stride_in_pixels() -> None:
    centres = encode_centres(torch.tensor([[10.0, 20.0, 20.0, 28.0]]), (32, 32), 4)

    assert centres.cells.tolist() == [[3, 6]]  # centre (15, 24)
    assert centres.offsets.tolist() == [[0.75, 0.0]]
    assert centres.sizes.tolist() == [[2.5, 2.0]]


def test_outputs_of_half_precision_are_decoded_in_float32() -> None:
    points = torch.tensor([[1001.5, 700.25]])

    decoded = decode_sides(torch.ones(1, 4, dtype=torch.bfloat16), points)

    assert decoded.tolist() == [[1000.5, 699.25, 1002.5, 701.25]]  # bfloat16 has steps of 4 there
    assert decode_deltas(torch.zeros(1, 4, dtype=torch.float16), ANCHOR.float()).tolist() == ANCHOR.tolist()
