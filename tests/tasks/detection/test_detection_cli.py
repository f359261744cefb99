"""`mlcvbench score` and `rescore` on the published files, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.detection import VAL100, read_case

TRUTH = VAL100 / "instances_val2014_100.json"


def run(*args: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from mlcvbench.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("definition", "kind"), [("coco", "bbox"), ("coco-masks", "segm")])
def test_published_results_are_scored_to_the_bit_and_again(definition, kind, tmp_path):
    results = VAL100 / f"instances_val2014_fake{kind}100_results.json"
    done = run(
        "score",
        f"task={definition}",
        f"data.annotations={TRUTH}",
        f"predictions={results}",
        "as=fake",
        f"out={tmp_path}",
        "--json",
    )
    record = json.loads(done.stdout)
    again = run("rescore", str(next(Path(tmp_path).glob(f"{definition}-fake*"))), f"data.annotations={TRUTH}")

    values = [metric["value"] for metric in record["metrics"].values()]
    assert done.returncode == 0, done.stderr
    assert sorted(values) == sorted(read_case(TRUTH, results, kind).values())
    assert record["trust"] == "reported"
    assert all(metric["low"] <= metric["high"] for metric in record["metrics"].values())
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_wrong_file_is_one_line_and_exit_2(tmp_path):
    results = tmp_path / "results.json"
    results.write_text('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]', encoding="utf-8")

    done = run("score", "task=coco", f"data.annotations={TRUTH}", f"predictions={results}", "as=x", f"out={tmp_path}/o")

    assert done.returncode == 2
    assert done.stderr == (
        f"mlcvbench: error: {results}, [0].image_id: image 1 is not in the set of 100 images; "
        "1 of 1 results are for such images.\n"
    )
