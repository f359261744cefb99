"""COCO's twelve numbers: the published ones, and pycocotools' floats on everything we can think of."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.detection import EDGE_CASES, VAL100, official, random_case, read_case, scene, write_case

from mlcvbench.contract import Problem
from mlcvbench.errors import UnknownNameError
from mlcvbench.running.scoring import score
from mlcvbench_detection.coco.scoring import CocoScorer
from mlcvbench_detection.task import DetectionTask

relaxed = settings(deadline=None, derandomize=True, database=None, max_examples=60)
TRUTH = VAL100 / "instances_val2014_100.json"
RESULTS = {kind: VAL100 / f"instances_val2014_fake{kind}100_results.json" for kind in ("bbox", "segm")}


def published(kind: str) -> list[str]:
    """Return the twelve printed numbers of one kind from the file that pycocotools publishes."""
    blocks = (VAL100 / "val2014_fake_eval_res.txt").read_text(encoding="utf-8").split("type=")
    block = next(part for part in blocks if part.startswith(kind))
    return [line.rsplit("= ", 1)[1] for line in block.splitlines() if "Average" in line]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_published_numbers_come_out_to_the_last_printed_digit(kind):
    case = read_case(TRUTH, RESULTS[kind], kind)

    assert [f"{value:0.3f}" for value in case.values()] == published(kind)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_floats_are_those_of_pycocotools_on_the_published_files(kind):
    case = read_case(TRUTH, RESULTS[kind], kind)
    truth, results = (json.loads(path.read_bytes()) for path in (TRUTH, RESULTS[kind]))

    assert case.values() == official(truth, results, kind)
    assert case.scorer.reference(case.predictions, case.split.targets()) == dict(
        zip((metric.name for metric in case.scorer.metrics), case.values(), strict=True)
    )


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_every_engine_gives_the_same_floats(kind, engine):
    case = read_case(TRUTH, RESULTS[kind], kind)

    values = case.scorer.by_engine(engine, case.predictions, case.split.targets())

    assert list(values.values()) == case.values()


def test_the_headline_is_the_reference_engines_and_nothing_is_disputed():
    case = read_case(TRUTH, RESULTS["bbox"])

    scored = score(case.scorer, case.predictions, case.split)

    assert list(scored.values.values()) == case.values()
    assert not scored.disputed


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("shards", [2, 7])
def test_any_number_of_shards_gives_the_same_bits(kind, shards):
    case = read_case(TRUTH, RESULTS[kind], kind)
    whole, parts = case.table(), case.table(shards)

    assert all(whole[name].tobytes() == parts[name].tobytes() for name in whole.columns)
    assert case.values(shards) == case.values()


@pytest.mark.parametrize("seed", range(6))
def test_random_scenes_agree_with_pycocotools(seed, tmp_path):
    truth, results = random_case(seed)

    assert write_case(tmp_path, truth, results).values() == official(truth, results)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_tied_scores_are_ordered_as_pycocotools_orders_them(steps, tmp_path):
    truth, results = random_case(7, score_steps=steps)

    assert write_case(tmp_path, truth, results).values() == official(truth, results)


def test_results_in_any_order_of_images_agree_with_pycocotools(tmp_path):
    truth, results = random_case(8, score_steps=3)
    shuffled = [results[row] for row in np.random.default_rng(0).permutation(len(results))]
    truth["images"].reverse()
    truth["categories"].reverse()

    assert write_case(tmp_path, truth, shuffled).values() == official(truth, shuffled)


def test_more_than_a_hundred_detections_of_a_class_in_an_image_are_cut(tmp_path):
    truth, results = random_case(9, images=2, classes=1, detections=400)

    assert write_case(tmp_path, truth, results).values() == official(truth, results)


# Boxes from a small grid of whole numbers: many ties, touching and equal boxes, areas exactly on a range's end.
whole = st.sampled_from([0, 8, 16, 24, 32, 48, 64, 96])
boxes = st.tuples(whole, whole, whole, whole).map(list)
places = st.fixed_dictionaries(
    {"image_id": st.sampled_from([1, 11]), "category_id": st.sampled_from([1, 4]), "bbox": boxes}
)


@st.composite
def annotated(draw: st.DrawFn) -> dict[str, object]:
    area = draw(st.sampled_from([0, 1024, 1023.5, 9216, 9216.25, 40000, 1e10, 1.5e10]) | st.none())
    given_area = {} if area is None else {"area": area}
    return {**draw(places), "iscrowd": draw(st.sampled_from([0, 0, 0, 1])), **given_area}


@st.composite
def detected(draw: st.DrawFn) -> dict[str, object]:
    return {**draw(places), "score": draw(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 3.5]))}


@relaxed
@given(st.lists(annotated(), max_size=12), st.lists(detected(), max_size=24), st.integers(-2, 1))
def test_degenerate_scenes_agree_with_pycocotools(annotations, results, first_id):
    truth = scene(annotations, images=2, first_id=first_id)
    with tempfile.TemporaryDirectory() as folder:
        case = write_case(Path(folder), truth, results)

    assert case.values() == official(truth, results)


@relaxed
@given(
    st.lists(annotated(), max_size=12),
    st.lists(detected(), max_size=8),
    st.sampled_from([1, 20, 60]),
    st.sampled_from([101, 300, 1000]),
)
def test_scenes_with_more_detections_agree_with_pycocotools(annotations, results, times, most):
    truth = scene(annotations, images=2)
    with tempfile.TemporaryDirectory() as folder:
        case = write_case(Path(folder), truth, results * times, most=most)

    assert case.values() == official(truth, results * times, most=most)


# Masks of 40 x 40 pixel cells: equal, overlapping and empty ones; areas on both sides of 96 x 96.
cells = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=9, unique=True)


def drawn(chosen: list[tuple[int, int]]) -> dict[str, object]:
    from pycocotools import mask
    from support.detection import HEIGHT, WIDTH

    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    for y, x in chosen:
        pixels[40 * y : 40 * (y + 1), 40 * x : 40 * (x + 1)] = 1
    code = mask.encode(pixels)
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


masked = st.builds(
    lambda place, chosen: {**place, "segmentation": drawn(chosen)},
    st.fixed_dictionaries({"image_id": st.sampled_from([1, 11]), "category_id": st.sampled_from([1, 4])}),
    cells,
)
masked_truth = st.builds(
    lambda found, area, crowd: {**found, "bbox": [0, 0, 9, 9], "area": area, "iscrowd": crowd},
    masked,
    st.sampled_from([0, 1024, 1600, 9216, 9217, 40000]),
    st.sampled_from([0, 0, 0, 1]),
)
masked_result = st.builds(
    lambda found, score: {**found, "score": score}, masked, st.sampled_from([0.0, 0.25, 0.5, 1.0])
)


@relaxed
@given(st.lists(masked_truth, max_size=8), st.lists(masked_result, max_size=12), st.booleans())
def test_tied_overlapping_and_empty_masks_agree_with_pycocotools(annotations, results, boxed):
    truth = scene(annotations, images=2)
    results = [{**result, "bbox": [1, 2, 33, 40]} for result in results] if boxed else results
    with tempfile.TemporaryDirectory() as folder:
        case = write_case(Path(folder), truth, results, "segm")

    assert case.values() == official(truth, results, "segm")
    assert list(case.scorer.by_engine("hotcoco", case.predictions, case.split.targets()).values()) == case.values()


@relaxed
@given(st.lists(masked_truth, max_size=8), st.lists(masked_result, max_size=6), st.sampled_from([101, 300, 1000]))
def test_more_masks_agree_with_pycocotools(annotations, results, most):
    truth = scene(annotations, images=2)
    with tempfile.TemporaryDirectory() as folder:
        case = write_case(Path(folder), truth, results * 30, "segm", most)

    assert case.values() == official(truth, results * 30, "segm", most)


class TestKnownTraps:
    def test_an_annotation_with_id_0_counts_as_never_found_as_in_pycocotools(self):
        folder = EDGE_CASES / "hotcoco"
        case = read_case(folder / "zero_gt.json", folder / "zero_dt.json")
        truth, results = (json.loads((folder / f"zero_{name}.json").read_bytes()) for name in ("gt", "dt"))

        values = case.values()
        headline = case.scorer.reference(case.predictions, case.split.targets())
        differing = case.scorer.by_engine("hotcoco", case.predictions, case.split.targets())

        assert values == official(truth, results) == list(headline.values())
        assert round(values[0], 3) < 1.0
        assert differing["ap"] == pytest.approx(1.0)

    def test_the_area_of_a_mask_without_a_box_is_the_masks(self, tmp_path):
        truth, results = masked_case(boxed=False)

        case = write_case(tmp_path, truth, results, "segm")

        assert case.values() == official(truth, results, "segm")
        assert list(case.scorer.by_engine("hotcoco", case.predictions, case.split.targets()).values()) == case.values()

    def test_the_area_of_a_mask_is_the_masks_whatever_else_the_results_hold(self, tmp_path):
        truth, results = masked_case(boxed=True)

        case = write_case(tmp_path, truth, results, "segm")

        assert case.values() == official(truth, results, "segm")
        for engine in case.scorer.engines:
            values = case.scorer.by_engine(engine, case.predictions, case.split.targets())
            assert list(values.values()) == case.values()
        without = masked_case(boxed=False)
        assert case.values() == write_case(tmp_path, *without, "segm").values()

    def test_a_false_mask_is_small_by_its_own_pixels_not_by_the_box_beside_it(self, tmp_path):
        small, false = [[10, 10, 30, 10, 30, 30, 10, 30]], [[50, 50, 150, 50, 150, 53, 50, 53]]
        common = {"image_id": 1, "category_id": 1}
        truth = scene([{**common, "bbox": [10, 10, 20, 20], "area": 400, "segmentation": small}], classes=1)
        masks = [{"score": 0.9, "segmentation": encoded(false)}, {"score": 0.5, "segmentation": encoded(small)}]
        boxes = [[50, 50, 100, 100], [10, 10, 20, 20]]
        boxed = [{**common, **found, "bbox": box} for found, box in zip(masks, boxes, strict=True)]

        with_boxes = write_case(tmp_path, truth, boxed, "segm").values()
        without = write_case(tmp_path, truth, [{**common, **found} for found in masks], "segm").values()

        assert with_boxes == without
        assert with_boxes[3] == pytest.approx(0.5)  # of 300 pixels, the false one is counted among the small
        assert with_boxes[0] == pytest.approx(0.5)

    def test_boxes_of_results_without_boxes_are_those_of_their_masks(self, tmp_path):
        truth, results = masked_case(boxed=False)

        assert write_case(tmp_path, truth, results, "bbox").values() == official(truth, results, "bbox")

    def test_the_field_ignore_has_no_effect(self, tmp_path):
        truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "ignore": 1}])
        results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "score": 0.5}]

        values = write_case(tmp_path, truth, results).values()

        assert values == official(truth, results)
        assert values[0] == pytest.approx(1.0)

    def test_corners_in_float32_would_change_the_area_range_of_a_published_box(self, tmp_path):
        truth = scene([{"image_id": 1, "category_id": 1, "bbox": [200, 100, 90, 90]}])
        results = [
            {"image_id": 1, "category_id": 1, "bbox": [200, 100, 90, 90], "score": 0.5},
            {"image_id": 1, "category_id": 1, "bbox": [10.1, 10.1, 32, 32.0001], "score": 0.9},
        ]
        narrow = np.array([10.1, 10.1, 42.1, 42.1001], dtype=np.float32)

        case = write_case(tmp_path, truth, results)

        assert case.values() == official(truth, results)
        assert float(narrow[2] - narrow[0]) != 32


@pytest.mark.parametrize(
    ("truth", "results"),
    [("gt", "dt"), ("edge_gt", "edge_dt"), ("zero_gt", "zero_dt")],
)
def test_hotcocos_edge_cases_agree_with_pycocotools(truth, results):
    folder = EDGE_CASES / "hotcoco"
    case = read_case(folder / f"{truth}.json", folder / f"{results}.json")

    assert case.values() == official(
        json.loads((folder / f"{truth}.json").read_bytes()), json.loads((folder / f"{results}.json").read_bytes())
    )


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_faster_coco_evals_polygons_agree_with_pycocotools(kind):
    folder = EDGE_CASES / "faster_coco_eval"
    case = read_case(folder / "gt_dataset.json", folder / "dt_dataset.json", kind)
    truth, results = (json.loads((folder / f"{name}_dataset.json").read_bytes()) for name in ("gt", "dt"))

    assert case.values() == official(truth, results, kind)


class TestUndefined:
    def test_a_set_without_objects_has_no_precision(self, tmp_path):
        truth = scene([])
        results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1.0}]

        case = write_case(tmp_path, truth, results)

        assert case.values() == [None] * 12 == official(truth, results)
        assert set(case.scorer.undefined(case.table())) == {metric.name for metric in case.scorer.metrics}

    def test_no_detections_at_all_give_zero(self, tmp_path):
        truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}])

        case = write_case(tmp_path, truth, [])

        assert case.values() == official(truth, [])
        assert case.values()[0] == 0.0

    def test_a_metric_of_an_empty_area_range_says_why_it_is_undefined(self, tmp_path):
        truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}])

        case = write_case(tmp_path, truth, [])

        assert case.scorer.undefined(case.table()) == dict.fromkeys(
            ("ap_small", "ap_large", "ar_small", "ar_large"), "no annotation of that size is to be found"
        )


def test_rows_tell_what_became_of_each_detection_and_annotation(tmp_path):
    truth = scene(
        [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]},
            {"image_id": 11, "category_id": 4, "bbox": [0, 0, 40, 40]},
        ]
    )
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 30], "score": 0.25},
        {"image_id": 1, "category_id": 1, "bbox": [100, 100, 10, 10], "score": 0.5},
    ]

    table = write_case(tmp_path, truth, results).table()

    assert table["unit"].tolist() == [0, 0, 0, 1]
    assert table["kind"].tolist() == [0, 0, 1, 1]
    assert table["index"].tolist() == [1, 0, 0, 0]
    assert table["place"].tolist() == [0, 1, 0, 0]
    assert table["score"].tolist() == [0.5, 0.25, 0.0, 0.0]
    upto_75 = 0b111111  # IoU 0.75: thresholds 0.50 to 0.75
    assert int(table["match"][1]) & 0x3FF == upto_75
    assert int(table["match"][2]) & 0x3FF == upto_75
    assert int(table["match"][3]) == 0


def test_unknown_names_are_refused_with_the_nearest():
    case = read_case(EDGE_CASES / "hotcoco" / "gt.json", EDGE_CASES / "hotcoco" / "dt.json")
    with pytest.raises(UnknownNameError) as engine:
        case.scorer.by_engine("pycoco", case.predictions, case.split.targets())
    with pytest.raises(UnknownNameError) as protocol:
        DetectionTask().scorer("coco/bbox@1", case.problem)

    assert str(engine.value) == "unknown engine 'pycoco'. Did you mean 'pycocotools' or 'hotcoco'?"
    assert str(protocol.value).startswith(
        "unknown detection protocol 'coco/bbox@1'. Did you mean 'coco/bbox/maxdet300@1', 'coco/bbox/maxdet100@1' or"
    )


@pytest.mark.parametrize("protocol", ["coco/segm/maxdet100@1", "coco/bbox/maxdet50@1", "coco/bbox/maxdet0300@1"])
def test_ids_that_mean_nothing_here_are_refused(protocol):
    """Version 1 of masks took areas of boxes where there were any; a limit under COCO's own is nobody's protocol."""
    with pytest.raises(UnknownNameError, match=rf"^unknown detection protocol '{protocol}'\. Did you mean "):
        DetectionTask().scorer(protocol, Problem("detection", ("a",), {}))


class TestMoreDetections:
    """`maxdetN`: as pycocotools with `maxDets` [1, 10, N], all numbers taken at N."""

    @pytest.mark.parametrize("most", [100, 120, 300, 1000])
    @pytest.mark.parametrize("steps", [0, 3])
    def test_the_floats_are_those_of_pycocotools(self, most, steps, tmp_path):
        truth, results = random_case(11, images=3, classes=1, per_image=130, detections=400, score_steps=steps)

        case = write_case(tmp_path, truth, results, most=most)

        assert max(case.predictions["scores"].counts) > 300
        assert case.values() == official(truth, results, most=most)
        for engine in case.scorer.engines:
            values = case.scorer.by_engine(engine, case.predictions, case.split.targets())
            assert list(values.values()) == case.values()

    def test_masks_have_them_too(self, tmp_path):
        truth, results = masked_case(boxed=False)

        case = write_case(tmp_path, truth, results * 30, "segm", most=150)

        assert case.values() == official(truth, results * 30, "segm", most=150)
        assert [metric.name for metric in case.scorer.metrics][6:9] == ["mask_ar1", "mask_ar10", "mask_ar150"]

    def test_150_objects_are_all_found_under_the_limit_that_admits_them(self, tmp_path):
        boxes = [[10 * (n % 20), 10 * (n // 20), 8, 8] for n in range(150)]
        common = {"image_id": 1, "category_id": 1}
        truth = scene([{**common, "bbox": box} for box in boxes], images=1, classes=1)
        results = [{**common, "bbox": box, "score": 1 - n / 1000} for n, box in enumerate(boxes)]

        few, more = (write_case(tmp_path, truth, results, most=most) for most in (100, 150))

        assert few.values()[0] == pytest.approx(0.6634, abs=1e-4)
        assert more.values()[0] == pytest.approx(1.0)
        assert more.scorer.metrics[8].name == "ar150"
        assert more.scorer.metrics[8].summary == "recall with 150 detections of a class in an image"

    def test_headline_values_need_no_engine_and_have_intervals(self, tmp_path):
        truth, results = random_case(12, images=6)

        case = write_case(tmp_path, truth, results, most=300)
        scored = score(case.scorer, case.predictions, case.split)

        assert scored.disputed == frozenset()
        assert list(scored.values.values()) == case.values()


def test_metric_names_begin_with_the_primary_one():
    scorer = CocoScorer(Problem("detection", ("a",), {}))

    assert [metric.name for metric in scorer.metrics][:3] == ["ap", "ap50", "ap75"]


def masked_case(*, boxed: bool) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return thin diagonal masks whose boxes are in a larger area range than they are."""
    rng = np.random.default_rng(3)
    annotations, results = [], []
    for image in range(3):
        for _ in range(5):
            x, y, length = (float(v) for v in rng.integers(10, 120, 3))
            line = [x, y, x + 6, y, x + length + 6, y + length, x + length, y + length]
            near = (np.array(line) + rng.normal(0, 0.8, 8)).round(2).tolist()
            box = [x, y, length + 6, length]
            common = {"image_id": 10 * image + 1, "category_id": 1}
            annotations.append({**common, "bbox": box, "area": 6 * length, "segmentation": [line]})
            found = {**common, "score": float(rng.random()), "segmentation": encoded([near])}
            results.append({**found, "bbox": box} if boxed else found)
    return scene(annotations, classes=1), results


def encoded(polygons: list[list[float]]) -> dict[str, object]:
    """Return polygons as a compressed mask with text counts, as results files hold it."""
    from pycocotools import mask
    from support.detection import HEIGHT, WIDTH

    drawn = mask.merge(mask.frPyObjects(polygons, HEIGHT, WIDTH))
    return {"size": list(drawn["size"]), "counts": drawn["counts"].decode()}


def test_empty_masks_agree_with_pycocotools(tmp_path):
    """A mask without a pixel, annotated and detected: it meets nothing, not even another empty one."""
    empty, full = {"size": [240, 320], "counts": [240 * 320]}, {"size": [240, 320], "counts": [0, 240 * 320]}
    annotations = [
        {"image_id": image, "category_id": 1, "bbox": [0, 0, 0, 0], "area": 0, "segmentation": one}
        for image, one in ((1, empty), (11, full))
    ]
    results = [
        {"image_id": image, "category_id": 1, "score": score, "segmentation": {**one, "counts": text}}
        for image, score in ((1, 0.9), (11, 0.8))
        for one, text in ((empty, "PP[2"), (full, "0PP[2"))
    ]

    case = write_case(tmp_path, scene(annotations), results, "segm")

    assert case.values() == official(scene(annotations), results, "segm")
