"""The command of every published record asks for the run that was published, and gives its numbers again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.plan.identity import DISPLAY, TIMING
from mlcvbench.plan.planning import plan
from mlcvbench.records.canonical import read_record
from mlcvbench.records.schema import Record
from mlcvbench.running import stages
from mlcvbench.storage.durable import sha256_of

FOLDERS = sorted(path.parent for path in (ROOT / "leaderboards/records").glob("*/record.json"))
CHEAP = (
    "bodies-majority-s0",
    "digits-knn-s0",
    "digits-linear_softmax-s0",
    "digits-majority-s0",
    "faces-pixel_distance-s0",
    "lfw_subset-knn-s0",
    "motorcycle-constant_depth-s0",
    "scenes-box_prior-s0",
    "scenes-mono-constant_depth-s0",
    "scenes-semantic-majority-s0",
    "scenes-stereo-sgm-s0",
)
TOLERANCE = 1e-6
"""Of a metric: another processor may round otherwise, and probabilities, whose logarithms in single precision were
stored before `top1/single-crop@2`, come back from these rounded."""


def planned(record: Record, place: Path) -> RunConfig:
    """Return the run that a record's command asks for here; `place` stands for where its data lie."""
    words = [word.replace("=DIR", f"={place}") for word in shlex.split(record.command)[2:]]
    (config,) = plan(words).configs
    return config


def decided(plain: dict[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what decides the numbers of a run, under whole keys such as `model_params.k`."""
    for name, value in plain.items():
        if key == "definition." and name in DISPLAY:
            continue
        if isinstance(value, dict):
            yield from decided(value, f"{key}{name}.")
        elif name not in TIMING or key:
            yield f"{key}{name}", list(value) if isinstance(value, tuple) else value


def explained(record: Record, key: str, wanted: Any, got: dict[str, Any]) -> bool:
    """Say whether a difference is one of the benchmark or the method since then, not one of the command."""
    now = got.get(key)
    if key == "definition.protocol":  # ids are immutable: the benchmark asks for a newer version of the same rules
        name, _, version = wanted.partition("@")
        return now.rpartition("@")[0] == name and int(now.rpartition("@")[2]) > int(version)
    if key == "definition.fit_budget":  # it decides only where it ends a fit
        return not record.fit.cut_short
    other = {"fit": "model_params", "model_params": "fit"}.get(key.partition(".")[0])
    return other is not None and got.get(f"{other}.{key.partition('.')[2]}") == wanted  # a setting moved there


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_command_of_a_record_asks_for_its_run(folder: Path, tmp_path: Path) -> None:
    record = read_record(folder)

    config = planned(record, tmp_path)

    entries = entries_of(config)
    got, wanted = dict(decided(config.to_dict())), dict(decided(record.config))
    places = {f"data_params.{name}" for name in entries.dataset.spec.places}
    different = {key: value for key, value in wanted.items() if got.get(key) != value and key not in places}
    assert {key: value for key, value in different.items() if not explained(record, key, value, got)} == {}
    spec = entries.model_entry.spec
    added = {f"model_params.{param.name}": param.default for param in spec.params}
    added |= {f"fit.{param.name}": param.default for param in spec.fit}
    for key in got.keys() - wanted.keys() - {"definition.sha256", "strict"}:
        moved = f"{'fit' if key.startswith('model_params.') else 'model_params'}.{key.partition('.')[2]}"
        assert got[key] == wanted.get(moved, added[key]), key


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_the_command_of_a_record_gives_its_numbers_again(name: str, tmp_path: Path) -> None:
    record = read_record(next(folder for folder in FOLDERS if folder.name.startswith(f"{name}-")))
    config = replace(planned(record, tmp_path), time="off", intervals=False)

    again = stages.execute(config, tmp_path)

    assert again.error is None
    found = {metric: value.value for metric, value in again.metrics.items()}
    wanted = {metric: value.value for metric, value in record.metrics.items()}
    assert {metric: found[metric] for metric in wanted} == pytest.approx(wanted, abs=TOLERANCE)
    assert again.dataset is not None
    assert record.dataset is not None
    assert again.dataset.fingerprint == record.dataset.fingerprint
    if again.env_class == record.env_class and again.task.protocol_id == record.task.protocol_id:
        (predictions,) = tmp_path.glob("predictions.*")
        assert sha256_of(predictions) == record.predictions_sha256
