"""COCO's numbers on VOC's data and VOC's on COCO's: a definition may join them, and what cannot be joined says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.detection import official, random_case, scene, write_case
from support.voc import annotation, voc_folder

from mlcvbench.cli.run import run
from mlcvbench.cli.score import score as command
from mlcvbench.errors import DataError
from mlcvbench.running.scoring import score
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.geometry.ragged import Ragged, ragged
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc

TASK = DetectionTask()
CLASSES = ("cat", "dog")


def drawn(seed: int, images: int = 8) -> dict[str, list[tuple[str, tuple[int, int, int, int], str]]]:
    """Return objects of VOC by image: class, xmin, ymin, xmax, ymax and difficult."""
    rng = np.random.default_rng(seed)
    found = {}
    for image in range(images):
        objects = []
        for _ in range(rng.integers(0, 6)):
            x, y, width, height = rng.integers(1, 150, 4).tolist()
            name = CLASSES[int(rng.integers(2))]
            objects.append((name, (x, y, x + width, y + height), str(int(rng.random() < 0.2))))
        found[f"{image:06d}"] = objects
    found["000000"] += [("cat", (1, 1, 40, 40), "0"), ("dog", (50, 50, 80, 90), "0")]  # both classes occur
    return found


def as_voc(folder: Path, objects: dict[str, Any]) -> Path:
    return voc_folder(folder, {name: annotation(boxes, 400, 400) for name, boxes in objects.items()})


def as_coco(objects: dict[str, Any]) -> dict[str, Any]:
    """Return the objects as people convert them: [xmin - 1, ymin - 1, xmax - xmin, ymax - ymin], difficult = crowd."""
    rows = [(int(name), *one) for name, boxes in objects.items() for one in boxes]
    return {
        "images": [{"id": int(name), "height": 400, "width": 400, "file_name": f"{name}.jpg"} for name in objects],
        "categories": [{"id": place + 1, "name": name} for place, name in enumerate(CLASSES)],
        "annotations": [
            {
                "id": place + 1,
                "image_id": image,
                "category_id": CLASSES.index(name) + 1,
                "bbox": [x1 - 1, y1 - 1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": int(difficult),
            }
            for place, (image, name, (x1, y1, x2, y2), difficult) in enumerate(rows)
        ],
    }


def noisy(objects: dict[str, Any], seed: int) -> list[tuple[str, str, float, list[float]]]:
    """Return detections near the objects and elsewhere: image, class, score, corners counted from 1."""
    rng = np.random.default_rng(seed)
    found = []
    for image, boxes in objects.items():
        for name, box, _ in boxes:
            for _ in range(rng.integers(0, 3)):
                near = np.sort((np.array(box) + rng.normal(0, 4, 4)).reshape(2, 2), axis=0)
                found.append((image, name, round(float(rng.random()), 4), near.round(1).ravel().tolist()))
        x, y = rng.integers(1, 200, 2).tolist()
        found.append((image, CLASSES[int(rng.integers(2))], round(float(rng.random()), 4), [x, y, x + 50, y + 70]))
    return found


def results_of(found: list[tuple[str, str, float, list[float]]]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(image),
            "category_id": CLASSES.index(name) + 1,
            "score": score,
            "bbox": [x1 - 1, y1 - 1, x2 - x1, y2 - y1],
        }
        for image, name, score, (x1, y1, x2, y2) in found
    ]


def write_kit(folder: Path, found: list[tuple[str, str, float, list[float]]]) -> Path:
    """Write detections as the development kit has them, a file a class."""
    folder.mkdir()
    for name in CLASSES:
        lines = [f"{i} {s} {' '.join(map(str, box))}\n" for i, n, s, box in found if n == name]
        (folder / f"comp4_det_test_{name}.txt").write_text("".join(lines))
    return folder


class TestCocoOnVoc:
    @pytest.mark.parametrize("seed", range(3))
    def test_the_numbers_are_pycocotools_on_the_converted_file(self, seed, tmp_path):
        objects = drawn(seed)
        found = noisy(objects, seed + 50)
        data = load_voc({"root": str(as_voc(tmp_path, objects)), "classes": "all"}, 0)
        split = data.splits["test"]
        predictions = TASK.read_external(write_kit(tmp_path / "kit", found), split, data.problem, {}).predictions

        scorer = TASK.scorer("coco/bbox/maxdet100@1", data.problem)
        TASK.check_protocol(data, "coco/bbox/maxdet100@1")
        scored = score(scorer, predictions, split)

        ordered = sorted(found, key=lambda one: (one[0], one[1]))  # the kit has a file a class
        assert list(scored.values.values()) == official(as_coco(objects), results_of(ordered))
        assert scored.disputed == frozenset()

    def test_perfect_boxes_are_perfect_from_the_command_line(self, tmp_path):
        objects = {"000001": [("cat", (1, 1, 40, 40), "0"), ("cat", (100, 1, 140, 50), "1")], "000002": []}
        objects["000002"] = [("dog", (20, 30, 200, 300), "0")]
        root = as_voc(tmp_path, objects)
        found = [(image, name, 0.9, list(box)) for image, boxes in objects.items() for name, box, _ in boxes]
        kit = write_kit(tmp_path / "kit", found)
        (tmp_path / "mine.yaml").write_text(
            f"name: mine\nkind: detection\ndata: {{name: voc, root: {root}, classes: all}}\n"
            "protocol: coco/bbox/maxdet100@1\nmetrics: [ap, ap50]\n"
        )

        words = [f"task={tmp_path / 'mine.yaml'}", f"predictions={kit}", "as=x", f"out={tmp_path / 'runs'}"]
        outcome = CliRunner().invoke(command, words, catch_exceptions=False)

        assert outcome.exit_code == 0
        record = json.loads(next((tmp_path / "runs").glob("*/record.json")).read_text())
        assert record["metrics"]["ap"]["value"] == pytest.approx(1.0)
        assert record["task"]["protocol_id"] == "coco/bbox/maxdet100@1"


class TestVocOnCoco:
    @pytest.mark.parametrize("protocol", ["voc/11pt/plus1@1", "voc/allpoint@1"])
    def test_the_number_is_that_of_the_same_objects_as_a_voc_folder(self, protocol, tmp_path):
        objects = drawn(4)
        found = noisy(objects, 60)
        results = results_of(sorted(found, key=lambda one: (one[0], one[1])))
        coco = write_case(tmp_path, as_coco(objects), results)
        voc = load_voc({"root": str(as_voc(tmp_path, objects)), "classes": "all"}, 0)
        kit = TASK.read_external(write_kit(tmp_path / "kit", found), voc.splits["test"], voc.problem, {}).predictions

        here = score(TASK.scorer(protocol, coco.problem), coco.predictions, coco.split)
        there = score(TASK.scorer(protocol, voc.problem), kit, voc.splits["test"])

        assert here.values == there.values
        assert 0.2 < next(iter(here.values.values())) < 1

    def test_perfect_boxes_are_perfect_and_crowds_are_not_missed(self, tmp_path):
        boxes = [[0, 0, 40, 40], [100, 0, 20, 20], [60, 60, 100, 100]]
        common = {"image_id": 1, "category_id": 1}
        truth = scene([{**common, "bbox": box, "iscrowd": int(n == 2)} for n, box in enumerate(boxes)])
        results = [{**common, "bbox": box, "score": 0.5} for box in boxes[:2]]
        case = write_case(tmp_path, truth, results)

        scored = score(TASK.scorer("voc/allpoint/plus1@1", case.problem), case.predictions, case.split)

        assert scored.values == {"voc_ap50": 1.0}

    def test_data_with_neither_crowds_nor_difficult_objects_have_all_to_be_found(self):
        boxes = Ragged(np.array([[0, 0, 4, 4.0], [5, 5, 4, 4]]), np.array([0, 2]))
        labels = Ragged(np.zeros(2, dtype=np.int64), boxes.starts)
        targets: dict[str, Any] = {"xywh": boxes, "labels": labels}
        predictions: dict[str, Any] = {"xywh": boxes[[0]], "labels": labels, "scores": Ragged(np.ones(2), boxes.starts)}

        table = TASK.scorer("voc/allpoint@1", write_problem()).rows(predictions, targets, np.array([0]))

        assert table["ignore"].tolist() == [False] * 4
        assert ragged(targets, "labels") is labels


def write_problem() -> Any:
    from mlcvbench.contract import Problem

    return Problem("detection", ("a",), {})


class TestRefused:
    def test_masks_on_boxes_of_voc(self, tmp_path):
        data = load_voc({"root": str(as_voc(tmp_path, drawn(0))), "classes": "all"}, 0)

        with pytest.raises(DataError) as caught:
            TASK.check_protocol(data, "coco/segm/maxdet100@2")

        assert str(caught.value) == (
            "data set 'voc' has no masks, which protocol 'coco/segm/maxdet100@2' needs; protocols for it are "
            "coco/bbox/maxdet100@1, coco/bbox/maxdet300@1, coco/bbox/maxdet1000@1, voc/11pt@1, voc/11pt/plus1@1, "
            "voc/allpoint@1, voc/allpoint/plus1@1."
        )

    def test_masks_that_were_not_read(self, tmp_path):
        truth, results = random_case(0)
        write_case(tmp_path, truth, results)
        data = load_coco({"annotations": str(tmp_path / "truth.json")}, 0)

        with pytest.raises(
            DataError, match=r"^data set 'coco' has no masks, .* needs \(data\.masks=true reads them\); "
        ):
            TASK.check_protocol(data, "coco/segm/maxdet300@2")

    def test_a_run_is_refused_before_a_model_is_fitted(self, tmp_path):
        (tmp_path / "mine.yaml").write_text(
            "name: mine\nkind: detection\ndata: {name: scenes, train: 2, val: 0, test: 2}\n"
            "protocol: coco/segm/maxdet100@2\nmodels: [box_prior]\n"
        )

        words = [f"task={tmp_path / 'mine.yaml'}", f"out={tmp_path / 'runs'}", "--quiet"]
        outcome = CliRunner().invoke(run, words)

        assert str(outcome.exception).startswith(
            "data set 'scenes' has no masks, which protocol 'coco/segm/maxdet100@2' needs (data.masks=true reads them);"
        )
        assert list((tmp_path / "runs").glob("*/record.json")) == []
