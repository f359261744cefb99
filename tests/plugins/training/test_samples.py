"""Training data of every kind as tensors: what is in a batch, and that its place, memory or disk, changes no bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.depth_maps import disparities, write_stereo_folder
from support.faces import write_faces

from mlcvbench.contract import ArraySplit, Split
from mlcvbench.contract.split import JoinedSplit
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import readers
from mlcvbench_depth.folders import load_stereo_folder
from mlcvbench_depth.scenes import load_scenes_mono, load_scenes_stereo
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.scenes import load_scenes
from mlcvbench_segmentation.bodies import load_bodies
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.split import LabelSplit
from mlcvbench_training.samples import DenseSamples, Objects, SampleBatch
from mlcvbench_verification.face_folder import load_face_folder

CPU = torch.device("cpu")
SCENES = {"level": "medium", "size": (32, 48), "train": 6, "val": 2, "test": 1}
SIZES = [(9, 14), (12, 10), (9, 14), (20, 7), (12, 10), (8, 8)]


def tensors_of(batch: SampleBatch) -> dict[str, torch.Tensor]:
    """Return everything in a batch by name."""
    found = {**batch.inputs, **batch.maps, **batch.facts, "own": batch.own_sizes()}
    if batch.labels is not None:
        found["labels"] = batch.labels
    for place, own in enumerate(batch.objects):
        found |= {f"{place}.boxes": own.boxes, f"{place}.labels": own.labels, f"{place}.ignored": own.ignored}
        if own.masks is not None:
            found[f"{place}.masks"] = own.masks
    return found


def assert_same(one: SampleBatch, other: SampleBatch) -> None:
    first, second = tensors_of(one), tensors_of(other)
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype, name
        assert torch.equal(first[name], second[name]), name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes with a label image each."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        labels = rng.integers(0, 3, size, dtype=np.uint8)
        Image.fromarray(labels).save(folder / f"{number}.label.png")
    return folder


@pytest.fixture(scope="module")
def coco(pictures: Path) -> Split:
    """Pictures with two objects, one and none in turn; the second of two is a crowd, a speck stands in the last."""
    images, annotations = [], []
    for number, (height, width) in enumerate(SIZES):
        images.append({"id": number + 1, "file_name": f"{number}.png", "height": height, "width": width})
        for place in range(2 - number % 3):
            box = [1 + place, 2, 4, 5]
            polygon = [[box[0], 2, box[0] + 4, 2, box[0] + 4, 7, box[0], 7]]
            counts = {"size": [height, width], "counts": [height, 2, height * width - height - 2]}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": 1 + place,
                    "bbox": box,
                    "area": 20,
                    "iscrowd": place,
                    "segmentation": counts if place else polygon,
                }
            )
    speck = {"id": 99, "image_id": 6, "category_id": 1, "bbox": [1, 1, 0.5, 3], "area": 1, "iscrowd": 0}
    annotations.append({**speck, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]})
    scene = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    path = pictures / "coco.json"
    path.write_text(json.dumps(scene), encoding="utf-8")
    return load_coco({"annotations": str(path), "images": str(pictures), "masks": True}, 0).splits["test"]


@pytest.fixture(scope="module")
def labelled(pictures: Path) -> Split:
    labels, images = ([pictures / f"{n}{end}" for n in range(len(SIZES))] for end in (".label.png", ".png"))
    return LabelSplit("train", [str(n) for n in range(len(SIZES))], labels, images, Coding.plain(3, None))


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Split:
    root = tmp_path_factory.mktemp("stereo")
    maps = disparities(5)
    write_stereo_folder(root, maps)
    for number, values in enumerate(maps):
        mask = Image.fromarray((values > 40).astype(np.uint8) * 255)
        (root / "occlusion").mkdir(exist_ok=True)
        mask.save(root / f"occlusion/{number}.png")
    return load_stereo_folder({"root": str(root)}, 0).splits["test"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Split:
    root = write_faces(tmp_path_factory.mktemp("faces"))
    return load_face_folder({"root": str(root)}, 0).splits["test"]


WANTED: dict[str, dict[str, Any]] = {
    "coco": {"masks": True},
    "labelled": {"maps": ("label_map",), "multiple": 8},
    "stereo": {"inputs": ("left", "right"), "maps": ("disparity", "occluded")},
    "faces": {"labels": "identity"},
}


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("kind", WANTED)
def test_batches_from_disk_are_those_from_memory(request: pytest.FixtureRequest, kind: str, count: int) -> None:
    split: Split = request.getfixturevalue(kind)
    chosen = [torch.tensor([4, 0]), slice(1, 4), torch.tensor([2]), slice(0, None), torch.tensor([0, 2])]
    held = DenseSamples.of(split, CPU, **WANTED[kind])
    streamed = DenseSamples.of(split, CPU, memory=10, **WANTED[kind])

    assert len(held) == len(streamed) == len(split)
    with readers(count):
        for one, other in zip(held.read(chosen), streamed.read(chosen), strict=True):
            assert_same(one, other)
    if held.labels is not None and streamed.labels is not None:
        assert torch.equal(held.labels, streamed.labels)


@pytest.mark.parametrize("kind", WANTED)
def test_samples_that_fit_into_memory_are_read_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    split: Split = request.getfixturevalue(kind)
    held = DenseSamples.of(split, CPU, memory=10**9, **WANTED[kind])
    monkeypatch.setattr(type(split), "read", None)

    assert len(next(held.read([slice(0, 2)]))) == 2


def test_images_beyond_the_bytes_that_are_scaled_once_give_the_same_batches(
    labelled: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = DenseSamples.of(labelled, CPU, maps=("label_map",))
    monkeypatch.setattr("mlcvbench_training.samples.SCALED_BYTES", 1)
    each = DenseSamples.of(labelled, CPU, maps=("label_map",))

    assert_same(next(once.read([slice(0, 5)])), next(each.read([slice(0, 5)])))


def test_images_are_scaled_and_padded_below_and_to_the_right(labelled: Split) -> None:
    batch = next(DenseSamples.of(labelled, CPU, maps=("label_map",)).read([torch.tensor([3, 0])]))
    (one, other), targets = labelled.read([3, 0])[0].inputs["image"], labelled.read([3, 0])[1]["label_map"]

    assert batch.frame == (20, 14)
    assert batch.own_sizes().tolist() == [[20, 7], [9, 14]]
    images, labels = batch.inputs["image"], batch.maps["label_map"]
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert np.array_equal(images[0, :, :, :7], np.moveaxis(one, 2, 0).astype(np.float32) / np.float32(255))
    assert np.array_equal(images[1, :, :9], np.moveaxis(other, 2, 0).astype(np.float32) / np.float32(255))
    assert (images[0, :, :, 7:] == 0).all()
    assert (images[1, :, 9:] == 0).all()
    assert np.array_equal(labels[0, :, :7], targets[0])
    assert (labels[0, :, 7:] == 255).all()
    assert (labels[1, 9:] == 255).all()


def test_frames_are_multiples_of_what_a_network_wants(labelled: Split) -> None:
    samples = DenseSamples.of(labelled, CPU, maps=("label_map",), multiple=8)

    assert [batch.frame for batch in samples.read([slice(0, 6), torch.tensor([5])])] == [(24, 16), (8, 8)]
    assert next(samples.read([torch.tensor([5])])).sizes is None


def test_objects_have_corners_and_crowds_and_specks_are_ignored(coco: Split) -> None:
    batch = next(DenseSamples.of(coco, CPU, masks=True).read([slice(0, 6)]))

    assert [len(own) for own in batch.objects] == [2, 1, 0, 2, 1, 1]
    first = batch.objects[0]
    assert first.boxes.tolist() == [[1, 2, 5, 7], [2, 2, 6, 7]]
    assert (first.boxes.dtype, first.labels.dtype, first.ignored.dtype) == (torch.float32, torch.int64, torch.bool)
    assert first.labels.tolist() == [0, 1]
    assert first.ignored.tolist() == [False, True]
    assert batch.objects[5].ignored.tolist() == [True]
    assert batch.objects[2].boxes.shape == (0, 4)


def test_masks_are_those_of_the_data_in_the_frame_of_the_batch(coco: Split) -> None:
    batch = next(DenseSamples.of(coco, CPU, masks=True).read([slice(0, 6)]))

    assert {tuple(own.masks.shape[1:]) for own in batch.objects if own.masks is not None} == {(20, 14)}
    polygon, runs = batch.objects[0].masks
    assert torch.nonzero(polygon).amin(0).tolist() == [2, 1]
    assert torch.nonzero(polygon).amax(0).tolist() == [6, 4]
    assert torch.nonzero(runs).tolist() == [[0, 1], [1, 1]]
    assert batch.objects[2].masks.shape == (0, 20, 14)


def test_masks_fit_their_boxes_in_scenes_and_joined_splits() -> None:
    data = load_scenes({**SCENES, "masks": True}, 0)
    joined = JoinedSplit([data.splits["train"], data.splits["val"]], "train")

    for split in (joined, data.splits["train"].take([5, 0, 3])):
        for own in next(DenseSamples.of(split, CPU, masks=True).read([slice(0, 8)])).objects:
            for mask, box in zip(own.masks, own.boxes, strict=True):
                low, high = torch.nonzero(mask).amin(0), torch.nonzero(mask).amax(0) + 1
                assert [*low.flip(0).tolist(), *high.flip(0).tolist()] == box.tolist()


def test_pixels_beyond_a_view_have_no_disparity_and_are_not_seen(stereo: Split) -> None:
    samples = DenseSamples.of(stereo, CPU, inputs=("left", "right"), maps=("disparity", "occluded"))
    batch = next(samples.read([torch.tensor([4, 0])]))

    assert batch.maps["disparity"].dtype == torch.float32
    assert (batch.maps["disparity"][1, 6:] == 0).all()
    assert batch.maps["occluded"][1, 6:].all()
    truth = stereo.targets()["disparity"][0]
    assert np.array_equal(batch.maps["disparity"][1, :6], truth)
    assert np.array_equal(batch.maps["occluded"][1, :6], truth > 40)


def test_stereo_scenes_mark_what_leaves_the_right_view() -> None:
    split = load_scenes_stereo(SCENES, 0).splits["train"]
    samples = DenseSamples.of(
        split, CPU, inputs=("left", "right"), maps=("disparity", "occluded"), facts=("intrinsics", "baseline")
    )
    batch = next(samples.read([slice(0, 6)]))

    partner = torch.arange(48) + 0.5 - batch.maps["disparity"]
    assert batch.maps["occluded"][partner < 0].all()
    assert batch.facts["intrinsics"].shape == (6, 3, 3)
    assert batch.facts["baseline"].shape == (6,)
    assert batch.inputs["left"].shape == batch.inputs["right"].shape == (6, 3, 32, 48)


def test_sequences_keep_their_axis_of_time() -> None:
    split = load_scenes_mono({**SCENES, "train": 2, "supervision": "sequence", "frames": 3}, 0).splits["train"]

    batch = next(DenseSamples.of(split, CPU, inputs=("image", "frames"), facts=("poses",)).read([slice(0, 2)]))

    assert batch.inputs["frames"].shape == (2, 3, 3, 32, 48)
    assert torch.equal(batch.inputs["frames"][:, 1], batch.inputs["image"])


def test_depth_inputs_stay_metres() -> None:
    split = load_bodies({**SCENES, "train": 2}, 0).splits["train"]

    batch = next(DenseSamples.of(split, CPU, inputs=("depth",), maps=("label_map",)).read([slice(0, 2)]))

    assert np.array_equal(batch.inputs["depth"][:, 0], split.read(slice(0, 2))[0].inputs["depth"])


def test_wide_label_maps_have_their_own_unknown() -> None:
    labels = np.array([[[255, 65535]], [[300, 0]]], dtype=np.uint16)
    split = ArraySplit("train", {"image": np.zeros((2, 1, 2), np.uint8)}, {"label_map": labels})

    batch = next(DenseSamples.of(split, CPU, maps=("label_map",), multiple=4).read([slice(0, 2)]))

    assert batch.unknown == 65535
    assert batch.maps["label_map"][:, 0].tolist() == [[255, 65535, 65535, 65535], [300, 0, 65535, 65535]]


def test_labels_are_known_before_a_batch_is_read() -> None:
    split = ArraySplit("train", {"image": np.zeros((3, 4, 4), np.uint8)}, {"label": np.array([2, 0, 1])})

    samples = DenseSamples.of(split, CPU, labels="label")

    assert samples.labels.tolist() == [2, 0, 1]
    assert next(samples.read([torch.tensor([2, 0])])).labels.tolist() == [1, 2]


def test_people_of_joined_splits_are_known_from_disk_too(faces: Split) -> None:
    joined = JoinedSplit([faces.take([0, 1]), faces.take([11, 4])], "train")

    samples = DenseSamples.of(joined, CPU, labels="identity", memory=10)

    assert samples.labels.tolist() == [0, 0, 3, 1]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"inputs": ("left",)}, "split 'train': wanted the input 'left' to train on, got image."),
        ({"maps": ("depth",)}, "split 'train': wanted the target 'depth' to train on, got label."),
        ({"objects": True}, "split 'train': wanted the target 'xywh' to train on, got label."),
        ({"labels": "identity"}, "split 'train': wanted the target 'identity' to train on, got label."),
        ({"facts": ("baseline",)}, "split 'train': wanted the fact 'baseline' to train on, got none."),
    ],
)
def test_a_missing_column_is_named(wanted: Mapping[str, Any], message: str) -> None:
    split = ArraySplit("train", {"image": np.zeros((2, 4, 4), np.uint8)}, {"label": np.array([1, 0])})

    with pytest.raises(DataError) as caught:
        DenseSamples.of(split, CPU, **wanted)

    assert str(caught.value) == message


def test_an_empty_split_is_refused(coco: Split) -> None:
    with pytest.raises(DataError) as caught:
        DenseSamples.of(coco.take([]), CPU, objects=True)

    assert str(caught.value) == "split 'test' has no samples, wanted at least 1 to train on."


def test_batches_move_to_a_device_as_a_whole(coco: Split) -> None:
    batch = next(DenseSamples.of(coco, CPU, masks=True).read([slice(0, 2)])).to(torch.device("meta"))

    kinds = {name: values.device.type for name, values in tensors_of(batch).items()}
    assert kinds.pop("own") == "cpu"
    assert set(kinds.values()) == {"meta"}
    assert isinstance(batch.objects[0], Objects)
