"""What tests of detectors share: objects to find, and the AP of outputs that say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from support.fitting import images_batch
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.running.scoring import tabulate
from mlcvbench.specs import ModelSpec, load_target
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.task import DetectionTask
from mlcvbench_networks.bases.detector import Detector
from mlcvbench_training.sample_batch import Objects, SampleBatch

SURE = 12.0
"""A logit of what is certain."""
FRAME = (160, 224)
"""Height and width of images of which the objects are known."""


def problem(classes: int = 3, sides: tuple[int | None, int | None] = (None, None)) -> Problem:
    names = tuple(f"class{number}" for number in range(classes))
    extra = {"category_ids": tuple(range(1, classes + 1)), "masks": False}
    return Problem("detection", names, {"image": InputSpec((*sides, 3))}, extra)


def model_in(specs: Mapping[str, ModelSpec], name: str, classes: int = 3, **params: Any) -> Detector:
    """Return a detector of a family with its declared defaults, changed by `params`."""
    spec = specs[name]
    declared = {param.name: param.default for param in spec.params}
    model = load_target(spec.target)(problem(classes), **declared | params)
    assert isinstance(model, Detector)
    return model


def built(model: Detector) -> Detector:
    """Return the model with its network, as before training."""
    model.module = model.build()
    return model


def parameters(model: Detector) -> int:
    return sum(part.numel() for part in model.build().parameters())


def multiply_adds(model: Detector, side: int) -> float:
    """Return those of the network for one image of so many pixels a side; nothing is computed."""
    network = model.build().eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2


def objects_of(
    counts: Sequence[int], classes: int = 3, frame: tuple[int, int] = FRAME, side: float = 30.0, seed: int = 0
) -> list[Objects]:
    """Return so many objects an image of `frame`, apart from each other, with sides of a third of `side` to `side`."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = int(frame[0] // side), int(frame[1] // side)
    found = []
    for count in counts:
        places = torch.randperm(rows * columns, generator=generator)[:count]
        corner = torch.stack((places % columns, places // columns), dim=1) * side
        sizes = side * (1 + 2 * torch.rand(len(places), 2, generator=generator)) / 3
        corner = corner + (side - sizes) * torch.rand(len(places), 2, generator=generator)
        labels = torch.randint(classes, (len(places),), generator=generator)
        boxes = torch.cat((corner, corner + sizes), dim=1)
        found.append(Objects(boxes, labels, torch.zeros(len(places), dtype=torch.bool)))
    return found


def batch_of(objects: list[Objects], frame: tuple[int, int] = FRAME) -> SampleBatch:
    return SampleBatch({"image": torch.zeros(len(objects), 3, *frame)}, objects=objects)


def predictions_of(model: Detector, outputs: Any, count: int, frame: tuple[int, int] = FRAME) -> dict[str, Any]:
    """Return what a model makes of the outputs of its network for so many images."""
    return model.postprocess(outputs, images_batch(np.zeros((count, *frame, 3), np.uint8)))


def average_precision(predictions: Any, objects: list[Objects], frame: tuple[int, int] = FRAME) -> float | None:
    """Return COCO's AP of predictions."""
    classes = max(3, 1 + max((int(own.labels.max()) for own in objects if len(own)), default=0))
    known = problem(classes)
    starts = starts_of(np.array([len(own) for own in objects], dtype=np.int64))
    boxes = torch.cat([own.boxes for own in objects]).double()
    xywh = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1).numpy()
    columns = {
        "xywh": xywh,
        "labels": torch.cat([own.labels for own in objects]).numpy(),
        "area": xywh[:, 2:].prod(axis=1),
        "crowd": np.zeros(len(xywh), dtype=np.bool_),
        "annotation": np.arange(1, len(xywh) + 1),
    }
    targets: dict[str, Any] = {name: Ragged(values, starts) for name, values in columns.items()}
    targets["size"] = np.tile(np.array(frame, dtype=np.int64), (len(objects), 1))
    task = DetectionTask()
    scorer = task.scorer("coco/bbox/maxdet100@1", known)
    ids = np.array([str(place) for place in range(len(objects))])
    table = tabulate(scorer, task.check(predictions, ids, known), targets, len(objects))
    return scorer.summarise(table)["ap"]


def farthest_from(objects: Objects, boxes: np.ndarray) -> float:
    """Return the largest difference in pixels of a side of each box to that of the object nearest to it."""
    return float((torch.from_numpy(boxes)[:, None] - objects.boxes).abs().amax(dim=2).amin(dim=1).max())


def as_maps(values: Sequence[torch.Tensor], grid: tuple[int, int]) -> torch.Tensor:
    """Return (H W A, n) an image as a head's output (B, A n, H, W): the inverse of `by_anchor`."""
    each = torch.stack(list(values))
    count, _, width = each.shape
    return each.reshape(count, *grid, -1, width).permute(0, 3, 4, 1, 2).reshape(count, -1, *grid).contiguous()


def by_level(images: Sequence[Sequence[torch.Tensor]], grids: Sequence[tuple[int, int]]) -> list[torch.Tensor]:
    """Return what each image has on each level, (H W A, n), as the maps of a head."""
    return [as_maps(level, grid) for level, grid in zip(zip(*images, strict=True), grids, strict=True)]


def grids_of(strides: Sequence[int], frame: tuple[int, int] = FRAME) -> list[tuple[int, int]]:
    return [(-(-frame[0] // stride), -(-frame[1] // stride)) for stride in strides]


def one_hot(classes: torch.Tensor, count: int) -> torch.Tensor:
    """Return logits (N, count) that are sure of classes (N,), and of none where they are negative."""
    logits = torch.full((len(classes), count), -SURE)
    logits[classes >= 0, classes[classes >= 0]] = SURE
    return logits


def assert_learned_from(model: Detector, objects: Sequence[Objects]) -> None:
    """Assert that the loss of a batch with these objects is finite, and that it teaches the network something."""
    losses = model.loss(model.module, batch_of(objects), torch.Generator())
    losses["loss"].backward()
    slopes = [part.grad for part in model.module.parameters() if part.grad is not None]

    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert any(slope.any() for slope in slopes)
