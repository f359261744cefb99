"""Samples of a classification data set with their class names, for contact sheets."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Panel, Problem, Split, spread


def preview(split: Split, problem: Problem, count: int) -> list[Panel]:
    """Return one panel per sample: the first input that is a picture, captioned with class and id."""
    panels = []
    for batch, targets in split.each(lambda place: split.read([place]), spread(split, count)):
        image = np.asarray(next(iter(batch.inputs.values()))[0])
        if image.dtype != np.uint8 or image.ndim not in {2, 3}:
            return []
        colored = np.stack([image] * 3, axis=2) if image.ndim == 2 else image
        label = problem.classes[int(targets["label"][0])]
        panels.append(Panel(colored, f"{label} · {batch.ids[0]}"))
    return panels
