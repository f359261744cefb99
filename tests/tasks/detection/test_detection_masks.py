"""Run-length masks: coding, area, box and IoU against pycocotools, and what is refused before it sees them."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as reference

from mlcvbench_detection.geometry.masks import pairwise_mask_iou, read_segmentation
from mlcvbench_detection.geometry.ragged import starts_of
from mlcvbench_detection.geometry.rle import (
    BadMask,
    Masks,
    check_runs,
    coco_objects,
    decode_text,
    encode_dense,
    encode_text,
)

relaxed = settings(deadline=None, derandomize=True, database=None, max_examples=150)
sides = st.integers(1, 9)


@st.composite
def dense(draw: st.DrawFn, most: int = 4) -> np.ndarray:
    """A few masks of one size, empty and full ones among them."""
    shape = (draw(st.integers(1, most)), draw(sides), draw(sides))
    masks = draw(hnp.arrays(np.bool_, shape))
    masks[0] = draw(st.sampled_from([masks[0], np.zeros_like(masks[0]), np.ones_like(masks[0])]))
    return masks


def theirs(masks: np.ndarray) -> list[dict[str, object]]:
    return reference.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))


@relaxed
@given(dense())
def test_masks_are_coded_as_pycocotools_codes_them(masks):
    text, starts = encode_text(encode_dense(masks))

    assert [text[a:b].tobytes() for a, b in pairwise(starts)] == [code["counts"] for code in theirs(masks)]


@relaxed
@given(dense())
def test_decoding_gives_the_pixels_back(masks):
    text = b"".join(code["counts"] for code in theirs(masks))
    starts = starts_of(np.array([len(code["counts"]) for code in theirs(masks)]))

    read = decode_text(np.frombuffer(text, np.uint8), starts, np.tile(masks.shape[1:], (len(masks), 1)))

    assert isinstance(read, Masks)
    assert all(np.array_equal(read.dense(row), mask) for row, mask in enumerate(masks))


@relaxed
@given(dense())
def test_areas_and_boxes_are_pycocotools(masks):
    ours = encode_dense(masks)

    assert ours.area().tolist() == reference.area(theirs(masks)).tolist()
    assert ours.boxes().tolist() == reference.toBbox(theirs(masks)).tolist()


@pytest.mark.parametrize("few", [0, 30, 10_000], ids=["by pycocotools", "by both", "by hotcoco"])
@relaxed
@given(data=st.data())
def test_iou_is_pycocotools_to_the_bit(few, data):
    detected = data.draw(dense())
    annotated = data.draw(hnp.arrays(np.bool_, (data.draw(st.integers(1, 4)), *detected.shape[1:])))
    crowd = np.array(data.draw(st.lists(st.booleans(), min_size=len(annotated), max_size=len(annotated))))
    one, other = (grid.ravel() for grid in np.indices((len(detected), len(annotated))))

    with mock.patch("mlcvbench_detection.geometry.masks._FEW_PAIRS", few):
        ours = pairwise_mask_iou(encode_dense(detected), encode_dense(annotated), crowd)(one, other)

    wanted = reference.iou(theirs(detected), theirs(annotated), crowd.astype(int).tolist())
    assert ours.reshape(wanted.shape).tolist() == wanted.tolist()


def test_iou_is_of_the_pairs_that_are_asked_for():
    rng = np.random.default_rng(3)
    detected, annotated = (rng.random((count, 12, 15)) < 0.3 for count in (7, 5))
    detected[:, :, 8:], annotated[2:, :, :6] = False, False  # some are apart
    crowd = np.array([False, True, False, False, True])
    one, other = rng.integers(7, size=200), rng.integers(5, size=200)

    ours = pairwise_mask_iou(encode_dense(detected), encode_dense(annotated), crowd)(one, other)

    wanted = reference.iou(theirs(detected), theirs(annotated), crowd.astype(int).tolist())
    assert ours.tolist() == wanted[one, other].tolist()


@relaxed
@given(dense())
def test_columns_are_those_of_the_box(masks):
    first, after = encode_dense(masks).columns()

    x, _, width, _ = reference.toBbox(theirs(masks)).T
    filled = masks.any(axis=(1, 2))
    assert first[filled].tolist() == x[filled].tolist()
    assert after[filled].tolist() == (x + width)[filled].tolist()
    assert (after[~filled] == 0).all()


def test_text_is_kept_with_masks_read_from_it():
    given = encode_dense(np.random.default_rng(4).random((6, 30, 40)) < 0.4)
    text = encode_text(given)

    read = decode_text(*text, given.size)

    assert isinstance(read, Masks)
    assert read.text is not None
    for chosen in (read, read[2:4], read[np.array([5, 0])], Masks.join([read[:2], read[2:]])):
        kept, made = encode_text(chosen), encode_text(dataclasses.replace(chosen, text=None))
        assert kept.characters.tobytes() == made.characters.tobytes()
        assert kept.starts.tolist() == made.starts.tolist()
    assert coco_objects(read, np.array([4, 1])) == [coco_objects(given)[4], coco_objects(given)[1]]
    assert coco_objects(given, np.array([4, 1])) == [coco_objects(given)[4], coco_objects(given)[1]]
    assert Masks.join([read, given]).text is None


@pytest.mark.parametrize(  # 100 alone; 90, 5, 3 and 2, whose difference to 5 is negative
    ("code", "kept"),
    [(b"T3", True), (b"TS0", False), (b"TSPP0", False), (b"j253M", True), (b"j253mO", False)],
)
def test_only_the_shortest_text_is_kept(code, kept):
    read = decode_text(*text_of(code), np.array([[10, 10]]))

    assert isinstance(read, Masks)
    assert (read.text is not None) == kept
    assert encode_text(read).characters.tobytes() == (b"T3" if len(read.runs) == 1 else b"j253M")


def test_large_masks_of_many_runs_agree_with_pycocotools():
    rng = np.random.default_rng(0)
    masks = rng.random((6, 301, 407)) < np.array([0.001, 0.2, 0.5, 0.9, 0.0, 1.0])[:, None, None]
    ours = encode_dense(masks)
    one, other = (grid.ravel() for grid in np.indices((6, 6)))

    text, starts = encode_text(ours)
    iou = pairwise_mask_iou(ours, ours, np.zeros(6, dtype=bool))(one, other)

    assert text.tobytes() == b"".join(code["counts"] for code in theirs(masks))
    assert ours.boxes().tolist() == reference.toBbox(theirs(masks)).tolist()
    assert iou.reshape(6, 6).tolist() == reference.iou(theirs(masks), theirs(masks), [0] * 6).tolist()
    assert isinstance(decode_text(text, starts, ours.size), Masks)


def test_no_masks_at_all_are_fine():
    nothing = Masks.join([])

    assert len(nothing) == 0
    assert nothing.area().tolist() == []
    assert encode_text(nothing)[0].tolist() == []


def test_chosen_masks_keep_their_runs():
    masks = encode_dense(np.random.default_rng(1).random((5, 4, 6)) < 0.5)

    chosen = masks[np.array([3, 1, 3])]

    assert [chosen[row].tolist() for row in range(3)] == [masks[row].tolist() for row in (3, 1, 3)]
    assert len(masks[1:3]) == 2


def test_runs_around_an_empty_run_are_joined():
    read = check_runs(Masks(np.array([2, 0, 3, 4, 0, 1, 0]), np.array([0, 7]), np.array([[2, 5]])))

    assert isinstance(read, Masks)
    assert read.runs.tolist() == [5, 5]


def text_of(*codes: bytes) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(codes), np.uint8), starts_of(np.array([len(code) for code in codes]))


@pytest.mark.parametrize(  # "T3" is the run 100: background of 10 x 10 pixels
    ("code", "reason"),
    [
        (b"", "its runs cover 0 of 10 x 10 pixels"),
        (b"0", "its runs cover 0 of 10 x 10 pixels"),
        (b"X3", "its runs cover 104 of 10 x 10 pixels"),
        (b"T", "its counts end inside a number"),
        (b"T3T", "its counts end inside a number"),
        (b"T3 ", "its counts hold the character ' ', which is not part of the code"),
        (b"\xff\xff", "its counts hold the character 'ÿ', which is not part of the code"),
        (b"PPPPPPPPPPPP0", "its counts hold a number of more than 35 bits"),
        (b"ooooooo", "its counts end inside a number"),
        (b"O", "its counts hold the run -1"),
        (b"PPPPPP?", "its runs cover"),
    ],
)
def test_broken_counts_are_refused_before_any_engine(code, reason):
    read = decode_text(*text_of(b"T3", code, b"T3"), np.array([[10, 10]] * 3))

    assert isinstance(read, BadMask)
    assert read.row == 1
    assert read.reason.startswith(reason)


def test_long_texts_are_decoded_in_blocks(monkeypatch):
    monkeypatch.setattr("mlcvbench_detection.geometry.rle._TEXT_AT_ONCE", 5)
    masks = encode_dense(np.random.default_rng(2).random((9, 10, 10)) < 0.3)
    text, starts = encode_text(masks)

    whole = decode_text(text, starts, masks.size)
    broken = decode_text(text, starts, np.array([[10, 10]] * 7 + [[10, 11]] * 2))

    assert isinstance(whole, Masks)
    assert whole.runs.tolist() == masks.runs.tolist()
    assert broken == BadMask(7, "its runs cover 100 of 10 x 11 pixels")


@pytest.mark.parametrize("size", [[0, 10], [-10, -10], [10**9, 1], [65_536, 65_536], [2**62, 4]])
def test_impossible_sizes_are_refused(size):
    read = decode_text(*text_of(b"T3"), np.array([size]))

    assert isinstance(read, BadMask)
    assert read.reason == f"its size {size} is not that of an image of 1 to 50000000 pixels"


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([], "it has no polygon"),
        ([[1, 2, 3, 4]], "a polygon has 4 numbers; wanted an even count of 6 or more"),
        ([[1, 2, 3, 4, 5, 6, 7]], "a polygon has 7 numbers; wanted an even count of 6 or more"),
        ([[1, 2, 3, 4, 5, float("nan")]], "the coordinate nan is far outside the image of 20 x 10 pixels"),
        ([[1, 2, 3, 4, 5, 1e9]], "the coordinate 1000000000.0 is far outside the image of 20 x 10 pixels"),
        ([[1, 2, 3, 4, -1e9, 6]], "the coordinate -1000000000.0 is far outside the image of 20 x 10 pixels"),
        ([[1, 2, 3, 4, "5", 6]], "wanted lists of numbers, got [1, 2, 3, 4, '5', 6]"),
        ([1, 2, 3, 4, 5, 6], "wanted lists of numbers, got 1"),
        ([[1, 2, 3, 4, 5, True]], "wanted lists of numbers, got [1, 2, 3, 4, 5, True]"),
        (None, "wanted polygons or an object with size and counts, got None"),
        ({"counts": "T3"}, "wanted polygons or an object with size and counts, got {'counts': 'T3'}"),
        ({"size": [20, 10], "counts": "T3"}, "its size [20, 10] is not that of its image, [10, 20]"),
        (
            {"size": [10, 20], "counts": [100.5, 99.5]},
            "wanted counts as text or as a list of integers, got [100.5, 99.5]",
        ),
        ({"size": [10, 20], "counts": [300, -100]}, "its counts hold the run -100"),
        ({"size": [10, 20], "counts": [100, 99]}, "its runs cover 199 of 10 x 20 pixels"),
        ({"size": [10, 20], "counts": [10**30]}, f"wanted counts as text or as a list of integers, got [{10**30}]"),
        ({"size": [10, 20], "counts": 7}, "wanted counts as text or as a list of integers, got 7"),
        ({"size": [10, 20], "counts": "é"}, "its counts hold the character 'Ã', which is not part of the code"),
    ],
)
def test_broken_segmentations_are_refused_with_the_reason(segmentation, reason):
    assert read_segmentation(segmentation, 10, 20) == BadMask(0, reason)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools 2.0.11, numpy 2
def test_polygons_are_drawn_as_pycocotools_draws_them():
    polygons = [[2.5, 1, 9, 1.2, 8, 7.9], [11, 1, 18, 1, 18, 9, 11, 9]]

    read = read_segmentation(polygons, 10, 20)

    drawn = reference.merge(reference.frPyObjects(polygons, 10, 20))
    assert isinstance(read, Masks)
    assert np.array_equal(read.dense(0), reference.decode(drawn).astype(bool))


def test_polygons_may_leave_the_image_a_little():
    read = read_segmentation([[-5, -5, 25, -5, 25, 15, -5, 15]], 10, 20)

    assert isinstance(read, Masks)
    assert read.area().tolist() == [200]


def test_pixels_in_which_masks_differ_are_those_of_plain_arrays():
    drawn = np.random.default_rng(5)
    one = drawn.random((40, 7, 9)) < drawn.random((40, 1, 1))
    other = one ^ (drawn.random(one.shape) < drawn.choice([0.0, 0.02, 0.5], (40, 1, 1)))
    one[:3], other[3:6], one[6], other[7] = False, False, True, True

    differing = encode_dense(one).differing(encode_dense(other))

    assert differing.tolist() == (one != other).sum(axis=(1, 2)).tolist()
    assert encode_dense(one[:0]).differing(encode_dense(other[:0])).tolist() == []


@pytest.mark.parametrize(("flipped", "alike"), [(0, True), (3, True), (4, False)])
def test_masks_are_one_decision_but_for_a_pixel_in_a_hundred(flipped, alike):
    wide, small = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    wide[5:20, 5:25], small[3, 3] = True, True  # 300 pixels, and one
    other = wide.copy()
    other[4, 5 : 5 + flipped] = True

    assert encode_dense(np.stack([wide, small])).alike(encode_dense(np.stack([other, small]))) is alike
    assert encode_dense(np.stack([small])).alike(encode_dense(np.stack([np.zeros_like(small)])))
    assert not encode_dense(np.stack([small])).alike(encode_dense(np.stack([small, small])))
