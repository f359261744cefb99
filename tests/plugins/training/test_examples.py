"""Training data in memory and on disk: the same batches, so the same weights, interrupted or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mlcvbench.contract import Device, FitContext, Split
from mlcvbench.errors import DataError
from mlcvbench.files.ahead import readers
from mlcvbench_classification.file_split import Decoding, FileSplit
from mlcvbench_training.examples import Examples, StreamedExamples, examples_of, streamed_or_held
from mlcvbench_training.loop import train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
SETTINGS = Settings(optimizer="adam", lr=0.01, batch=8, epochs=4, augmentation="flip_crop")
VARIANTS = {
    "adam with augmentation": {},
    "means of weights with fresh norms": {"average": "swa", "swa_start": 0.3},
    "the whole set a step": {"optimizer": "gd", "augmentation": "none"},
    "stopped early": {"early_stopping": True, "patience": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of two classes in eight by eight pixels."""
    place = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0).integers(0, 120, (40, 8, 8, 3), dtype=np.uint8)
    noise[1::2, :4] += 60
    for number, picture in enumerate(noise):
        Image.fromarray(picture).save(place / f"{number:02d}.png")
    return place


@pytest.fixture(scope="module")
def split(folder: Path) -> Split:
    return pictures(folder)


def pictures(folder: Path, color: str = "rgb") -> Split:
    files = sorted(folder.glob("*.png"))
    labels = np.arange(len(files)) % 2
    return FileSplit("train", files, [file.name for file in files], labels, Decoding(color, None))


def network() -> nn.Module:
    with seeded(1, CPU):
        layers = [nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(96, 2))


def trained(split: Split, settings: Settings, memory: int | None, folder: Path | None = None, stop: int = 0) -> bytes:
    """Return the weights after a training from data that may take `memory` bytes, ended after `stop` epochs if any."""

    def progress(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    module, order = network(), np.random.default_rng(3).permutation(len(split))
    train, val = split.take(order[:30]), split.take(order[30:])
    ctx = FitContext(seed=3, device=Device(), checkpoints=folder, progress=progress)
    examples, held_out = (streamed_or_held(part, CPU, memory) for part in (train, val))
    train_network(module, examples, settings, ctx, val=held_out)
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in module.state_dict().values())


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_do_not_depend_on_where_the_images_are(split: Split, variant: str, count: int) -> None:
    settings = replace(SETTINGS, **VARIANTS[variant])

    with readers(count):
        assert trained(split, settings, memory=1) == trained(split, settings, memory=None)


def test_a_training_that_was_interrupted_goes_on_from_disk_with_the_same_bits(split: Split, tmp_path: Path) -> None:
    whole = trained(split, SETTINGS, memory=None)

    with pytest.raises(KeyboardInterrupt):
        trained(split, SETTINGS, memory=None, folder=tmp_path, stop=1)
    with pytest.raises(KeyboardInterrupt):
        trained(split, SETTINGS, memory=1, folder=tmp_path, stop=3)

    assert trained(split, SETTINGS, memory=1, folder=tmp_path) == whole


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_batches_from_disk_are_those_from_memory(folder: Path, color: str) -> None:
    split = pictures(folder, color)
    held, streamed = examples_of(split, CPU), streamed_or_held(split, CPU, memory=100)
    chosen = [torch.tensor([5, 0, 39]), slice(3, 7), slice(36, 40)]

    assert isinstance(held, Examples)
    assert isinstance(streamed, StreamedExamples)
    assert len(streamed) == len(held) == 40
    for (images, labels), (others, own) in zip(held.batches(chosen), streamed.batches(chosen), strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, own)
        assert images.dtype == others.dtype == torch.uint8


def test_images_that_fit_into_memory_are_held_there(split: Split) -> None:
    nbytes = 40 * 8 * 8 * 3

    assert isinstance(streamed_or_held(split, CPU, memory=nbytes), Examples)
    assert isinstance(streamed_or_held(split, CPU, memory=nbytes - 1), StreamedExamples)


@pytest.mark.parametrize("memory", [None, 10])
def test_images_of_several_sizes_and_empty_splits_are_refused_either_way(tmp_path: Path, memory: int | None) -> None:
    for number, side in enumerate((8, 9)):
        Image.new("RGB", (side, 8)).save(tmp_path / f"{number}.png")

    with pytest.raises(DataError, match=r"the image inputs differ in size, so they do not form one array"):
        streamed_or_held(pictures(tmp_path), CPU, memory)
    with pytest.raises(DataError, match="has no samples"):
        streamed_or_held(pictures(tmp_path).take([]), CPU, memory)
