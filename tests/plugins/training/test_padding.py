"""Images of unequal size in one frame, results mapped back, and training at several sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlcvbench_training.padding import Padded, frame_of, multi_scale_sizes, pad_batch, pad_to, resize_batch, resized
from mlcvbench_training.samples import Objects, SampleBatch

SIZES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    return [torch.rand(3, *size, generator=generator(place)) for place, size in enumerate(sizes)]


def no_objects() -> Objects:
    return Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))


@settings(deadline=None, max_examples=40)
@given(SIZES, st.sampled_from([1, 7, 32]))
def test_images_stand_at_the_upper_left_and_come_back_as_they_were(sizes: list[tuple[int, int]], multiple: int) -> None:
    images = images_of(sizes)

    padded = pad_batch(images, multiple)

    height, width = padded.tensor.shape[2:]
    assert (height, width) == frame_of(sizes, multiple)
    assert height % multiple == width % multiple == 0
    assert height < max(size[0] for size in sizes) + multiple
    for place, image in enumerate(images):
        assert torch.equal(padded.map_back(padded.tensor[place], place), image)
    assert padded.tensor.sum() == pytest.approx(sum(float(image.sum()) for image in images), rel=1e-4)


def test_a_tensor_that_fits_is_not_copied() -> None:
    images = torch.rand(2, 3, 64, 32)

    assert pad_batch(images).tensor is images
    assert pad_batch(images, 48).tensor.shape == (2, 3, 96, 48)


def test_images_of_no_sample_keep_their_frame() -> None:
    assert pad_batch(torch.zeros(0, 3, 20, 33)).tensor.shape == (0, 3, 32, 64)
    assert pad_batch(torch.zeros(0, 3, 20, 40), shortest=10).tensor.shape == (0, 3, 32, 32)
    with pytest.raises(ValueError, match="no images to put into a frame"):
        pad_batch([])


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(8, 60), st.integers(8, 80))
def test_resized_images_keep_sides_within_what_was_asked(
    sizes: list[tuple[int, int]], shortest: int, longest: int
) -> None:
    padded = pad_batch(images_of(sizes), 4, shortest=shortest, longest=longest)

    for place, (height, width) in enumerate(sizes):
        high, wide = padded.filled(place)
        assert max(high, wide) <= longest
        assert min(high, wide) == shortest or max(high, wide) == longest
        assert abs(high - height * wide / width) <= 1 + height / width
        whole = torch.tensor([[0.0, 0.0, wide, high]])
        assert torch.allclose(padded.boxes_back(whole, place), torch.tensor([[0.0, 0.0, width, height]]), atol=1e-4)
        assert padded.map_back(padded.tensor[place], place).shape == (3, height, width)


def test_boxes_come_back_in_the_images_own_pixels_and_inside_it() -> None:
    padded = pad_batch([torch.zeros(3, 20, 40), torch.zeros(3, 30, 30)], shortest=10)
    boxes = torch.tensor([[2.0, 3.0, 30.0, 9.0]])

    assert padded.scale.tolist() == [[0.5, 0.5], [10 / 30, 10 / 30]]
    assert padded.boxes_back(boxes, 0).tolist() == [[4, 6, 40, 18]]
    assert torch.allclose(padded.boxes_back(boxes, 1), torch.tensor([[6.0, 9.0, 30.0, 27.0]]))


def test_labels_come_back_by_the_nearest_pixel_and_scores_between_centres() -> None:
    padded = Padded(torch.zeros(1, 3, 4, 4), torch.tensor([[4, 6]]), torch.tensor([[0.5, 0.5]], dtype=torch.float64))
    values = torch.tensor([[0, 10, 20, 99], [30, 40, 50, 99], [99] * 4, [99] * 4])

    labels = padded.map_back(values, 0)
    scores = padded.map_back(values.float(), 0)

    assert labels.tolist() == [[0, 0, 10, 10, 20, 20]] * 2 + [[30, 30, 40, 40, 50, 50]] * 2
    own = values[None, None, :2, :3].float()
    assert torch.allclose(scores, functional.interpolate(own, (4, 6), mode="bilinear", align_corners=False)[0, 0])


def test_a_map_of_another_size_is_not_mapped_back() -> None:
    padded = pad_batch(torch.zeros(1, 3, 20, 20))

    with pytest.raises(ValueError, match=r"size of the frame, \(32, 32\), got \(8, 8\)"):
        padded.map_back(torch.zeros(8, 8), 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30))
def test_nearest_is_that_of_torch(height: int, width: int, high: int, wide: int) -> None:
    values = torch.arange(height * width).reshape(1, 1, height, width)

    theirs = functional.interpolate(values.double(), (high, wide), mode="nearest-exact")

    ours = resized(values, (high, wide)).double()
    between = on_an_edge(high, height)[:, None] | on_an_edge(wide, width)  # where theirs depends on rounding
    assert torch.equal(torch.where(between, theirs, ours), theirs)


def on_an_edge(count: int, pixels: int) -> torch.Tensor:
    """Return which of `count` middles lie exactly between two of the pixels, bool (count,)."""
    return (2 * torch.arange(count) + 1) * pixels % (2 * count) == 0


def test_sizes_are_drawn_from_the_list_for_some_batches_at_a_time() -> None:
    sizes = [(32 * side, 32 * side) for side in range(10, 20)]

    drawn = multi_scale_sizes(sizes, 2005, generator(), every=10)

    assert drawn == multi_scale_sizes(sizes, 2005, generator(), every=10)
    assert len(drawn) == 2005
    assert all(len(set(drawn[start : start + 10])) == 1 for start in range(0, 2000, 10))
    assert set(drawn) == set(sizes)
    assert len({*multi_scale_sizes(sizes, 30, generator())}) > 3


def test_resizing_a_batch_moves_boxes_with_pixels_and_stretches_disparities() -> None:
    left = torch.rand(2, 3, 8, 12)
    mask = torch.zeros(1, 8, 12, dtype=torch.bool)
    mask[0, 2:6, 4:8] = True
    objects = [Objects(torch.tensor([[4.0, 2, 8, 6]]), torch.tensor([1]), torch.tensor([False]), mask), no_objects()]
    maps = {"disparity": torch.full((2, 8, 12), 3.0), "depth": torch.full((2, 8, 12), 5.0)}
    camera = torch.tensor([[10.0, 0, 5.5], [0, 10, 3.5], [0, 0, 1]]).expand(2, 3, 3)
    batch = SampleBatch({"left": left}, maps, objects, facts={"intrinsics": camera})

    grown = resize_batch(batch, (16, 36))

    assert grown.frame == (16, 36)
    assert (grown.maps["disparity"] == 9).all()
    assert (grown.maps["depth"] == 5).all()
    assert grown.objects[0].boxes.tolist() == [[12, 4, 24, 12]]
    assert torch.nonzero(grown.objects[0].masks[0]).amin(0).tolist() == [4, 12]
    assert torch.nonzero(grown.objects[0].masks[0]).amax(0).tolist() == [11, 23]
    assert grown.objects[1].boxes.shape == (0, 4)
    # the middle stays the middle: (w - 1) / 2, since centres have whole coordinates there
    assert grown.facts["intrinsics"][0].tolist() == [[30, 0, 17.5], [0, 20, 7.5], [0, 0, 1]]
    assert resize_batch(batch, (8, 12)) is batch


def test_sizes_inside_a_frame_are_resized_with_it() -> None:
    batch = SampleBatch({"image": torch.rand(2, 3, 10, 20)}, sizes=torch.tensor([[10, 8], [6, 20]]))

    assert resize_batch(batch, (5, 10)).own_sizes().tolist() == [[5, 4], [3, 10]]


def test_what_a_batch_is_padded_with_means_unknown() -> None:
    maps = {
        "label_map": torch.ones(1, 2, 3, dtype=torch.int64),
        "disparity": torch.ones(1, 2, 3),
        "occluded": torch.zeros(1, 2, 3, dtype=torch.bool),
    }
    own = Objects(torch.ones(1, 4), torch.ones(1).long(), torch.zeros(1).bool(), torch.ones(1, 2, 3, dtype=torch.bool))
    batch = SampleBatch({"image": torch.ones(1, 3, 2, 3)}, maps, [own])

    padded = pad_to(batch, (4, 2))

    assert padded.frame == (4, 3)
    assert padded.inputs["image"][0, :, 2:].eq(0).all()
    assert {name: values[0, 2:].unique().tolist() for name, values in padded.maps.items()} == {
        "label_map": [255],
        "disparity": [0],
        "occluded": [True],
    }
    assert padded.objects[0].masks[0].any(1).tolist() == [True, True, False, False]
    assert padded.own_sizes().tolist() == [[2, 3]]
    assert pad_to(batch, (1, 3)) is batch


def test_objects_that_shrink_to_specks_are_neither_learned_nor_background() -> None:
    boxes = torch.tensor([[0.0, 0, 8, 8], [4, 4, 12, 5], [0, 0, 16, 16]])
    own = Objects(boxes, torch.tensor([0, 1, 2]), torch.tensor([False, False, True]))
    batch = SampleBatch({"image": torch.rand(1, 3, 16, 16)}, objects=[own])

    assert resize_batch(batch, (8, 8)).objects[0].ignored.tolist() == [False, True, True]
    assert resize_batch(batch, (32, 32)).objects[0].ignored.tolist() == [False, False, True]
