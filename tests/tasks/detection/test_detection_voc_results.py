"""Results in the development kit's own form give the numbers that the same detections give as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.mutations import assert_one_line_about, mutations
from support.voc import annotation, voc_folder

from mlcvbench.contract import LoadedData
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.running.scoring import tabulate
from mlcvbench_detection.coco.image_names import Images
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc
from mlcvbench_detection.voc.results import read_voc_results

TASK = DetectionTask()
CLASSES = ("cat", "dog", "hot_dog")
HEAD = "comp4_det_test"
Found = list[tuple[str, str, float, tuple[int, int, int, int]]]
"""Image, class, score, inclusive corners from 1."""


def scene(folder: Path, seed: int = 0) -> tuple[LoadedData, Found]:
    """Return a VOC set of twelve images and detections near and far from its objects, with equal scores among them."""
    rng = np.random.default_rng(seed)
    images, found = {}, []
    for number in range(12):
        objects = []
        for _ in range(int(rng.integers(0, 4))):
            name = CLASSES[rng.integers(3)]
            x, y, width, height = (int(value) for value in rng.integers([1, 1, 4, 4], [30, 25, 25, 20]))
            box = (x, y, x + width, y + height)
            objects.append((name, box, str(int(rng.random() < 0.2))))
            moved = tuple(int(v) for v in np.array(box) + rng.integers(-2, 3, 4))
            found.append((f"im{number}", name, float(rng.integers(1, 9)) / 8, moved))
        found.append((f"im{number}", CLASSES[rng.integers(3)], float(rng.integers(1, 9)) / 8, (5, 5, 12, 20)))
        images[f"im{number}"] = annotation(objects)
    return load_voc({"root": str(voc_folder(folder, images)), "classes": "all"}, 0), found


def write_texts(folder: Path, found: Found) -> Path:
    folder.mkdir(exist_ok=True)
    for name in CLASSES:
        lines = [f"{image} {score} {' '.join(map(str, box))}\n" for image, own, score, box in found if own == name]
        (folder / f"{HEAD}_{name}.txt").write_text("".join(lines))
    return folder


def write_json(folder: Path, found: Found) -> Path:
    records = [
        {
            "image_id": image,
            "category_id": CLASSES.index(name) + 1,
            "bbox": [box[0] - 1, box[1] - 1, box[2] - box[0], box[3] - box[1]],
            "score": score,
        }
        for image, name, score, box in sorted(found, key=lambda one: CLASSES.index(one[1]))
    ]
    path = folder / "results.json"
    path.write_text(json.dumps(records))
    return path


@pytest.mark.parametrize("protocol", ["voc/11pt/plus1@1", "voc/allpoint/plus1@1", "voc/allpoint@1"])
@pytest.mark.parametrize("seed", range(3))
def test_text_and_json_give_the_same_numbers(tmp_path, protocol, seed):
    data, found = scene(tmp_path, seed)
    test, scorer = data.splits["test"], TASK.scorer(protocol, data.problem)

    values = []
    for path in (write_texts(tmp_path / "text", found), write_json(tmp_path, found)):
        external = TASK.read_external(path, test, data.problem, {})
        values.append(scorer.summarise(tabulate(scorer, external.predictions, test.targets(), len(test))))

    assert values[0] == values[1]
    assert 0 < next(iter(values[0].values())) < 1


def test_stored_text_results_read_back_as_they_were(tmp_path):
    data, found = scene(tmp_path)
    test = data.splits["test"]
    external = TASK.read_external(write_texts(tmp_path / "text", found), test, data.problem, {})

    stored = TASK.load(TASK.save(external.predictions, test.ids, tmp_path), test.ids, data.problem)

    assert external.source == "folder of VOC results: boxes"
    for name, column in external.predictions.items():
        np.testing.assert_array_equal(stored[name].values, column.values)
        np.testing.assert_array_equal(stored[name].starts, column.starts)


def test_pixels_are_counted_from_0_and_empty_files_find_nothing(tmp_path):
    data, _ = scene(tmp_path)
    folder = write_texts(tmp_path / "text", [("im3", "hot_dog", 0.5, (1, 2, 1, 9))])

    read = read_voc_results(folder, Images(data.splits["test"].ids), data.problem).predictions

    assert read["xywh"][3].tolist() == [[0, 1, 0, 7]]
    assert read["labels"].values.tolist() == [2]
    assert read["scores"].counts.tolist() == [0, 0, 0, 1] + [0] * 8


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("im99 0.5 1 1 5 5", ": image 'im99' is not in the set of 12 images."),
        ("im1 0.5 1 1 5", ": wanted 'image score xmin ymin xmax ymax', got 'im1 0.5 1 1 5'."),
        ("im1 0.5 1 1 5 5 5", ": wanted 'image score xmin ymin xmax ymax', got 'im1 0.5 1 1 5 5 5'."),
        ("im1 nan 1 1 5 5", ", score: wanted a finite number, got 'nan'."),
        ("im1 0.5 1 1 inf 5", ", xmax: wanted a finite number, got 'inf'."),
        ("im1 0.5 1 1e999 5 5", ", ymin: wanted a finite number, got '1e999'."),
        ("im1 0.5 1_0 1 5 5", ", xmin: wanted a finite number, got '1_0'."),
        ("im1 0.5 1 -1e9 5 5", ", ymin: wanted a finite number, got '-1e9'."),
        ("im1 0.5 6 1 5 5", ": wanted xmin <= xmax and ymin <= ymax, got [6.0, 1.0, 5.0, 5.0]."),
        ("im1 0.5 1 1 5 5\0", ": holds a NUL byte; wanted text."),
    ],
)
def test_bad_lines_are_named(tmp_path, line, said):
    data, found = scene(tmp_path)
    folder = write_texts(tmp_path / "text", found)
    path = folder / f"{HEAD}_dog.txt"
    path.write_text(f"im1 0.5 1 1 5 5\n{line}\n")

    with pytest.raises(DataError) as caught:
        TASK.read_external(folder, data.splits["test"], data.problem, {})

    assert str(caught.value) == f"{path}, line 2{said}"


def test_damage_anywhere_gives_numbers_or_one_line(tmp_path):
    data, found = scene(tmp_path)
    folder = write_texts(tmp_path / "text", found)
    path, refused = folder / f"{HEAD}_dog.txt", 0
    for what, damaged in mutations(b"im1 0.5 1 1 5 5\nim2 0.25 2 3.5 5 9\n"):
        path.write_bytes(damaged)
        try:
            read = TASK.read_external(folder, data.splits["test"], data.problem, {}).predictions
            assert np.isfinite(read["xywh"].values).all(), what
        except MlcvbenchError as error:
            assert_one_line_about(error, path)
            refused += 1
    assert refused > 120


def test_files_that_are_missing_strange_or_of_two_sets_are_named(tmp_path):
    data, found = scene(tmp_path)
    folder = write_texts(tmp_path / "text", found)

    def message() -> str:
        with pytest.raises(DataError) as caught:
            TASK.read_external(folder, data.splits["test"], data.problem, {})
        return str(caught.value)

    (folder / "notes.txt").write_text("not looked at")
    (folder / f"{HEAD}_cow.txt").write_text("")
    assert message() == f"{folder / HEAD}_cow.txt: 'cow' is not a class of the data set. Known: cat, dog, hot_dog."
    (folder / f"{HEAD}_cow.txt").rename(folder / "comp3_det_test_cat.txt")
    assert message() == (
        f"{folder / HEAD}_cat.txt: wanted one competition and image set, but comp3_det_test_cat.txt too."
    )
    (folder / "comp3_det_test_cat.txt").unlink()
    (folder / f"{HEAD}_dog.txt").unlink()
    assert message() == (f"{folder / HEAD}_dog.txt: no such file; a class without detections has an empty one.")
    for path in folder.iterdir():
        path.unlink()
    assert message() == (
        f"{folder}: is empty; wanted COCO's results as a .json file, or a folder of comp4_det_test_CLASS.txt (VOC) or "
        "of IMAGE.txt (YOLO)."
    )
    (folder / "shown.jpg").write_text("")
    assert message().startswith(f"{folder}: holds shown.jpg; wanted COCO's results as a .json file, or a folder")
