"""Changes of place: everything that belongs to an image moves with it, as torchvision moves it one image at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from mlcvbench.errors import RequestError
from mlcvbench_training.affine import Affine
from mlcvbench_training.geometry import Changes, augment_batch, change_colours, crop_batch
from mlcvbench_training.samples import Objects, SampleBatch

SIDES = st.integers(9, 40)
FULL: dict[str, Any] = {"scale": (0.7, 1.6), "flip": 0.5, "shift": 0.2, "rotate": 25.0}
STEREO = Changes(scale=(0.7, 1.6), shift=0.2, upside_down=0.5, colour=0.3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(count: int, height: int, width: int) -> torch.Tensor:
    """Return images (B, 2, H, W) whose values are the places of their pixels, in [0, 1]."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([down / height, across / width]).expand(count, 2, height, width).contiguous()


def objects_of(boxes: torch.Tensor, masks: torch.Tensor | None = None) -> Objects:
    count = len(boxes)
    return Objects(boxes.float(), torch.arange(count), torch.zeros(count, dtype=torch.bool), masks)


def drawn_objects(count: int, height: int, width: int, seed: int = 0) -> Objects:
    """Return objects whose masks fill boxes of whole numbers."""
    order = generator(seed)
    x = torch.randint(width, (count, 2), generator=order).sort(1).values
    y = torch.randint(height, (count, 2), generator=order).sort(1).values
    boxes = torch.stack([x[:, 0], y[:, 0], x[:, 1] + 1, y[:, 1] + 1], 1)
    down, across = torch.arange(height)[:, None], torch.arange(width)
    left, top, right, bottom = boxes[:, :, None, None].unbind(1)
    return objects_of(boxes, (across >= left) & (across < right) & (down >= top) & (down < bottom))


def boxes_around(masks: torch.Tensor) -> torch.Tensor:
    """Return the boxes around masks that are not empty."""
    found = [torch.nonzero(mask) for mask in masks]
    return torch.stack([torch.cat([own.amin(0).flip(0), own.amax(0).flip(0) + 1]) for own in found])


def parameters_of(affine: Affine, place: int) -> dict[str, Any]:
    """Return what torchvision calls the map of one image, which it mirrors beforehand."""
    matrix = affine.matrices[place].clone()
    mirrored = bool(torch.linalg.det(matrix) < 0)
    height, width = affine.sizes[place].tolist()
    if mirrored:
        matrix = matrix @ torch.tensor([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    middle = torch.tensor([width / 2, height / 2, 1], dtype=torch.float64)
    move = (matrix @ middle - middle)[:2].tolist()
    angle = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    zoom = float(torch.linalg.det(matrix)) ** 0.5
    return {"mirrored": mirrored, "angle": angle, "translate": move, "scale": zoom, "shear": [0.0, 0.0]}


def by_torchvision(values: Any, parameters: dict[str, Any], **how: Any) -> torch.Tensor:
    given = {name: value for name, value in parameters.items() if name != "mirrored"}
    moved = tv.affine(tv.horizontal_flip(values) if parameters["mirrored"] else values, **given, **how)
    return torch.Tensor(moved) if isinstance(moved, tv_tensors.TVTensor) else moved


@pytest.mark.parametrize("size", [(24, 24), (17, 32), (30, 21)])
@pytest.mark.parametrize("change", [{"scale": (0.5, 2.0)}, {"flip": 0.5}, {"shift": 0.4}, {"rotate": 60.0}, FULL])
def test_images_and_labels_move_as_torchvision_moves_them(size: tuple[int, int], change: dict[str, Any]) -> None:
    images = torch.rand(6, 3, *size, generator=generator(1))
    labels = torch.randint(7, (6, *size), generator=generator(2))
    affine = Affine.draw(6, size, generator(3), **change)

    moved, moved_labels = affine.images(images), affine.labels(labels)

    for place in range(6):
        parameters = parameters_of(affine, place)
        theirs = by_torchvision(images[place], parameters, interpolation=InterpolationMode.BILINEAR)
        assert (moved[place] - theirs).abs().max() < 2e-4
        own = by_torchvision(labels[place][None] + 1, parameters, interpolation=InterpolationMode.NEAREST) - 1
        same = moved_labels[place] == torch.where(own[0] < 0, 255, own[0])
        assert same.float().mean() > 0.995  # pixels on an edge to within rounding


@pytest.mark.parametrize("size", [(40, 40), (31, 52)])
@pytest.mark.parametrize("change", [{"scale": (0.5, 2.0)}, {"flip": 0.5}, {"shift": 0.4}, {"rotate": 60.0}, FULL])
def test_boxes_and_masks_move_as_torchvision_moves_them(size: tuple[int, int], change: dict[str, Any]) -> None:
    objects = [drawn_objects(9, *size, seed) for seed in range(4)]
    affine = Affine.draw(4, size, generator(3), **change)

    moved = affine.boxes([objects_of(own.boxes) for own in objects])

    for place, own in enumerate(objects):
        parameters = parameters_of(affine, place)
        boxes = tv_tensors.BoundingBoxes(own.boxes, format="XYXY", canvas_size=size, clamping_mode=None)
        theirs = by_torchvision(boxes, parameters).clamp(min=0).minimum(torch.tensor([*size[::-1]] * 2))
        kept = ((theirs[:, 2:] - theirs[:, :2]) > 1e-3).all(1)
        assert torch.equal(moved[place].labels, own.labels[kept])
        assert torch.allclose(moved[place].boxes, theirs[kept], atol=1e-3)
        masks = by_torchvision(tv_tensors.Mask(own.masks), parameters)
        assert (affine.masks(own.masks, place) == masks).float().mean() > 0.995


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.integers(0, 6), st.integers(0, 2**31))
def test_boxes_of_moved_masks_are_moved_boxes(height: int, width: int, count: int, seed: int) -> None:
    objects = drawn_objects(count, height, width, seed)
    affine = Affine.draw(1, (height, width), generator(seed), scale=(1.0, 2.0), flip=0.5, shift=0.3)

    moved = affine.boxes([objects])[0]

    assert moved.masks is not None
    assert moved.masks.flatten(1).any(1).all()
    if len(moved):
        assert (boxes_around(moved.masks) - moved.boxes).abs().max() <= 1


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, st.sampled_from([0, 1, 200]), st.booleans(), st.integers(0, 2**31))
def test_mirroring_twice_changes_nothing(height: int, width: int, count: int, upside_down: bool, seed: int) -> None:
    ragged = torch.tensor([[height, width], [height - 3, width - 5]])
    batch = SampleBatch({"image": torch.rand(2, 3, height, width)}, {"depth": torch.rand(2, height, width)})
    own = drawn_objects(count, height, width, seed)
    how = {"upside_down": 1.0} if upside_down else {"flip": 1.0}

    for sizes, objects in ((None, [own, own]), (ragged, [])):
        before = SampleBatch(batch.inputs, batch.maps, objects, sizes=sizes)
        inside = augment_batch(before, Changes(**how), generator(seed))
        after = augment_batch(inside, Changes(**how), generator(seed))
        for place, (high, wide) in enumerate(before.own_sizes().tolist()):
            one, other = after.inputs["image"][place, :, :high, :wide], batch.inputs["image"][place, :, :high, :wide]
            assert torch.equal(one, other)
            assert torch.equal(after.maps["depth"][place, :high, :wide], batch.maps["depth"][place, :high, :wide])
            axis = 1 if upside_down else 2
            assert torch.equal(inside.inputs["image"][place, :, :high, :wide], other.flip(axis))
        for one in after.objects:
            assert torch.equal(one.boxes, own.boxes)
            assert torch.equal(one.masks, own.masks)
            assert torch.equal(one.labels, own.labels)


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.integers(0, 2**31))
def test_label_maps_get_no_labels_that_they_had_not(height: int, width: int, seed: int) -> None:
    labels = torch.randint(3, (2, height, width), generator=generator(seed)) * 100 + 7

    moved = Affine.draw(2, (height, width), generator(seed), **FULL).labels(labels, unknown=65535)

    assert moved.dtype == torch.int64
    assert set(moved.unique().tolist()) <= {7, 107, 207, 65535}


def test_what_enters_is_unknown_black_and_not_seen() -> None:
    affine = Affine.draw(1, (10, 10), generator(), scale=(0.5, 0.5))
    ring = torch.ones(10, 10, dtype=torch.bool)
    ring[2:8, 2:8] = False

    assert (affine.labels(torch.ones(1, 10, 10, dtype=torch.int64))[0][ring] == 255).all()
    assert (affine.depth(torch.ones(1, 10, 10))[0][ring] == 0).all()
    assert (affine.images(torch.ones(1, 3, 10, 10))[0][:, ring] == 0).all()
    assert affine.occluded(torch.zeros(1, 10, 10, dtype=torch.bool))[0][ring].all()
    assert (affine.images(torch.ones(1, 3, 10, 10), border=True) - 1).abs().max() < 1e-5


def test_a_repeated_border_is_that_of_each_image() -> None:
    sizes = torch.tensor([[10, 10], [6, 8]])
    images = torch.full((2, 1, 10, 10), 0.5)
    images[1, :, 6:], images[1, :, :, 8:] = 0, 0

    moved = Affine.draw(2, sizes, generator(), scale=(0.5, 0.5)).images(images, border=True)

    assert (moved[0] - 0.5).abs().max() < 1e-6
    assert (moved[1, :, :6, :8] - 0.5).abs().max() < 1e-6
    assert (moved[1, :, 6:] == 0).all()


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, st.integers(0, 2**31))
def test_an_image_in_a_larger_frame_moves_as_if_it_were_alone(height: int, width: int, seed: int) -> None:
    frame, sizes = (height + 7, width + 4), torch.tensor([[height, width]])
    image, own = torch.rand(1, 3, height, width), drawn_objects(5, height, width, seed)
    maps = torch.rand(1, height, width)
    padded, padded_maps = torch.zeros(1, 3, *frame), torch.zeros(1, *frame)
    padded[..., :height, :width], padded_maps[..., :height, :width] = image, maps
    alone = SampleBatch({"image": image}, {"depth": maps}, [own])
    masks = torch.zeros(5, *frame, dtype=torch.bool)
    masks[:, :height, :width] = own.masks
    inside = SampleBatch({"image": padded}, {"depth": padded_maps}, [objects_of(own.boxes, masks)], sizes=sizes)

    one, other = (augment_batch(batch, Changes(**FULL, colour=0.2), generator(seed)) for batch in (alone, inside))

    depth = other.maps["depth"]
    assert torch.equal(one.maps["depth"], depth[:, :height, :width])
    assert (depth[:, height:] == 0).all()
    assert (other.inputs["image"][..., width:] == 0).all()
    assert torch.equal(one.objects[0].boxes, other.objects[0].boxes)
    assert torch.equal(one.objects[0].masks, other.objects[0].masks[:, :height, :width])
    plain = [Affine.draw(1, sizes, generator(seed), **FULL).images(values) for values in (image, padded)]
    assert torch.allclose(plain[0], plain[1][..., :height, :width], atol=2e-4)


def test_a_zoom_brings_things_nearer_and_disparities_grow_with_it() -> None:
    affine = Affine.draw(40, (16, 20), generator(), scale=(0.5, 2.0))
    flat = torch.full((40, 16, 20), 6.0)

    depth, disparity = affine.depth(flat), affine.disparity(flat)

    zoom = affine.zoom.float()
    assert zoom.min() < 0.7
    assert zoom.max() > 1.7
    assert torch.allclose(depth[:, 8, 10], 6 / zoom)
    assert torch.allclose(disparity[:, 8, 10], 6 * zoom)
    known = depth > 0
    assert torch.equal(known, disparity > 0)
    assert torch.allclose((depth * disparity)[known], torch.tensor(36.0))


def test_a_zoomed_pair_still_matches() -> None:
    height, width, shift = 24, 60, 4
    row = torch.rand(1, 3, height, width + shift)
    row = torch.nn.functional.avg_pool2d(row, 5, 1, 2)
    left, right = row[..., :width], row[..., shift:]  # left(x) = right(x - shift)
    maps = {"disparity": torch.full((1, height, width), float(shift))}
    maps["occluded"] = torch.arange(width).expand(1, height, width) < shift
    batch = SampleBatch({"left": left, "right": right}, maps)

    moved = augment_batch(batch, Changes(scale=(1.5, 1.5), shift=0.1, upside_down=1.0), generator(4))

    disparity, occluded = moved.maps["disparity"], moved.maps["occluded"]
    assert set(disparity.unique().tolist()) <= {0.0, 6.0}
    seen = ~occluded[0] & (disparity[0] > 0)
    seen[:2], seen[-2:], seen[:, :2], seen[:, -2:] = False, False, False, False
    rows, columns = torch.nonzero(seen).unbind(1)
    assert len(rows) > 300
    here, there = moved.inputs["left"][0][:, rows, columns], moved.inputs["right"][0][:, rows, columns - 6]
    assert (here - there).abs().max() < 1e-4
    assert occluded[..., :6].all()  # their partners are beyond the right view


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, st.floats(1.05, 4.0), st.integers(0, 2**31))
def test_a_stretch_keeps_areas_and_is_at_most_as_long_as_said(
    height: int, width: int, stretch: float, seed: int
) -> None:
    affine = Affine.draw(20, (height, width), generator(seed), stretch=stretch)

    across, down = affine.matrices[:, 0, 0], affine.matrices[:, 1, 1]
    assert torch.allclose(across * down, torch.ones(20, dtype=torch.float64))
    assert (across / down).amax() <= stretch
    assert (across / down).amin() >= 1 / stretch
    middle = torch.tensor([width / 2, height / 2, 1], dtype=torch.float64)
    assert torch.allclose(affine.matrices @ middle, middle.expand(20, 3))


def test_what_is_stretched_before_it_is_turned_is_turned_as_a_whole() -> None:
    affine = Affine.draw(50, (30, 30), generator(), stretch=3.0, rotate=90.0)

    linear = affine.matrices[:, :2, :2]
    lengths = linear.norm(dim=1)  # of what was a step to the right, and one down
    assert torch.allclose((linear[:, :, 0] * linear[:, :, 1]).sum(1), torch.zeros(50, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(lengths[:, 0], affine.across)


def test_disparities_grow_with_the_zoom_of_widths() -> None:
    affine = Affine.draw(40, (16, 20), generator(), scale=(0.5, 2.0), stretch=2.0)

    disparity = affine.disparity(torch.full((40, 16, 20), 6.0))

    seen = disparity[:, 8, 10]
    assert torch.allclose(seen.double(), 6 * affine.matrices[:, 0, 0])


def test_depths_of_a_camera_that_is_not_known_are_not_stretched() -> None:
    batch = SampleBatch({"image": torch.rand(1, 3, 8, 8)}, maps={"depth": torch.ones(1, 8, 8)})

    with pytest.raises(RequestError, match="so depths are lost; set it to 1"):
        augment_batch(batch, Changes(stretch=1.5), generator())


def test_disparities_are_neither_turned_nor_mirrored() -> None:
    for change in ({"flip": 0.5}, {"rotate": 5.0}):
        with pytest.raises(ValueError, match="disparities have no meaning"):
            Affine.draw(1, (8, 8), generator(), **change).disparity(torch.ones(1, 8, 8))


@pytest.mark.parametrize("name", ["flip", "rotate"])
@pytest.mark.parametrize("views", [("left", "right"), ("image", "right")])
def test_changes_that_tear_a_pair_apart_are_refused(name: str, views: tuple[str, str]) -> None:
    batch = SampleBatch({view: torch.rand(1, 3, 8, 8) for view in views})

    with pytest.raises(RequestError) as caught:
        augment_batch(batch, Changes(**{name: 0.5}), generator())

    assert str(caught.value) == f"fit.{name} tears the two views of a stereo pair apart; set fit.{name}=0."


def test_what_is_hardly_visible_is_ignored_and_what_left_the_image_is_dropped() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [8, 8, 12, 12], [2, 8, 12, 12], [16, 16, 20, 20], [9, 9, 9.9, 12]])
    affine = Affine.draw(1, (20, 20), generator(), scale=(2.0, 2.0))  # shows what was between 5 and 15

    moved = affine.boxes([objects_of(boxes)])[0]

    assert moved.labels.tolist() == [1, 2, 4]
    assert moved.boxes.tolist()[:2] == [[6, 6, 14, 14], [0, 6, 14, 14]]
    assert moved.ignored.tolist() == [False, False, False]
    assert affine.boxes([objects_of(boxes)], least_visible=0.9)[0].ignored.tolist() == [False, True, False]
    small = Affine.draw(1, (20, 20), generator(), scale=(0.5, 0.5)).boxes([objects_of(boxes)])[0]
    assert small.ignored.tolist() == [False, False, False, False, True]


def test_crowds_stay_ignored() -> None:
    crowd = Objects(torch.tensor([[2.0, 2, 9, 9]]), torch.tensor([3]), torch.tensor([True]))

    assert Affine.draw(1, (10, 10), generator(), flip=1.0).boxes([crowd])[0].ignored.tolist() == [True]


def test_an_object_that_left_its_box_is_dropped() -> None:
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 4, 0:3] = True  # an L: nothing of it is in the middle
    mask[0, 4:18, 0] = True
    own = objects_of(torch.tensor([[0, 4, 18, 18]]), mask)

    affine = Affine.draw(1, (20, 20), generator(), scale=(2.0, 2.0))

    assert len(affine.boxes([objects_of(own.boxes)])[0]) == 1
    assert len(affine.boxes([own])[0]) == 0


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, st.sampled_from([0, 3, 200]), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**31))
def test_crops_are_windows_of_everything(height: int, width: int, count: int, high: int, wide: int, seed: int) -> None:
    places = torch.arange(height * width, dtype=torch.float32).reshape(1, height, width)
    own = drawn_objects(count, height, width, seed)
    batch = SampleBatch({"image": places[:, None]}, {"label_map": places.long()}, [own])

    cut = crop_batch(batch, (high, wide), generator(seed))

    assert cut.frame == (high, wide)
    image, labels = cut.inputs["image"][0, 0], cut.maps["label_map"][0]
    h, w = cut.own_sizes()[0].tolist()
    assert (h, w) == (min(high, height), min(wide, width))
    top, left = divmod(int(image[0, 0]), width)
    assert torch.equal(image[:h, :w], places[0, top : top + h, left : left + w])
    assert torch.equal(labels[:h, :w], places[0, top : top + h, left : left + w].long())
    assert (labels[h:] == 255).all()
    assert (labels[:, w:] == 255).all()
    (rest,) = cut.objects
    if len(rest):
        assert (boxes_around(rest.masks) == rest.boxes).all()
        assert torch.equal(rest.masks[:, :h, :w], own.masks[rest.labels][:, top : top + h, left : left + w])


def test_crops_of_unequal_images_lie_inside_each() -> None:
    sizes = torch.tensor([[10, 30], [20, 12], [6, 6]])
    images = torch.zeros(3, 1, 20, 30)
    for image, (high, wide) in zip(images, sizes.tolist(), strict=True):
        image[:, :high, :wide] = 1

    for seed in range(20):
        cut = crop_batch(SampleBatch({"image": images}, sizes=sizes), (8, 10), generator(seed))
        assert cut.inputs["image"].sum((1, 2, 3)).tolist() == [80, 80, 36]
        assert cut.own_sizes().tolist() == [[8, 10], [8, 10], [6, 6]]


def test_crops_show_every_place() -> None:
    batch = SampleBatch({"image": torch.arange(12.0).reshape(1, 1, 3, 4).expand(300, 1, 3, 4)})

    cut = crop_batch(batch, (2, 2), generator())

    assert set(cut.inputs["image"][:, 0, 0, 0].tolist()) == {0, 1, 2, 4, 5, 6}
    assert cut.sizes is None


def test_cropped_pairs_know_which_partners_are_gone() -> None:
    disparity = torch.full((1, 6, 20), 4.0)
    maps = {"disparity": disparity, "occluded": torch.arange(20).expand(1, 6, 20) < 4}

    cut = crop_batch(SampleBatch({"left": torch.rand(1, 3, 6, 20)}, maps), (6, 10), generator(1))

    assert cut.maps["occluded"][..., :4].all()
    assert not cut.maps["occluded"][..., 4:].any()


@pytest.mark.parametrize("change", [{"scale": (0.6, 1.8), "shift": 0.2, "rotate": 30.0, "flip": 0.5}, {"flip": 1.0}])
def test_cameras_follow_and_distances_then_stay(change: dict[str, Any]) -> None:
    camera = torch.tensor([[30.0, 0, 9.5], [0, 30, 7.5], [0, 0, 1]]).expand(3, 3, 3)
    places = smooth(3, 16, 20)
    batch = SampleBatch({"image": places}, {"depth": torch.full((3, 16, 20), 2.0)}, facts={"intrinsics": camera})

    moved = augment_batch(batch, Changes(**change), generator(2))

    assert set(moved.maps["depth"].unique().tolist()) <= {0.0, 2.0}
    ray = torch.linalg.solve(moved.facts["intrinsics"], torch.tensor([11.0, 6, 1]).expand(3, 3))
    x, y, _ = (camera @ ray[:, :, None])[:, :, 0].unbind(1)
    assert torch.allclose(moved.inputs["image"][:, 1, 6, 11], x / 20, atol=1e-4)
    assert torch.allclose(moved.inputs["image"][:, 0, 6, 11], y / 16, atol=1e-4)


def test_frames_of_a_moment_move_and_change_colour_alike() -> None:
    image = torch.rand(2, 3, 12, 14)
    batch = SampleBatch({"image": image, "frames": image[:, None].expand(2, 4, 3, 12, 14).contiguous()})

    moved = augment_batch(batch, Changes(**FULL, colour=0.4), generator())

    assert moved.inputs["frames"].shape == (2, 4, 3, 12, 14)
    for moment in range(4):
        assert torch.allclose(moved.inputs["frames"][:, moment], moved.inputs["image"], atol=1e-6)


def test_the_views_of_a_pair_change_colour_apart_and_other_inputs_alike() -> None:
    view = torch.rand(8, 3, 6, 6)

    pair = change_colours(SampleBatch({"left": view, "right": view}), 0.3, generator())
    supervised = change_colours(SampleBatch({"image": view, "right": view}), 0.3, generator())

    assert all((one - other).abs().max() > 0.01 for one, other in zip(*pair.inputs.values(), strict=True))
    assert torch.equal(supervised.inputs["image"], supervised.inputs["right"])


def test_depths_that_are_inputs_move_as_depths_and_have_no_colour() -> None:
    batch = SampleBatch({"depth": torch.full((5, 1, 10, 10), 3.0)})

    moved = augment_batch(batch, Changes(scale=(0.5, 0.5), colour=0.5), generator())

    assert set(moved.inputs["depth"].unique().tolist()) == {0.0, 6.0}


def test_changes_that_are_off_draw_nothing_and_copy_nothing() -> None:
    order = generator()
    before = order.get_state()
    batch = SampleBatch({"image": torch.rand(2, 3, 8, 8)}, objects=[drawn_objects(2, 8, 8)] * 2)

    assert augment_batch(batch, Changes(), order) is batch
    assert torch.equal(order.get_state(), before)


def test_equal_seeds_give_equal_batches_and_leave_the_global_generator_alone() -> None:
    inputs = {"left": torch.rand(4, 3, 12, 18), "right": torch.rand(4, 3, 12, 18)}
    batch, state = SampleBatch(inputs, {"disparity": torch.rand(4, 12, 18) * 5}), torch.get_rng_state()

    one, same = (augment_batch(batch, STEREO, generator(7)) for _ in range(2))

    for name, values in {**one.inputs, **one.maps}.items():
        assert torch.equal(values, {**same.inputs, **same.maps}[name])
        assert not torch.equal(values, {**inputs, **batch.maps}[name])
    assert torch.equal(torch.get_rng_state(), state)


def test_images_without_objects_stay_without_and_200_objects_are_told_apart() -> None:
    crowded, empty = drawn_objects(200, 32, 32), drawn_objects(0, 32, 32)
    batch = SampleBatch({"image": torch.rand(3, 3, 32, 32)}, objects=[empty, crowded, empty])

    moved = augment_batch(batch, Changes(**FULL), generator())

    assert [len(own) for own in moved.objects][::2] == [0, 0]
    assert moved.objects[0].masks.shape == (0, 32, 32)
    assert 50 < len(moved.objects[1]) <= 200
    assert len(moved.objects[1].masks) == len(moved.objects[1].boxes) == len(moved.objects[1].labels)
    assert moved.objects[1].labels.tolist() == sorted(moved.objects[1].labels.tolist())
