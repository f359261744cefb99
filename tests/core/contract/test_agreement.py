"""One rule says when batches of one and of many agree; honesty checks and the conformance kit both ask it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mlcvbench.contract.agreement import Agreement, agreement, same_bytes
from mlcvbench.measure.checks import agree


def of(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"scores": np.array(rows, np.float64)}


@pytest.mark.parametrize(
    ("alone", "together", "passed"),
    [
        ([1.0, 0.0], [1.0 + 1.5e-4, 0.0], True),  # the kit once refused this: relative to max(1, |a|)
        ([1.0, 1.00003], [1.00003, 1.0], False),  # and once let this flip of a near tie pass
        ([1.0, 0.0], [1.0 + 3e-4, 0.0], False),
        ([np.inf, 0.0], [np.inf, 0.0], True),
        ([np.nan, 0.0], [np.nan, 0.0], False),
    ],
)
def test_cases_on_which_the_two_rules_once_disagreed(alone: list[float], together: list[float], passed: bool) -> None:
    assert agreement(of(alone), of(together)).passed is passed
    assert agree(of(alone), of(together)).passed is passed


@pytest.mark.parametrize(
    ("alone", "together", "passed"),
    [
        ([400, 7], [401, 7], True),  # 1.5644 and 1.5646 px are rounded apart
        ([400, 7], [402, 7], False),
        ([65_000, 7], [65_007, 7], True),  # within 1e-4 of a large number
        ([0, 7], [1, 7], False),  # no estimate is not a small one
    ],
)
def test_numbers_that_are_stored_in_steps_may_be_rounded_to_neighbours(
    alone: list[int], together: list[int], passed: bool
) -> None:
    one, other = ({"disparity": np.array([row], np.uint16)} for row in (alone, together))

    assert agreement(one, other, {"disparity": 1 / 256}).passed is passed
    assert not agreement(one, other).passed  # as decisions they differ


def test_no_sample_at_all_agrees() -> None:
    assert agreement({"scores": np.zeros((0, 2))}, {"scores": np.zeros((0, 2))}) == Agreement(0.0, 0, 0)
    assert Agreement(0.0, 0, 0).passed


@dataclass(frozen=True)
class Runs:
    """A type of a task kind: the masks of an image, say."""

    starts: np.ndarray
    runs: np.ndarray


def test_a_type_of_a_task_kind_is_compared_by_its_parts() -> None:
    one, same = ({"masks": [Runs(np.array([0, 2]), np.array([3, 1]))]} for _ in range(2))
    other = {"masks": [Runs(np.array([0, 2]), np.array([2, 2]))]}
    shorter = {"masks": [Runs(np.array([0, 1]), np.array([4]))]}

    assert same_bytes(one, same)
    assert agreement(one, same).passed
    for changed in (other, shorter):
        assert not same_bytes(one, changed)
        assert not agreement(one, changed).passed


@dataclass(frozen=True)
class Near:
    """A type that says itself what one decision is."""

    value: int

    def alike(self, other: Near) -> bool:
        return abs(self.value - other.value) < 2


@pytest.mark.parametrize(("other", "passed"), [(4, True), (5, True), (6, False)])
def test_a_type_may_say_itself_when_two_of_it_are_one_decision(other: int, passed: bool) -> None:
    assert agreement({"masks": [Near(4)]}, {"masks": [Near(other)]}).passed is passed
    assert same_bytes({"masks": [Near(4)]}, {"masks": [Near(other)]}) is (other == 4)
