"""`rescore engine=`: another implementation beside the record, on every file where implementations are known to differ.

And `intervals=off`, where COCO's numbers come from the reference engine alone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from support.detection import EDGE_CASES, VAL100, read_case, scene, write_case

from mlcvbench.cli.rescore import rescore
from mlcvbench.cli.score import score
from mlcvbench.errors import CheckFailedError, MlcvbenchError, PredictionError
from mlcvbench.running import scoring

HOTCOCO, FASTER = EDGE_CASES / "hotcoco", EDGE_CASES / "faster_coco_eval"
CASES = {
    "crowds and ties": ("coco", HOTCOCO / "gt.json", HOTCOCO / "dt.json"),
    "ends of area ranges": ("coco", HOTCOCO / "edge_gt.json", HOTCOCO / "edge_dt.json"),
    "boxes of polygons": ("coco", FASTER / "gt_dataset.json", FASTER / "dt_dataset.json"),
    "polygons": ("coco-masks", FASTER / "gt_dataset.json", FASTER / "dt_dataset.json"),
    "published boxes": (
        "coco",
        VAL100 / "instances_val2014_100.json",
        VAL100 / "instances_val2014_fakebbox100_results.json",
    ),
}


def scored(folder: Path, definition: str, truth: Path, results: Path, *more: str) -> tuple[Path, dict[str, object]]:
    """Score a results file as a user does and return the run's folder and record."""
    words = [f"task={definition}", f"data.annotations={truth}", f"predictions={results}", "as=a", f"out={folder}"]
    outcome = CliRunner().invoke(score, [*words, *more], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    (run,) = folder.glob(f"{definition}-a*")
    return run, json.loads((run / "record.json").read_text(encoding="utf-8"))


def by_engine(run: Path, truth: Path, *words: str) -> Result:
    return CliRunner().invoke(rescore, [str(run), f"data.annotations={truth}", *words])


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("case", CASES)
def test_engines_give_the_records_floats_on_the_edge_cases(case, engine, tmp_path):
    definition, truth, results = CASES[case]
    run, record = scored(tmp_path, definition, truth, results, "intervals=off")

    outcome = by_engine(run, truth, f"engine={engine}", "--json")

    assert outcome.exception is None, outcome.output
    shown = json.loads(outcome.output)["metrics"]
    assert {name: both["engine"] for name, both in shown.items()} == {
        name: metric["value"] for name, metric in record["metrics"].items()
    }
    assert all(both["difference"] == 0 for both in shown.values())


def test_annotation_id_0_is_a_difference_of_hotcoco_that_the_command_shows(tmp_path):
    truth = HOTCOCO / "zero_gt.json"
    run, record = scored(tmp_path, "coco", truth, HOTCOCO / "zero_dt.json", "intervals=off")
    recorded = record["metrics"]["ap"]["value"]

    same = by_engine(run, truth, "engine=pycocotools")
    other = by_engine(run, truth, "engine=hotcoco")
    as_json = by_engine(run, truth, "engine=hotcoco", "--json")

    assert same.exit_code == 0
    assert same.output.splitlines()[-1] == f"{run.name}: engine 'pycocotools' gives the record's values bit for bit."
    assert isinstance(other.exception, CheckFailedError)
    differing = [line.split() for line in other.output.splitlines()[1:] if line.split()[-1] != "-"]
    assert differing[0][:2] == ["ap", repr(recorded)]
    assert str(other.exception) == (
        f"{run.name}: engine 'hotcoco' differs from the record in {len(differing)} of 12 metrics."
    )
    assert other.exception.exit_code == 1
    assert max(map(len, other.output.splitlines())) <= 80
    found = json.loads(as_json.output)
    assert found["engine"] == "hotcoco"
    assert found["metrics"]["ap"]["engine"] == pytest.approx(1.0)
    assert found["metrics"]["ap"]["difference"] == found["metrics"]["ap"]["engine"] - recorded


def test_a_metric_that_is_undefined_in_one_only_is_a_difference(tmp_path):
    truth = HOTCOCO / "gt.json"
    run, record = scored(tmp_path, "coco", truth, HOTCOCO / "dt.json", "intervals=off")
    record["metrics"]["ap"] |= {"value": None, "reason": "lost"}
    (run / "record.json").write_text(json.dumps(record), encoding="utf-8")

    outcome = by_engine(run, truth, "engine=hotcoco")

    assert isinstance(outcome.exception, CheckFailedError)
    assert outcome.output.splitlines()[1].split(maxsplit=3)[3] == "undefined in one"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["engine=pycoco"], "unknown engine 'pycoco'. Did you mean 'pycocotools' or 'hotcoco'?"),
        (["engine="], "engine: the value is empty; wanted engine=VALUE."),
        (["engine=hotcoco", "engine=pycocotools"], "key 'engine' is given twice."),
    ],
)
def test_a_wrong_engine_is_refused(words, message, tmp_path):
    truth = HOTCOCO / "gt.json"
    run, _ = scored(tmp_path, "coco", truth, HOTCOCO / "dt.json", "intervals=off")

    outcome = by_engine(run, truth, *words)

    assert isinstance(outcome.exception, MlcvbenchError)
    assert (outcome.exception.exit_code, str(outcome.exception)) == (2, message)


def test_a_mask_of_another_size_is_refused_before_any_engine_sees_it(tmp_path):
    from pycocotools import mask

    drawn = np.zeros((240, 320), dtype=np.uint8, order="F")
    drawn[10:50, 10:50] = 1
    code = mask.encode(drawn)
    shape = {"size": list(code["size"]), "counts": code["counts"].decode()}
    truth = scene([{"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "segmentation": shape}])
    results = [{"image_id": 1, "category_id": 1, "segmentation": shape, "score": 0.5}]
    case = write_case(tmp_path, truth, results, "segm")
    targets = dict(case.split.targets())
    targets["size"] = np.asarray(targets["size"]) + 1

    for engine in case.scorer.engines:
        with pytest.raises(PredictionError) as caught:
            case.scorer.by_engine(engine, case.predictions, targets)
        assert str(caught.value) == "field 'masks': a mask has size [240, 320], its image [241, 321]."


class TestWithoutIntervals:
    """COCO's numbers come from the reference engine; rows would be a second scoring, so there are none."""

    def test_no_rows_are_made_and_the_floats_are_those_with_intervals(self):
        _, truth, results = CASES["published boxes"]
        case = read_case(truth, results)

        without = scoring.score(case.scorer, case.predictions, case.split, with_rows=False)
        having = scoring.score(case.scorer, case.predictions, case.split)

        assert without.table is None
        assert having.table is not None
        assert without.values == having.values
        assert without.metrics() == {
            name: metric.model_copy(update={"low": None, "high": None}) for name, metric in having.metrics().items()
        }

    def test_the_record_holds_the_values_and_no_rows_and_is_recomputed(self, tmp_path):
        _, truth, results = CASES["published boxes"]
        run, record = scored(tmp_path / "off", "coco", truth, results, "intervals=off")
        _, full = scored(tmp_path / "on", "coco", truth, results)

        assert sorted(record["artifacts"]) == ["predictions.json.gz"]
        assert record["plots"] == []
        assert {n: m["value"] for n, m in record["metrics"].items()} == {
            n: m["value"] for n, m in full["metrics"].items()
        }
        assert by_engine(run, truth).exit_code == 0

    def test_rows_are_still_made_to_say_why_a_value_is_undefined(self, tmp_path):
        truth = scene([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}])
        case = write_case(tmp_path, truth, [])

        without = scoring.score(case.scorer, case.predictions, case.split, with_rows=False)

        assert without.metrics()["ap_small"].reason == "no annotation of that size is to be found"

    def test_replicates_without_rows_are_a_mistake_of_the_caller(self):
        case = read_case(HOTCOCO / "gt.json", HOTCOCO / "dt.json")
        without = replace(scoring.score(case.scorer, case.predictions, case.split), table=None)

        with pytest.raises(ValueError, match="replicates are drawn from rows"):
            scoring.with_replicates(without, case.split)
