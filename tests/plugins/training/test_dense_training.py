"""Label maps of unequal pictures learned with the engine: the weights do not depend on where the samples are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.fitting import context
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Device, FitContext, Split
from mlcvbench.files.ahead import readers
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.split import LabelSplit
from mlcvbench_training.geometry import Changes, augment_batch, crop_batch
from mlcvbench_training.objective import Objective
from mlcvbench_training.samples import DenseSamples, SampleBatch
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings
from mlcvbench_training.training import train

CPU = torch.device("cpu")
SETTINGS = Settings(optimizer="adam", lr=0.03, batch=4, epochs=5)
CHANGES = Changes(flip=0.5, scale=(0.8, 1.25), shift=0.1, rotate=10, colour=0.2)


class LabelMaps(Objective):
    """Cross-entropy of crops of augmented pictures."""

    def __init__(self, samples: DenseSamples) -> None:
        self.samples, self.device = samples, samples.device

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, chosen: Sequence[Any]) -> Iterator[SampleBatch]:
        return self.samples.read(chosen)

    def loss(self, network: Any, batch: SampleBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        batch = crop_batch(augment_batch(batch, CHANGES, generator), (12, 12), generator)
        labels = batch.maps["label_map"]
        return {"loss": functional.cross_entropy(network(batch.inputs["image"]), labels, ignore_index=batch.unknown)}


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Pictures of 10 to 18 pixels a side; bright pixels are of class 1."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(10):
        bright = rng.random(rng.integers(10, 19, 2)) < 0.5
        picture = np.where(bright[:, :, None], 170, 60) + rng.integers(-40, 40, (*bright.shape, 3))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(bright.astype(np.uint8)).save(folder / f"{number}.label.png")
    labels, images = ([folder / f"{number}{end}" for number in range(10)] for end in (".label.png", ".png"))
    return LabelSplit("train", [str(number) for number in range(10)], labels, images, Coding.plain(2, None))


def trained(samples: DenseSamples, ctx: FitContext) -> tuple[bytes, list[float]]:
    """Return the weights after a training, and its losses."""
    with seeded(1, CPU):
        module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    report = train(module, LabelMaps(samples), SETTINGS, ctx)
    return b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values()), report.history["loss"]


def test_weights_do_not_depend_on_where_the_samples_are(split: Split) -> None:
    held, losses = trained(DenseSamples.of(split, CPU, maps=("label_map",)), context())

    with readers(2):
        streamed, _ = trained(DenseSamples.of(split, CPU, maps=("label_map",), memory=10), context())

    assert streamed == held
    assert losses[-1] < losses[0] - 0.05


def test_a_training_that_was_interrupted_goes_on_with_the_same_changes(split: Split, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    samples = DenseSamples.of(split, CPU, maps=("label_map",))
    whole, _ = trained(samples, FitContext(seed=0, device=Device()))

    with pytest.raises(KeyboardInterrupt):
        trained(samples, FitContext(seed=0, device=Device(), checkpoints=tmp_path, progress=stop))
    on, _ = trained(samples, FitContext(seed=0, device=Device(), checkpoints=tmp_path))

    assert on == whole
