from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_time import MILLISECOND, FakeClock, TimedModel, images

from mlcvbench.contract import Array, Batch, External, Predictions, Problem, Scorer, Split, Task, check_array
from mlcvbench.measure.checks import agree, honesty, no_replay_cache

PROBLEM = Problem("classification", ("a", "b"), {})


class ScoresTask(Task):
    kind = "classification"

    def scorer(self, protocol: str, problem: Problem) -> Scorer:
        raise NotImplementedError

    def protocols(self) -> tuple[str, ...]:
        return ()

    def check(self, predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
        return {"scores": check_array(predictions, "scores", ids, (2,))}

    def save(self, predictions: Predictions, ids: Array, folder: Path) -> Path:
        raise NotImplementedError

    def load(self, path: Path, split_ids: Array, problem: Problem) -> Predictions:
        raise NotImplementedError

    def read_external(self, path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
        raise NotImplementedError


def scored(model: TimedModel, split: Split, size: int) -> Predictions:
    task = ScoresTask()
    return task.merge([task.check(model.predict(batch), batch.ids, PROBLEM) for batch in split.inputs(size)])


def results(model: TimedModel, split: Split, size: int = 16) -> dict[str, bool | None]:
    checks = honesty(model, split, scored(model, split, size), ScoresTask(), PROBLEM, size, clock=model.clock)
    return {name: check.passed for name, check in checks.items()}


ALL = {"timed_equals_scored": True, "deterministic": True, "batch_invariant": True, "no_replay_cache": True}


@pytest.mark.parametrize(("count", "size"), [(200, 16), (200, 64), (100, 30), (5, 64), (70, 1)])
def test_an_honest_model_passes_every_check(count: int, size: int) -> None:
    assert results(TimedModel(FakeClock()), images(count), size) == ALL


def test_a_model_that_remembers_its_answers_is_found_though_the_accuracy_pass_warmed_its_cache() -> None:
    class Remembering(TimedModel):
        def __init__(self, clock: FakeClock) -> None:
            super().__init__(clock)
            self.known: set[bytes] = set()

        def preprocess(self, batch: Batch) -> Any:
            key = np.asarray(batch.inputs["image"]).tobytes()
            self.clock.advance(0 if key in self.known else 10 * MILLISECOND)
            self.known.add(key)
            return super().preprocess(batch)

    assert results(Remembering(FakeClock()), images(100)) == {**ALL, "no_replay_cache": False}


def test_noise_in_one_attempt_is_no_cache() -> None:
    clock = FakeClock()
    jittery = TimedModel(clock, 0, lambda call: MILLISECOND * (3 if call < 60 and call % 7 == 1 else 1), 0)

    check = no_replay_cache(jittery, list(images(30).inputs(1)), clock=clock)

    assert check.passed is True
    assert check.detail == "replayed samples run at 1.00 x the speed of new ones"


def test_one_sample_is_too_few_for_the_replay_check() -> None:
    clock = FakeClock()

    check = no_replay_cache(TimedModel(clock), list(images(1).inputs(1)), clock=clock)

    assert (check.passed, check.detail) == (None, "needs two samples")


def test_predictions_that_are_not_those_scored_are_found() -> None:
    model, split = TimedModel(FakeClock()), images(100)
    predictions = scored(model, split, 16)
    predictions["scores"][3] += 1e-6

    check = honesty(model, split, predictions, ScoresTask(), PROBLEM, 16, clock=model.clock)["timed_equals_scored"]

    assert check.passed is False
    assert check.detail == "the timed stages and the accuracy pass differ in 'scores' on 1 of 64"


class Restless(TimedModel):
    """Gives other scores at each call."""

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        scores = super().postprocess(outputs, batch)["scores"]
        return {"scores": scores + np.float32(1e-3 * self.calls[2])}


def test_a_model_that_changes_its_mind_is_not_deterministic() -> None:
    assert results(Restless(FakeClock()), images(100))["deterministic"] is False


class Lonely(TimedModel):
    """Cannot answer one image alone."""

    def forward(self, inputs: Any) -> Any:
        if len(inputs) == 1:
            raise RuntimeError("expected more than 1 value per channel\nwhen training")
        return super().forward(inputs)


def test_checks_that_cannot_be_made_say_why_and_the_others_are_made() -> None:
    model, split = Lonely(FakeClock()), images(100)

    checks = honesty(model, split, scored(model, split, 16), ScoresTask(), PROBLEM, 16, clock=model.clock)

    why = "it could not be made: expected more than 1 value per channel"
    assert {name: check.passed for name, check in checks.items()} == {
        **ALL,
        "batch_invariant": None,
        "no_replay_cache": None,
    }
    assert checks["batch_invariant"].detail == checks["no_replay_cache"].detail == why


class Normalising(TimedModel):
    """Subtracts the batch's own mean, as a network left in training mode does."""

    def forward(self, inputs: Any) -> Any:
        return super().forward(np.clip(inputs - inputs.mean() + 128, 0, 255))


def test_a_model_that_looks_at_its_neighbours_is_not_batch_invariant() -> None:
    passed = results(Normalising(FakeClock()), images(100))

    assert passed["batch_invariant"] is False
    assert passed["timed_equals_scored"] is True


def test_small_numeric_differences_are_allowed_and_changed_decisions_are_not() -> None:
    together = {"scores": np.array([[0.5, 0.50005], [0.9, 0.1]], np.float32)}
    near = {"scores": together["scores"] + np.float32(5e-5)}
    flipped = {"scores": np.array([[0.50005, 0.5], [0.9, 0.1]], np.float32)}

    assert agree(near, together).passed is True
    assert agree(flipped, together).passed is False
    assert agree(flipped, together).detail == "largest difference 3.3e-05, 50.0 % of decisions equal"


def test_inf_agrees_with_inf_and_with_nothing_else() -> None:
    far, near = {"depth": np.float32([[np.inf, 2]])}, {"depth": np.float32([[3, 2]])}

    assert agree(far, far).passed is True
    assert agree(near, far).passed is False
    assert agree(far, near).detail == "largest difference inf, 100.0 % of decisions equal"


def ragged(values: Sequence[Sequence[int]]) -> Predictions:
    return {"labels": [np.array(value) for value in values]}


def test_ragged_predictions_are_compared_sample_by_sample() -> None:
    assert agree(ragged([[1, 2], []]), ragged([[1, 2], []])).passed is True
    assert agree(ragged([[1, 2], []]), ragged([[1], []])).detail == "'labels' has shape (2,) alone and (1,) in a batch"
