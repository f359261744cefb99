"""Sources of proposals, and a detector that is nothing but one of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Batch, Device, Model, Operations, Predictions, Problem
from mlcvbench_rcnn.selective_search import Search, selective_search
from mlcvbench_rcnn.sliding_windows import sliding_windows

MOST = 2000
"""Proposals of an image, at most."""


class Source(NamedTuple):
    """Where proposals come from: `name` `selective_search` or `windows`, how to search, the seed of their order, and
    how many of an image are taken at most.
    """

    name: str = "selective_search"
    search: Search = Search()
    seed: int = 0
    most: int = MOST

    def propose(self, image: Array) -> Array:
        """Return the proposals of an image uint8 (H, W) or (H, W, 3), best first: float32 (P, 4), P up to `most`."""
        if self.name == "windows":
            return sliding_windows(image.shape[0], image.shape[1], self.seed)[: self.most]
        return selective_search(image, self.search, self.seed)[: self.most]


class Proposer(Model):
    """Say of each of the first proposals that it is an object of every class.

    So recall, of a class with up to 100 detections, is that of 100 proposals, and precision is that of a detector
    which cannot tell classes apart. `count`: proposals of an image that are detections; their scores fall evenly.
    """

    def __init__(self, problem: Problem, *, name: str, count: int, seed: int, **search: Any) -> None:
        super().__init__(problem, name=name, count=count, seed=seed, **search)
        self.count, self.source = count, Source(name, Search(**search), seed)

    def to(self, device: Device) -> None:
        import cv2

        super().to(device)
        cv2.setNumThreads(device.threads)

    def preprocess(self, batch: Batch) -> list[Array]:
        return [np.asarray(image) for image in batch.inputs["image"]]

    def forward(self, inputs: list[Array]) -> list[Array]:
        return [self.source.propose(image) for image in inputs]

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        classes = len(self.problem.classes)
        taken = [own[: self.count] for own in outputs]
        falling = [np.linspace(1, 0, len(own), endpoint=False, dtype=np.float32) for own in taken]
        return {
            "boxes": [np.repeat(own, classes, axis=0) for own in taken],
            "scores": [np.repeat(own, classes) for own in falling],
            "labels": [np.tile(np.arange(classes), len(own)) for own in taken],
            "proposals": outputs,
        }

    def operations(self, inputs: list[Array]) -> Operations:
        pixels = int(np.prod(inputs[0].shape[:2])) if inputs else 0
        return Operations(
            macs=None, other_ops={"pixels": pixels}, reason="the method sorts and merges; it has no multiply-adds"
        )


def selective_search_proposer(problem: Problem, **params: Any) -> Proposer:
    """Return `selective_search`."""
    return Proposer(problem, name="selective_search", **params)


def sliding_windows_proposer(problem: Problem, **params: Any) -> Proposer:
    """Return `sliding_windows`."""
    return Proposer(problem, name="windows", **params)
