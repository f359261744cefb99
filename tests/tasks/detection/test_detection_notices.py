"""What is legal and surely not meant is said, in numbers, and a usual set of detections is passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.coco_like import write_boxes
from support.detection import Case, random_case, read_case, scene, write_case
from support.lvis_like import federated_case
from support.voc import annotation, voc_folder

from mlcvbench.cli.score import score as command
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc

TASK = DetectionTask()
COMMON = {"image_id": 1, "category_id": 1}
Boxes = list[list[float]]


def said(case: Case, protocol: str | None = None) -> dict[str, str]:
    """Return what is noticed of a case, by code."""
    protocol = protocol or case.scorer.protocol_id
    found = TASK.notices(case.predictions, case.split, case.problem, protocol)
    assert len({notice.code for notice in found}) == len(found)
    return {notice.code: notice.text for notice in found}


def hits(boxes: Boxes, **more: Any) -> list[dict[str, Any]]:
    return [{**COMMON, "bbox": box, "score": 0.9 - n / 1000, **more} for n, box in enumerate(boxes)]


def objects(boxes: Boxes, **more: Any) -> list[dict[str, Any]]:
    return [{**COMMON, "bbox": box, **more} for box in boxes]


def spread(seed: int, count: int, side: float = 40) -> Boxes:
    """Return boxes inside an image of 240 x 320 pixels."""
    rng = np.random.default_rng(seed)
    return [[*rng.integers(0, [320 - side, 240 - side]).tolist(), side, side] for _ in range(count)]


def test_a_middling_detector_on_a_set_like_cocos_is_nothing_to_notice(tmp_path):
    assert said(read_case(*write_boxes(tmp_path, images=200, detections=50))) == {}


class TestAnnotations:
    def test_id_0_cannot_be_found(self, tmp_path):
        boxes = spread(0, 4)
        case = write_case(tmp_path, scene(objects(boxes), first_id=0), hits(boxes))

        assert said(case) == {
            "annotation-id-0": "1 annotation has id 0, which the reference takes for no match: 1 of 4 objects cannot "
            "be found. Number annotations from 1; `mlcvbench rescore RUN engine=hotcoco` counts it."
        }
        assert said(case, "voc/11pt@1") == {}

    def test_id_0_of_a_crowd_changes_nothing(self, tmp_path):
        boxes = spread(0, 2)
        truth = scene([*objects(boxes[:1], iscrowd=1), *objects(boxes[1:])], first_id=0)

        assert said(write_case(tmp_path, truth, hits(boxes))) == {}


class TestBoxes:
    def test_corners(self, tmp_path):
        """The case from the field: of four boxes one reaches beyond its image."""
        boxes = [[5, 5, 25, 25], [100, 100, 280, 230], [10, 20, 60, 90], [200, 150, 240, 190]]
        truth = scene(objects([[x, y, x2 - x, y2 - y] for x, y, x2, y2 in boxes]))

        text = said(write_case(tmp_path, truth, hits(boxes)))["boxes-as-corners"]

        assert text == (
            "2 of 4 boxes reach beyond their images ([100, 100, 280, 230] in 320 x 240); read as corners all lie "
            "inside: are they x1 y1 x2 y2? [x, y, width, height] is wanted."
        )

    @pytest.mark.parametrize("seed", range(3))
    def test_corners_of_a_whole_set_and_the_same_boxes_as_they_should_be(self, seed, tmp_path):
        truth, results = random_case(seed)
        results = [one for one in results if one["bbox"][0] >= 0 and one["bbox"][1] >= 0]
        for one in results:
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, max(0, min(width, 320 - x)), max(0, min(height, 240 - y))]
        right = said(write_case(tmp_path, truth, results))
        for one in results:
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, x + width, y + height]

        wrong = said(write_case(tmp_path, truth, results))

        assert not {"boxes-as-corners", "boxes-outside"} & set(right)
        assert "boxes-as-corners" in wrong

    def test_annotations_as_corners(self, tmp_path):
        boxes = [[x, y, x + 40, y + 40] for x, y, _, _ in spread(1, 12)]

        text = said(write_case(tmp_path, scene(objects(boxes)), hits(spread(1, 12))))["boxes-as-corners"]

        assert text == (
            "8 of 12 annotated boxes reach beyond their images ([132, 102, 172, 142] in 320 x 240); read as corners "
            "all lie inside: are they x1 y1 x2 y2? [x, y, width, height] is wanted."
        )

    def test_shares_of_the_image(self, tmp_path):
        shares = [[x / 320, y / 240, w / 320, h / 240] for x, y, w, h in spread(2, 5)]

        assert said(write_case(tmp_path, scene(objects(spread(2, 5))), hits(shares))) == {
            "boxes-as-shares": "no box has a number above 1.5 in images of up to 320 pixels: are they shares of the "
            "image? [x, y, width, height] in pixels is wanted."
        }

    def test_boxes_of_another_frame_lie_outside(self, tmp_path):
        boxes = [[2.5 * value for value in box] for box in spread(3, 20)]

        text = said(write_case(tmp_path, scene(objects(spread(3, 20))), hits(boxes)))["boxes-outside"]

        assert text.endswith(" in 320 x 240): are they in pixels of the original image?")
        assert " of 20 boxes lie wholly outside their images (" in text

    def test_many_boxes_that_reach_beyond_are_said_and_a_few_are_not(self, tmp_path):
        inside, beyond = spread(4, 19), [[-30, 10, 60, 60]]
        truth = scene(objects(inside))

        few = said(write_case(tmp_path, truth, hits([*inside, *beyond])))
        many = said(write_case(tmp_path, truth, hits([*inside, *([-n - 20, 10, 60, 60] for n in range(5))])))

        assert few == {}
        assert many == {
            "boxes-outside": "5 of 24 boxes reach beyond their images ([-20, 10, 60, 60] in 320 x 240): are they in "
            "pixels of the original image?"
        }

    def test_images_of_unknown_size_say_nothing(self, tmp_path):
        truth = scene(objects(spread(5, 3)))
        for image in truth["images"]:
            image |= {"height": 0, "width": 0}

        assert said(write_case(tmp_path, truth, hits([[900, 900, 5, 5], *spread(5, 3)]))) == {}

    def test_boxes_of_masks_are_said_where_boxes_are_scored(self, tmp_path):
        from support.lvis_like import as_masks

        boxes = spread(6, 3)
        case = write_case(tmp_path, scene(objects(boxes)), as_masks(hits(boxes)))

        assert said(case) == {
            "boxes-of-masks": "the predictions have no boxes: they and their areas are those of the masks."
        }
        assert said(case, "coco/segm/maxdet100@2") == {}


class TestLimits:
    def crowd(self, folder: Path, wanted: int, found: int) -> dict[str, str]:
        boxes = [[3 * (n % 80), 3 * (n // 80), 2, 2] for n in range(max(wanted, found))]
        return said(write_case(folder, scene(objects(boxes[:wanted])), hits(boxes[:found])))

    def test_objects_and_detections_beyond_the_limit_are_counted(self, tmp_path):
        assert self.crowd(tmp_path, 150, 150) == {
            "over-limit": "50 of 150 detections are over the limit of 100 of a class in an image; 1 image has more "
            "than 100 objects of a class; coco/bbox/maxdet300@1 looks at all."
        }

    def test_detections_alone(self, tmp_path):
        assert self.crowd(tmp_path, 3, 350)["over-limit"] == (
            "250 of 350 detections are over the limit of 100 of a class in an image; coco/bbox/maxdet1000@1 looks at "
            "all."
        )

    def test_a_hundred_are_within_it(self, tmp_path):
        assert self.crowd(tmp_path, 100, 100) == {}

    def test_the_limit_is_one_of_a_class_and_the_protocols_own(self, tmp_path):
        boxes = [[3 * (n % 80), 3 * (n // 80), 2, 2] for n in range(240)]
        results = [{**one, "category_id": 1 + 3 * (n % 2)} for n, one in enumerate(hits(boxes))]
        truth = scene([{**one, "category_id": 1 + 3 * (n % 2)} for n, one in enumerate(objects(boxes))])
        case = write_case(tmp_path, truth, results)

        assert said(case)["over-limit"].startswith(
            "40 of 240 detections are over the limit of 100 of a class in an image;"
        )
        assert said(case, "coco/bbox/maxdet120@1") == {}
        assert said(case, "voc/11pt@1") == {}

    def test_lvis_counts_all_classes_together(self, tmp_path):
        truth, results = federated_case(5, images=3, detections=900)
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "results.json").write_text(json.dumps(results))
        data = load_coco({"annotations": str(tmp_path / "truth.json")}, 0)
        split = data.splits["test"]
        predictions = TASK.read_external(tmp_path / "results.json", split, data.problem, {}).predictions
        over = int(np.maximum(predictions["scores"].counts - 300, 0).sum())

        found = TASK.notices(predictions, split, data.problem, "lvis/bbox/maxdet300@1")

        [text] = [notice.text for notice in found if notice.code == "over-limit"]
        assert (
            text == f"{over:,} of {len(results):,} detections are over the limit of 300 in an image, and not looked at."
        )


class TestScoresAndRepeats:
    def test_equal_scores(self, tmp_path):
        boxes = spread(7, 12)

        assert said(write_case(tmp_path, scene(objects(boxes)), hits(boxes, score=1.0))) == {
            "equal-scores": "all 12 detections have the score 1, so the order of the file ranks them."
        }

    def test_two_scores(self, tmp_path):
        boxes = spread(7, 12)
        results = [{**one, "score": n % 2} for n, one in enumerate(hits(boxes))]

        assert said(write_case(tmp_path, scene(objects(boxes)), results)) == {
            "two-scores": "all 12 detections have one of two scores, 0 and 1, which hardly rank them."
        }

    def test_a_file_handed_in_twice(self, tmp_path):
        boxes = spread(8, 11)

        assert said(write_case(tmp_path, scene(objects(boxes)), hits(boxes) * 2))["repeated-detections"] == (
            "11 detections repeat another one in image, class, box and score; of equal ones all but one are false."
        )

    def test_a_box_of_another_score_class_or_image_is_another(self, tmp_path):
        boxes = spread(8, 1)
        other = [{"score": 0.5}, {"category_id": 4}, {"image_id": 11}]
        truth = scene([{**COMMON, **{k: v for k, v in one.items() if k != "score"}, "bbox": boxes[0]} for one in other])

        assert said(write_case(tmp_path, truth, [*hits(boxes), *({**hits(boxes)[0], **one} for one in other)])) == {}


class TestImagesAndClasses:
    def test_predictions_for_few_of_the_images(self, tmp_path):
        wanted = [{**one, "image_id": 10 * (n % 5) + 1} for n, one in enumerate(objects(spread(9, 10)))]
        case = write_case(tmp_path, scene(wanted, images=6), [{**hits(spread(9, 1))[0], "image_id": 11}])

        assert said(case)["few-images"] == (
            "1 of 5 images with objects have detections; the others' objects, 8 of 10, count as missed."
        )

    def test_half_of_them_is_not_few(self, tmp_path):
        wanted = [{**one, "image_id": 10 * (n % 4) + 1} for n, one in enumerate(objects(spread(9, 4)))]
        results = [{**hits(spread(9, 1))[0], "image_id": image} for image in (1, 11)]

        assert "few-images" not in said(write_case(tmp_path, scene(wanted, images=6), results))

    def test_false_detections_of_a_class_without_annotation_count_nowhere_and_that_is_said(self, tmp_path):
        boxes = spread(10, 3)
        case = write_case(tmp_path, scene(objects(boxes)), [*hits(boxes), *hits(spread(11, 4), category_id=4)])

        assert case.values()[0] == pytest.approx(1.0)
        assert said(case) == {
            "unannotated-classes": "4 detections are of 1 class without an annotation to find ('class1'): such "
            "a class has no average precision, so they are ignored."
        }

    def moved(self, folder: Path, to: dict[int, int]) -> dict[str, str]:
        """Return what is said of detections on the objects of six classes, of other classes than theirs."""
        truth, _ = random_case(3, classes=6)
        known = [category["id"] for category in truth["categories"]]
        results = [
            {
                "image_id": one["image_id"],
                "category_id": known[to[known.index(one["category_id"])]],
                "bbox": one["bbox"],
                "score": 1 - n / 1000,
            }
            for n, one in enumerate(truth["annotations"])
            if known.index(one["category_id"]) in to
        ]
        return said(write_case(folder, truth, results))

    @pytest.mark.parametrize(("step", "word"), [(1, "after"), (-1, "before")])
    def test_class_ids_off_by_one(self, step, word, tmp_path):
        text = self.moved(tmp_path, {label: label + step for label in range(1, 5)})["classes-off-by-one"]

        assert text.endswith(
            f" best detections that overlap an object have the class {word} its own: are class ids off by one?"
        )

    def test_classes_of_another_list(self, tmp_path):
        text = self.moved(tmp_path, {label: 5 - label for label in range(6)})["classes-disagree"]

        assert text.endswith(
            " best detections that overlap an object have its class: are class ids those of the annotations?"
        )

    def test_wrong_classes_now_and_then_are_nothing_to_notice(self, tmp_path):
        truth, results = random_case(3, classes=5)

        assert not {"classes-off-by-one", "classes-disagree"} & set(said(write_case(tmp_path, truth, results)))


class TestStandIns:
    def voc(self, folder: Path) -> Any:
        xml = annotation([("dog", (5, 5, 24, 24), "0"), ("dog", (30, 5, 50, 24), "1"), ("dog", (5, 30, 50, 49), "1")])
        return load_voc({"root": str(voc_folder(folder, {"a": xml})), "classes": "all"}, 0)

    def test_cocos_protocol_on_vocs_data_says_what_stands_in(self, tmp_path):
        data = self.voc(tmp_path)
        given = {"boxes": [np.array([[4, 4, 23, 23]])], "scores": [np.ones(1)], "labels": [np.zeros(1, int)]}
        predictions = TASK.check(given, np.array(["a"]), data.problem)

        found = TASK.notices(predictions, data.splits["test"], data.problem, "coco/bbox/maxdet100@1")

        assert [(notice.code, notice.text, notice.count) for notice in found] == [
            (
                "areas-of-boxes",
                "the data have no areas of objects: width x height of the box is taken, without a pixel added.",
                3,
            ),
            ("difficult-as-crowd", "2 difficult objects count as crowds: neither found nor missed.", 2),
        ]
        assert TASK.notices(predictions, data.splits["test"], data.problem, "voc/11pt@1") == []

    def test_vocs_protocol_on_cocos_data_says_what_stands_in(self, tmp_path):
        boxes = spread(12, 2)
        case = write_case(tmp_path, scene([*objects(boxes[:1]), *objects(boxes[1:], iscrowd=1)]), hits(boxes))

        assert said(case, "voc/11pt@1") == {
            "crowd-as-difficult": "1 crowd counts as a difficult object: neither found nor missed."
        }


def test_notices_are_printed_and_strict_refuses_them(tmp_path):
    boxes = spread(0, 4)
    write_case(tmp_path, scene(objects(boxes), first_id=0), hits(boxes))
    words = ["task=coco", f"data.annotations={tmp_path / 'truth.json'}", f"predictions={tmp_path / 'results.json'}"]
    words += ["as=x", f"out={tmp_path / 'runs'}"]

    shown = CliRunner().invoke(command, words)
    strict = CliRunner().invoke(command, [*words[:-1], f"out={tmp_path / 'strict'}", "strict=on"])

    assert "notices annotation-id-0 1 annotation has id 0, which the" in " ".join(shown.output.split())
    assert str(strict.exception).startswith("strict=on: 1 annotation has id 0, ")
    assert list((tmp_path / "strict").glob("*/record.json")) == []
