"""From files to numbers, against the scripts that people write: reading, scoring and training from disk.

Ratios are medians over interleaved pairs of one run, larger is better unless a name says otherwise; the goals are for
two quiet cores.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from support.runs import config_for
from torch.utils.data import DataLoader

from mlcvbench.contract import Batch, Device, FitContext, InputSpec, Model, Predictions, Problem
from mlcvbench.files.ahead import readers
from mlcvbench.limits import MIB
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.processes.usage import lifetime_peak
from mlcvbench.running.external import score_file
from mlcvbench.running.predicting import predict
from mlcvbench_classification.file_split import Decoding, FileSplit
from mlcvbench_classification.task import ClassificationTask
from mlcvbench_cnn.small import SmallCNN
from mlcvbench_training.examples import streamed_or_held

pytestmark = pytest.mark.slow
SIZE, SMALL, JPEGS, MAPS, CLASSES = 224, 64, 800, 60, 19
SMALL_FILES = 20_000


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Noisy photographs of 500x375 pixels."""
    folder, rng, paths = tmp_path_factory.mktemp("jpegs"), np.random.default_rng(0), []
    for number in range(JPEGS):
        big = cv2.resize((rng.random((12, 16, 3)) * 240).astype(np.uint8), (500, 375), interpolation=cv2.INTER_CUBIC)
        noisy = big // 2 + rng.integers(0, 24, big.shape, dtype=np.uint8)
        paths.append(folder / f"{number:05d}.jpg")
        cv2.imwrite(str(paths[-1]), noisy)
    return paths


def split_of(paths: list[Path], side: int = SIZE) -> FileSplit:
    labels = np.arange(len(paths)) % 10
    return FileSplit("test", paths, [path.name for path in paths], labels, Decoding("rgb", (side, side)))


def pillow(path: Path, side: int = SIZE) -> np.ndarray:
    """Read an image as scripts do."""
    return np.asarray(Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def problem_of(side: int) -> Problem:
    return Problem("classification", tuple("0123456789"), {"image": InputSpec((side, side, 3))})


def scored(*words: str) -> RunConfig:
    """Return the configuration of `mlcvbench score`."""
    return plan([*words], outside="x", reads=True).configs[0]


def ratio(benchmark: Any, ours: Callable[[], object], plain: Callable[[], object], name: str, goal: float) -> None:
    """Note how many times as fast as the plain script ours is."""
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        plain()
        middle = time.perf_counter()
        ours()
        ratios.append((middle - start) / (time.perf_counter() - middle))
    benchmark.pedantic(ours, rounds=1)
    benchmark.extra_info[name] = round(statistics.median(ratios), 3)
    benchmark.extra_info["goal, at least"] = goal


class Free(Model):
    """A model that costs nothing."""

    def predict(self, batch: Batch) -> Predictions:
        return {"scores": np.zeros((len(batch), 10), dtype=np.float32)}

    def forward(self, inputs: Any) -> Any:
        return inputs

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return self.predict(batch)


PROBLEM = problem_of(SIZE)


def test_an_accuracy_pass_with_a_free_model_against_pillow_in_two_threads(benchmark: Any, jpegs: list[Path]) -> None:
    many = (jpegs * 3)[:2_000]
    split, task, model = split_of(many), ClassificationTask(), Free(PROBLEM)

    def plain() -> int:
        with ThreadPoolExecutor(2) as pool:
            return sum(len(image) for image in pool.map(pillow, many))

    def ours() -> Predictions:
        with readers(1):  # and the thread that would wait
            return predict(model, split, task, PROBLEM, 64)

    ratio(benchmark, ours, plain, "share of Pillow's images/s in two threads", 0.95)
    assert len(ours()["scores"]) == len(many)


def test_an_accuracy_pass_with_resnet18_against_the_model_alone(benchmark: Any, jpegs: list[Path]) -> None:
    from torchvision.models import resnet18

    split, task = split_of(jpegs[:192]), ClassificationTask()
    network = resnet18(weights=None, num_classes=10).eval()
    images = torch.rand(32, 3, SIZE, SIZE)

    class Net(Free):
        def predict(self, batch: Batch) -> Predictions:
            pixels = torch.from_numpy(np.array(batch.inputs["image"])).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                return {"scores": network(pixels).numpy()}

    def plain() -> None:
        with torch.inference_mode():
            for _ in range(len(split) // 32):
                network(images)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with readers(None, beside=1):
            ratio(
                benchmark,
                lambda: predict(Net(PROBLEM), split, task, PROBLEM, 32),
                plain,
                "share of the model's own images/s",
                0.98,
            )
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def label_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label maps of 2048x1024 pixels and predictions that are off by eight columns."""
    folder, rng = tmp_path_factory.mktemp("maps"), np.random.default_rng(0)
    (folder / "set/labels").mkdir(parents=True)
    (folder / "predicted").mkdir()
    for number in range(MAPS):
        soft = cv2.resize(rng.random((24, 48, CLASSES)).astype(np.float32), (2048, 1024), interpolation=cv2.INTER_CUBIC)
        label = soft.argmax(2).astype(np.uint8)
        cv2.imwrite(str(folder / f"set/labels/{number:03d}.png"), label)
        cv2.imwrite(str(folder / f"predicted/{number:03d}.png"), np.roll(label, 8, 1))
    (folder / "set/classes.txt").write_text("".join(f"c{index}\n" for index in range(CLASSES)))
    return folder


def test_score_of_label_maps_against_pillow_and_bincount(
    benchmark: Any, label_maps: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = scored("task=segmentation", "data=label-folder", f"data.root={label_maps / 'set'}")

    def plain() -> np.ndarray:
        counts = np.zeros(CLASSES**2, dtype=np.int64)
        for path in sorted((label_maps / "set/labels").iterdir()):
            label, predicted = (np.asarray(Image.open(one)) for one in (path, label_maps / "predicted" / path.name))
            known = label < CLASSES
            counts += np.bincount(label[known].astype(np.int64) * CLASSES + predicted[known], minlength=CLASSES**2)
        return counts

    def ours() -> object:
        return score_file(config, "x", label_maps / "predicted", tmp_path_factory.mktemp("run"))

    ratio(benchmark, ours, plain, "speed in plain scripts, stored and drawn", 1.0)


def test_score_of_stereo_maps_against_pillow_and_numpy(
    benchmark: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rng = tmp_path_factory.mktemp("stereo"), np.random.default_rng(0)
    for name in ("set/disparity", "predicted"):
        (folder / name).mkdir(parents=True)
    for number in range(100):
        truth = cv2.resize(rng.random((12, 40)).astype(np.float32) * 100 + 1, (1242, 375))
        estimate = np.clip(truth + rng.normal(0, 1, truth.shape), 0.01, None)
        cv2.imwrite(str(folder / f"set/disparity/{number:03d}.png"), (truth * 256).astype(np.uint16))
        cv2.imwrite(str(folder / f"predicted/{number:03d}.png"), (estimate * 256).astype(np.uint16))
    config = scored("task=depth", "data=stereo-folder", f"data.root={folder / 'set'}")

    def plain() -> list[float]:
        found = []
        for path in sorted((folder / "set/disparity").iterdir()):
            truth, estimate = (
                np.asarray(Image.open(one)).astype(np.float32) / 256 for one in (path, folder / "predicted" / path.name)
            )
            known = truth > 0
            error = np.abs(estimate - truth)[known]
            found += [error.mean(), *((error > limit).mean() for limit in (0.5, 1, 2, 3))]
            found.append(((error > 3) & (error > 0.05 * truth[known])).mean())
        return found

    def ours() -> object:
        return score_file(config, "x", folder / "predicted", tmp_path_factory.mktemp("run"))

    ratio(benchmark, ours, plain, "speed in plain scripts, stored and drawn", 0.77)


def test_score_of_depth_maps_against_pillow_and_numpy(benchmark: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, rng = tmp_path_factory.mktemp("depth"), np.random.default_rng(0)
    for name in ("set/depth", "predicted"):
        (folder / name).mkdir(parents=True)
    for number in range(100):
        truth = cv2.resize(rng.random((12, 40)).astype(np.float32) * 70 + 3, (1242, 375))
        estimate = truth * np.exp(rng.normal(0, 0.1, truth.shape))
        cv2.imwrite(str(folder / f"set/depth/{number:03d}.png"), (truth * 256).astype(np.uint16))
        cv2.imwrite(str(folder / f"predicted/{number:03d}.png"), (estimate * 256).astype(np.uint16))
    config = scored("task=depth", "data=depth-folder", f"data.root={folder / 'set'}")

    def plain() -> np.ndarray:
        found = []
        for path in sorted((folder / "set/depth").iterdir()):
            truth, estimate = (
                np.asarray(Image.open(one)).astype(np.float32) / 256 for one in (path, folder / "predicted" / path.name)
            )
            known = (truth > 1e-3) & (truth < 80)
            t, p = truth[known], np.clip(estimate[known], 1e-3, 80)
            ratio, logs = np.maximum(t / p, p / t), np.log(p) - np.log(t)
            found.append(
                [
                    (np.abs(t - p) / t).mean(),
                    ((t - p) ** 2 / t).mean(),
                    np.sqrt(((t - p) ** 2).mean()),
                    np.sqrt((logs**2).mean()),
                    np.sqrt((logs**2).mean() - logs.mean() ** 2),
                    np.abs(np.log10(p) - np.log10(t)).mean(),
                    *((ratio < 1.25**power).mean() for power in (1, 2, 3)),
                ]
            )
        return np.mean(found, axis=0)

    def ours() -> object:
        return score_file(config, "x", folder / "predicted", tmp_path_factory.mktemp("run"))

    ratio(benchmark, ours, plain, "speed in plain scripts, stored and drawn", 0.77)


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test set of many small pictures and a few to learn from."""
    root = tmp_path_factory.mktemp("many")
    content = []
    for number in range(10):
        path = root / "one.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        content.append(path.read_bytes())
        path.unlink()
    for label in range(10):
        for part, count in (("train", 4), ("test", SMALL_FILES // 10)):
            folder = root / f"{part}/c{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:05d}.png").write_bytes(content[number % 10] + bytes([label]) * (part == "train"))
    return root


def wall_seconds(words: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mlcvbench", "run", *words], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def test_a_second_command_on_many_unchanged_files(benchmark: Any, many_files: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "MLCVBENCH_CACHE": str(tmp_path / "cache")}
    shared = ["task=classification", "model=majority", "time=off", "limit=100", f"out={tmp_path / 'runs'}"]
    files = [*shared, "data=image-folder", f"data.root={many_files}", "data.size=[32,32]"]
    first = wall_seconds(files, environment)
    wall_seconds([*shared, "data=digits"], environment)
    pairs = [(wall_seconds(files, environment), wall_seconds([*shared, "data=digits"], environment)) for _ in range(5)]
    benchmark.pedantic(wall_seconds, args=(files, environment), rounds=1)
    more = statistics.median(one - other for one, other in pairs)
    benchmark.extra_info["seconds of the first command"] = round(first, 2)
    benchmark.extra_info["seconds more than on digits"] = round(more, 2)
    benchmark.extra_info["goal, at most"] = 1.5 * SMALL_FILES / 50_000


def test_a_training_split_that_nobody_uses_costs_nothing(benchmark: Any, many_files: Path, tmp_path: Path) -> None:
    turned = tmp_path / "set"
    turned.mkdir()
    for part, other in (("train", "test"), ("test", "train")):  # the many files are the training split now
        (many_files / other).rename(turned / part)
    config = config_for("data=image-folder", f"data.root={turned}", "model=majority", f"weights={tmp_path}")

    def seconds(splits: tuple[str, ...] | None) -> float:
        start = time.perf_counter()
        load_data(resolve(config), splits).fingerprint()
        return time.perf_counter() - start

    alone, whole = (statistics.median(seconds(one) for _ in range(3)) for one in (config.splits, None))
    benchmark.pedantic(seconds, args=(config.splits,), rounds=1)
    benchmark.extra_info["milliseconds with test alone"] = round(alone * 1e3, 1)
    benchmark.extra_info["milliseconds with all"] = round(whole * 1e3, 1)
    assert list(load_data(resolve(config), config.splits).splits) == ["test"]


class Files(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images from files, as everybody writes it."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(pillow(self.paths[index], SMALL).copy()).permute(2, 0, 1), index % 10


def test_an_epoch_streamed_from_files_against_a_dataloader_with_two_workers(benchmark: Any, jpegs: list[Path]) -> None:
    model = SmallCNN(problem_of(SMALL), width=4, stages=2, dropout=0.0)
    model.to(Device(threads=1))
    split = split_of(jpegs, SMALL)

    def ours() -> None:
        with readers(None, beside=1):
            model.fit(split, None, FitContext(seed=0, device=Device(), settings={"epochs": 1, "batch": 64}, memory=1))

    def plain() -> None:
        module = model.build()
        optimizer = torch.optim.AdamW(module.parameters())
        for images, labels in DataLoader(Files(jpegs), batch_size=64, shuffle=True, num_workers=2):
            loss = torch.nn.functional.cross_entropy(module(images.float() / 255), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    ratio(benchmark, ours, plain, "share of the loader's images/s", 0.95)


def memory_of_epoch(paths: list[Path], memory: int | None) -> float:
    """Return the MB that an epoch of batches, without a model, adds to this process; `memory`: see `FitContext`."""
    places = torch.randperm(len(paths)).split(64)
    before = psutil.Process().memory_info().rss
    with readers(None, beside=1):
        examples = streamed_or_held(split_of(paths), torch.device("cpu"), memory)
        for images, _ in examples.batches(places):
            images.float().sum()
    return (lifetime_peak() - before) / MIB


def test_memory_of_an_epoch_streamed_from_files(benchmark: Any, jpegs: list[Path]) -> None:
    many = jpegs * (3_200 // JPEGS)
    held = len(many) * SIZE * SIZE * 3 / MIB

    def alone(memory: int | None) -> float:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(memory_of_epoch, many, memory).result()

    streamed = benchmark.pedantic(alone, args=(int(held / 8 * MIB),), rounds=1)
    benchmark.extra_info["MB of the images"] = round(held)
    benchmark.extra_info["MB, streamed"] = round(streamed)
    benchmark.extra_info["MB, held"] = round(alone(None))
    benchmark.extra_info["goal, at most"] = 1024
