"""The share of a run's time that one candidate of a search may take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.runs import config_for

from mlcvbench.running.clock import RunClock


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr("mlcvbench.running.clock.time", made)
    return made


def run_clock(seconds: float, budget: float | None) -> RunClock:
    config = config_for("model=knn")
    return RunClock(replace(config, seconds=seconds, definition=replace(config.definition, fit_budget=budget)))


def test_a_run_without_candidates_has_all_its_time(clock: Time):
    subject = run_clock(100.0, 10.0)
    clock.now += 99

    assert (subject.remaining(), subject.is_over, subject.share) == (1.0, False, None)


def test_a_candidate_has_its_even_share_of_what_is_left(clock: Time):
    subject = run_clock(100.0, None)
    clock.now += 20

    subject.turn_to(0, 4)

    assert (subject.share, subject.remaining()) == (20.0, 20.0)


def test_a_candidate_has_two_fit_budgets_where_that_is_more_but_never_more_than_the_run(clock: Time):
    subject = run_clock(100.0, 15.0)
    subject.turn_to(0, 10)
    first = subject.remaining()
    clock.now += 90

    subject.turn_to(1, 9)

    assert (first, subject.remaining()) == (30.0, 10.0)


def test_the_share_of_a_candidate_does_not_move_while_it_is_tried(clock: Time):
    subject = run_clock(100.0, None)
    subject.turn_to(0, 2)
    clock.now += 30

    subject.turn_to(0, 2)

    assert subject.remaining() == 20.0


def test_between_candidates_the_run_s_own_time_counts(clock: Time):
    subject = run_clock(100.0, None)
    subject.turn_to(0, 2)
    clock.now += 10

    subject.turn_to(None, 0)

    assert (subject.remaining(), subject.share) == (90.0, None)


def test_the_search_is_as_long_as_since_its_first_candidate_began(clock: Time):
    subject = run_clock(100.0, None)
    clock.now += 5
    unbegun = subject.spent_on_search()
    subject.turn_to(0, 2)
    clock.now += 7
    subject.turn_to(1, 1)
    clock.now += 3

    assert (unbegun, subject.spent_on_search()) == (0.0, 10.0)


def test_a_run_is_over_at_its_deadline(clock: Time):
    subject = run_clock(100.0, None)
    clock.now += 100

    assert subject.is_over
