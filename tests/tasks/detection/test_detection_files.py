"""Reading results by columns and by objects, data sets with and without pictures, specs and definitions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from support.detection import VAL100, random_case, scene, write_case

import mlcvbench
from mlcvbench.errors import DataError
from mlcvbench_detection import mlcvbench_datasets, mlcvbench_tasks
from mlcvbench_detection.coco import json_columns
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.coco.image_names import Images
from mlcvbench_detection.coco.results import Wanted, read_results
from mlcvbench_detection.coco.uniform import read_uniform


def read_both(path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Wanted) -> list[dict[str, object]]:
    """Return what the reader of objects and the reader of columns make of a file."""
    readings = []
    for small in (2**40, 0):
        monkeypatch.setattr(json_columns, "SMALL", small)
        readings.append(read_results(path, wanted).predictions)
    return readings


def assert_same(one: dict[str, object], other: dict[str, object]) -> None:
    assert set(one) == set(other)
    for name, column in one.items():
        assert np.array_equal(column.starts, other[name].starts)
        values, others = (
            (column.values.runs, other[name].values.runs) if name == "masks" else (column.values, other[name].values)
        )
        assert np.array_equal(values, others)


def layouts(results: list[dict[str, object]]) -> dict[str, str]:
    """Return one list of results in every form programs write it."""
    reordered = [dict(reversed(list(result.items()))) for result in results]
    return {
        "default": json.dumps(results),
        "compact": json.dumps(results, separators=(",", ":")),
        "indented": json.dumps(results, indent=2),
        "lines": "[\n" + ",\n".join(map(json.dumps, results)) + "\n]\n",
        "other order": json.dumps(reordered),
        "mixed order": json.dumps([*results[:5], *reordered[5:]]),
        "more fields": json.dumps([{"id": row, "area": 1.5, "iscrowd": 0, **r} for row, r in enumerate(results)]),
        "a field in some": json.dumps([{**r, "track": 3} if row % 3 else r for row, r in enumerate(results)]),
        "nested lists": json.dumps([{**r, "extra": [{"a": 1}, {"b": 2}]} for r in results]),
        "a joint in text": json.dumps([{**r, "note": "}, {"} for r in results]),
        "blank ends": "  \n" + json.dumps(results) + "  \n",
    }


@pytest.mark.parametrize("name", layouts([{"a": 1}] * 6))
def test_columns_and_objects_give_the_same_whatever_the_layout(name, tmp_path, monkeypatch):
    _, results = random_case(3)
    path = tmp_path / "results.json"
    path.write_text(layouts(results)[name], encoding="utf-8")
    wanted = Wanted(Images(np.array([str(10 * image + 1) for image in range(12)])), None, (1, 4, 7, 10), masks=False)

    assert_same(*read_both(path, monkeypatch, wanted))


@pytest.mark.parametrize("block", [64, 1000, 4096])
def test_blocks_of_any_size_give_the_same(block, tmp_path, monkeypatch):
    _, results = random_case(4)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    monkeypatch.setattr(json_columns, "_BLOCK", block)
    wanted = Wanted(Images(np.array([str(10 * image + 1) for image in range(12)])), None, (1, 4, 7, 10), masks=False)

    assert_same(*read_both(path, monkeypatch, wanted))


def test_published_masks_are_read_the_same_by_columns_and_objects(monkeypatch):
    split = load_coco({"annotations": str(VAL100 / "instances_val2014_100.json")}, 0).splits["test"]
    wanted = Wanted(Images(split.ids), np.asarray(split.targets()["size"]), tuple(range(1, 91)), masks=True)

    assert_same(*read_both(VAL100 / "instances_val2014_fakesegm100_results.json", monkeypatch, wanted))


def test_decimals_are_read_as_python_reads_them(tmp_path, monkeypatch):
    numbers = random.Random(0)
    values = [numbers.uniform(-1, 1) * 10 ** numbers.randint(-320, 5) for _ in range(4000)]
    values += [5e-324, 2.2250738585072014e-308, 0.1, 1e-5, 1e5, -0.0, 123456789.12345678]
    results = [
        {"image_id": 1, "category_id": 1, "score": value, "bbox": [value, 1, abs(value) % 9, 0.5]}
        for value in values
        if abs(value) < 1e6
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results), encoding="utf-8")

    read = read_both(path, monkeypatch, Wanted(Images(np.array(["1"])), None, (1,), masks=False))

    assert all(reading["scores"].values.tolist() == [result["score"] for result in results] for reading in read)
    assert all(reading["xywh"].values.tolist() == [result["bbox"] for result in results] for reading in read)


@pytest.mark.parametrize(
    "record",
    [
        '{"im1age_id": 1, "category_id": 1, "score": , "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 11, 1, ]}',
        '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]5}',
        '{"image_id": 1.5, "category_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1e+0, "category_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 99999999999999999999, "category_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1, "category_id": 1, "score": 0.5-1, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1, "category_id": 1, "score": 1/2, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1, "category_id": 1, "score": +0.5, "bbox": [1, 1, 1, 1]}',
        '{"image_id": 1, "category_id": 1, "score": 0.\x015, "bbox": [1, 1, 1, 1]}',
        '{"category_id": 1, "image_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]}',
    ],
)
def test_a_record_that_breaks_the_template_is_not_read_by_it(record, tmp_path):
    usual = '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 1, 1]}'
    path = tmp_path / "results.json"
    for places in ([usual, record], [usual, record, usual]):
        path.write_text(f"[{', '.join(places)}]", encoding="utf-8")
        assert read_uniform(path) is None
    path.write_text(f"[{usual}, {usual}]", encoding="utf-8")
    assert read_uniform(path) is not None


def test_images_with_no_objects_and_no_detections_are_fine(tmp_path):
    case = write_case(tmp_path, scene([], images=4), [])

    assert [len(part) for part in case.predictions["scores"]] == [0, 0, 0, 0]
    assert [len(part) for part in case.split.targets()["labels"]] == [0, 0, 0, 0]


class TestDataSets:
    def write(self, folder: Path, name: str = "truth.json", **changes: object) -> Path:
        path = folder / name
        content = scene([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], images=2)
        path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
        return path

    def test_classes_and_images_are_ordered_by_their_ids(self, tmp_path):
        content = scene([{"image_id": 11, "category_id": 4, "bbox": [1, 2, 3, 4]}], images=2)
        content["images"].reverse()
        content["categories"].reverse()
        path = self.write(tmp_path, **content)

        data = load_coco({"annotations": str(path)}, 0)

        assert data.problem.classes == ("class0", "class1")
        assert data.problem.extra["category_ids"] == (1, 4)
        assert data.splits["test"].ids.tolist() == ["1", "11"]
        assert data.splits["test"].targets()["labels"][1].tolist() == [1]

    def test_the_fingerprint_is_that_of_the_annotations(self, tmp_path):
        (tmp_path / "images").mkdir()
        path = self.write(tmp_path)
        other = self.write(
            tmp_path,
            "other.json",
            annotations=[{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "area": 12, "iscrowd": 0}],
        )

        def fingerprint(**params: object) -> str:
            return load_coco(params, 0).splits["test"].fingerprint()

        assert fingerprint(annotations=str(path)) == fingerprint(annotations=str(path), images=str(tmp_path / "images"))
        assert fingerprint(annotations=str(path)) != fingerprint(annotations=str(other))

    def test_other_pictures_are_another_run_on_the_same_data(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        path = self.write(tmp_path)
        Image.new("RGB", (320, 240), "red").save(folder / "0.png")
        data = load_coco({"annotations": str(path), "images": str(folder)}, 0)
        part = data.splits["test"].take([0])

        def digests() -> list[str]:
            return [data.fingerprint(), data.fingerprint(shown=False), part.content(), part.fingerprint()]

        before = digests()
        Image.new("RGB", (320, 240), "blue").save(folder / "0.png")

        assert [old == new for old, new in zip(before, digests(), strict=True)] == [False, True, False, True]

    def test_pictures_are_read_and_held_against_their_size(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        Image.new("RGB", (320, 240), "red").save(folder / "0.png")
        Image.new("RGB", (240, 320), "red").save(folder / "1.png")
        split = load_coco({"annotations": str(self.write(tmp_path)), "images": str(folder)}, 0).splits["test"]

        batch, targets = split.read(slice(0, 1))
        with pytest.raises(DataError) as error:
            split.read([1])

        assert batch.inputs["image"][0].shape == (240, 320, 3)
        assert batch.ragged
        assert targets["xywh"][0].tolist() == [[1, 2, 3, 4]]
        assert str(error.value) == (
            f"{folder / '1.png'}: has 320 x 240 pixels (height x width), but its annotation says 240 x 320."
        )

    def test_training_annotations_give_a_training_split(self, tmp_path):
        path, train = self.write(tmp_path), self.write(tmp_path, "train.json")
        other = self.write(tmp_path, "other.json", categories=[{"id": 1, "name": "class0"}])

        data = load_coco({"annotations": str(path), "train": str(train)}, 0)
        with pytest.raises(DataError) as error:
            load_coco({"annotations": str(path), "train": str(other)}, 0)

        assert set(data.splits) == {"test", "train"}
        assert str(error.value) == f"{other}: its categories are not those of {path}."

    def test_a_missing_folder_of_images(self, tmp_path):
        path = self.write(tmp_path)

        with pytest.raises(DataError) as error:
            load_coco({"annotations": str(path), "images": str(tmp_path / "none")}, 0)

        assert str(error.value) == f"{tmp_path / 'none'}: no such folder; wanted the images of truth.json."

    def test_a_part_of_the_images_keeps_its_annotations(self, tmp_path):
        truth, results = random_case(5)
        split = write_case(tmp_path, truth, results).split

        part = split.take([4, 2])

        assert part.targets()["xywh"][0].tolist() == split.targets()["xywh"][4].tolist()
        assert part.fingerprint() != split.fingerprint()


def test_the_plugin_offers_the_kind_its_scenes_and_both_formats():
    assert [task.name for task in mlcvbench_tasks()] == ["detection"]
    assert [dataset.name for dataset in mlcvbench_datasets()] == ["scenes", "scenes-256", "face-scenes", "coco", "voc"]


def test_every_definition_names_a_known_protocol_and_its_metrics():
    from mlcvbench.contract import Problem
    from mlcvbench_detection.task import SCORERS

    folder = Path(sys.modules["mlcvbench_detection"].__file__).parent / "definitions"
    names = {dataset.name for dataset in mlcvbench_datasets()}
    for path in sorted(folder.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        scorer = SCORERS[definition["protocol"]](Problem("detection", ("a",), {}))
        assert definition["name"] == path.stem
        assert definition["data"]["name"] in names
        every = [metric.name for metric in scorer.metrics]
        rendered = "scenes" in definition["data"]["name"]  # our own boards leave out what would be empty there
        assert definition["metrics"] == [name for name in every if not rendered or name in definition["metrics"]]


def test_reading_the_specs_imports_nothing_heavy():
    code = (
        "import sys, mlcvbench_detection as d; d.mlcvbench_datasets(); d.mlcvbench_tasks(); "
        "print([m for m in ('numpy', 'pyarrow', 'pycocotools', 'hotcoco', 'matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
    assert mlcvbench.DatasetSpec is not None
