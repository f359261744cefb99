"""Every data set that is made of files, read whole: by several threads as by one, and what cannot be read is listed at
once, and left out on request.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from support.classification import write_image_folder
from support.depth_maps import disparities, write_image, write_map, write_stereo_folder
from support.detection import HEIGHT, WIDTH, scene
from support.faces import write_faces
from support.label_folders import label_maps, write_label_folder, write_png
from support.voc import annotation, voc_folder

import mlcvbench
from mlcvbench.cli import main
from mlcvbench.contract import LoadedData, Split
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import readers
from mlcvbench.loading.broken import find_broken
from mlcvbench.loading.data import read_data
from mlcvbench.loading.tasks import task_of_kind
from mlcvbench.plan.data_requests import plan_data
from mlcvbench.registry import get_registry
from mlcvbench.specs import SKIP


class Case(NamedTuple):
    """The words after `data check`, files to break, and the ids of the samples that can no longer be read then."""

    words: list[str]
    files: list[Path]
    ids: list[str]


def image_folder(folder: Path) -> Case:
    counts = {"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 2}
    root = write_image_folder(folder, counts)
    files = [root / "test/a/000.png", root / "test/b/001.png"]
    return Case(["image-folder", f"data.root={root}"], files, ["a/000.png", "b/001.png"])


def image_folder_of_one_size(folder: Path) -> Case:
    case = image_folder(folder)
    return case._replace(words=[*case.words, "data.size=[8,8]"])


def coco(folder: Path) -> Case:
    (folder / "images").mkdir(parents=True)
    annotated = scene([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}], images=4)
    (folder / "gt.json").write_text(json.dumps(annotated))
    for number in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), "grey").save(folder / f"images/{number}.png")
    words = ["coco", f"data.annotations={folder / 'gt.json'}", f"data.images={folder / 'images'}"]
    return Case(words, [folder / "images/0.png", folder / "images/2.png"], ["1", "21"])


def voc(folder: Path) -> Case:
    folder.mkdir()
    root = voc_folder(folder, {name: annotation([("dog", (5, 5, 24, 24), "0")]) for name in "abc"})
    (root / "JPEGImages").mkdir()
    for name in "abc":
        Image.new("RGB", (60, 50), "grey").save(root / "JPEGImages" / f"{name}.jpg")
    return Case(["voc", f"data.root={root}"], [root / "JPEGImages/b.jpg"], ["b"])


def label_folder(folder: Path) -> Case:
    root = write_label_folder(folder, label_maps(4))
    return Case(["label-folder", f"data.root={root}"], [root / "images/0.png", root / "labels/2.png"], ["0", "2"])


def labels_without_images(folder: Path) -> Case:
    root = write_label_folder(folder, label_maps(4), images=False)
    return Case(["label-folder", f"data.root={root}"], [root / "labels/1.png"], ["1"])


def voc_segmentation(folder: Path) -> Case:
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    (folder / "ImageSets/Segmentation/val.txt").write_text("a\nb\nc\n")
    for name in "abc":
        write_png(folder / f"SegmentationClass/{name}.png", np.zeros((8, 8), np.uint8), "P")
        (folder / "JPEGImages").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "grey").save(folder / f"JPEGImages/{name}.jpg")
    return Case(["voc-segmentation", f"data.root={folder}"], [folder / "JPEGImages/c.jpg"], ["c"])


def face_folder(folder: Path) -> Case:
    root = write_faces(folder)
    files = [root / "person0/person0_0002.png", root / "person3/person3_0001.png"]
    return Case(["face-folder", f"data.root={root}"], files, ["person0/person0_0002", "person3/person3_0001"])


def lfw(folder: Path) -> Case:
    root = write_faces(folder, count=4, each=4, suffix="{name}_{number:04d}.jpg")
    genuine = [f"person{person}\t{first}\t{first + 1}" for person in range(4) for first in (1, 3)]
    impostors = [f"person{person}\t1\tperson{(person + 1) % 4}\t{other}" for person in range(4) for other in (2, 3)]
    lines = [*genuine[:4], *impostors[:4], *genuine[4:], *impostors[4:]]
    (root / "pairs.txt").write_text("\n".join(["2\t4", *lines, ""]))
    return Case(["lfw", f"data.root={root}"], [root / "person2/person2_0003.jpg"], ["person2/person2_0003"])


def stereo_folder(folder: Path) -> Case:
    root = write_stereo_folder(folder, disparities(4))
    return Case(["stereo-folder", f"data.root={root}"], [root / "right/1.png", root / "disparity/3.pfm"], ["1", "3"])


def depth_folder(folder: Path) -> Case:
    for index, values in enumerate(disparities(3)):
        write_image(folder / f"images/{index}.png", values.shape, index)
        write_map(folder / "depth", index, values)
    return Case(["depth-folder", f"data.root={folder}"], [folder / "depth/1.png"], ["1"])


CASES: list[Callable[[Path], Case]] = [
    image_folder, image_folder_of_one_size, coco, voc, label_folder, labels_without_images, voc_segmentation,
    face_folder, lfw, stereo_folder, depth_folder,
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A data set some of whose files have been cut short."""
    made: Case = request.param(tmp_path / "set")
    for path in made.files:
        path.write_bytes(path.read_bytes()[:20])
    return made


def load(case: Case, *more: str) -> LoadedData:
    (asked,), _ = plan_data(case.words[0], [*case.words[1:], *more])
    return read_data(asked.spec, task_of_kind(asked.kind), asked.params, asked.seed)


def test_every_file_that_cannot_be_read_is_listed_at_once(case: Case, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", *case.words]) == 1

    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == len(case.files)
    assert all(line.startswith(f"{path}: ") for line, path in zip(lines, case.files, strict=True))
    count = len(case.files)
    assert captured.err.startswith(f"mlcvbench: error: {count} of ")
    assert captured.err.endswith(
        f" samples ({count} of test) of data set {case.words[0]!r} cannot be read. "
        "Leave them out with data.skip=broken.\n"
    )


def test_broken_samples_are_left_out_on_request_counted_and_noticed(case: Case):
    data = load(case, "data.skip=broken")

    test = data.splits["test"]
    assert not set(case.ids) & set(map(str, test.ids))
    assert sorted(map(str, test.unread)) == sorted(case.ids)
    assert find_broken(data) == []
    (notice,) = data.notices
    total = sum(map(len, data.splits.values())) + len(case.ids)
    assert (notice.code, notice.count) == ("broken-samples-left-out", len(case.ids))
    assert notice.text == (
        f"{len(case.ids)} of {total} samples ({len(case.ids)} of test) cannot be read and are left out "
        f"(data.skip=broken); the first is {case.ids[0]!r} of test, and `mlcvbench data check {data.name}` lists them."
    )


def test_a_file_that_was_repaired_comes_back_and_makes_other_data_of_it(tmp_path: Path):
    case = label_folder(tmp_path / "set")
    whole = [path.read_bytes() for path in case.files]
    for path in case.files:
        path.write_bytes(b"broken")
    without = load(case, "data.skip=broken")
    case.files[0].write_bytes(whole[0])

    repaired = load(case, "data.skip=broken")

    assert without.splits["test"].ids.tolist() == ["1", "3"]
    assert repaired.splits["test"].ids.tolist() == ["0", "1", "3"]
    assert repaired.fingerprint() != without.fingerprint()


def test_data_without_a_broken_file_are_the_same_with_and_without_the_setting(tmp_path: Path):
    case = stereo_folder(tmp_path / "set")

    left_out, whole = load(case, "data.skip=broken"), load(case)

    assert left_out.fingerprint() == whole.fingerprint()
    assert left_out.notices == ()


@pytest.mark.parametrize(
    "make", [one for one in CASES if one is not labels_without_images], ids=lambda one: one.__name__
)
def test_samples_are_shown_and_checked_by_several_threads_as_by_one(
    make: Callable[[Path], Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data, readings = load(make(tmp_path / "set")), set[str]()
    split = data.splits["test"]
    read = type(split).read

    def watched(self: Split, index: object) -> object:
        readings.add(threading.current_thread().name)
        time.sleep(0.01)  # else one of them might be done before another begins
        return read(self, index)

    monkeypatch.setattr(type(split), "read", watched)
    task, sheets = task_of_kind(data.problem.kind), []
    for count in (0, 3):
        with readers(count):
            sheets.append(task.preview(split, data.problem, 4))
            assert find_broken(data) == []
            assert len(readings) == 1 if count == 0 else len(readings) > 1

    for one, other in zip(*sheets, strict=True):
        assert one.caption == other.caption
        assert np.array_equal(one.image, other.image)


def test_data_that_can_all_be_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", *image_folder(tmp_path / "set").words]) == 0

    assert capsys.readouterr().out == ("image-folder: all 11 samples (6 of train, 5 of test) can be read.\n")


def test_the_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = label_folder(tmp_path / "set")
    case.files[0].write_bytes(b"")

    assert main(["data", "check", *case.words, "--json"]) == 1

    (found,) = json.loads(capsys.readouterr().out)
    (broken,) = found.pop("broken")
    assert found == {"name": "label-folder", "kind": "segmentation", "samples": {"test": 4}}
    assert (broken["split"], broken["id"]) == ("test", "0")
    assert broken["message"].startswith(f"{case.files[0]}: cannot be decoded as PNG, ")


def test_data_of_which_nothing_can_be_read_are_refused(tmp_path: Path):
    case = depth_folder(tmp_path / "set")
    for path in (tmp_path / "set/images").iterdir():
        path.write_bytes(b"no image")

    with pytest.raises(DataError) as caught:
        load(case, "data.skip=broken")

    assert str(caught.value).startswith(
        "data.skip=broken: no sample of split 'test' of data set 'depth-folder' can be read; the first: "
        f"{tmp_path / 'set/images/0.png'}: cannot be decoded as PNG, "
    )


def test_every_data_set_of_single_files_can_be_read_without_its_broken_ones():
    packed = {"idx", "fashion-mnist"}
    of_files = [e.spec for e in get_registry().datasets() if any(param.type == "path" for param in e.spec.params)]

    assert {spec.name for spec in of_files if SKIP not in spec.params} == packed


def test_a_run_without_broken_samples_says_so_in_its_record_and_its_command(tmp_path: Path):
    case = image_folder(tmp_path / "set")
    case.files[0].write_bytes(b"")
    words = ["task=classification", "data=image-folder", *case.words[1:], "data.skip=broken", "data.size=[8,8]"]

    (record,) = mlcvbench.run(*words, "model=majority", "time=off", "threads=1", f"out={tmp_path / 'runs'}")

    assert record.status == "ok"
    assert record.notices[0].code == "broken-samples-left-out"
    assert "a/000.png" in record.notices[0].text
    assert str(tmp_path) not in record.notices[0].text
    assert "data.skip=broken" in record.command
    assert record.dataset is not None
    assert record.dataset.n == 4
