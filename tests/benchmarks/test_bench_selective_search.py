"""Proposals for one picture: OpenCV's selective search against ours, side by side in one run.

The ratios are processor time; the colour spaces, similarities and thresholds differ, and so does how many are proposed.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import cv2
import numpy as np
import pytest

from mlcvbench_detection.scenes import load_scenes
from mlcvbench_rcnn.selective_search import Search, selective_search

PAIRS = 7

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("side", [128, 256])
def test_selective_search_against_opencvs(benchmark: Any, side: int) -> None:
    cv2.setNumThreads(1)
    params = {"level": "medium", "size": (side, side), "train": 0, "val": 0, "test": 1, "masks": False}
    image = load_scenes(params, 0).splits["test"].read([0])[0].inputs["image"][0]
    reversed_colours = np.ascontiguousarray(image[:, :, ::-1])
    theirs = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    spent: dict[str, list[float]] = {"opencv": [], "single": [], "fast": []}
    count: dict[str, int] = {}

    def opencv() -> Any:
        theirs.setBaseImage(reversed_colours)
        theirs.switchToSelectiveSearchFast()
        return theirs.process()

    def every() -> None:
        for name, work in (
            ("opencv", opencv),
            ("single", lambda: selective_search(image, Search("single"), 0)),
            ("fast", lambda: selective_search(image, Search("fast"), 0)),
        ):
            start = time.process_time()
            count[name] = len(work())
            spent[name].append(time.process_time() - start)

    benchmark.pedantic(every, rounds=PAIRS)

    median = {name: statistics.median(times) for name, times in spent.items()}
    benchmark.extra_info |= {f"{name} / opencv": round(median[name] / median["opencv"], 1) for name in median}
    benchmark.extra_info |= {f"{name}, proposals": number for name, number in count.items()}
    benchmark.extra_info["fast, ms"] = round(1000 * median["fast"])
