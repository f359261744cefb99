"""The probe: memory and publish timings in processes of their own."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcvbench import measure
from mlcvbench.contract import FitContext
from mlcvbench.errors import RequestError
from mlcvbench.files.weights import read_weights
from mlcvbench.loading.data import fit_data, load_data
from mlcvbench.loading.models import build_model
from mlcvbench.loading.resolved import resolve
from mlcvbench.measure import memory, probe_child
from mlcvbench.measure.probe import Probe, ProbeFailedError
from mlcvbench.measure.timing import fresh_processes
from mlcvbench.measure.timing.one_process import Profile
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.running import stages
from mlcvbench.running.fitting import obtain_model
from mlcvbench.storage.durable import sha256_of


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return plan(["task=classification", "model=majority", "limit=200"]).configs[0]


@pytest.fixture(scope="module")
def weights(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = load_data(resolve(config))
    model = build_model(resolve(config), data.problem)
    wanted = fit_data(data, resolve(config).spec)
    model.fit(wanted.train, wanted.val, FitContext(seed=0, device=resolve(config).device))
    folder = tmp_path_factory.mktemp("weights")
    model.save(folder)
    return folder


def test_memory_is_measured_from_outside_over_a_baseline_after_loading(config: RunConfig, weights: Path) -> None:
    info = memory.measure(config, weights)

    assert info.reason is None
    assert info.host_baseline > 10 * 2**20
    assert info.host_peak == pytest.approx(info.host_high_water - info.host_baseline, abs=2**20)
    assert info.host_high_water >= info.host_baseline
    assert info.sampled_every == 0.01
    assert info.device_peak_allocated is None


@pytest.fixture(scope="module")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the weights of three networks in one folder: `mine` of 8 units, `other` of 8, `weights` of 16."""
    import torch

    folder = tmp_path_factory.mktemp("networks")
    paths = {}
    for seed, (name, width) in enumerate((("mine", 8), ("other", 8), ("weights", 16))):
        torch.manual_seed(seed)
        config = plan(["task=digits", "model=mlp", f"model.hidden=[{width}]"]).configs[0]
        model = build_model(resolve(config), load_data(resolve(config)).problem)
        model.save(folder)
        paths[name] = (folder / "weights.safetensors").rename(folder / f"{name}.safetensors")
    return paths


def of_file(path: Path, *words: str) -> RunConfig:
    return plan(["task=digits", "model=mlp", "model.hidden=[8]", f"weights={path}", "limit=50", *words]).configs[0]


@pytest.mark.parametrize("name", ["mine", "other"])
def test_every_process_of_a_run_loads_the_file_that_weights_names(two_files: dict[str, Path], name: str) -> None:
    import torch

    config = of_file(two_files[name])
    wanted = read_weights(two_files[name])

    resolved = resolve(config)
    fitted = obtain_model(resolved, load_data(resolved), lambda *_: None, None)
    rebuilt, _, _ = probe_child._rebuild(config, str(fitted.weights))

    for model in (fitted.model, rebuilt):
        found = model.module.state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_a_run_with_a_file_of_weights_beside_others_is_measured(two_files: dict[str, Path], tmp_path: Path) -> None:
    record = stages.execute(of_file(two_files["mine"], "intervals=off"), tmp_path)

    assert record.error is None
    assert (record.memory.reason, record.memory.host_peak is None) == (None, False)
    assert record.model.weights.sha256 == sha256_of(two_files["mine"])


@pytest.mark.slow
def test_published_times_are_taken_with_the_file_too(two_files: dict[str, Path]) -> None:
    times = fresh_processes.time_fresh_process(of_file(two_files["mine"]), two_files["mine"], Profile(20, 0.05))

    assert set(times.samples) >= {"forward"}


def test_a_file_is_refused_for_a_model_that_is_no_network(weights: Path, config: RunConfig) -> None:
    (file,) = weights.iterdir()

    with pytest.raises(RequestError) as caught:
        build_model(resolve(config), load_data(resolve(config)).problem, file)

    assert str(caught.value) == (
        f"weights={file.name}: wanted a folder, since the state of model 'majority' may be several files; "
        "a single file is for networks."
    )


def test_a_probe_that_fails_leaves_a_reason_and_no_numbers(config: RunConfig, tmp_path: Path) -> None:
    broken = replace(config, model="no_such_model")

    info = memory.measure(broken, tmp_path)

    assert info.host_peak is None
    assert info.reason.startswith("the measuring process ended with code 1: mlcvbench.errors.UnknownNameError")


def test_a_probe_that_takes_too_long_is_stopped(config: RunConfig, weights: Path) -> None:
    info = memory.measure(config, weights, seconds=0.0)

    assert info.reason == "the measuring process was stopped after 0 s"


def test_a_probe_never_outlives_its_with_block(config: RunConfig, weights: Path) -> None:
    with Probe(config, weights, {"mode": "memory"}, 60) as probe:
        pid = probe.pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_fresh_process_times_every_stage(config: RunConfig, weights: Path) -> None:
    times = fresh_processes.time_fresh_process(config, weights, Profile(20, 0.05))

    assert set(times.samples) == {"end_to_end", "preprocess", "forward", "postprocess"}
    assert min(map(len, times.samples.values())) >= 20
    assert times.samples["end_to_end"].dtype == np.int64
    assert times.converged
    assert times.warm_up.calls >= 10


def test_a_live_model_has_no_memory_and_no_publish_timing_and_says_why(config: RunConfig) -> None:
    data = load_data(resolve(config))
    model = build_model(resolve(config), data.problem)
    reason = "a model given live cannot be rebuilt in a fresh process"

    timing = measure.measure_time(replace(config, time="publish"), model, data.splits["test"], None)

    assert measure.measure_memory(config, None).reason == reason
    assert {info.reason for info in timing.latency.values()} == {reason}


def test_a_word_that_was_not_waited_for_is_refused(config: RunConfig, weights: Path) -> None:
    with Probe(config, weights, {"mode": "memory"}, 60) as probe, pytest.raises(ProbeFailedError) as error:
        probe.wait_for("done")

    assert str(error.value) == "the measuring process said {'said': 'ready'}"
