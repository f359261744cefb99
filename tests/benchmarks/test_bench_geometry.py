"""Batches that are changed at once against torchvision, which changes one image at a time.

32 images of 128 x 128 pixels with a label map, or five objects each with or without masks: mirrored, zoomed, moved and
turned, on one thread. The ratio is that of the shortest times of interleaved runs, for whatever else the machine does
only makes them longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.threads import one_thread
from torchvision import tv_tensors
from torchvision.transforms import v2

from mlcvbench_training.geometry import Changes, augment_batch
from mlcvbench_training.samples import Objects, SampleBatch

__all__ = ["one_thread"]

COUNT, SIDE, RUNS = 32, 128, 5
CHANGES = Changes(scale=(0.8, 1.25), flip=0.5, shift=0.1, rotate=10.0)
ONE_BY_ONE = v2.Compose(
    [
        v2.RandomHorizontalFlip(0.5),
        v2.RandomAffine(10.0, translate=(0.1, 0.1), scale=(0.8, 1.25), interpolation=v2.InterpolationMode.BILINEAR),
    ]
)
DRAWN = torch.Generator().manual_seed(0)
IMAGES = torch.rand(COUNT, 3, SIDE, SIDE, generator=DRAWN)
LABELS = torch.randint(8, (COUNT, SIDE, SIDE), generator=DRAWN)


def drawn_objects(*, masks: bool) -> Objects:
    low, sides = torch.rand(5, 2, generator=DRAWN) * 96, 4 + 24 * torch.rand(5, 2, generator=DRAWN)
    shown = torch.rand(5, SIDE, SIDE, generator=DRAWN) < 0.3 if masks else None
    return Objects(torch.cat([low, low + sides], 1), torch.arange(5), torch.zeros(5, dtype=torch.bool), shown)


def singly(batch: SampleBatch) -> list[Any]:
    """Return the samples of a batch as torchvision wants them."""
    samples = []
    for place, image in enumerate(batch.inputs["image"]):
        sample: dict[str, Any] = {"image": tv_tensors.Image(image)}
        if batch.maps:
            sample["labels"] = tv_tensors.Mask(batch.maps["label_map"][place])
        for own in batch.objects[place : place + 1]:
            sample["boxes"] = tv_tensors.BoundingBoxes(own.boxes, format="XYXY", canvas_size=(SIDE, SIDE))
            if own.masks is not None:
                sample["masks"] = tv_tensors.Mask(own.masks)
        samples.append(sample)
    return samples


CASES = {
    "label maps": SampleBatch({"image": IMAGES}, {"label_map": LABELS}),
    "boxes": SampleBatch({"image": IMAGES}, objects=[drawn_objects(masks=False)] * COUNT),
    "masks": SampleBatch({"image": IMAGES}, objects=[drawn_objects(masks=True)] * COUNT),
}


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.parametrize("name", CASES)
def test_changes_of_a_batch_against_one_image_at_a_time(benchmark: Any, name: str) -> None:
    batch, generator = CASES[name], torch.Generator().manual_seed(1)
    samples = singly(batch)

    def ours() -> SampleBatch:
        return augment_batch(batch, CHANGES, generator)

    times = [(seconds(ours), seconds(lambda: [ONE_BY_ONE(sample) for sample in samples])) for _ in range(RUNS)]
    our_time, their_time = (min(column) for column in zip(*times, strict=True))
    benchmark.pedantic(ours, rounds=5)
    benchmark.extra_info["milliseconds"] = round(1000 * our_time, 1)
    benchmark.extra_info["times as fast as one by one"] = round(their_time / our_time, 2)
