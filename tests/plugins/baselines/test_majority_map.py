"""The floor of segmentation: the most frequent training label of each place, whatever the image shows."""

from __future__ import annotations

import numpy as np
import pytest
from support.fitting import context

from mlcvbench.contract import ArraySplit, Batch, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench_baselines.majority_map import MajorityMap

PROBLEM = Problem("segmentation", ("a", "b", "c"), {"image": InputSpec((None, None, 3))})


def floor_of(labels, grid):
    labels = [np.asarray(label, np.uint8) for label in labels]
    images = [np.zeros((*label.shape, 3), np.uint8) for label in labels]
    model = MajorityMap(PROBLEM, grid=grid)
    model.fit(ArraySplit("train", {"image": images}, {"label_map": labels}), None, context())
    return model


def answer(model, shape):
    batch = Batch(np.array(["x"]), {"image": [np.full((*shape, 3), 9, np.uint8)]})
    return model.predict(batch)["label_map"][0]


def test_one_cell_answers_every_pixel_with_the_most_frequent_class():
    model = floor_of([[[0, 1, 1], [2, 1, 0]], [[2, 2, 1]]], grid=1)

    assert answer(model, (2, 5)).tolist() == [[1] * 5] * 2


def test_each_cell_answers_with_its_own_most_frequent_class_at_any_size():
    model = floor_of([[[0, 0, 1, 1], [2, 2, 0, 0]], [[0, 1], [2, 1]], [[0, 1], [1, 0]]], grid=2)

    assert answer(model, (2, 2)).tolist() == [[0, 1], [2, 0]]
    assert answer(model, (4, 6)).tolist() == [[0] * 3 + [1] * 3] * 2 + [[2] * 3 + [0] * 3] * 2


def test_pixels_that_are_not_scored_do_not_count_and_empty_cells_take_the_overall_class():
    model = floor_of([[[255, 255, 2], [255, 1, 2], [255, 255, 1]]], grid=3)

    assert answer(model, (3, 3)).tolist() == [[1, 1, 2], [1, 1, 2], [1, 1, 1]]


def test_training_data_without_a_label_are_refused():
    with pytest.raises(DataError) as caught:
        floor_of([[[255]]], grid=2)

    assert str(caught.value) == "majority: split 'train' has no labelled pixel."


def test_what_is_saved_and_loaded_answers_the_same(tmp_path):
    model = floor_of([[[0, 1], [2, 2]]], grid=2)
    model.save(tmp_path)
    again = MajorityMap(PROBLEM, grid=2)

    again.load(tmp_path)

    assert answer(again, (4, 4)).tolist() == answer(model, (4, 4)).tolist()
    assert (model.parameters().trainable, model.parameters().bytes) == (4, 8)


def test_a_stored_grid_of_another_size_is_refused(tmp_path):
    floor_of([[[0, 1], [2, 2]]], grid=2).save(tmp_path)

    with pytest.raises(RecordError) as caught:
        MajorityMap(PROBLEM, grid=3).load(tmp_path)

    assert str(caught.value) == "majority.safetensors: wanted labels 0 to 2 in 3 x 3 cells, got up to 2 in 2 x 2."
