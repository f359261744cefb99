"""COCO files that are damaged, lying or hostile: one line that names the file, the entry and the field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.detection import EDGE_CASES, official, read_case, scene, write_case
from support.mutations import assert_one_line_about, mutations

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_detection.coco import json_columns, json_files

HIT = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.5}
BOX = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
MASK = {"size": [240, 320], "counts": "PP[2"}
"""Background of 240 x 320 pixels."""


def annotations_error(folder: Path, content: Any, kind: str = "bbox") -> str:
    """Return what reading damaged annotations says after the name of the file."""
    path, results = folder / "truth.json", folder / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    results.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_case(path, results, kind)
    assert_one_line_about(error.value, path)
    return str(error.value).removeprefix(str(path))


def results_error(folder: Path, content: Any, kind: str = "bbox") -> str:
    """Return what reading damaged results says after the name of the file."""
    truth, path = folder / "truth.json", folder / "results.json"
    with_mask = {**BOX, "segmentation": [[10, 10, 30, 10, 30, 30, 10, 30]]}
    truth.write_text(json.dumps(scene([with_mask])), encoding="utf-8")
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_case(truth, path, kind)
    assert_one_line_about(error.value, path)
    return str(error.value).removeprefix(str(path))


def changed(where: str, row: int, **fields: Any) -> dict[str, Any]:
    """Return a good scene with fields of one entry replaced, or taken out by `...`."""
    content = scene([BOX, {**BOX, "image_id": 11}])
    for name, value in fields.items():
        if value is ...:
            del content[where][row][name]
        else:
            content[where][row][name] = value
    return content


@pytest.fixture(params=["objects", "columns"])
def reader(request, monkeypatch):
    """Let annotations be read as objects, like small files, and then as columns, like large ones."""
    if request.param == "columns":
        monkeypatch.setattr(json_columns, "SMALL", 0)


@pytest.mark.usefixtures("reader")
class TestAnnotations:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", ": is not JSON"),
            ("{", ": is not JSON"),
            ("[" * 100_000, ": is not JSON"),
            ('{"images": NaN}', ": wanted a list 'images', got nan."),
            ("[]", ": wanted an object with images, annotations and categories, got []."),
            ("{}", ": wanted a list 'images', got None."),
            ('{"images": [], "annotations": {}, "categories": []}', ": wanted a list 'annotations', got {}."),
            ('{"images": [], "annotations": [], "categories": []}', ": has no categories."),
            (
                '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
                ": has no images.",
            ),
            (
                '{"images": [7], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
                ", images[0]: wanted an object, got 7.",
            ),
        ],
    )
    def test_a_file_that_is_no_data_set(self, tmp_path, content, says):
        assert annotations_error(tmp_path, content).startswith(says)

    @pytest.mark.parametrize(
        ("where", "row", "fields", "says"),
        [
            ("images", 0, {"id": ...}, ", images[0]: no field 'id'."),
            ("images", 0, {"id": "1"}, ", images[0].id: wanted int, got '1'."),
            ("images", 0, {"id": 1.0}, ", images[0].id: wanted int, got 1.0."),
            ("images", 0, {"id": True}, ", images[0].id: wanted int, got True."),
            ("images", 0, {"id": None}, ", images[0].id: wanted int, got None."),
            ("images", 1, {"id": 1}, ", images[1].id: 1 is the id of another entry too."),
            ("images", 2, {"width": -3}, ", images[2].width: wanted 0 (unknown) to 50000000 pixels, got -3."),
            (
                "images",
                2,
                {"width": 10**15},
                f", images[2].width: wanted 0 (unknown) to 50000000 pixels, got {10**15}.",
            ),
            (
                "images",
                2,
                {"width": 65_536, "height": 65_536},
                ", images[2]: 65536 x 65536 pixels; the most is 50000000.",
            ),
            (
                "images",
                0,
                {"file_name": "../../x"},
                ", images[0].file_name: '../../x' is not a path inside the image folder.",
            ),
            (
                "images",
                0,
                {"file_name": "/etc/passwd"},
                ", images[0].file_name: '/etc/passwd' is not a path inside the image folder.",
            ),
            (
                "images",
                0,
                {"file_name": "a\\..\\b"},
                ", images[0].file_name: 'a\\\\..\\\\b' is not a path inside the image folder.",
            ),
            ("images", 0, {"file_name": 3}, ", images[0].file_name: wanted str, got 3."),
            ("categories", 1, {"id": 1}, ", categories[1].id: 1 is the id of another entry too."),
            (
                "categories",
                1,
                {"name": "class0"},
                ", categories[1].name: 'class0' is the name of another category too.",
            ),
            ("categories", 1, {"name": None}, ", categories[1].name: wanted str, got None."),
            ("annotations", 1, {"id": 1}, ", annotations[1].id: 1 is the id of another entry too."),
            ("annotations", 1, {"id": 2**63}, f", annotations[1].id: {2**63} is not a 64-bit integer."),
            ("annotations", 1, {"image_id": 999}, ", annotations[1].image_id: 999 is the id of no image of the file."),
            ("annotations", 1, {"image_id": "11"}, ", annotations[1].image_id: wanted int, got '11'."),
            (
                "annotations",
                1,
                {"category_id": 2},
                ", annotations[1].category_id: 2 is the id of no category of the file.",
            ),
            ("annotations", 0, {"bbox": ...}, ", annotations[0]: no field 'bbox'."),
            (
                "annotations",
                0,
                {"bbox": [1, 2, 3]},
                ", annotations[0].bbox: wanted [x, y, width, height], got [1, 2, 3].",
            ),
            (
                "annotations",
                0,
                {"bbox": [1, 2, 3, "4"]},
                ", annotations[0].bbox: wanted [x, y, width, height], got [1, 2, 3, '4'].",
            ),
            (
                "annotations",
                0,
                {"bbox": [1, 2, -3, 4]},
                ", annotations[0].bbox: wanted numbers within 1e+07 pixels and no negative size, "
                "got [1.0, 2.0, -3.0, 4.0].",
            ),
            (
                "annotations",
                0,
                {"bbox": [1, 2, 3, 1e300]},
                ", annotations[0].bbox: wanted numbers within 1e+07 pixels and no negative size, "
                "got [1.0, 2.0, 3.0, 1e+300].",
            ),
            (
                "annotations",
                0,
                {"bbox": [1, 2, 3, None]},
                ", annotations[0].bbox: wanted [x, y, width, height], got [1, 2, 3, None].",
            ),
            ("images", 0, {"neg_category_ids": [1]}, ", images[1]: no field 'neg_category_ids'."),
            ("images", 0, {"neg_category_ids": "1"}, ", images[0].neg_category_ids: wanted list, got '1'."),
            ("categories", 0, {"frequency": "x"}, ", categories[0].frequency: wanted r, c or f, got 'x'."),
            ("annotations", 0, {"area": "9"}, ", annotations[0].area: wanted float or int, got '9'."),
            ("annotations", 0, {"area": -1}, ", annotations[0].area: wanted a number of square pixels, got -1.0."),
            ("annotations", 0, {"iscrowd": 2}, ", annotations[0].iscrowd: wanted 0 or 1, got 2."),
            ("annotations", 0, {"iscrowd": "0"}, ", annotations[0].iscrowd: wanted bool or int, got '0'."),
        ],
    )
    def test_a_wrong_entry(self, tmp_path, where, row, fields, says):
        assert annotations_error(tmp_path, changed(where, row, **fields)) == says

    def test_a_crowd_may_be_left_out_and_counts_as_none(self, tmp_path):
        content = changed("annotations", 0, iscrowd=...)

        assert write_case(tmp_path, content, [HIT]).values()[0] == pytest.approx(0.5, abs=0.01)

    @pytest.mark.parametrize(
        ("segmentation", "says"),
        [
            (None, "wanted polygons or an object with size and counts, got None."),
            ([], "it has no polygon."),
            ([[0, 0, 1e9, 0, 5, 5]], "the coordinate 1000000000.0 is far outside the image of 320 x 240 pixels."),
            ({"size": [240, 320], "counts": ""}, "its runs cover 0 of 240 x 320 pixels."),
            ({"size": [240, 320], "counts": [76_801]}, "its runs cover 76801 of 240 x 320 pixels."),
            ({"size": [320, 240], "counts": [76_800]}, "its size [320, 240] is not that of its image, [240, 320]."),
        ],
    )
    def test_a_broken_mask(self, tmp_path, segmentation, says):
        content = changed("annotations", 0, segmentation=segmentation)

        assert annotations_error(tmp_path, content, "segm") == f", annotations[0].segmentation: {says}"

    def test_masks_need_a_size_that_is_known(self, tmp_path):
        content = changed("images", 2, height=0)

        says = annotations_error(tmp_path, content, "segm")

        assert says == ", images[2].height: wanted 1 to 50000000 pixels, got 0."

    def test_masks_need_the_size_of_their_image(self, tmp_path):
        content = changed("images", 2, height=...)

        assert annotations_error(tmp_path, content, "segm") == ", images[2]: no field 'height'."

    @pytest.mark.parametrize(
        ("file", "says"),
        [
            ("hotcoco/healthcheck_bad.json", ", images[1].id: 1 is the id of another entry too."),
        ],
    )
    def test_published_bad_examples(self, tmp_path, file, says):
        assert annotations_error(tmp_path, (EDGE_CASES / file).read_text(encoding="utf-8")) == says

    def test_doubtful_boxes_are_scored_as_pycocotools_scores_them(self, tmp_path):
        """Zero width, beyond the image, very thin, the same box twice: published as a health check."""
        content = json.loads((EDGE_CASES / "hotcoco" / "healthcheck_quality.json").read_bytes())
        results = [{**HIT, "bbox": box} for box in ([10, 10, 0, 20], [50, 50, 80, 80], [0, 0, 1, 50], [50, 50, 70, 80])]

        assert write_case(tmp_path, content, results).values() == official(content, results)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(DataError) as error:
            read_case(tmp_path / "none.json", tmp_path / "results.json")

        assert str(error.value) == f"{tmp_path / 'none.json'}: no such file; wanted a file of JSON."

    def test_a_file_over_the_limit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(json_files, "MAX_JSON_BYTES", 100)

        says = annotations_error(tmp_path, scene([BOX]))

        assert says.endswith(" bytes; the most is 100.")


def every_way(monkeypatch: pytest.MonkeyPatch, read: Callable[[], str]) -> list[str]:
    """Return what both readers say: that of objects, which small files get, and that of columns."""
    small = read()
    monkeypatch.setattr(json_columns, "SMALL", 0)
    return [small, read()]


class TestResults:
    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            (
                {"image_id": 2},
                ", [1].image_id: image 2 is not in the set of 3 images; 1 of 3 results are for such images.",
            ),
            (
                {"image_id": "2"},
                ", [1].image_id: image '2' is not in the set of 3 images; 1 of 3 results are for such images. "
                "The set has images such as 1 (0.png).",
            ),
            ({"image_id": 1.0}, ", [1].image_id: wanted an integer or text, got 1.0."),
            ({"image_id": True}, ", [1].image_id: wanted an integer or text, got True."),
            ({"image_id": 2**63}, f", [1].image_id: wanted an integer or text, got {2**63}."),
            (
                {"category_id": 2},
                ", [1].category_id: unknown category 2; the set has 2 from 1 to 4. Known: 1, 4.",
            ),
            ({"category_id": None}, ", [1].category_id: wanted an integer, got None."),
            ({"score": "0.5"}, ", [1].score: wanted a number, got '0.5'."),
            ({"score": None}, ", [1].score: wanted a number, got None."),
            ({"bbox": [1, 2, 3]}, ", [1].bbox: wanted [x, y, width, height] as in the first result, got [1, 2, 3]."),
            ({"bbox": []}, ", [1].bbox: wanted [x, y, width, height] as in the first result, got []."),
            ({"bbox": None}, ", [1].bbox: wanted [x, y, width, height] as in the first result, got None."),
            (
                {"bbox": [1, 2, 3, None]},
                ", [1].bbox: wanted [x, y, width, height] as in the first result, got [1, 2, 3, None].",
            ),
            (
                {"bbox": [1, 2, -3, 4]},
                ", [1].bbox: wanted [x, y, width, height] within 1e+07 pixels and no negative size, "
                "got [1.0, 2.0, -3.0, 4.0].",
            ),
            (
                {"bbox": [1e9, 2, 3, 4]},
                ", [1].bbox: wanted [x, y, width, height] within 1e+07 pixels and no negative size, "
                "got [1000000000.0, 2.0, 3.0, 4.0].",
            ),
        ],
    )
    def test_a_wrong_field(self, tmp_path, monkeypatch, fields, says):
        content = [HIT, {**HIT, **fields}, HIT]

        assert every_way(monkeypatch, lambda: results_error(tmp_path, content)) == [says, says]

    @pytest.mark.parametrize("name", ["image_id", "category_id", "score"])
    def test_a_missing_field(self, tmp_path, monkeypatch, name):
        content = [HIT, {key: value for key, value in HIT.items() if key != name}]
        got = ", ".join(content[1])

        says = f", [1]: no field {name!r}; got '{got}'."
        assert every_way(monkeypatch, lambda: results_error(tmp_path, content)) == [says, says]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", ": is not JSON"),
            ("[", ": is not JSON"),
            ("null", ": wanted a list of results, got NoneType."),
            ('{"annotations": []}', ": wanted a list of results, got an object with 'annotations'."),
            ("[[1, 2, 3, 4, 5, 6, 7]]", ", [0]: wanted an object, got [1, 2, 3, 4, 5, 6, 7]."),
            (f"[{json.dumps(HIT)}, {json.dumps(HIT)}", ": is not JSON"),
            (f"[{json.dumps(HIT)}, {json.dumps(HIT)},]", ": is not JSON"),
            (f"[{json.dumps(HIT)}, {json.dumps(HIT)}] x", ": is not JSON"),
            (f"[{json.dumps(HIT)} {json.dumps(HIT)}]", ": is not JSON"),
            (json.dumps([HIT, HIT]).replace("0.5", "1e999"), ": is not JSON"),
        ],
    )
    def test_a_file_that_is_no_list_of_results(self, tmp_path, monkeypatch, content, says):
        assert all(got.startswith(says) for got in every_way(monkeypatch, lambda: results_error(tmp_path, content)))

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_numbers_that_are_not_finite(self, tmp_path, monkeypatch, value):
        """JSON has no such numbers, but Python writes them: they are read as what they mean, and named."""
        score = every_way(monkeypatch, lambda: results_error(tmp_path, [HIT, {**HIT, "score": value}]))
        box = results_error(tmp_path, [HIT, {**HIT, "bbox": [1, 2, 3, value]}])

        assert score == [f", [1].score: wanted a finite number, got {value}."] * 2
        assert box.startswith(", [1].bbox: wanted [x, y, width, height] within 1e+07 pixels")

    @pytest.mark.parametrize(
        ("counts", "says"),
        [
            ("", "its runs cover 0 of 240 x 320 pixels."),
            ("T3", "its runs cover 100 of 240 x 320 pixels."),
            ("P", "its counts end inside a number."),
            ("oooooooooo1", "its counts hold a number of more than 35 bits."),
            ("PP[2é", "its counts hold the character 'Ã', which is not part of the code."),
        ],
    )
    def test_a_broken_mask(self, tmp_path, monkeypatch, counts, says):
        good = {"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": MASK}
        content = [good, {**good, "segmentation": {**MASK, "counts": counts}}]

        expected = f", [1].segmentation: {says}"
        assert every_way(monkeypatch, lambda: results_error(tmp_path, content, "segm")) == [expected, expected]

    def test_a_mask_of_another_size_than_its_image(self, tmp_path, monkeypatch):
        good = {"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": MASK}
        content = [good, {**good, "segmentation": {"size": [320, 240], "counts": "PP[2"}}]

        says = every_way(monkeypatch, lambda: results_error(tmp_path, content, "segm"))

        assert says == [", [1].segmentation: its size [320, 240] is not that of its image, [240, 320]."] * 2

    def test_boxes_where_masks_are_scored(self, tmp_path, monkeypatch):
        says = every_way(monkeypatch, lambda: results_error(tmp_path, [HIT, HIT], "segm"))

        assert says == [", [0].segmentation: there is none, or it is empty."] * 2

    def test_neither_boxes_nor_masks(self, tmp_path, monkeypatch):
        content = [{key: value for key, value in HIT.items() if key != "bbox"}]

        says = every_way(monkeypatch, lambda: results_error(tmp_path, content))

        assert says == [", [0].segmentation: there is none, or it is empty."] * 2

    def test_a_million_detections_on_one_image_are_cut_to_a_hundred_a_class(self, tmp_path):
        line = json.dumps(HIT)
        truth, results = tmp_path / "truth.json", tmp_path / "results.json"
        truth.write_text(json.dumps(scene([BOX] * 50)), encoding="utf-8")
        results.write_text(f"[{', '.join([line] * 200_000)}]", encoding="utf-8")

        case = read_case(truth, results)

        assert len(case.predictions["scores"].values) == 200_000
        assert len(case.table()) == 150
        assert case.values()[0] == pytest.approx(1.0)


def test_damage_anywhere_gives_the_same_or_other_numbers_or_one_line(tmp_path):
    """Every byte of small files flipped, left out, doubled, cut off: never another kind of exception."""
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    with_mask = {**BOX, "segmentation": [[10, 10, 30, 10, 30, 30.5]]}
    good = {
        truth: json.dumps(scene([with_mask], images=1, classes=1)).encode(),
        results: json.dumps([{**HIT, "segmentation": MASK}]).encode(),
    }
    for path, step in ((truth, 3), (results, 1)):
        refused = 0
        for file, data in good.items():
            file.write_bytes(data)
        for _, data in mutations(good[path], step):
            path.write_bytes(data)
            error = refusal(truth, results)
            assert error is None or str(error).startswith((str(path), str(results)))
            refused += error is not None
        assert refused > 300


def refusal(truth: Path, results: Path) -> MlcvbenchError | None:
    """Return the error of scoring two files; any other exception is a failure."""
    try:
        read_case(truth, results, "segm").values()
    except MlcvbenchError as error:
        return error
    return None
