"""A training that is interrupted and taken up again ends with the same bits as one that never was."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mlcvbench.contract import Device, FitContext, FitReport
from mlcvbench_training import training
from mlcvbench_training.checkpoint import FILE
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
SETTINGS = Settings(batch=16, epochs=6, lr=0.01)
VARIANTS = {
    "adamw, shift, one_cycle": {"augmentation": "shift", "flip": 0.5},
    "momentum, plateau, early stopping": {
        "optimizer": "momentum",
        "schedule": "warmup+plateau",
        "plateau_patience": 0,
        "early_stopping": True,
        "patience": 4,
    },
    "nesterov, one_cycle, moving average": {"optimizer": "nesterov", "average": "ema", "ema_decay": 0.9},
    "rmsprop, cycles, mean of their ends": {
        "optimizer": "rmsprop",
        "schedule": "cyclic",
        "cycles": 3,
        "average": "swa",
        "swa_start": 0.0,
    },
    "adagrad, l1": {"optimizer": "adagrad", "l1": 0.01},
    "gd": {"optimizer": "gd", "schedule": "cosine"},
}


@pytest.fixture(autouse=True)
def after_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a checkpoint after each epoch, however little time it took."""
    monkeypatch.setattr(training, "SAVING_SHARE", math.inf)


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def data(count: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = torch.randint(0, 160, (count, 1, 8, 8), generator=generator)
    images[labels == 1, :, :4] += 40
    return Examples(images.to(torch.uint8), labels)


def network() -> nn.Module:
    with seeded(1, CPU):
        layers = [nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(96, 2)).to(memory_format=torch.channels_last)


def digest(module: nn.Module) -> str:
    joined = b"".join(tensor.contiguous().numpy().tobytes() for tensor in module.state_dict().values())
    return hashlib.sha256(joined).hexdigest()


def train(folder: Path | None, settings: Settings, stop_after: int = 0) -> tuple[str, FitReport]:
    """Train, from what is in `folder`; StoppedError after so many epochs."""

    def progress(done: int, total: int) -> None:
        if done == stop_after:
            raise StoppedError

    module = network()
    ctx = FitContext(seed=3, device=Device(), checkpoints=folder, progress=progress)
    report = train_network(module, data(50, 0), settings, ctx, val=data(30, 1))
    return digest(module), report


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_training_ends_with_the_same_bits(variant: str, tmp_path: Path):
    settings = replace(SETTINGS, **VARIANTS[variant])
    whole, wanted = train(None, settings)

    for epoch in (1, 3):
        with pytest.raises(StoppedError):
            train(tmp_path, settings, stop_after=epoch)
    resumed, report = train(tmp_path, settings)

    assert resumed == whole
    assert report.history == wanted.history
    assert report.epochs == wanted.epochs
    assert report.earlier_seconds > 0


def test_a_training_that_was_stopped_after_its_last_epoch_only_finishes(tmp_path: Path):
    whole, _ = train(None, SETTINGS)
    with pytest.raises(StoppedError):
        train(tmp_path, SETTINGS, stop_after=6)

    resumed, report = train(tmp_path, SETTINGS)

    assert (resumed, report.epochs) == (whole, 6)


def test_a_training_planned_for_a_budget_goes_on_with_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])

    def run(folder: Path | None, stop_after: int = 0) -> tuple[str, FitReport]:
        def progress(done: int, total: int) -> None:
            if done == stop_after:
                raise StoppedError

        module = network()
        module.register_forward_pre_hook(lambda *_: clock.__setitem__(0, clock[0] + 0.125))
        ctx = FitContext(seed=3, device=Device(), checkpoints=folder, progress=progress, budget=2.75)
        report = train_network(module, data(64, 0), replace(SETTINGS, epochs=40), ctx)
        return digest(module), report

    whole, wanted = run(None)
    with pytest.raises(StoppedError):
        run(tmp_path, stop_after=3)
    resumed, report = run(tmp_path)

    assert (wanted.epochs, wanted.cut_short) == (5, True)
    assert (report.epochs, report.cut_short, report.history) == (5, True, wanted.history)
    assert resumed == whole


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_checkpoint_that_cannot_be_read_is_passed_over(damage: bytes | None, tmp_path: Path):
    whole, _ = train(None, SETTINGS)
    with pytest.raises(StoppedError):
        train(tmp_path, SETTINGS, stop_after=2)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-9] if damage is None else damage)

    resumed, report = train(tmp_path, SETTINGS)

    assert resumed == whole
    assert report.earlier_seconds == 0


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"epochs": 7}, {"optimizer": "sgd"}])
def test_the_checkpoint_of_another_training_is_passed_over(change: dict[str, Any], tmp_path: Path):
    with pytest.raises(StoppedError):
        train(tmp_path, SETTINGS, stop_after=2)

    resumed, report = train(tmp_path, replace(SETTINGS, **change))

    assert resumed == train(None, replace(SETTINGS, **change))[0]
    assert report.earlier_seconds == 0


def test_short_epochs_are_not_each_followed_by_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writing takes a second here and an epoch 30, so that one in four is worth it; the last is as any other."""
    clock = [0.0]
    written: list[int] = []

    def write(folder: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        written.append(facts["epochs"])
        clock[0] += 1

    def epoch(run: training.Training) -> dict[str, float]:
        clock[0] += 30
        return {"loss": 1.0}

    monkeypatch.setattr(training, "SAVING_SHARE", 0.01)
    monkeypatch.setattr(training, "write_checkpoint", write)
    monkeypatch.setattr(training.Training, "one_pass", epoch)
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])

    train(tmp_path, replace(SETTINGS, epochs=10))

    assert written == [1, 5, 9]


def test_a_training_that_halts_to_be_taken_up_again_leaves_a_checkpoint_however_short_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training, "SAVING_SHARE", 1e-9)
    whole, _ = train(None, SETTINGS)

    for until, earlier in ((4, 0), (6, 4)):
        module = network()
        ctx = GuidedContext(seed=3, device=Device(), checkpoints=tmp_path, until=until)
        report = train_network(module, data(50, 0), SETTINGS, ctx, val=data(30, 1))
        assert (report.epochs, report.earlier_seconds > 0) == (until, earlier > 0)

    assert digest(module) == whole


def test_a_checkpoint_is_one_file_without_code(tmp_path: Path):
    train(tmp_path, SETTINGS)

    [file] = tmp_path.iterdir()
    raw = file.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert file.suffix == ".safetensors"
    assert json.loads(header["__metadata__"]["facts"])["epochs"] == 6


def test_a_budget_counts_what_was_spent_before(tmp_path: Path):
    with pytest.raises(StoppedError):
        train(tmp_path, SETTINGS, stop_after=1)
    ctx = FitContext(seed=3, device=Device(), checkpoints=tmp_path, budget=1e-6)

    report = train_network(network(), data(50, 0), SETTINGS, ctx, val=data(30, 1))

    assert report.epochs == 2


def killed_in_training(words: list[str], cache: Path, runs: Path) -> dict[str, Any]:
    """Run a request, kill its processes with SIGKILL in mid-training and return what the checkpoint says."""
    command = [sys.executable, "-m", "mlcvbench", "run", *words, f"out={runs}"]
    environment = {**os.environ, "MLCVBENCH_CACHE": str(cache)}
    running = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(cache.glob(f"checkpoints/*/{FILE}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    children = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    for pid in [running.pid, *children]:
        os.kill(pid, signal.SIGKILL)
    running.wait()
    [left] = cache.glob(f"checkpoints/*/{FILE}")
    raw = left.read_bytes()
    time.sleep(0.5)
    assert left.read_bytes() == raw, "a process goes on training"
    return json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]["facts"])


def run(words: list[str], cache: Path, runs: Path) -> dict[str, Any]:
    """Run a request and return its record."""
    command = [sys.executable, "-m", "mlcvbench", "run", *words, f"out={runs}"]
    subprocess.run(command, env={**os.environ, "MLCVBENCH_CACHE": str(cache)}, check=True, capture_output=True)
    [record] = runs.glob("*/record.json")
    return json.loads(record.read_bytes())


@pytest.mark.slow
def test_a_run_killed_in_mid_training_goes_on_and_ends_with_the_same_weights(tmp_path: Path):
    words = ["task=digits", "model=small_cnn", "fit.epochs=12", "model.width=8", "time=off", "threads=1", "limit=50"]

    whole = run(words, tmp_path / "cache", tmp_path / "runs")
    left = killed_in_training(words, tmp_path / "other cache", tmp_path / "other runs")
    resumed = run(words, tmp_path / "other cache", tmp_path / "other runs")

    assert 1 <= left["epochs"] < 12
    assert resumed["fit"]["seconds"] > left["seconds"]
    assert resumed["model"]["weights"]["sha256"] == whole["model"]["weights"]["sha256"]
    assert resumed["fit"]["history"] == whole["fit"]["history"]
    assert [plot["file"] for plot in whole["plots"]][-1] == "history.png"
    assert not list((tmp_path / "other cache").glob("checkpoints/*/*"))


def test_networks_with_tied_weights_leave_checkpoints(tmp_path: Path):
    def tied() -> nn.Module:
        with seeded(0, CPU):
            layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Linear(64, 2))
        layers[3].weight = layers[1].weight
        return layers

    whole, resumed = tied(), tied()
    train_network(whole, data(50, 0), SETTINGS, FitContext(seed=0, device=Device()))
    for _ in range(2):
        resumed = tied()
        train_network(resumed, data(50, 0), SETTINGS, FitContext(seed=0, device=Device(), checkpoints=tmp_path))

    assert digest(resumed) == digest(whole)
    assert resumed[3].weight is resumed[1].weight
