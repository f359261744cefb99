"""A cascade over one picture: OpenCV's search against ours of the same windows, side by side in one run.

The ratios are processor time; both accept the same windows, and the growing features look at about twice as many.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import cv2
import pytest
from support.cascades import clouds, random_cascade

from mlcvbench_viola_jones.opencv_engine import OpencvCascade
from mlcvbench_viola_jones.search import Search, find

PAIRS = 7

pytestmark = pytest.mark.slow


def test_opencv_against_our_search_of_the_same_windows(benchmark: Any) -> None:
    cv2.setNumThreads(1)
    cascade, image = random_cascade(4, 8, 16, 32, 64, limit=0.0), clouds(240, 320)
    engine, shrinking = OpencvCascade(cascade), Search(24, 24, "image", 1.25, 1.0)
    growing = Search(24, 24, "features", 1.25, 1.0)
    spent: dict[str, list[float]] = {"opencv": [], "image": [], "features": []}

    def every() -> None:
        for name, work in (
            ("opencv", lambda: engine.find(image, shrinking)),
            ("image", lambda: find(image, cascade, shrinking)),
            ("features", lambda: find(image, cascade, growing)),
        ):
            start = time.process_time()
            work()
            spent[name].append(time.process_time() - start)

    benchmark.pedantic(every, rounds=PAIRS)

    median = {name: statistics.median(times) for name, times in spent.items()}
    benchmark.extra_info |= {f"{name} / opencv": round(median[name] / median["opencv"], 1) for name in median}
    benchmark.extra_info["windows"] = find(image, cascade, shrinking).looked_at
