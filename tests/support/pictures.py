"""Task kinds and data sets for previews: some draw, one does not, some are broken."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Panel, Problem, Task, spread
from mlcvbench_classification.task import ClassificationTask

LOADED: list[tuple[str, dict, int]] = []
"""(data set, parameters, seed) of what was loaded."""


class Drawing(ClassificationTask):
    def preview(self, split, problem, count):
        return [Panel(split.read([n])[0].inputs["image"][0], str(split.ids[n])) for n in spread(split, count)]


class AlsoDrawing(Drawing):
    kind = "segmentation"

    def check_data(self, data):
        pass


class Plain(ClassificationTask):
    preview = Task.preview


class Rubbish(ClassificationTask):
    def preview(self, split, problem, count):
        return [Panel(np.zeros((4, 4), dtype=np.uint8), "grey")]


class Failing(ClassificationTask):
    def preview(self, split, problem, count):
        raise ValueError("no\nluck")


def load_dots(params, data_seed):
    LOADED.append(("dots", params, data_seed))
    rng = np.random.default_rng(data_seed)

    def split(name, count):
        images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        return ArraySplit(name, {"image": images}, {"label": np.zeros(count, dtype=np.int64)})

    splits = {"train": split("train", 5), "test": split("test", 20)}
    problem = Problem("classification", ("dot",), {"image": InputSpec((8, 8, 3))})
    return LoadedData("dots", "1", problem, splits)


def load_broken(params, data_seed):
    raise KeyError("dots")
