"""What people hand in: JSON packed or marked, images called by their files, YOLO's folders, parts of a set."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.detection import random_case, scene, write_case
from support.mutations import mutations
from support.voc import annotation, voc_folder

from mlcvbench.cli.score import score as command
from mlcvbench.contract import External, LoadedData
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.running.scoring import score
from mlcvbench_detection.coco import json_columns
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc

TASK = DetectionTask()
COMMON = {"image_id": 1, "category_id": 1}


def perfect(images: int = 4, ids: list[Any] | None = None, files: list[str] | None = None) -> dict[str, Any]:
    """Return a scene with an object an image, its images called 000001.jpg, 000002.jpg ... unless said otherwise."""
    names = ids or list(range(101, 101 + images))
    truth = scene([{**COMMON, "bbox": [10 * n, 10, 40, 40]} for n in range(images)], images, classes=2)
    for n, image in enumerate(truth["images"]):
        image |= {"id": names[n], "file_name": (files or [f"{k + 1:06d}.jpg" for k in range(images)])[n]}
        truth["annotations"][n] |= {"image_id": names[n], "category_id": truth["categories"][n % 2]["id"]}
    return truth


def found_in(truth: dict[str, Any], names: list[Any] | None = None) -> list[dict[str, Any]]:
    """Return perfect results, the images called `names`."""
    ids = [image["id"] for image in truth["images"]]
    return [
        {
            "image_id": one["image_id"] if names is None else names[ids.index(one["image_id"])],
            "category_id": one["category_id"],
            "bbox": one["bbox"],
            "score": 0.9 - n / 100,
        }
        for n, one in enumerate(truth["annotations"])
    ]


def load(folder: Path, truth: Any) -> LoadedData:
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    return load_coco({"annotations": str(path)}, 0)


def read(data: LoadedData, path: Path) -> External:
    return TASK.read_external(path, data.splits["test"], data.problem, {})


def ap(data: LoadedData, external: External) -> float | None:
    return score(TASK.scorer("coco/bbox/maxdet100@1", data.problem), external.predictions, data.splits["test"]).values[
        "ap"
    ]


def refusal(data: LoadedData, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(data, path)
    return str(caught.value).replace(f"{path.parent}/", "")


class TestPackedJson:
    TRUTH, RESULTS = random_case(21)

    def packed(self, folder: Path, form: str, name: str, content: Any) -> Path:
        text, path = json.dumps(content), folder / f"{name}.json"
        if form == "gz":
            path = folder / f"{name}.json.gz"
            path.write_bytes(gzip.compress(text.encode()))
        elif form == "zip":
            path = folder / f"{name}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"inner/{name}.json", text)
                archive.writestr("__MACOSX/._x.json", "")
        else:
            path.write_bytes(text.encode({"mark": "utf-8-sig", "utf-16": "utf-16"}[form]))
        return path

    @pytest.mark.parametrize("small", [2**40, 0])
    @pytest.mark.parametrize("form", ["gz", "zip", "mark", "utf-16"])
    def test_both_files_are_read_as_if_they_were_plain(self, form, small, tmp_path, monkeypatch):
        monkeypatch.setattr(json_columns, "SMALL", small)
        truth = self.packed(tmp_path, form, "gt", self.TRUTH)
        results = self.packed(tmp_path, form, "dt", self.RESULTS)

        data = load_coco({"annotations": str(truth)}, 0)
        external = read(data, results)

        plain = write_case(tmp_path, self.TRUTH, self.RESULTS)
        assert ap(data, external) == plain.values()[0]
        assert data.splits["test"].fingerprint() == plain.split.fingerprint()

    def test_what_is_damaged_or_holds_no_json_is_named(self, tmp_path):
        data = load(tmp_path, self.TRUTH)
        cut = tmp_path / "cut.json.gz"
        cut.write_bytes(gzip.compress(json.dumps(self.RESULTS).encode())[:-20])
        none = tmp_path / "none.zip"
        with zipfile.ZipFile(none, "w") as archive:
            archive.writestr("a.csv", "")
            archive.writestr("b.csv", "")
        lines = tmp_path / "lines.json"
        lines.write_text("\n".join(map(json.dumps, self.RESULTS)))
        whole = tmp_path / "whole.json"
        whole.write_text(json.dumps(self.TRUTH))

        assert refusal(data, cut).startswith("cut.json.gz: cannot be read as gzip (")
        assert refusal(data, none) == "none.zip: is a zip of a.csv, b.csv; wanted one .json file in it."
        assert refusal(data, lines).startswith("lines.json: is not JSON (")
        assert refusal(data, lines).endswith(" It holds one object per line; wanted one list [..., ...].")
        assert refusal(data, whole) == (
            "whole.json: wanted a list of results, got an object with 'images, categories, annotations' (an annotation "
            "file)."
        )

    def test_a_small_file_may_not_unpack_to_a_huge_one(self, tmp_path, monkeypatch):
        from mlcvbench_detection.coco import json_files

        data = load(tmp_path, self.TRUTH)
        path = tmp_path / "bomb.json.gz"
        path.write_bytes(gzip.compress(b"[" + b" " * 10_000 + b"]"))
        monkeypatch.setattr(json_files, "MAX_JSON_BYTES", 1000)

        assert refusal(data, path) == "bomb.json.gz: holds more than 1000 bytes, unpacked."

    @pytest.mark.parametrize("count", [3, 20_000])
    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
    def test_numbers_that_json_has_not_are_named_in_small_and_large_files(self, count, value, tmp_path):
        data = load(tmp_path, perfect())
        lines = [json.dumps({"image_id": 101, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5})] * count
        lines[1] = lines[1].replace("0.5", value)
        (tmp_path / "dt.json").write_text(f"[{', '.join(lines)}]")

        got = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}[value]
        assert refusal(data, tmp_path / "dt.json") == f"dt.json, [1].score: wanted a finite number, got {got}."


class TestNamesOfImages:
    def read(self, folder: Path, truth: dict[str, Any], names: list[Any]) -> tuple[LoadedData, External]:
        data = load(folder, truth)
        (folder / "dt.json").write_text(json.dumps(found_in(truth, names)))
        return data, read(data, folder / "dt.json")

    @pytest.mark.parametrize(
        ("names", "how"),
        [
            (["000001", "000002", "000003", "000004"], "file name without ending"),
            (["000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg"], "file name"),
            ([1, 2, 3, 4], "the number of their file"),
        ],
    )
    def test_names_of_files_are_taken_when_all_are_and_it_is_said(self, names, how, tmp_path):
        data, external = self.read(tmp_path, perfect(), names)

        assert ap(data, external) == pytest.approx(1.0)
        assert [(notice.code, notice.text, notice.count) for notice in external.notices] == [
            (
                "images-by-file-name",
                f"results name images by {how}, such as {names[0]!r}, not by id: all 4 were found that way.",
                4,
            )
        ]

    def test_folders_of_files_may_be_left_out_where_names_stay_apart(self, tmp_path):
        truth = perfect(2, files=["val/a.jpg", "val/b.jpg"])

        data, external = self.read(tmp_path, truth, ["b.jpg", "a.jpg"][::-1])

        assert ap(data, external) == pytest.approx(1.0)

    def test_ids_written_as_text_are_ids(self, tmp_path):
        data, external = self.read(tmp_path, perfect(), ["101", "102", "103", "104"])

        assert ap(data, external) == pytest.approx(1.0)
        assert external.notices == ()

    def test_ids_of_the_annotation_file_may_be_text_as_pycocotools_takes_them(self, tmp_path):
        ids = ["b", "a", "img 3", "10"]

        data, external = self.read(tmp_path, perfect(ids=ids), ids)

        assert data.splits["test"].ids.tolist() == sorted(ids)
        assert ap(data, external) == pytest.approx(1.0)
        assert external.notices == ()

    def test_ids_of_text_and_of_numbers_are_not_mixed(self, tmp_path):
        with pytest.raises(DataError, match=r"truth\.json, images\[0\]\.id: wanted int, got 'a'\.$"):
            load(tmp_path, perfect(2, ids=["a", 7]))

    def test_one_name_that_is_unknown_refuses_all(self, tmp_path):
        data = load(tmp_path, perfect())
        names = ["000001", "000002", "000003", "000009"]
        (tmp_path / "dt.json").write_text(json.dumps(found_in(perfect(), names)))

        assert refusal(data, tmp_path / "dt.json") == (
            "dt.json, [0].image_id: image '000001' is not in the set of 4 images; 4 of 4 results are for such images. "
            "The set has images such as 101 (000001.jpg)."
        )

    def test_numbers_of_files_are_not_taken_while_some_are_ids_of_other_images(self, tmp_path):
        truth = perfect(3, ids=[1, 2, 30], files=["000002.jpg", "000001.jpg", "000003.jpg"])
        data = load(tmp_path, truth)
        (tmp_path / "dt.json").write_text(json.dumps(found_in(truth, [1, 2, 3])))

        assert refusal(data, tmp_path / "dt.json") == (
            "dt.json, [2].image_id: image 3 is not in the set of 3 images; 1 of 3 results are for such images."
        )

    def test_two_images_of_one_name_are_not_told_apart_by_it(self, tmp_path):
        truth = perfect(2, files=["left/a.jpg", "right/a.jpg"])
        data = load(tmp_path, truth)
        (tmp_path / "dt.json").write_text(json.dumps(found_in(truth, ["a", "a"])))

        assert refusal(data, tmp_path / "dt.json").startswith("dt.json, [0].image_id: image 'a' is not in the set of 2")

    def test_numbers_that_are_ids_and_numbers_of_other_files_are_noticed(self, tmp_path):
        truth = perfect(3, ids=[1, 2, 3], files=["000003.jpg", "000001.jpg", "000002.jpg"])

        _, external = self.read(tmp_path, truth, [1, 2, 3])

        assert [notice.text for notice in external.notices] == [
            "image ids are taken as ids of the annotation file, where 1 is '000003.jpg'; as numbers of files they "
            "would all be known too, and 1 be '000001.jpg'."
        ]

    def test_ids_that_are_the_numbers_of_their_files_are_nothing_to_notice(self, tmp_path):
        _, external = self.read(tmp_path, perfect(3, ids=[1, 2, 3]), [1, 2, 3])

        assert external.notices == ()

    def test_images_of_a_voc_folder_may_be_called_by_number(self, tmp_path):
        objects = {f"{n:06d}": annotation([("dog", (5, 5, 24, 24), "0")]) for n in (3, 7)}
        data = load_voc({"root": str(voc_folder(tmp_path, objects)), "classes": "all"}, 0)
        results = [{**COMMON, "image_id": n, "bbox": [4, 4, 19, 19], "score": 0.5} for n in (3, 7)]
        (tmp_path / "dt.json").write_text(json.dumps(results))

        external = read(data, tmp_path / "dt.json")

        assert ap(data, external) == pytest.approx(1.0)
        assert [notice.code for notice in external.notices] == ["images-by-file-name"]


class TestPartOfASet:
    """`limit=`: predictions for the rest of the set are no mistake, and pictures that are not there are not drawn."""

    @pytest.mark.parametrize("names", [None, ["000001", "000002", "000003", "000004"]])
    def test_whole_and_cut_results_give_the_number_of_the_first_images(self, names, tmp_path):
        truth = perfect()
        results = found_in(truth, names)
        results[3]["bbox"] = [0, 0, 1, 1]  # beyond the limit
        (tmp_path / "gt.json").write_text(json.dumps(truth))
        for name, part in (("all", results), ("two", results[:2])):
            (tmp_path / f"{name}.json").write_text(json.dumps(part))

            words = [f"predictions={tmp_path / name}.json", f"as={name}", f"out={tmp_path / 'runs'}", "limit=2"]
            outcome = CliRunner().invoke(command, ["task=coco", f"data.annotations={tmp_path / 'gt.json'}", *words])

            assert outcome.exit_code == 0, outcome.exception
            record = json.loads(next((tmp_path / "runs").glob(f"coco-{name}-*/record.json")).read_text())
            assert record["metrics"]["ap"]["value"] == pytest.approx(1.0)
            assert (record["dataset"]["n"], record["partial"]) == (2, True)

    def test_folders_of_text_are_cut_too(self, tmp_path):
        data = load(tmp_path, perfect())
        cut = data.splits["test"].take(np.arange(2))
        folder = write_yolo(tmp_path, perfect())

        external = TASK.read_external(folder, cut, data.problem, {})

        assert external.predictions["scores"].counts.tolist() == [1, 1]


def write_yolo(folder: Path, truth: dict[str, Any], form: str = "{label} {cx} {cy} {w} {h} {score}") -> Path:
    """Write perfect results as YOLO's programs do."""
    place = folder / "labels"
    place.mkdir(exist_ok=True)
    classes = [category["id"] for category in truth["categories"]]
    for image, one in zip(truth["images"], found_in(truth), strict=True):
        x, y, width, height = one["bbox"]
        wide, high = image["width"], image["height"]
        values = {"cx": (x + width / 2) / wide, "cy": (y + height / 2) / high, "w": width / wide, "h": height / high}
        text = {name: f"{value:.6g}" for name, value in values.items()}
        line = form.format(label=classes.index(one["category_id"]), score=one["score"], **text)
        (place / f"{Path(image['file_name']).stem}.txt").write_text(f"{line}\n")
    return place


WANTED = "'class cx cy w h confidence'"


class TestYolo:
    def test_a_folder_is_read_and_the_order_of_classes_said(self, tmp_path):
        data = load(tmp_path, perfect())

        external = read(data, write_yolo(tmp_path, perfect()))

        assert ap(data, external) == pytest.approx(1.0)
        assert external.source == "folder of YOLO results: boxes"
        assert [notice.text for notice in external.notices] == [
            "YOLO's files number classes without naming them; taken in the order of the data set: 0 'class0', 1 "
            "'class1'."
        ]

    def test_an_image_without_a_file_has_no_detection_and_that_is_said(self, tmp_path):
        data = load(tmp_path, perfect())
        folder = write_yolo(tmp_path, perfect())
        (folder / "000003.txt").unlink()
        (folder / ".DS_Store").write_text("")

        external = read(data, folder)

        assert external.predictions["scores"].counts.tolist() == [1, 1, 0, 1]
        assert external.notices[1].text == "1 image has no file of results; taken as without any detection."

    def test_voc_data_take_it_in_the_frame_of_their_boxes(self, tmp_path):
        xml = annotation([("dog", (11, 21, 31, 41), "0")], height=50, width=100)
        data = load_voc({"root": str(voc_folder(tmp_path, {"a": xml})), "classes": "all"}, 0)
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text("0 0.2 0.6 0.2 0.4 0.5\n")  # as voc_label.py converts the box

        external = read(data, tmp_path / "labels")

        assert external.predictions["xywh"].values.tolist() == [[10, 20, 20, 20]]
        assert ap(data, external) == pytest.approx(1.0)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                "0 0.5 0.5 0.1 0.1",
                ": has no confidence; wanted 'class cx cy w h confidence' (save_conf=True writes it).",
            ),
            ("0 0.5 0.5 0.1", f": wanted {WANTED}, got '0 0.5 0.5 0.1'."),
            ("0 320 200 40 40 0.5", ", cx: wanted a fraction of the image from 0 to 1, got 320."),
            ("0 0.5 0.5 -0.1 0.1 0.5", ", w: wanted a fraction of the image from 0 to 1, got -0.1."),
            ("2 0.5 0.5 0.1 0.1 0.5", ", class: wanted a class of the set, 0 to 1, got 2."),
            ("0.5 0.5 0.5 0.1 0.1 0.5", ", class: wanted a class of the set, 0 to 1, got 0.5."),
            ("cat 0.5 0.5 0.1 0.1 0.5", ", class: wanted a number, got 'cat'."),
            ("0 0.5 0.5 0.1 0.1 nan", ", confidence: wanted a number, got 'nan'."),
        ],
    )
    def test_bad_lines_are_named(self, line, said, tmp_path):
        data = load(tmp_path, perfect())
        folder = write_yolo(tmp_path, perfect())
        (folder / "000002.txt").write_text(f"0 0.5 0.5 0.1 0.1 0.5\n{line}\n")

        assert refusal(data, folder / "") == f"labels/000002.txt, line 2{said}"

    def test_a_file_of_no_image_and_an_image_of_unknown_size_are_named(self, tmp_path):
        truth = perfect()
        folder = write_yolo(tmp_path, truth)
        truth["images"][1]["width"] = 0
        data = load(tmp_path, truth)

        assert refusal(data, folder) == (
            "labels/000002.txt: the size of image '000002' is unknown, and boxes are relative to it."
        )
        (folder / "000001.txt").rename(folder / "00000.txt")
        assert refusal(data, folder) == "labels/00000.txt: no image of the 4 of the set is called '00000'."

    def test_images_of_one_name_cannot_be_told_apart(self, tmp_path):
        folder = write_yolo(tmp_path, perfect())
        data = load(tmp_path, perfect(2, files=["a/x.jpg", "b/x.jpg"]))

        assert refusal(data, folder) == "two images of the set are named 'x': files cannot be named after them."


class TestDamage:
    """Every byte of small files flipped, left out, doubled, cut off: numbers or one line, never another exception."""

    def outcome(self, data: LoadedData, path: Path) -> str | None:
        try:
            boxes: Any = read(data, path).predictions["xywh"]
        except MlcvbenchError as error:
            return str(error)
        assert np.isfinite(boxes.values).all()
        return None

    def test_in_a_yolo_file(self, tmp_path):
        data = load(tmp_path, perfect())
        folder, refused = write_yolo(tmp_path, perfect()), 0
        for _, damaged in mutations(b"0 0.5 0.25 0.1 0.2 0.75\n1 0.5 0.5 .5 1e-1 1\n"):
            (folder / "000002.txt").write_bytes(damaged)
            said = self.outcome(data, folder)
            assert said is None or said.startswith(f"{folder / '000002.txt'}, line ")
            refused += said is not None
        assert refused > 150

    @pytest.mark.parametrize("form", ["gz", "zip"])
    def test_in_a_packed_file(self, form, tmp_path):
        truth = perfect(2)
        data = load(tmp_path, truth)
        path, refused = TestPackedJson().packed(tmp_path, form, "dt", found_in(truth)), 0
        for _, damaged in mutations(path.read_bytes(), 3):
            path.write_bytes(damaged)
            said = self.outcome(data, path)
            assert said is None or said.startswith(f"{path}")
            refused += said is not None
        assert refused > 150


class TestAnnotationsWithLess:
    @pytest.mark.parametrize("small", [2**40, 0])
    def test_missing_areas_are_those_of_the_boxes_and_that_is_said(self, small, tmp_path, monkeypatch):
        monkeypatch.setattr(json_columns, "SMALL", small)
        truth, results = random_case(5)
        full = scene([{**one, "area": one["bbox"][2] * one["bbox"][3]} for one in truth["annotations"]], 12, 4)
        for one in truth["annotations"]:
            del one["area"]

        case = write_case(tmp_path, truth, results)

        [notice] = load(tmp_path, truth).notices
        count = len(truth["annotations"])
        assert notice.text == f"truth.json: {count} annotations have no area; that of the box is taken."
        assert (notice.code, notice.count) == ("missing-areas", count)
        assert case.values() == write_case(tmp_path, full, results).values()

    def test_a_few_missing_ones_are_counted(self, tmp_path):
        truth, _ = random_case(5)
        truth["annotations"][3]["area"] = None
        area = truth["annotations"][4]["area"]

        data = load(tmp_path, truth)

        assert [notice.count for notice in data.notices] == [1]
        assert area in data.splits["test"].targets()["area"].values

    def test_flags_that_other_evaluations_obey_are_noticed(self, tmp_path):
        truth, _ = random_case(5)
        for one, flags in zip(truth["annotations"], ({"ignore": 1}, {"IsGroupOf": True}, {"ignore": 0}), strict=False):
            one |= {"iscrowd": 0, **flags}

        assert [notice.text for notice in load(tmp_path, truth).notices] == [
            "truth.json: 1 annotation has ignore set and no iscrowd; the protocols here know iscrowd only, and want "
            "them found.",
            "truth.json: 1 annotation has IsGroupOf set and no iscrowd; the protocols here know iscrowd only, and want "
            "them found.",
        ]

    @pytest.mark.parametrize("size", ["<size><width>0</width><height>0</height></size>", "<size></size>", ""])
    def test_a_size_that_voc_does_not_state_is_unknown(self, size, tmp_path):
        xml = annotation([("dog", (5, 5, 24, 24), "0")])
        start, end = xml.index("<size>"), xml.index("</size>") + len("</size>")
        root = voc_folder(tmp_path, {"a": xml[:start] + size + xml[end:]})

        data = load_voc({"root": str(root), "classes": "all"}, 0)

        assert data.splits["test"].targets()["size"].tolist() == [[0, 0]]

    def test_images_of_unknown_size_are_taken_by_coco(self, tmp_path):
        truth = perfect(2)
        truth["images"][0] |= {"height": 0, "width": 0}
        del truth["images"][1]["height"]

        assert load(tmp_path, truth).splits["test"].targets()["size"].tolist() == [[0, 0], [0, 320]]
