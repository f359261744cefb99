"""Our semi-global matching beside OpenCV's on the motorcycle: the same map, one thread, side by side in one run.

The ratio is that of the shortest times of interleaved runs, for whatever else the machine does only makes them longer.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.stereo import matcher_of

from mlcvbench.contract import Device
from mlcvbench_depth.motorcycle import load_motorcycle

ROUNDS = 7


def seconds(model, inputs):
    start = time.process_time()
    (steps,) = model.forward(inputs)
    return time.process_time() - start, steps


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sgbm", "hh"])
def test_sgm_beside_opencvs(benchmark, mode):
    data = load_motorcycle({"disparities": 64}, 0)
    batch = next(data.splits["test"].inputs(1))
    ours, theirs = (matcher_of("sgm", data.problem, search=search, mode=mode) for search in ("own", "opencv"))
    for model in (ours, theirs):
        model.to(Device(threads=1))
    inputs = ours.preprocess(batch)
    times = [(seconds(ours, inputs)[0], seconds(theirs, inputs)[0]) for _ in range(ROUNDS)]
    own_time, other_time = (min(column) for column in zip(*times, strict=True))

    steps = benchmark.pedantic(lambda: seconds(ours, inputs)[1], rounds=3)
    benchmark.extra_info["times OpenCV's seconds"] = round(own_time / other_time, 2)

    assert np.array_equal(steps, seconds(theirs, inputs)[1])
