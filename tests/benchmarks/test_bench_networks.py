"""Parts of networks against the way one would write them first, forward and backward.

A correlation volume of stereo features, 8 x 32 channels x 32 x 64 at 24 levels, against one shifted product for each
level, and the semi-hard triplets of 64 x 4 embeddings against gathering the embeddings of each; on one thread. The
ratio is that of the shortest times of interleaved runs, for whatever else the machine does only makes them longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.threads import one_thread
from torch.nn import functional

from mlcvbench_networks.embedding.losses import semi_hard, triplet, triplet_semi_hard
from mlcvbench_networks.stereo.volumes import correlation

__all__ = ["one_thread"]

PAIRS, LEVELS = 7, 24
IDENTITIES = torch.arange(64).repeat(4)
Part = Callable[..., torch.Tensor]


def shifted_correlation(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    width = left.shape[3]
    shifts = [functional.pad(right[..., : width - level], (level, 0)) for level in range(LEVELS)]
    return torch.stack([(left * own).mean(1) for own in shifts], 1)


def gathered_triplets(points: torch.Tensor) -> torch.Tensor:
    return triplet(*points[semi_hard(points, IDENTITIES)].unbind(1))


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


CASES: dict[str, tuple[Part, Part, list[torch.Tensor]]] = {
    "correlation": (
        lambda left, right: correlation(left, right, LEVELS),
        shifted_correlation,
        [draw(8, 32, 32, 64)] * 2,
    ),
    "triplets": (
        lambda points: triplet_semi_hard(points, IDENTITIES),
        gathered_triplets,
        [functional.normalize(draw(256, 128), dim=1)],
    ),
}


def timed(part: Part, inputs: list[torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Return the seconds of a step forward and backward, and the gradient of the first input."""
    own = [values.clone().requires_grad_() for values in inputs]
    start = time.perf_counter()
    part(*own).square().sum().backward()
    elapsed = time.perf_counter() - start
    assert own[0].grad is not None
    return elapsed, own[0].grad


@pytest.mark.parametrize("name", CASES)
def test_a_part_against_its_plain_form(benchmark: Any, name: str) -> None:
    ours, plain, inputs = CASES[name]
    times = [(timed(ours, inputs)[0], timed(plain, inputs)[0]) for _ in range(PAIRS)]
    our_time, plain_time = (min(column) for column in zip(*times, strict=True))

    benchmark.pedantic(timed, args=(ours, inputs), rounds=3)
    benchmark.extra_info["times as fast as the plain form"] = round(plain_time / our_time, 2)

    torch.testing.assert_close(timed(ours, inputs)[1], timed(plain, inputs)[1], rtol=1e-4, atol=1e-6)
