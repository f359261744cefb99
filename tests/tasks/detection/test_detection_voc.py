"""VOC's average precision against the development kit's loop, and its folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.voc import annotation, voc_folder

from mlcvbench.contract import Problem
from mlcvbench.contract.batch import take
from mlcvbench.contract.scoring import Table
from mlcvbench.errors import DataError
from mlcvbench.stats import bootstrap
from mlcvbench_detection.geometry.boxes import to_xywh
from mlcvbench_detection.geometry.ragged import Labels, Ragged
from mlcvbench_detection.task import SCORERS, DetectionTask
from mlcvbench_detection.voc.annotations import CLASSES, load_voc
from mlcvbench_detection.voc.scoring import VOC_SCORERS, VocScorer

relaxed = settings(deadline=None, derandomize=True, database=None, max_examples=80)
PROTOCOLS = sorted(VOC_SCORERS)
Boxes = list[tuple[int, int, list[float], float, bool]]
"""(image, label, corners, score or 0, difficult)."""


def problem_of(classes: int) -> Problem:
    return Problem("detection", tuple(f"class{label}" for label in range(classes)), {})


def columns(rows: Boxes, images: int, kind: str) -> dict[str, object]:
    """Return rows as columns, in order of image."""
    by_image = [[row for row in rows if row[0] == image] for image in range(images)]
    starts = np.append(0, np.cumsum([len(part) for part in by_image]))
    flat = [row for part in by_image for row in part]
    boxes = Ragged(to_xywh(np.array([row[2] for row in flat], dtype=np.float64).reshape(-1, 4)), starts)
    labels = np.array([row[1] for row in flat], dtype=np.int64)
    if kind == "detections":
        scores = Ragged(np.array([row[3] for row in flat], dtype=np.float64), starts)
        return {"xywh": boxes, "labels": Labels(labels, starts, range(1, 100)), "scores": scores}
    difficult = Ragged(np.array([row[4] for row in flat], dtype=bool), starts)
    return {"xywh": boxes, "labels": Ragged(labels, starts), "difficult": difficult}


def voc_loop(found: Boxes, wanted: Boxes, classes: int, *, eleven: bool, side: float) -> float | None:
    """Return mean average precision as VOCevaldet.m and VOCap.m compute it, a detection at a time."""
    averages = []
    for label in range(classes):
        truths = [row for row in wanted if row[1] == label]
        count = sum(not row[4] for row in truths)
        if not count:
            continue
        mine = sorted((row for row in found if row[1] == label), key=lambda row: row[0])
        mine.sort(key=lambda row: -row[3])
        taken: set[int] = set()
        hits, false = [], []
        for image, _, box, _, _ in mine:
            best, at = -np.inf, -1
            for place, truth in enumerate(truths):
                if truth[0] == image:
                    overlap = overlap_of(box, truth[2], side)
                    if overlap > best:
                        best, at = overlap, place
            if best >= 0.5:
                if truths[at][4]:
                    hits.append(0)
                    false.append(0)
                else:
                    hits.append(int(at not in taken))
                    false.append(int(at in taken))
                    taken.add(at)
            else:
                hits.append(0)
                false.append(1)
        averages.append(average_of(np.cumsum(hits), np.cumsum(false), count, eleven=eleven))
    return float(np.mean(averages)) if averages else None


def overlap_of(one: list[float], other: list[float], side: float) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0]) + side
    height = min(one[3], other[3]) - max(one[1], other[1]) + side
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + side) * (box[3] - box[1] + side) for box in (one, other)]
    return width * height / (areas[0] + areas[1] - width * height)


def average_of(hits: np.ndarray, false: np.ndarray, count: int, *, eleven: bool) -> float:
    recall, precision = hits / count, hits / np.maximum(hits + false, np.finfo(float).eps)
    if eleven:
        return float(np.mean([max([0.0, *precision[recall >= t]]) for t in np.arange(0.0, 1.1, 0.1)]))
    wide, high = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for place in range(len(high) - 2, -1, -1):
        high[place] = max(high[place], high[place + 1])
    steps = np.flatnonzero(wide[1:] != wide[:-1]) + 1
    return float(((wide[steps] - wide[steps - 1]) * high[steps]).sum())


def value_of(protocol: str, found: Boxes, wanted: Boxes, classes: int, images: int) -> float | None:
    scorer = SCORERS[protocol](problem_of(classes))
    table = scorer.rows(columns(found, images, "detections"), columns(wanted, images, "annotations"), np.arange(images))
    return scorer.summarise(Table.concatenate([table]))[scorer.metrics[0].name]


def random_boxes(seed: int, images: int = 8, classes: int = 3) -> tuple[Boxes, Boxes]:
    rng = np.random.default_rng(seed)
    found: Boxes = []
    wanted: Boxes = []
    for image in range(images):
        for _ in range(rng.integers(0, 5)):
            corner, size = rng.integers(0, 60, 2), rng.integers(2, 40, 2)
            box = [*corner.tolist(), *(corner + size).tolist()]
            label = int(rng.integers(classes))
            wanted.append((image, label, box, 0.0, bool(rng.random() < 0.2)))
            for _ in range(rng.integers(0, 3)):
                near = (np.array(box) + rng.normal(0, 2, 4)).round(1)
                near[2:] = np.maximum(near[2:], near[:2])
                found.append((image, label, near.tolist(), round(float(rng.random()), 1), False))
        for _ in range(rng.integers(0, 3)):
            corner = rng.integers(0, 80, 2)
            found.append((image, int(rng.integers(classes)), [*corner, *(corner + 15)], float(rng.random()), False))
    return found, wanted


whole = st.sampled_from([0.0, 5.0, 10.0, 20.0])


@st.composite
def grids(draw: st.DrawFn) -> Boxes:
    rows = draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.tuples(whole, whole, whole, whole)), max_size=10)
    )
    return [
        (image, label, [x, y, x + w, y + h], draw(st.sampled_from([0.1, 0.5, 0.9])), draw(st.booleans()))
        for image, label, (x, y, w, h) in rows
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(4))
def test_random_boxes_agree_with_the_development_kits_loop(protocol, seed):
    found, wanted = random_boxes(seed)

    value = value_of(protocol, found, wanted, 3, 8)

    expected = voc_loop(found, wanted, 3, eleven="11pt" in protocol, side=float("plus1" in protocol))
    assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@relaxed
@given(found=grids(), wanted=grids())
def test_tied_touching_and_empty_boxes_agree_with_the_loop(protocol, found, wanted):
    value = value_of(protocol, found, wanted, 2, 2)

    expected = voc_loop(found, wanted, 2, eleven="11pt" in protocol, side=float("plus1" in protocol))
    assert value == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_one_pixel_more_on_each_side_decides_a_box_at_the_threshold():
    wanted: Boxes = [(0, 0, [0.0, 0.0, 9.0, 9.0], 0.0, False)]
    found: Boxes = [(0, 0, [0.0, 0.0, 9.0, 4.0], 1.0, False)]  # 10 x 5 of 10 x 10 pixels, or 9 x 4 of 9 x 9

    assert value_of("voc/allpoint/plus1@1", found, wanted, 1, 1) == 1.0
    assert value_of("voc/allpoint@1", found, wanted, 1, 1) == 0.0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_number_of_shards_gives_the_same_bits(protocol):
    found, wanted = random_boxes(5)
    scorer = SCORERS[protocol](problem_of(3))
    predictions, targets = columns(found, 8, "detections"), columns(wanted, 8, "annotations")
    whole_table = Table.concatenate([scorer.rows(predictions, targets, np.arange(8))])

    for shards in (2, 7):
        parts = [
            scorer.rows(
                {name: take(column, units) for name, column in predictions.items()},
                {name: take(column, units) for name, column in targets.items()},
                units,
            )
            for units in np.array_split(np.arange(8), shards)
        ]
        table = Table.concatenate(parts)

        assert all(table[name].tobytes() == whole_table[name].tobytes() for name in table.columns)
        assert scorer.summarise(table) == scorer.summarise(whole_table)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_whole_weights_equal_repeating_the_images(protocol):
    found, wanted = random_boxes(6, images=4)
    weights = [2, 0, 1, 3]
    scorer = SCORERS[protocol](problem_of(3))
    table = scorer.rows(columns(found, 4, "detections"), columns(wanted, 4, "annotations"), np.arange(4))
    order = [image for image, count in enumerate(weights) for _ in range(count)]

    def repeated(rows: Boxes) -> Boxes:
        return [(place, *row[1:]) for place, image in enumerate(order) for row in rows if row[0] == image]

    weighted = scorer.summarise(Table.concatenate([table]), np.array(weights, dtype=float))

    assert next(iter(weighted.values())) == pytest.approx(
        value_of(protocol, repeated(found), repeated(wanted), 3, 6), abs=1e-12
    )


def test_a_class_without_annotations_is_left_out_and_none_at_all_is_undefined():
    found: Boxes = [(0, 1, [0.0, 0.0, 9.0, 9.0], 1.0, False)]
    difficult: Boxes = [(0, 1, [0.0, 0.0, 9.0, 9.0], 0.0, True)]
    easy: Boxes = [*difficult, (0, 0, [0.0, 0.0, 9.0, 9.0], 0.0, False)]

    assert value_of("voc/11pt@1", found, difficult, 2, 1) is None
    assert value_of("voc/11pt@1", found, easy, 2, 1) == 0.0


def test_replicates_have_a_nan_where_no_class_is_drawn():
    found, wanted = random_boxes(7)
    scorer = SCORERS["voc/11pt@1"](problem_of(3))
    table = scorer.rows(columns(found, 8, "detections"), columns(wanted, 8, "annotations"), np.arange(8))

    many = scorer.summarise_many(table, np.stack([np.ones(8), np.zeros(8)]))["voc_ap50_11pt"]
    replicates = bootstrap.replicates(scorer, table, np.arange(8), n=50, seed=0)["voc_ap50_11pt"]

    assert many[0] == scorer.summarise(table)["voc_ap50_11pt"]
    assert np.isnan(many[1])
    assert np.isfinite(replicates).all()


def test_protocols_have_their_own_metric():
    assert {protocol: SCORERS[protocol](problem_of(1)).metrics[0].name for protocol in PROTOCOLS} == {
        "voc/11pt@1": "voc_ap50_11pt",
        "voc/11pt/plus1@1": "voc_ap50_11pt",
        "voc/allpoint@1": "voc_ap50",
        "voc/allpoint/plus1@1": "voc_ap50",
    }
    assert all(SCORERS[protocol](problem_of(1)).protocol_id == protocol for protocol in PROTOCOLS)
    assert isinstance(SCORERS["voc/11pt@1"](problem_of(1)), VocScorer)


class TestFolders:
    def test_annotations_become_boxes_that_count_pixels_from_0(self, tmp_path):
        root = voc_folder(
            tmp_path,
            {
                "000012": annotation([("dog", (1, 1, 10, 20), "0"), ("person", (3, 4, 5.5, 6), "1")]),
                "000003": annotation([]),
            },
        )

        data = load_voc({"root": str(root), "split": "test"}, 0)
        targets = data.splits["test"].targets()

        assert data.splits["test"].ids.tolist() == ["000012", "000003"]
        assert data.problem.classes == CLASSES
        assert targets["xywh"][0].tolist() == [[0, 0, 9, 19], [2, 3, 2.5, 2]]
        assert targets["difficult"][0].tolist() == [False, True]
        assert [CLASSES[label] for label in targets["labels"][0]] == ["dog", "person"]
        assert len(targets["xywh"][1]) == 0
        assert targets["size"].tolist() == [[50, 60], [50, 60]]

    def test_parts_of_an_object_are_not_objects(self, tmp_path):
        inner = (
            "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
        )
        text = annotation([("person", (1, 1, 10, 20), "0")]).replace("</object>", f"{inner}</object>")

        targets = load_voc({"root": str(voc_folder(tmp_path, {"a": text}))}, 0).splits["test"].targets()

        assert targets["xywh"][0].tolist() == [[0, 0, 9, 19]]

    def test_classes_can_be_those_that_occur(self, tmp_path):
        root = voc_folder(tmp_path, {"a": annotation([("zebra", (1, 1, 9, 9), "0"), ("ant", (1, 1, 9, 9), "0")])})

        data = load_voc({"root": str(root), "classes": "all"}, 0)

        assert data.problem.classes == ("ant", "zebra")

    def test_a_training_list_gives_a_training_split(self, tmp_path):
        root = voc_folder(tmp_path, {"a": annotation([]), "b": annotation([])})
        (root / "ImageSets/Main/test.txt").write_text("a\n", encoding="utf-8")
        (root / "ImageSets/Main/trainval.txt").write_text("b\n", encoding="utf-8")

        data = load_voc({"root": str(root), "train": "trainval"}, 0)

        assert {name: split.ids.tolist() for name, split in data.splits.items()} == {"test": ["a"], "train": ["b"]}

    def test_results_name_images_and_categories_from_1(self, tmp_path):
        root = voc_folder(tmp_path, {"2008_000008": annotation([("horse", (54, 88, 466, 380), "0")])})
        results = tmp_path / "results.json"
        results.write_text(
            '[{"image_id": "2008_000008", "category_id": 13, "bbox": [53, 87, 412, 292], "score": 0.9}]',
            encoding="utf-8",
        )
        data, task = load_voc({"root": str(root)}, 0), DetectionTask()
        split = data.splits["test"]

        external = task.read_external(results, split, data.problem, {})
        scorer = task.scorer("voc/11pt/plus1@1", data.problem)
        table = scorer.rows(external.predictions, split.targets(), np.arange(1))
        stored = task.save(external.predictions, split.ids, tmp_path)

        assert scorer.summarise(table) == {"voc_ap50_11pt": 1.0}
        assert task.load(stored, split.ids, data.problem)["xywh"].values.tolist() == [[53, 87, 412, 292]]


def test_pictures_are_read_and_held_against_their_size(tmp_path):
    from PIL import Image

    root = voc_folder(tmp_path, {"a": annotation([]), "b": annotation([])})
    (root / "JPEGImages").mkdir()
    Image.new("RGB", (60, 50)).save(root / "JPEGImages" / "a.jpg")
    Image.new("RGB", (50, 60)).save(root / "JPEGImages" / "b.jpg")
    split = load_voc({"root": str(root)}, 0).splits["test"]

    batch, targets = split.read([0])
    with pytest.raises(DataError) as wrong:
        split.read([1])

    assert batch.inputs["image"][0].shape == (50, 60, 3)
    assert len(targets["labels"]) == 1
    assert str(wrong.value) == (
        f"{root / 'JPEGImages' / 'b.jpg'}: has 60 x 50 pixels (height x width), but its annotation says 50 x 60."
    )


def test_a_folder_without_pictures_says_what_is_missing(tmp_path):
    split = load_voc({"root": str(voc_folder(tmp_path, {"a": annotation([])}))}, 0).splits["test"]

    with pytest.raises(DataError) as missing:
        split.read([0])

    assert str(missing.value) == "split 'test' has annotations only: its folder of images is missing."


def test_paths(tmp_path: Path):
    with pytest.raises(DataError) as root:
        load_voc({"root": str(tmp_path / "none")}, 0)
    with pytest.raises(DataError) as listed:
        load_voc({"root": str(voc_folder(tmp_path, {"a": annotation([])})), "split": "val"}, 0)

    assert str(root.value) == f"data.root={tmp_path / 'none'}: no such folder."
    assert str(listed.value) == (
        f"{tmp_path / 'VOC' / 'ImageSets' / 'Main' / 'val.txt'}: no such file; wanted a list of image names."
    )


def test_the_archive_of_the_test_images_is_enough_to_score_on(tmp_path):
    root = voc_folder(tmp_path, {"a": annotation([])})

    assert list(load_voc({"root": str(root), "train": "trainval"}, 0).splits) == ["test"]
    with pytest.raises(DataError) as error:
        load_voc({"root": str(root), "train": "trianval"}, 0)
    assert str(error.value).endswith("ImageSets/Main/trianval.txt: no such file; wanted a list of image names.")
