"""What lies behind the metrics: numbers by class, kinds of mistakes, confusions, the best confidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.detection import VAL100, official, random_case, read_case, scene, write_case
from support.voc import annotation, voc_folder

from mlcvbench.contract import Breakdown, HeldOut, Outcome
from mlcvbench.running.scoring import tabulate
from mlcvbench_detection.analysis.breakdowns import breakdowns, most_confused
from mlcvbench_detection.analysis.confidence import confidence_of, operating, operating_by_class
from mlcvbench_detection.analysis.mistakes import mistakes
from mlcvbench_detection.coco import engines
from mlcvbench_detection.task import DetectionTask
from mlcvbench_detection.voc.annotations import load_voc

TASK = DetectionTask()


def outcome_of(case: Any) -> Outcome:
    return Outcome(
        case.predictions, case.split.targets(), case.split, case.problem, case.scorer.protocol_id, case.table()
    )


def named(parts: list[Breakdown], title: str) -> Breakdown:
    return next(part for part in parts if part.title == title)


def column(part: Breakdown, name: str) -> dict[str, float | None]:
    return dict(zip(part.names, part.columns[name][1], strict=True))


def xyxy_iou(one: list[float], other: list[float]) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def plain_case(seed: int, **sizes: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a random case without crowds; scores differ."""
    truth, results = random_case(seed, **sizes)
    for one in truth["annotations"]:
        one["iscrowd"] = 0
    return truth, results


@pytest.mark.parametrize("seed", range(3))
def test_numbers_by_class_are_pycocotools(tmp_path, seed):
    truth, results = random_case(seed, images=20)

    parts = breakdowns(outcome_of(write_case(tmp_path, truth, results)))
    by_class, by_both = named(parts, "By class"), named(parts, "By class and size")

    for label, name in enumerate(by_class.names):
        own = [one for one in truth["annotations"] if one["category_id"] == 3 * label + 1]
        found = [one for one in results if one["category_id"] == 3 * label + 1]
        wanted = official({**truth, "annotations": own, "categories": [truth["categories"][label]]}, found)
        names = ["AP", "AP50", "AP75", "AP small", "AP medium", "AP large", None, None, "AR"]
        names += ["AR small", "AR medium", "AR large"]
        for title, value in zip(names, wanted, strict=True):
            if title is not None:
                part = by_both if title in by_both.columns else by_class
                assert column(part, title)[name] == (None if value is None else pytest.approx(value, abs=1e-12))
        assert column(by_class, "objects")[name] == sum(not one["iscrowd"] for one in own)


def test_numbers_by_size_are_the_metrics(tmp_path):
    case = read_case(VAL100 / "instances_val2014_100.json", VAL100 / "instances_val2014_fakebbox100_results.json")

    by_size, values = named(breakdowns(outcome_of(case)), "By size"), case.scorer.summarise(case.table())

    for size, suffix in (("all", ""), ("small", "_small"), ("medium", "_medium"), ("large", "_large")):
        assert column(by_size, "AP")[size] == pytest.approx(values[f"ap{suffix}"])
        assert column(by_size, "AR")[size] == pytest.approx(values[f"ar{suffix or '100'}"])
    assert column(by_size, "AP50")["all"] == pytest.approx(values["ap50"])


def matched(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[dict[int, int], list[int]]:
    """Return which annotation each true detection has, and the order of the detections, highest score first."""
    order = sorted(range(len(results)), key=lambda row: -results[row]["score"])
    taken: dict[int, int] = {}
    for row in order:
        one = results[row]
        best = max(
            (
                (xyxy_iou(one["bbox"], other["bbox"]), place)
                for place, other in enumerate(truth["annotations"])
                if other["image_id"] == one["image_id"]
                and other["category_id"] == one["category_id"]
                and place not in taken.values()
            ),
            default=(0.0, -1),
        )
        if best[0] >= 0.5:
            taken[row] = best[1]
    return taken, order


def by_definition(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return the detections of each kind of mistake, and the missed annotations, by the paper's section 2.2."""
    taken, order = matched(truth, results)
    kinds: dict[str, list[int]] = {
        name: [] for name in ("localisation", "class", "both", "duplicate", "background", "missed")
    }
    covered = set(taken.values())
    for row in order:
        if row in taken:
            continue
        one = results[row]
        near = [
            (xyxy_iou(one["bbox"], other["bbox"]), place)
            for place, other in enumerate(truth["annotations"])
            if other["image_id"] == one["image_id"]
        ]
        own = [(i, p) for i, p in near if truth["annotations"][p]["category_id"] == one["category_id"]]
        others = [(i, p) for i, p in near if truth["annotations"][p]["category_id"] != one["category_id"]]
        best, other = max(own, default=(0.0, -1)), max(others, default=(0.0, -1))
        if 0.1 <= best[0] < 0.5:
            kinds["localisation"].append(row)
            covered.add(best[1])
        elif other[0] >= 0.5:
            kinds["class"].append(row)
            covered.add(other[1])
        elif best[0] >= 0.5:
            kinds["duplicate"].append(row)
        elif max(best[0], other[0]) < 0.1:
            kinds["background"].append(row)
        else:
            kinds["both"].append(row)
    kinds["missed"] = [place for place in range(len(truth["annotations"])) if place not in covered]
    return kinds


def ap50(truth: dict[str, Any], results: list[dict[str, Any]]) -> float:
    value = official(truth, results)[1]
    assert value is not None
    return value


@pytest.mark.parametrize("seed", range(6))
def test_kinds_of_mistakes_are_those_of_the_definition(tmp_path, seed):
    truth, results = plain_case(seed, images=8, classes=3, detections=12)
    wanted = by_definition(truth, results)

    kinds = mistakes(outcome_of(write_case(tmp_path, truth, results))).kinds()

    assert {name: kind.times for name, kind in kinds.items()} == {name: len(rows) for name, rows in wanted.items()}
    base = ap50(truth, results)
    for name in ("both", "duplicate", "background"):
        kept = [one for row, one in enumerate(results) if row not in wanted[name]]
        assert kinds[name].lost == pytest.approx(ap50(truth, kept) - base, abs=1e-9)
    left = [one for place, one in enumerate(truth["annotations"]) if place not in wanted["missed"]]
    assert kinds["missed"].lost == pytest.approx(ap50({**truth, "annotations": left}, results) - base, abs=1e-9)


@pytest.mark.parametrize("name", ["localisation", "class"])
@pytest.mark.parametrize("seed", range(4))
def test_a_mistake_put_right_counts_unless_its_object_is_found_already(tmp_path, seed, name):
    truth, results = plain_case(seed, images=8, classes=3, detections=12)
    taken, order = matched(truth, results)
    used, put_right = set(taken.values()), {}
    for row in (row for row in order if row in by_definition(truth, results)[name]):
        one = results[row]
        _, place = max(
            (xyxy_iou(one["bbox"], other["bbox"]), place)
            for place, other in enumerate(truth["annotations"])
            if other["image_id"] == one["image_id"]
            and (other["category_id"] == one["category_id"]) == (name == "localisation")
        )
        put_right[row] = None if place in used else place
        used.add(place)
    fixed = []
    for row, one in enumerate(results):
        place = put_right.get(row, -1)
        if place is not None:
            given = truth["annotations"][place]
            fixed.append(one if place < 0 else {**one, "bbox": given["bbox"], "category_id": given["category_id"]})

    kinds = mistakes(outcome_of(write_case(tmp_path, truth, results))).kinds()

    assert kinds[name].lost == pytest.approx(ap50(truth, fixed) - ap50(truth, results), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_confusions_are_those_of_choosing_by_score_whatever_the_class(tmp_path, seed):
    truth, results = plain_case(seed, images=8, classes=3, detections=12)
    wanted, used = np.zeros((4, 4), int), set()
    for one in sorted((one for one in results if one["score"] >= 0.3), key=lambda one: -one["score"]):
        near = [
            (xyxy_iou(one["bbox"], other["bbox"]), -place)
            for place, other in enumerate(truth["annotations"])
            if other["image_id"] == one["image_id"] and place not in used
        ]
        best = max(near, default=(0.0, 0))
        got = one["category_id"] // 3
        if best[0] >= 0.5:
            used.add(-best[1])
            wanted[truth["annotations"][-best[1]]["category_id"] // 3, got] += 1
        else:
            wanted[3, got] += 1
    for place, other in enumerate(truth["annotations"]):
        wanted[other["category_id"] // 3, 3] += place not in used

    matrix = mistakes(outcome_of(write_case(tmp_path, truth, results))).confusion(0.3)

    assert matrix.tolist() == wanted.tolist()


def test_a_crowd_is_neither_missed_nor_taken_for_something(tmp_path):
    crowd = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "iscrowd": 1}
    truth = scene([crowd, {"image_id": 1, "category_id": 1, "bbox": [150, 0, 50, 50]}])
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [150, 0, 50, 50], "score": 0.8},
    ]

    found = mistakes(outcome_of(write_case(tmp_path, truth, results)))

    assert all(kind.times == 0 for kind in found.kinds().values())
    assert found.confusion(None).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_an_annotation_with_id_0_is_an_object_like_others_here(tmp_path):
    truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]}], first_id=0)
    results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.8}]

    found = mistakes(outcome_of(write_case(tmp_path, truth, results)))

    assert found.confusion(None)[0, 0] == 1


@pytest.mark.parametrize("steps", [0, 4, 1])
def test_operating_points_are_those_of_dropping_detections(tmp_path, steps):
    truth, results = random_case(5, score_steps=steps)
    case = write_case(tmp_path, truth, results)
    table = case.table()
    counted = (table["kind"] == 0) & (table["ignore"] & np.uint64(1) == 0)
    hit = table["match"] & np.uint64(1) == 1
    wanted = int(((table["kind"] == 1) & (table["ignore"] & np.uint64(1) == 0)).sum())

    points = operating(table)

    assert points.score.tolist() == sorted(set(table["score"][counted].tolist()), reverse=True)
    for place, score in enumerate(points.score.tolist()):
        shown = counted & (table["score"] >= score)
        assert points.precision[place] == pytest.approx((shown & hit).sum() / shown.sum())
        assert points.recall[place] == pytest.approx((shown & hit).sum() / wanted)
    both = points.precision + points.recall
    assert points.f1 == pytest.approx(
        np.divide(2 * points.precision * points.recall, both, where=both > 0, out=both * 0)
    )
    assert points.best == int(np.argmax(points.f1))
    assert sum(int(one.true.max(initial=0)) for one in operating_by_class(table, 4)) == points.true[-1]


def test_where_the_best_confidence_comes_from_is_said(tmp_path):
    parts = breakdowns(outcome_of(write_case(tmp_path, *random_case(1))))

    assert "best on the test images themselves" in named(parts, "Best confidence").note
    assert "best on the test images themselves" in named(parts, "Objects by what they were taken for").note


def test_the_confidence_is_chosen_on_validation_images_where_some_were_predicted(tmp_path):
    outcome = outcome_of(write_case(tmp_path, *random_case(1)))
    other = write_case(tmp_path, *random_case(5))
    held = HeldOut(other.table(), 12)

    parts = breakdowns(replace(outcome, held_out=held))

    least, points = operating(held.table).best_score, operating(outcome.table)
    assert least != points.best_score
    chosen = named(parts, "Best confidence")
    assert "The confidence is the best on 12 validation images, none of which was trained on." in chosen.note
    assert column(chosen, "confidence")["all together"] == least
    shown = points.score >= least
    assert column(chosen, "F1")["all together"] == points.f1[shown][-1] < points.f1.max()
    assert column(chosen, "precision")["all together"] == points.precision[shown][-1]
    matrix = outcome.once(mistakes).confusion(least)
    found = named(parts, "Objects by what they were taken for")
    assert [found.columns[name][1] for name in found.names] == matrix.T.tolist()
    assert f"a confidence of {least:.3g} or more" in found.note


def test_a_confidence_that_no_detection_has_finds_nothing(tmp_path):
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]}
    outcome = outcome_of(write_case(tmp_path, scene([box]), [{**box, "score": 0.3}]))
    held = HeldOut(write_case(tmp_path, scene([box]), [{**box, "score": 0.9}]).table(), 1)

    found = named(breakdowns(replace(outcome, held_out=held)), "Best confidence")

    assert {name: column(found, name)["all together"] for name in found.columns} == {
        "confidence": 0.9,
        "precision": None,
        "recall": 0.0,
        "F1": 0.0,
    }


def test_validation_images_without_a_hit_choose_nothing(tmp_path):
    outcome = outcome_of(write_case(tmp_path, *random_case(1)))
    held = HeldOut(write_case(tmp_path, scene([]), []).table(), 20)

    assert confidence_of(replace(outcome, held_out=held)) == confidence_of(outcome)


def test_breakdowns_and_pictures_share_one_evaluation(tmp_path, monkeypatch):
    made, evaluate = [], engines.matched_by_hotcoco
    monkeypatch.setattr(engines, "matched_by_hotcoco", lambda *given: made.append(1) or evaluate(*given))
    outcome = outcome_of(write_case(tmp_path, *random_case(1)))

    TASK.breakdowns(outcome)
    TASK.plot(tmp_path / "plots", outcome)

    assert len(made) == 1


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    case = read_case(VAL100 / "instances_val2014_100.json", VAL100 / "instances_val2014_fakebbox100_results.json")

    part = named(breakdowns(outcome_of(case)), "Most frequent confusions")

    assert len(part.names) == 20
    assert part.names[0] == "person \u2192 background"
    assert most_confused(np.array([[5, 0, 2], [3, 9, 0], [0, 0, 7]]), 20) == [(1, 0), (0, 2)]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_masks_are_compared_where_the_protocol_compares_them(tmp_path, kind):
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "segmentation": [[0, 0, 100, 0, 0, 100]]}
    other = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "score": 0.5}
    from pycocotools import mask

    drawn = mask.merge(mask.frPyObjects([[100, 100, 100, 0, 0, 100]], 240, 320))
    other["segmentation"] = {"size": drawn["size"], "counts": drawn["counts"].decode()}
    case = write_case(tmp_path, scene([box], images=1), [other], kind)

    kinds = mistakes(outcome_of(case)).kinds()

    assert {name: kind.times for name, kind in kinds.items() if kind.times} == (
        {} if kind == "bbox" else {"background": 1, "missed": 1}
    )


def test_without_objects_there_is_nothing_to_break_down(tmp_path):
    results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.8}]

    assert breakdowns(outcome_of(write_case(tmp_path, scene([]), results))) == []


def test_without_detections_everything_is_missed(tmp_path):
    truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]}] * 200)

    parts = breakdowns(outcome_of(write_case(tmp_path, truth, [])))

    assert [part.title for part in parts] == [
        "By size",
        "By class",
        "By class and size",
        "Kinds of mistakes",
        "Objects by what they were taken for",
    ]
    assert column(named(parts, "Kinds of mistakes"), "count")["missed"] == 200
    assert set(column(named(parts, "Kinds of mistakes"), "AP50 lost").values()) == {None}
    assert column(parts[-1], "background")["class0"] == 200


def test_vocs_protocols_have_what_needs_no_sizes(tmp_path):
    root = voc_folder(
        tmp_path,
        {
            "a": annotation([("dog", (1, 1, 30, 30), "0"), ("cat", (5, 5, 50, 45), "0")]),
            "b": annotation([("dog", (3, 3, 20, 20), "1")]),
        },
    )
    results = tmp_path / "results.json"
    found = [("a", [0, 0, 29, 28], 0.9), ("b", [2, 2, 17, 17], 0.8)]  # the second is of a difficult object
    lines = [{"image_id": image, "category_id": 12, "bbox": box, "score": score} for image, box, score in found]
    results.write_text(json.dumps(lines), encoding="utf-8")
    data = load_voc({"root": str(root)}, 0)
    split = data.splits["test"]
    predictions = TASK.read_external(results, split, data.problem, {}).predictions
    table = tabulate(TASK.scorer("voc/11pt@1", data.problem), predictions, split.targets(), 2)

    parts = TASK.breakdowns(Outcome(predictions, split.targets(), split, data.problem, "voc/11pt@1", table))

    assert [part.title for part in parts] == [
        "By class",
        "Best confidence",
        "Kinds of mistakes",
        "Most frequent confusions",
    ]
    assert column(parts[0], "AP50") == {"cat": 0.0, "dog": 1.0}
    assert column(parts[2], "count") == {**dict.fromkeys(column(parts[2], "count"), 0), "missed": 1}
    assert column(parts[3], "count") == {"cat \u2192 background": 1}
