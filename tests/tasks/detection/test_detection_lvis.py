"""LVIS' federated protocol: lvis-api's floats, what is checked where, and what else such a file is refused for."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.detection import scene, write_case
from support.lvis_like import as_masks, federated_case

from mlcvbench.contract import Scorer
from mlcvbench.errors import DataError
from mlcvbench.running.scoring import score
from mlcvbench_detection.coco import json_columns
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.task import DetectionTask

TASK = DetectionTask()
LVIS_API = {
    (0, "bbox"): [
        *(0.11316517916230509, 0.2581342902378075, 0.05577033455853946, 0.12375687568756877, 0.1388942465675139, 0.0),
        *(0.05812452399086063, 0.16161831424422898, 0.11975269925182563),
        *(0.27809523809523806, 0.2625, 0.2866666666666666, 0.0),
    ],
    (1, "segm"): [
        *(0.11934980494386435, 0.2918268017277918, 0.04833149981664833, 0.22455917020273453, 0.11037914505736288, 0.0),
        *(0.1437719870888188, 0.10052962439101051, 0.11374780335176374),
        *(0.29748677248677247, 0.32083333333333336, 0.36111111111111105, 0.0),
    ],
    (5, "bbox"): [
        *(0.013609839696018937, 0.03747628083491461, 0.007889851485148515, 0.03766233766233766, 0.024999999999999998),
        *(None, 0.0048387096774193524, 0.02238096971461852, None),
        *(0.1875, 0.3, 0.15, None),
    ],
}
"""By seed and kind what lvis-api 0.5.3 gives for `federated_case`: AP, AP50, AP75, s, m, l, r, c, f, AR, s, m, l."""
SIZES = {5: {"images": 3, "detections": 900}}
"""More than 300 detections in an image."""


def scored(
    folder: Path, truth: dict[str, Any], results: list[dict[str, Any]], kind: str = "bbox"
) -> tuple[Scorer, Any]:
    """Return the scorer and what it makes of a scene and results, read from files."""
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    data = load_coco({"annotations": str(folder / "truth.json"), "masks": kind == "segm"}, 0)
    split, protocol = data.splits["test"], f"lvis/{kind}/maxdet300@1"
    TASK.check_protocol(data, protocol)
    predictions = TASK.read_external(folder / "results.json", split, data.problem, {}).predictions
    scorer = TASK.scorer(protocol, data.problem)
    return scorer, score(scorer, predictions, split)


def case_of(seed: int, kind: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    truth, results = federated_case(seed, **SIZES.get(seed, {}))
    return truth, as_masks(results) if kind == "segm" else results


@pytest.mark.parametrize(("seed", "kind"), LVIS_API)
def test_the_floats_are_those_of_lvis_api(seed, kind, tmp_path):
    _, found = scored(tmp_path, *case_of(seed, kind), kind)

    assert list(found.values.values()) == LVIS_API[seed, kind]


def by_hotcoco(folder: Path, kind: str) -> list[float | None]:
    """Return the thirteen numbers of hotcoco; it passes over the field `ignore`, which lvis-api obeys."""
    import hotcoco

    truth = hotcoco.COCO(str(folder / "truth.json"))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = hotcoco.LVISEval(truth, truth.load_res(str(folder / "results.json")), kind)
        evaluation.run()
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR@300", "ARs@300", "ARm@300", "ARl@300")
    found = evaluation.get_results()
    return [None if found[name] == -1 else found[name] for name in names]


@pytest.mark.parametrize("seed", [2, 3, 5])
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_floats_are_those_of_hotcoco_where_nothing_is_ignored(seed, kind, tmp_path):
    truth, results = case_of(seed, kind)
    for one in truth["annotations"]:
        one.pop("ignore", None)

    _, found = scored(tmp_path, truth, results, kind)

    assert list(found.values.values()) == by_hotcoco(tmp_path, kind)


LABELS = st.sampled_from([1, 4, 7])
BOXES = st.tuples(*(st.sampled_from([0, 5, 32, 40, 100]) for _ in range(2)), *(st.sampled_from([1, 32, 60, 130]),) * 2)
OBJECTS = st.fixed_dictionaries({"image_id": st.sampled_from([1, 11]), "category_id": LABELS, "bbox": BOXES.map(list)})
LISTS = st.lists(st.lists(LABELS, max_size=2, unique=True), min_size=4, max_size=4)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.lists(OBJECTS, min_size=1, max_size=6),
    st.lists(st.tuples(OBJECTS, st.sampled_from([0.1, 0.5, 0.9])), min_size=1, max_size=8),
    LISTS,
    st.sampled_from(["bbox", "segm"]),
    st.sampled_from([1, 60]),
)
def test_tied_and_degenerate_federated_scenes_agree_with_hotcoco(annotations, found, lists, kind, times):
    truth = scene(annotations, images=2, classes=3)
    for image, negative, unchecked in zip(truth["images"], lists[:2], lists[2:], strict=True):
        image |= {"neg_category_ids": negative, "not_exhaustive_category_ids": unchecked}
    for place, category in enumerate(truth["categories"]):
        category["frequency"] = "rcf"[place]
    for one in truth["annotations"]:
        x, y, width, height = one["bbox"]
        one["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    results = [{**one, "score": score} for one, score in found] * times
    results = as_masks(results) if kind == "segm" else results

    with tempfile.TemporaryDirectory() as folder:
        _, outcome = scored(Path(folder), truth, results, kind)

        assert list(outcome.values.values()) == by_hotcoco(Path(folder), kind)


def test_a_large_file_is_read_by_columns_and_gives_the_same(tmp_path, monkeypatch):
    truth, results = case_of(0, "bbox")
    monkeypatch.setattr(json_columns, "SMALL", 0)

    _, found = scored(tmp_path, truth, results)

    assert list(found.values.values()) == LVIS_API[0, "bbox"]


class TestWhatIsChecked:
    """One cup is annotated and found; a second, better scored detection is somewhere else."""

    def ap(self, folder: Path, other: int, **fields: list[int]) -> float | None:
        cup = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}
        truth = scene([cup], images=2, classes=1)
        for image in truth["images"]:
            image |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
        for name, labels in fields.items():
            truth["images"][other // 10][name] = labels
        results = [{**cup, "score": 0.5}, {**cup, "image_id": other, "bbox": [100, 100, 50, 50], "score": 0.9}]
        return scored(folder, truth, results)[1].values["ap"]

    def test_a_detection_of_a_class_that_was_not_looked_for_counts_nowhere(self, tmp_path):
        assert self.ap(tmp_path, 11) == pytest.approx(1.0)

    def test_one_of_a_class_that_is_known_not_to_be_there_is_false(self, tmp_path):
        assert self.ap(tmp_path, 11, neg_category_ids=[1]) == pytest.approx(0.5)

    def test_one_where_not_every_object_of_the_class_is_annotated_does_not_count(self, tmp_path):
        assert self.ap(tmp_path, 1, not_exhaustive_category_ids=[1]) == pytest.approx(1.0)

    def test_one_where_every_object_is_annotated_is_false(self, tmp_path):
        assert self.ap(tmp_path, 1) == pytest.approx(0.5)


def test_without_frequencies_their_metrics_are_undefined_with_the_reason(tmp_path):
    truth, results = case_of(0, "bbox")
    for category in truth["categories"]:
        del category["frequency"]

    scorer, found = scored(tmp_path, truth, results)

    assert found.values["ap"] == LVIS_API[0, "bbox"][0]
    assert found.metrics()["ap_rare"].value is None
    assert found.metrics()["ap_rare"].reason == "no class of the data has the frequency 'r'"
    assert [metric.name for metric in scorer.metrics][6:10] == ["ap_rare", "ap_common", "ap_frequent", "ar300"]


def test_replicates_under_weights_of_one_are_the_values(tmp_path):
    import numpy as np

    scorer, found = scored(tmp_path, *case_of(0, "bbox"))

    many = scorer.summarise_many(found.table, np.ones((2, 12)))

    assert {name: pytest.approx(value, abs=1e-12) for name, value in found.values.items()} == {
        name: values[0] for name, values in many.items()
    }


@pytest.mark.parametrize("protocol", ["coco/bbox/maxdet100@1", "coco/bbox/maxdet300@1", "voc/11pt@1"])
def test_a_federated_file_is_refused_by_protocols_that_want_every_class_checked(protocol, tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(case_of(0, "bbox")[0]))
    data = load_coco({"annotations": str(tmp_path / "truth.json")}, 0)

    with pytest.raises(DataError) as caught:
        TASK.check_protocol(data, protocol)

    assert str(caught.value) == (
        "data set 'coco' is federated (neg_category_ids, not_exhaustive_category_ids): each image was checked for some "
        f"of the classes only, so that protocol '{protocol}' does not hold: say task=lvis; protocols for it are "
        "lvis/bbox/maxdet300@1."
    )


def test_a_file_that_is_not_federated_is_refused_by_lvis(tmp_path):
    case = write_case(tmp_path, scene([]), [])
    data = load_coco({"annotations": str(tmp_path / "truth.json")}, 0)

    with pytest.raises(DataError) as caught:
        TASK.check_protocol(data, "lvis/bbox/maxdet300@1")

    assert len(case.split) == 3
    assert str(caught.value).startswith(
        "data set 'coco' has no neg_category_ids and not_exhaustive_category_ids, which protocol "
        "'lvis/bbox/maxdet300@1' needs; protocols for it are coco/bbox/maxdet100@1, coco/bbox/maxdet300@1, "
    )
