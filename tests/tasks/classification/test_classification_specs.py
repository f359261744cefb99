"""What the package declares, without importing what is heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mlcvbench_classification
from mlcvbench.specs import load_target
from mlcvbench_classification import mlcvbench_datasets, mlcvbench_tasks

DEFINITIONS = sorted((Path(mlcvbench_classification.__file__).parent / "definitions").glob("*.yaml"))


def test_the_hooks_name_the_task_and_its_data_sets():
    task = mlcvbench_tasks()[0]

    assert (task.name, task.default, task.package) == ("classification", "digits", "mlcvbench_classification")
    assert [spec.name for spec in mlcvbench_datasets()] == [
        "digits",
        "mnist5k",
        "lfw_subset",
        "two_rings",
        "idx",
        "fashion-mnist",
        "image-folder",
    ]


@pytest.mark.parametrize("spec", [*mlcvbench_tasks(), *mlcvbench_datasets()], ids=lambda spec: spec.name)
def test_every_target_can_be_imported(spec):
    assert callable(load_target(spec.target))


def test_reading_the_specs_imports_nothing_heavy():
    code = (
        "import sys, mlcvbench_classification as c; c.mlcvbench_tasks(); c.mlcvbench_datasets(); "
        "heavy = {'numpy', 'torch', 'sklearn', 'scipy', 'pandas', 'cv2', 'matplotlib', 'PIL', 'pydantic'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_a_definition_names_known_data_protocol_and_metrics(path):
    from mlcvbench_classification.scoring import METRICS, PROTOCOL

    definition = yaml.safe_load(path.read_text())

    assert definition["name"] == path.stem
    assert definition["kind"] == "classification"
    assert definition["data"]["name"] in {spec.name for spec in mlcvbench_datasets()}
    assert definition["protocol"] == PROTOCOL
    assert definition["metrics"] == [metric.name for metric in METRICS[:5]]
    starters = {
        "digits-training": ["linear_softmax", "mlp", "small_cnn"],
        "two_rings": ["majority", "linear_softmax", "knn", "mlp"],
    }
    assert definition["models"] == starters.get(path.stem, ["majority", "knn", "linear_softmax", "small_cnn"])
