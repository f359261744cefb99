"""Speed of the renderer: stereo scenes a second on one core. Nothing here asserts a time.

Processor time is measured: the renderer uses one thread, and neighbours on a shared machine do not count.
"""

from __future__ import annotations

import itertools
import time

import pytest

from mlcvbench_scenes import LEVELS, compose, render_stereo
from mlcvbench_scenes.bodies import render_body
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_face


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("level", list(LEVELS))
@pytest.mark.parametrize("antialias", [True, False], ids=["antialiased", "one ray a pixel"])
def test_bench_stereo_128(benchmark, level, antialias):
    scenes = itertools.cycle([compose(0, index, level) for index in range(8)])

    frame = benchmark(lambda: render_stereo(next(scenes), antialias=antialias))

    benchmark.extra_info["scenes a second, median"] = 1 / benchmark.stats.stats.median if benchmark.stats else None
    assert frame.left.image.shape == frame.right.image.shape == (128, 128, 3)


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_composing_a_scene(benchmark):
    numbers = itertools.count()

    scene = benchmark(lambda: compose(0, next(numbers), "hard"))

    assert scene.things


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_body_96(benchmark):
    numbers = itertools.count()

    frame = benchmark(lambda: render_body(0, next(numbers)))

    assert frame.parts.any()


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_face_64(benchmark):
    numbers = itertools.count()

    image = benchmark(lambda: render_face(draw_identity(0, 0), draw_shot(0, 0, next(numbers))))

    assert image.shape == (64, 64, 3)
