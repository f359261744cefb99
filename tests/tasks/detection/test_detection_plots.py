"""The pictures of a record: which there are, that they are the same every time, and what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.detection import HEIGHT, VAL100, WIDTH, random_case, read_case, scene, write_case
from support.voc import annotation, voc_folder

from mlcvbench.contract import Outcome, Plot
from mlcvbench.running.scoring import tabulate
from mlcvbench_detection.analysis.confidence import operating
from mlcvbench_detection.analysis.curves import outcomes, precision_recall
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc

TASK = DetectionTask()
CURVES, OPERATING = ("precision_recall.png", "classes.png"), ("confidence.png", "confusion.png")


def draw(folder: Path, case: object) -> list[Plot]:
    targets, protocol = case.split.targets(), case.scorer.protocol_id
    return TASK.plot(folder, Outcome(case.predictions, targets, case.split, case.problem, protocol, case.table()))


def with_pictures(folder: Path, seed: int = 1, kind: str = "bbox") -> object:
    """Return a random case whose images exist."""
    truth, results = random_case(seed, images=8)
    pictures = folder / "images"
    pictures.mkdir()
    for number, image in enumerate(truth["images"]):
        shade = np.full((HEIGHT, WIDTH, 3), 40 + 20 * number, dtype=np.uint8)
        Image.fromarray(shade).save(pictures / image["file_name"])
    case = write_case(folder, truth, results, kind)
    data = load_coco({"annotations": str(folder / "truth.json"), "images": str(pictures)}, 0)
    return case._replace(split=data.splits["test"])


def test_without_pictures_there_are_curves_and_classes(tmp_path):
    case = read_case(VAL100 / "instances_val2014_100.json", VAL100 / "instances_val2014_fakebbox100_results.json")

    plots = draw(tmp_path, case)

    results = ["sizes.png", "confidence.png", "confusion.png"]
    assert [plot.file for plot in plots] == ["precision_recall.png", "classes.png", *results]
    assert plots[0].alt == "Precision against recall for the mean of 70 classes; the area is 0.697 at IoU 0.50."
    assert plots[1].alt == "Average precision of each class; the lowest is 0.000 for umbrella."
    assert plots[2].alt == (
        "Precision against recall by size at IoU 0.50, means over classes; the areas are all 0.697, small 0.802, "
        "medium 0.722, large 0.680."
    )
    assert plots[3].alt == (
        "Precision, recall and F1 by confidence, all classes together, at IoU 0.50; from 0.012 the F1 is 0.830, "
        "with precision 0.886 and recall 0.781. The confidence is the best on the test images themselves, so what it "
        "gives elsewhere is lower."
    )
    assert (
        plots[4].alt == "The 20 most frequent confusions, object to detection; the first is person \u2192 background."
    )
    assert {path.name for path in tmp_path.iterdir()} == {plot.file for plot in plots}


def test_equal_results_give_equal_bytes(tmp_path):
    case = with_pictures(tmp_path)

    first = draw(tmp_path / "a", case)
    second = draw(tmp_path / "b", case)

    assert first == second
    assert [plot.file for plot in first] == [*CURVES, "sizes.png", *OPERATING, "worst.png", "best.png"]
    assert all((tmp_path / "a" / p.file).read_bytes() == (tmp_path / "b" / p.file).read_bytes() for p in first)


def test_masks_are_laid_over_the_pictures(tmp_path):
    truth = scene(
        [
            {
                "image_id": 1,
                "category_id": 1,
                "bbox": [10, 10, 100, 100],
                "segmentation": [[10, 10, 110, 10, 110, 110, 10, 110]],
            }
        ],
        images=1,
        classes=1,
    )
    from pycocotools import mask

    drawn = mask.merge(mask.frPyObjects([[12, 10, 110, 10, 110, 110, 12, 110]], HEIGHT, WIDTH))
    coded = {"size": [HEIGHT, WIDTH], "counts": drawn["counts"].decode()}
    results = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": coded}]
    (tmp_path / "images").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(tmp_path / "images" / "0.png")
    case = write_case(tmp_path, truth, results, "segm")
    data = load_coco(
        {"annotations": str(tmp_path / "truth.json"), "images": str(tmp_path / "images"), "masks": True}, 0
    )

    plots = draw(tmp_path / "plots", case._replace(split=data.splits["test"]))
    best = np.asarray(Image.open(tmp_path / "plots" / "best.png").convert("RGB")).astype(int)

    assert [plot.file for plot in plots] == [*CURVES, "sizes.png", "confusion.png", "worst.png", "best.png"]
    greenish = (best[..., 1] - best[..., 0] > 40) & (best[..., 0] > 100)
    assert greenish.mean() > 0.01


def test_nothing_is_drawn_for_nothing(tmp_path):
    case = write_case(tmp_path, scene([]), [])

    assert draw(tmp_path / "plots", case) == []


def test_voc_has_pictures_too(tmp_path):
    root = voc_folder(
        tmp_path,
        {
            "a": annotation([("dog", (1, 1, 30, 30), "0"), ("cat", (5, 5, 50, 45), "0")]),
            "b": annotation([("dog", (3, 3, 20, 20), "1")]),
        },
    )
    (root / "JPEGImages").mkdir()
    for name in "ab":
        Image.new("RGB", (60, 50), "grey").save(root / "JPEGImages" / f"{name}.jpg")
    results = tmp_path / "results.json"
    results.write_text(
        '[{"image_id": "a", "category_id": 12, "bbox": [0, 0, 29, 28], "score": 0.9}, '
        '{"image_id": "b", "category_id": 12, "bbox": [0, 0, 5, 5], "score": 0.8}]',
        encoding="utf-8",
    )
    data = load_voc({"root": str(root)}, 0)
    split = data.splits["test"]
    predictions = TASK.read_external(results, split, data.problem, {}).predictions
    table = tabulate(TASK.scorer("voc/11pt@1", data.problem), predictions, split.targets(), 2)

    outcome = Outcome(predictions, split.targets(), split, data.problem, "voc/11pt@1", table)
    plots = TASK.plot(tmp_path / "plots", outcome)

    assert [plot.file for plot in plots] == [*CURVES, *OPERATING, "worst.png", "best.png"]
    assert plots[1].alt == "Average precision of each class; the lowest is 0.000 for cat."
    assert precision_recall(table, 20).average[[7, 11]].tolist() == [0.0, 1.0]


def test_the_average_of_the_curves_is_the_headline(tmp_path):
    case = write_case(tmp_path, *random_case(2))
    table = case.table()

    found = precision_recall(table, 4)

    assert np.nanmean(found.average) == pytest.approx(case.scorer.summarise(table)["ap"], abs=1e-12)
    assert found.precision.shape == (10, 101, 4)


def test_the_score_to_show_is_that_of_the_highest_f1(tmp_path):
    truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}])
    hit = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "score": 0.6}
    noise = [{**hit, "bbox": [100, 100, 9, 9], "score": score} for score in (0.5, 0.4)]

    table = write_case(tmp_path, truth, [hit, *noise]).table()
    found = outcomes(table)

    assert operating(table).best_score == 0.6
    assert (len(found.true), len(found.false), len(found.found), len(found.missed)) == (1, 2, 1, 0)
